"""A policy and a value that share a GRU, in NumPy: reading a sequence, and backpropagation through time by hand."""

from typing import Any, NamedTuple

import numpy as np

from tests.paper.by_hand import Choice, choice, choice_backward, dense_backward, torso, torso_backward

CELL = ".recurrent.cell"


class Gates(NamedTuple):
    """What one step of the cell leaves for the way back."""

    x: np.ndarray
    before: np.ndarray
    reset: np.ndarray
    keep: np.ndarray
    fresh: np.ndarray
    recalled: np.ndarray  # U_n h + b_n, what the reset gate lets through or not


class Step(NamedTuple):
    """One transition through the network."""

    kept: list
    gates: Gates
    memory: np.ndarray  # after it
    choice: Choice
    value: float
    begins: Any


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gru(params, memory, x):
    """r = s(W_r x + U_r h + b_r), z = s(W_z x + U_z h + b_z), n = tanh(W_n x + b + r (U_n h + b_n)).

    h' = z h + (1 - z) n. Cho et al., 2014, section 2.3, with the reset gate behind U as in the cuDNN version.
    """
    from_x = params[f"{CELL}.weight_ih"] @ x + params[f"{CELL}.bias"]
    from_h = params[f"{CELL}.weight_hh"] @ memory
    (x_r, x_z, x_n), (h_r, h_z, h_n) = np.split(from_x, 3), np.split(from_h, 3)
    reset, keep, recalled = sigmoid(x_r + h_r), sigmoid(x_z + h_z), h_n + params[f"{CELL}.bias_n"]
    fresh = np.tanh(x_n + reset * recalled)
    return keep * memory + (1 - keep) * fresh, Gates(x, memory, reset, keep, fresh, recalled)


def gru_backward(params, grads, gates, slope):
    """d loss / d h' -> d loss / dx, d loss / dh. The slope of s is s (1 - s), that of tanh 1 - tanh^2."""
    x, before, reset, keep, fresh, recalled = gates
    by_n = slope * (1 - keep) * (1 - fresh**2)
    by_z = slope * (before - fresh) * keep * (1 - keep)
    by_r = by_n * recalled * reset * (1 - reset)
    by_x, by_h = np.concatenate([by_r, by_z, by_n]), np.concatenate([by_r, by_z, by_n * reset])
    grads[f"{CELL}.weight_ih"] += np.outer(by_x, x)
    grads[f"{CELL}.bias"] += by_x
    grads[f"{CELL}.weight_hh"] += np.outer(by_h, before)
    grads[f"{CELL}.bias_n"] += by_n * reset
    return params[f"{CELL}.weight_ih"].T @ by_x, slope * keep + params[f"{CELL}.weight_hh"].T @ by_h


def look(params, memory, obs, action, begins=False):
    """One transition; the memory is emptied first where an episode begins."""
    kept = torso(params, ".torso", obs)
    memory, gates = gru(params, np.zeros_like(memory) if begins else memory, kept[-1])
    value = (memory @ params[".value_head.weight"] + params[".value_head.bias"])[0]
    return Step(kept, gates, memory, choice(params, memory, action), value, begins)


def read(params, memory, obs, action, begins):
    """One environment's steps, in order."""
    steps = []
    for t in range(len(obs)):
        steps.append(look(params, memory, obs[t], action[t], begins[t]))
        memory = steps[-1].memory
    return steps


def read_backward(params, grads, steps, slopes):
    """From the last step to the first; `slopes`: for each step those of the loss by log_prob, entropy and value."""
    from_later = np.zeros_like(steps[-1].memory)
    for now, (by_log_prob, by_entropy, by_value) in zip(reversed(steps), reversed(slopes)):
        slope = choice_backward(params, grads, now.choice, now.memory, by_log_prob, by_entropy) + from_later
        slope = slope + dense_backward(params, grads, ".value_head", now.memory, np.array([by_value]))
        by_features, from_later = gru_backward(params, grads, now.gates, slope)
        torso_backward(params, grads, ".torso", now.kept, by_features)
        if now.begins:
            from_later = np.zeros_like(from_later)  # the memory was new: nothing before it had a part in it
