"""Goals in hindsight against brute force: of the same episode, drawn evenly, rewarded as they would have been."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import DQN, EpsilonGreedy
from bellmax.experience import Equal, GoalReward, Hindsight, WithinDistance
from tests.experience.made_up import drawn, example, filled, is_from, kept, numbered, times

ENVS, HORIZON = 2, 12


def reaching(seed, rounds, length, achieved, own, ends=0.15, padding=0.0, reward=None):
    """Rounds of steps of random episodes that achieve `achieved(obs)` and are after `own(env)`."""
    reward = reward or (lambda achieved, desired: (np.zeros(achieved.shape[:2]), None))
    for x in numbered(seed, rounds, length, ENVS, ends, padding):
        desired = np.broadcast_to(own(np.arange(ENVS)), (*x.reward.shape, len(own(np.arange(ENVS))[0])))
        now, then = (np.float32(achieved(obs)) for obs in (x.obs, x.next_obs))
        found, discount = reward(then, desired)
        yield x._replace(
            obs={"observation": x.obs, "achieved_goal": now, "desired_goal": np.float32(desired)},
            next_obs={"observation": x.next_obs, "achieved_goal": then, "desired_goal": np.float32(desired)},
            reward=np.float32(found),
            discount=x.discount if discount is None else np.float32(np.minimum(x.discount, discount)),
        )


def where_it_was(obs):
    """A goal that says what achieved it: 1000 env + time, and a half more if it was the next observation."""
    return obs[..., None]


def nowhere(env):
    return np.full((len(env), 1), -1.0)


def candidates(everything, t, env, goals, first):
    """The times whose achieved goals may replace the goal of the step at time t; nothing before `first` is held."""
    last, weight = everything.steps.last[:, env], everything.steps.weight[:, env]
    ahead = []
    for s in range(t, min(len(last), t + HORIZON)):
        ahead.append(s)
        if last[s]:
            break
    ahead = [s for s in ahead if weight[s] > 0]
    if goals == "final":
        return ahead[-1:]
    behind, s = [], t - 1
    while goals == "episode" and s >= max(first, t - HORIZON + 1) and not last[s]:
        behind += [s] if weight[s] > 0 else []
        s -= 1
    return behind + ahead


BUFFER = Hindsight(capacity=80, batch=500, reward=Equal(), horizon=HORIZON)
CASES = {  # experience, rounds, padding
    "future": (BUFFER, 25, 0.0),
    "future, written over, rounds": (BUFFER.replace(length=2), 57, 0.0),
    "final, written over": (BUFFER.replace(goals="final", k=1.0), 101, 0.0),
    "episode, written over, padding": (BUFFER.replace(goals="episode", k=9.0), 90, 0.1),
    "future, n steps": (BUFFER.replace(n=3), 103, 0.0),
}


@pytest.fixture(params=CASES, scope="module")
def case(request):
    experience, rounds, padding = CASES[request.param]
    steps = list(reaching(4, rounds, experience.length, where_it_was, nowhere, padding=padding))
    buffer, fresh = filled(experience, steps)
    return experience, drawn(experience, buffer, fresh, 120), kept(steps)


def test_goals_are_of_the_same_episode_and_drawn_evenly(case):
    experience, batch, everything = case
    time, first = len(everything.steps.last), max(len(everything.steps.last) - 40, 0)
    (t, env), goal = observed(batch), batch.next_obs["desired_goal"][0, :, 0]
    changed = (goal >= 0) & (batch.weight[0] > 0)
    wanted, counts = np.zeros((2, time, ENVS, time))
    np.add.at(counts, (t[changed], env[changed], np.int64(goal[changed]) % 1000), 1)
    assert (np.int64(goal[changed]) // 1000 == env[changed]).all(), "and of the same environment"
    assert (goal[changed] % 1 == 0.5).all(), "what a step led to, not where it began"
    for s in range(first, time - experience.n + 1):
        for e in range(ENVS):
            if everything.steps.weight[s, e] > 0:
                of = candidates(everything, s, e, experience.goals, first)
                wanted[s, e, of] = 1 / len(of)
    assert not counts[wanted == 0].any()
    assert is_from(counts, wanted / wanted.sum())
    assert (wanted > 0).sum(-1).max() > 5 or experience.goals == "final"


def observed(batch):
    return times(batch._replace(obs=batch.obs["observation"]))


def test_the_share_of_new_goals_is_k_of_k_and_one(case):
    experience, batch, _ = case
    there = batch.weight[0] > 0
    share, wanted = (batch.obs["desired_goal"][0, there, 0] >= 0).mean(), experience.k / (experience.k + 1)
    assert share == pytest.approx(wanted, abs=5 * np.sqrt(wanted * (1 - wanted) / there.sum()))


def test_one_goal_a_window_and_all_else_as_it_was(case):
    experience, batch, everything = case
    for obs in (batch.obs, batch.next_obs):
        np.testing.assert_array_equal(obs["desired_goal"], batch.obs["desired_goal"][:1] + 0 * obs["desired_goal"])
    t, env = observed(batch)
    for i in range(100):
        wanted = everything.window(t[i], env[i], experience.n)
        over = np.cumsum(wanted.last) - wanted.last > 0
        np.testing.assert_array_equal(batch.weight[:, i], np.where(over, 0, wanted.weight))
        for name in ("observation", "achieved_goal"):
            np.testing.assert_array_equal(batch.obs[name][:, i], wanted.obs[name])
            np.testing.assert_array_equal(batch.next_obs[name][:, i], wanted.next_obs[name])
        np.testing.assert_array_equal(batch.last[:, i], wanted.last)


def on_a_grid(obs):
    """One of nine places, by the step."""
    number = np.int64(np.floor(obs * 2))
    return np.stack([number * 7 % 3, number * 5 // 4 % 3], -1)


def slow_equal(terminates):
    def rule(achieved, desired):
        reached = (achieved == desired).all(-1)
        return np.where(reached, 0.0, -1.0), np.where(reached & terminates, 0.0, 1.0)

    return rule


def slow_near(terminates):
    def rule(achieved, desired):
        reached = np.sqrt(np.square(achieved - desired).sum(-1)) <= 1.0
        return np.where(reached, 0.0, -1.0), np.where(reached & terminates, 0.0, 1.0)

    return rule


RULES = {
    "equal": (Equal(), slow_equal(False)),
    "equal, the end": (Equal(terminates=True), slow_equal(True)),
    "near": (WithinDistance(1.0), slow_near(False)),
    "near, the end": (WithinDistance(1.0, terminates=True), slow_near(True)),
}


@pytest.mark.parametrize("name", RULES)
def test_rewards_and_endings_are_the_environments_own_for_that_goal(name):
    part, rule = RULES[name]
    experience = Hindsight(capacity=200, batch=4000, reward=part, horizon=HORIZON)
    steps = list(reaching(1, 60, 1, on_a_grid, lambda env: np.stack([env % 3, 0 * env], -1), ends=0.3, reward=rule))
    buffer, fresh = filled(experience, steps)
    batch = drawn(experience, buffer, fresh, 1)
    reward, discount = rule(batch.next_obs["achieved_goal"], batch.next_obs["desired_goal"])
    (t, env), everything = observed(batch), kept(steps)
    own = rule(everything.steps.next_obs["achieved_goal"], everything.steps.next_obs["desired_goal"])[1]
    for_another_reason = (everything.steps.discount == 0) & (own == 1)  # that ends it whatever the goal
    np.testing.assert_array_equal(batch.reward, reward)
    np.testing.assert_array_equal(batch.discount, np.where(for_another_reason[t, env], 0, discount))
    assert for_another_reason.any()
    stored = everything.steps.reward[t, env]
    assert (batch.reward[0] != stored).mean() > 0.1, "they are not those that were stored"


def test_a_rule_of_ones_own_is_a_part():
    class Far(GoalReward):
        scale: float = 2.0

        def __call__(self, achieved, desired):
            return self.scale * jnp.abs(achieved - desired).sum(), jnp.float32(1)

    experience = BUFFER.replace(reward=Far(3.0))
    steps = list(reaching(1, 30, 1, where_it_was, nowhere))
    batch = drawn(experience, *filled(experience, steps), 1)
    changed = batch.next_obs["desired_goal"][0, :, 0] >= 0
    wanted = 3 * np.abs(batch.next_obs["achieved_goal"] - batch.next_obs["desired_goal"])[0, :, 0]
    np.testing.assert_allclose(batch.reward[0][changed], wanted[changed], rtol=1e-6)


def test_observations_without_goals_are_refused():
    step = example(next(numbered(0, 1, 1, ENVS)))
    with pytest.raises(ValueError, match="must be a dict with observation, achieved_goal, desired_goal, and is Shape"):
        BUFFER.empty(step, ENVS)
    with pytest.raises(ValueError, match=r"and is \['achieved_goal'\]"):
        BUFFER.empty(step._replace(obs={"achieved_goal": step.obs}), ENVS)


def test_an_algorithm_takes_it_like_any_other():
    algorithm = DQN(experience=BUFFER, exploration=EpsilonGreedy(0.1))
    assert jax.tree.leaves(algorithm.experience.replace(k=2.0))[0] == 2.0
