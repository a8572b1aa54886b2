"""What the tests of control with tables share: walks of two environments, their exact tables, and policies in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Env, Outcome, Spec, Transition
from bellmax.spaces import Discrete, Masked, MultiBinary, MultiDiscrete

STATES, ACTIONS = 12, 3
PLAIN = Spec(Discrete(STATES), Discrete(ACTIONS), 2)
MASKED = Spec(Masked(MultiDiscrete((3, 4)), MultiBinary(ACTIONS)), Discrete(ACTIONS), 2)  # the same states, as (3, 4)
LEGAL = np.random.default_rng(0).random((STATES, ACTIONS)) < 0.6
LEGAL[:, 1] |= ~LEGAL.any(1)
LEGAL[5] = False  # where all is over nothing is legal
STARTS = (0, 1, 2, 3)


def legal_of(spec):
    return LEGAL if isinstance(spec.obs, Masked) else np.ones((STATES, ACTIONS), bool)


def walk(spec, seed, time, num_envs=2, idle=0.1):
    """A walk of each environment, [time, env]: it goes on where it was until it terminates (in state 5), or is cut.

    After an ending there may be a row of weight 0, as where an environment uses up a step to start again, and with
    probability `idle` anywhere. Few states and small loops, so that pairs come up again within an episode.
    -> Transition of NumPy arrays, states, next states.
    """
    draw, world = np.random.default_rng(seed), np.random.default_rng(7)
    successor = world.integers(6, size=(STATES, ACTIONS))
    reward = world.normal(size=(STATES, ACTIONS)).round(2)
    legal, state = legal_of(spec), np.full(num_envs, STARTS[0])
    rows, resting = [], np.zeros(num_envs, bool)
    for _ in range(time):
        action = np.array([draw.choice(np.flatnonzero(legal[s])) for s in state])
        new, over = successor[state, action], successor[state, action] == 5
        last, paid = over | (draw.random(num_envs) < 0.15), reward[state, action]
        weight = 1.0 - resting
        last, paid = np.where(resting, False, last), np.where(resting, 77.0, paid)
        rows.append((state, action, paid, 1.0 - over, last, new, weight))
        begun = draw.choice(STARTS, num_envs)
        state = np.where(resting, state, np.where(last, begun, new))
        resting = (last & (draw.random(num_envs) < 0.5)) | (draw.random(num_envs) < idle)
    return (*to_batch(spec, [np.stack(column) for column in zip(*rows)]),)


def episodes(spec, seed, length, num_envs=2):
    """One whole episode an environment, and behind its end rows of weight 0 full of nonsense."""
    batch, state, new = walk(spec, seed, length, num_envs, idle=0)
    over = np.cumsum(batch.last, 0) - batch.last > 0
    last = np.asarray(batch.last).copy()
    last[-1] |= ~over[-1]
    return batch._replace(last=last, weight=(1.0 - over).astype(np.float32)), state, new


def to_batch(spec, columns):
    state, action, reward, discount, last, new, weight = columns
    see = lambda s: Masked(np.stack(np.divmod(s, 4), -1), LEGAL[s]) if isinstance(spec.obs, Masked) else s
    floats = (x.astype(np.float32) for x in (reward, discount))
    paid, goes_on = floats
    batch = Transition(see(state), action, paid, goes_on, last, see(new), {}, weight.astype(np.float32))
    return batch, state, new


def soft(q, legal, epsilon):
    """Probabilities of the epsilon-greedy policy in one state, in NumPy."""
    probability = np.zeros(len(q))
    if not legal.any():
        return probability
    top = max(q[a] for a in range(len(q)) if legal[a])
    ties = [a for a in range(len(q)) if legal[a] and q[a] == top]
    for a in range(len(q)):
        if legal[a]:
            probability[a] += epsilon / legal.sum()
        if a in ties:
            probability[a] += (1 - epsilon) / len(ties)
    return probability


class RandomWorld(Env):
    """A small random world with an exact solution: every action may lead anywhere, or ends it `ending` times in ten.

    `seed` is traced, so that several worlds are learned by one program.
    """

    seed: float = 0.0
    ending: int = 2

    @property
    def spec(self):
        return Spec(Discrete(4), Discrete(3))

    def models(self):
        """Of every seed: probabilities of the successors [seed, state, action, state], and rewards."""
        draws = [np.random.default_rng(seed) for seed in range(8)]
        probability = [draw.dirichlet(np.full(4, 0.5), (4, 3)) * (1 - self.ending / 10) for draw in draws]
        return np.stack(probability), np.stack([draw.uniform(-1, 1, (4, 3)) for draw in draws])

    def reset(self, key):
        state = jax.random.randint(key, (), 0, 4)
        return state, state

    def step(self, env_state, action, key):
        which = jnp.asarray(self.seed, jnp.int32), env_state, action
        probability, reward = (jnp.asarray(x, jnp.float32)[which] for x in self.models())
        running, number = jnp.cumsum(probability), jax.random.uniform(key)
        over = number >= running[-1]
        new = jnp.where(over, env_state, (running <= number).sum()).astype(jnp.int32)
        return new, Outcome(new, reward, 1.0 - over, over)

    def exact(self, gamma, epsilon):
        """Q of the best policy that takes an action drawn evenly with probability epsilon; Q* for 0."""
        probability, reward = (x[int(self.seed)] for x in self.models())
        q = np.zeros_like(reward)
        for _ in range(500):
            q = reward + gamma * probability @ ((1 - epsilon) * q.max(1) + epsilon * q.mean(1))
        return q
