"""Made-up experience for prediction with tables: consistent, with terminations, time limits and padding."""

import itertools

import jax
import numpy as np

from bellmax.core import Spec, Transition
from bellmax.spaces import Discrete

ROWS, COLUMNS, ACTIONS, ENVS = 3, 2, 2, 2
SPEC = Spec((Discrete(ROWS), Discrete(COLUMNS)), Discrete(ACTIONS), ENVS)


def split(cell):
    """The two components of an observation, from its number row by row."""
    return np.int32(cell // COLUMNS), np.int32(cell % COLUMNS)


def batch_of(rows, num_envs=ENVS):
    """Transition [time, env] from a list a step of (cell, reward, discount, last, next_cell, weight, ratio) an env."""
    cell, reward, discount, last, next_cell, weight, ratio = (
        np.array(x).reshape(len(rows), num_envs) for x in zip(*[zip(*row) for row in rows])
    )
    action = np.zeros(cell.shape, np.int32)
    extras = {"ratio": ratio.astype(np.float32)}
    reward, discount, weight = (x.astype(np.float32) for x in (reward, discount, weight))
    return Transition(split(cell), action, reward, discount, last, split(next_cell), extras, weight)


def nonsense(draw):
    """A row that must not count."""
    return (*draw.integers(ROWS * COLUMNS, size=1), 1e3, draw.integers(2), draw.random() < 0.5, 0, 0.0, 3.0)


class Walker:
    """One environment that wanders at random, whose episodes end both ways."""

    def __init__(self, draw):
        self.draw, self.cell = draw, draw.integers(ROWS * COLUMNS)

    def step(self):
        draw, cell, next_cell = self.draw, self.cell, self.draw.integers(ROWS * COLUMNS)
        terminated, cut = draw.random(2) < 0.2
        last = terminated or cut
        self.cell = draw.integers(ROWS * COLUMNS) if last else next_cell
        return cell, draw.normal(), 1.0 - terminated, last, next_cell, 1.0, draw.choice([0.0, 0.5, 1.0, 2.0, 2.0])


def stream(seed, length=25, padding=0.2):
    """Steps of both environments with rows of padding in between, [length, env]."""
    draw = np.random.default_rng(seed)
    walkers = [Walker(draw) for _ in range(ENVS)]
    return batch_of([[nonsense(draw) if draw.random() < padding else w.step() for w in walkers] for _ in range(length)])


def whole_episodes(seed, length=9, terminating=False):
    """One episode an environment, then padding to the end; one that is too long is cut there."""
    draw = np.random.default_rng(seed)
    columns = []
    for _ in range(ENVS):
        walker, column = Walker(draw), []
        while len(column) < length and not (column and column[-1][3]):
            column.append(walker.step())
        column[-1] = (*column[-1][:2], 0.0 if terminating else column[-1][2], True, *column[-1][4:])
        columns.append(column + [nonsense(draw) for _ in range(length - len(column))])
    return batch_of(list(zip(*columns)))


def pieces(batch, count):
    """The stream cut in `count` batches, one after the other."""
    length = len(batch.reward)
    cuts = np.linspace(0, length, count + 1).astype(int)
    return [steps(batch, *ends) for ends in itertools.pairwise(cuts)]


def steps(batch, start, stop):
    """A part of a batch, from step `start` to before `stop`."""
    return jax.tree.map(lambda x: x[start:stop], batch)


def rows_of(batch):
    """[[(cell, reward, discount, last, next_cell, weight, ratio), one an env], one a step], in float64."""
    cell, next_cell = (obs[0] * COLUMNS + obs[1] for obs in (batch.obs, batch.next_obs))
    parts = cell, batch.reward, batch.discount, batch.last, next_cell, batch.weight, batch.extras["ratio"]
    length, envs = batch.reward.shape
    return [[tuple(part[t, n].item() for part in map(np.asarray, parts)) for n in range(envs)] for t in range(length)]
