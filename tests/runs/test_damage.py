"""Files that were cut, changed, or made by somebody else: refused with one clear error."""

import json
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from bellmax.runs import Checkpoints, DamagedCheckpoint, WrongCheckpoint, load, save, tensors


@pytest.fixture
def small(tmp_path):
    state = {"w": jnp.arange(4.0), "on": jnp.array([True, False]), "none": jnp.zeros((10, 0)), "key": jax.random.key(0)}
    return save(tmp_path, 20, state, {"env": "CartPole-v1"}), state


def test_a_flipped_bit_anywhere_is_noticed(small):
    path, state = small
    whole = path.read_bytes()
    load(path, state)
    chance = random.Random(0)
    for position in range(len(whole)):
        flipped = bytearray(whole)
        flipped[position] ^= 1 << chance.randrange(8)
        path.write_bytes(flipped)
        with pytest.raises(DamagedCheckpoint, match="is damaged"):
            load(path, state)


def test_a_file_cut_or_grown_anywhere_is_noticed(small):
    path, state = small
    whole = path.read_bytes()
    for content in [whole[:length] for length in range(0, len(whole), 3)] + [whole[:-1], whole + b"\0", whole + whole]:
        path.write_bytes(content)
        with pytest.raises(DamagedCheckpoint, match="is damaged"):
            load(path, state)


def test_a_damaged_checkpoint_names_the_previous_good_one(tmp_path):
    kept = Checkpoints(tmp_path, keep=9)
    for step in (100, 200, 300, 400):
        kept.save(step, {"x": jnp.full(9, step)}, {})
    first, second, third, fourth = kept.list()
    for path in (second, third):
        path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DamagedCheckpoint) as caught:
        load(third, {"x": jnp.zeros(9, int)})
    assert f"{first}, is intact: delete the damaged file and resume" in str(caught.value)
    assert second.name not in str(caught.value)  # it is damaged too
    assert fourth.name not in str(caught.value)
    first.unlink()
    with pytest.raises(DamagedCheckpoint, match="No intact checkpoint before it"):
        load(third, {"x": jnp.zeros(9, int)})


def test_a_stranger_s_file_is_refused_whatever_it_holds(tmp_path):
    path = tmp_path / "step-000000000001.safetensors"
    save_file({"w": np.ones(3, np.float32)}, path)
    with pytest.raises(WrongCheckpoint, match="not written by bellmax"):
        load(path, {"w": np.ones(3)})
    deep = "[" * 100_000  # JSON that Python's reader gives up on, under a valid checksum
    entries = {"format": "1", "bellmax": "0.1.0", "step": "1", "meta": "{}", "keys": "{}"}
    for wrong in ({"meta": deep}, {"keys": "[1]"}, {"keys": "{"}, {"format": "one"}, {"step": ""}):
        tensors.write(path, {}, entries | wrong)
        with pytest.raises(DamagedCheckpoint, match="makes no sense"):
            load(path, {})
    tensors.write(path, {}, entries)
    assert load(path, {}) == ({}, {})
    header = json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)  # four terabytes, it says
    with pytest.raises(DamagedCheckpoint):
        load(path, {})
