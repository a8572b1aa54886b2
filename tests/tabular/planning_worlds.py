"""What the tests of planning share: small deterministic worlds, their exact values, and made-up experience."""

import jax
import jax.numpy as jnp
import numpy as np

from bellmax.core import Env, Outcome, Spec, Transition
from bellmax.maths.chance import uniform
from bellmax.spaces import Discrete, Masked, MultiBinary, MultiDiscrete

GAMMA = 0.9


class World(Env):
    """Every state has one successor and reward for each action; an episode is cut short after seven steps."""

    successor: tuple[tuple[int, ...], ...] = ()
    reward: tuple[tuple[float, ...], ...] = ()
    terminal: tuple[bool, ...] = ()  # of the states
    start: int | None = None  # None: any that is not terminal

    @property
    def spec(self):
        return Spec(Discrete(len(self.successor)), Discrete(len(self.successor[0])))

    def reset(self, key):
        starts = np.flatnonzero(~np.array(self.terminal)) if self.start is None else [self.start]
        starts = jnp.asarray(starts, jnp.int32)
        first = starts[(uniform(key) * len(starts)).astype(jnp.int32)]
        return (first, jnp.int32(0)), first

    def step(self, env_state, action, key):
        state, time = env_state
        new = jnp.asarray(self.successor, jnp.int32)[state, action]
        over = jnp.asarray(self.terminal)[new]
        last = over | (time + 1 >= 7)
        return (new, time + 1), Outcome(new, jnp.asarray(np.float32(self.reward))[state, action], 1.0 - over, last)


def random_world(seed, states=7, actions=3):
    draw = np.random.default_rng(seed)
    terminal = np.zeros(states, bool)
    terminal[draw.choice(states, 2, replace=False)] = True
    as_tuples = lambda table: tuple(tuple(row) for row in table.tolist())
    return World(
        successor=as_tuples(draw.integers(states, size=(states, actions))),
        reward=as_tuples(draw.normal(size=(states, actions)).round(3)),
        terminal=tuple(terminal.tolist()),
    )


def exact_q(world, gamma=GAMMA):
    """Q* by 1,000 sweeps in float64, 0 in the terminal states; rows: the states that are not terminal."""
    q, live = np.zeros(np.shape(world.successor)), ~np.array(world.terminal)
    for _ in range(1000):
        value = np.where(live, q.max(1), 0)
        q = np.array(world.reward) + gamma * value[np.array(world.successor)]
    return q, live


# Two kinds of observations with twelve states: numbered, or (3, 4) with a mask of the legal actions.
PLAIN = Spec(Discrete(12), Discrete(3), 2)
MASKED = Spec(Masked(MultiDiscrete((3, 4)), MultiBinary(3)), Discrete(3), 2)
LEGAL = np.random.default_rng(0).random((12, 3)) < 0.6
LEGAL[:, 1] |= ~LEGAL.any(1)
LEGAL[[0, 2, 6], 1] = True
LEGAL[5] = False  # where all is over nothing is legal


def experience(spec, seed, time=4, num_envs=2):
    """Steps [time, env] in a deterministic world, some terminating, some of weight 0; states come up repeatedly."""
    world, draw = np.random.default_rng(99), np.random.default_rng(seed)
    successor, reward = world.integers(12, size=(12, 3)), world.normal(size=(12, 3)).astype(np.float32)
    terminated = world.random((12, 3)) < 0.25
    successor[[0, 2, 6], 1], terminated[[0, 2, 6], 1] = 5, False  # where, with masks, nothing is legal
    state = draw.choice([0, 1, 2, 3, 4, 6, 8, 11], size=(time, num_envs))
    legal = LEGAL if isinstance(spec.obs, Masked) else np.ones((12, 3), bool)
    action = np.array([[draw.choice(np.flatnonzero(legal[s])) for s in row] for row in state])
    new, weight = successor[state, action], (draw.random((time, num_envs)) > 0.25).astype(np.float32)
    over = terminated[state, action]
    last = over | (draw.random(over.shape) < 0.2)
    see = lambda s: Masked(np.stack(np.divmod(s, 4), -1), LEGAL[s]) if isinstance(spec.obs, Masked) else s
    discount = (1 - over).astype(np.float32)
    batch = Transition(see(state), action, reward[state, action], discount, last, see(new), {}, weight)
    return jax.tree.map(jnp.asarray, batch), (state, action, new)
