"""The papers' updates in NumPy and float64, one pull at a time; a state is a dictionary named as the library's is."""

import numpy as np


def epsilon_greedy(it, state, pulls):
    for action, reward, weight, _ in pulls:
        if weight:
            state["count"][action] += 1
            alpha = it.step_size or 1 / (state["count"][action] + it.initial_count)
            state["q"][action] += alpha * (reward - state["q"][action])


def averages(it, state, pulls):
    """UCB and KL-UCB: the mean of a list, not a recursion."""
    for arm in range(len(state["q"])):
        paid = [r for a, r, w, _ in pulls if a == arm and w]
        total = state["q"][arm] * state["count"][arm] + sum(paid)
        state["count"][arm] += len(paid)
        state["q"][arm] = total / max(state["count"][arm], 1)


def ucb_tuned(it, state, pulls):
    """Mean, and mean of the squares - square of the mean."""
    squares = (state["variance"] + state["q"] ** 2) * state["count"]
    for action, reward, weight, _ in pulls:
        squares[action] += weight * reward**2
    averages(it, state, pulls)
    state["variance"] = np.where(state["count"] > 0, squares / np.maximum(state["count"], 1) - state["q"] ** 2, 0)


def thompson(it, state, pulls):
    for action, reward, weight, _ in pulls:
        state["successes" if reward == 1 else "failures"][action] += weight


def gaussian_thompson(it, state, pulls):
    """Russo et al., 2018, algorithm for one reward: precisions add up, means are weighed with them."""
    for action, reward, weight, _ in pulls:
        if weight:
            before = state["precision"][action]
            state["precision"][action] = before + 1 / it.noise**2
            weighed = before * state["mean"][action] + reward / it.noise**2
            state["mean"][action] = weighed / state["precision"][action]


def gradient(it, state, pulls):
    policy = np.exp(state["preference"]) / np.exp(state["preference"]).sum()
    for action, reward, weight, _ in pulls:
        if not weight:
            continue
        earlier = state["average"] if state["count"] else reward
        state["average"] = (state["average"] * state["count"] + reward) / (state["count"] + 1)
        state["count"] = state["count"] + 1
        compared = reward - (state["average"] if it.inclusive else earlier) if it.baseline else reward
        for arm in range(len(policy)):
            slope = 1 - policy[arm] if arm == action else -policy[arm]
            state["preference"][arm] += it.step_size * compared * slope


def exp3(it, state, pulls):
    w, arms = np.exp(state["log_weight"]), len(state["log_weight"])
    for action, reward, weight, row in pulls:
        if weight:
            scaled = (reward - it.low) / (it.high - it.low)
            w[action] *= np.exp(it.mixing / arms * scaled / row["probability"])
    state["log_weight"] = np.log(w / w.max())


def linear(it, state, pulls, name):
    """The matrix itself grows, and is inverted afresh."""
    for arm in range(len(state["inverse"])):
        matrix = np.linalg.inv(state["inverse"][arm])
        for action, reward, weight, row in pulls:
            if action == arm and weight:
                matrix += np.outer(row["obs"], row["obs"])
                state[name][arm] += reward * row["obs"]
        state["inverse"][arm] = np.linalg.inv(matrix)


def linucb(it, state, pulls):
    linear(it, state, pulls, "b")


def linear_thompson(it, state, pulls):
    linear(it, state, pulls, "f")


def coin_divergence(p, q):
    """d(p, q) in nats, 0 ln 0 = 0."""
    return sum(a * np.log(a / b) if b > 0 else np.inf for a, b in ((p, q), (1 - p, 1 - q)) if a > 0)
