"""What is saved comes back bit for bit, or not at all."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from bellmax.runs import (
    Checkpoints,
    RunFolderError,
    WrongCheckpoint,
    load,
    read_header,
    save,
    step_of,
)
from bellmax.runs import checkpoints as module


class State(NamedTuple):
    weights: dict
    count: jax.Array


def saved(folder, tree, step=1, meta=None):
    return save(folder, step, tree, meta or {})


def same_bits(found, wanted):
    """Equal in value, NaN payloads and signs of zero included."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    return found.dtype == wanted.dtype and found.shape == wanted.shape and found.tobytes() == wanted.tobytes()


ODD_FLOATS = np.array([0.0, -0.0, np.nan, -np.nan, np.inf, -np.inf, 1e-45, 3.4e38], np.float32)
DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "float16", "bfloat16", "float32", "complex64"]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_and_shape_comes_back(tmp_path, dtype, shape):
    size = int(np.prod(shape))
    array = jnp.asarray(np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, size).reshape(shape), dtype)
    tree, _ = load(saved(tmp_path, {"x": array}), {"x": jax.ShapeDtypeStruct(shape, dtype)})
    assert isinstance(tree["x"], jax.Array)
    assert same_bits(tree["x"], array)


def test_odd_floats_keep_their_bits(tmp_path):
    for dtype in ("float32", "bfloat16", "float16", "float64"):
        with np.errstate(over="ignore"):
            array = ODD_FLOATS.astype(dtype)
        tree, _ = load(saved(tmp_path, array), array)
        assert same_bits(tree, array)


def test_64_bit_numpy_and_python_numbers_stay_what_they_are(tmp_path):
    tree = {"big": np.array([2**53 + 1, -(2**63)]), "real": np.array(0.1), "count": 7, "rate": 0.1, "on": True}
    found, _ = load(saved(tmp_path, tree), tree)
    assert found["big"].tolist() == [9007199254740993, -9223372036854775808]  # as float32 or int32 they would not be
    assert isinstance(found["real"], np.ndarray)
    assert [(type(found[name]), found[name]) for name in ("count", "rate", "on")] == [
        (int, 7),
        (float, 0.1),
        (bool, True),
    ]
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(np.shape(leaf), np.asarray(leaf).dtype), tree["big"])
    assert same_bits(load(saved(tmp_path, tree["big"]), shapes)[0], tree["big"])  # without x64, JAX itself would round


def test_transposed_and_strided_arrays_are_saved_by_value(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(4, 6)
    for view in (array.T, array[::2, ::-3], array[:, 2]):
        assert load(saved(tmp_path, view), view)[0].tolist() == view.tolist()


@pytest.mark.parametrize("generator", ["threefry2x32", "rbg", "unsafe_rbg"])
def test_typed_keys_come_back_as_keys_of_their_generator(tmp_path, generator):
    make = lambda: {
        "one": jax.random.key(3, impl=generator),
        "many": jax.random.split(jax.random.key(4, impl=generator), 6).reshape(2, 3),
    }
    state = make()
    path = saved(tmp_path, state)
    for template in (state, jax.eval_shape(make)):
        found, _ = load(path, template)
        assert jax.random.key_impl(found["one"]) == generator
        assert found["many"].shape == (2, 3)
        assert (jax.random.bits(found["one"], (4,)) == jax.random.bits(state["one"], (4,))).all()
        assert (jax.random.key_data(found["many"]) == jax.random.key_data(state["many"])).all()


def test_nested_structure_and_meta(tmp_path):
    state = State({"a b": (jnp.ones(2), None, [jnp.zeros(1)]), "é": jnp.ones(3)}, jnp.int32(5))
    meta = {"name": "päö", "score": -np.inf, "sizes": (64, 64), "best": np.float32(0.5), "none": None}
    found, about = load(saved(tmp_path, state, meta=meta), jax.eval_shape(lambda: state))
    assert jax.tree.structure(found) == jax.tree.structure(state)
    assert about == {"name": "päö", "score": -np.inf, "sizes": [64, 64], "best": 0.5, "none": None}


def test_other_programs_can_read_the_file(tmp_path):
    path = saved(
        tmp_path, {"w": jnp.arange(3.0), "n": jnp.int32(4), "empty": jnp.zeros((0, 2), jnp.uint8)}, 102_400, {"a": 1}
    )
    assert path.name == "step-000000102400.safetensors"
    found = load_file(path)
    assert {name: array.tolist() for name, array in found.items()} == {"['w']": [0, 1, 2], "['n']": 4, "['empty']": []}
    header = read_header(path)
    assert (header.step, header.meta, header.format, step_of(path)) == (102_400, {"a": 1}, 1, 102_400)


def test_same_content_same_bytes(tmp_path):
    state = {"b": jnp.ones(2), "a": jnp.zeros(3, jnp.uint8)}
    first = saved(tmp_path / "1", state).read_bytes()
    assert saved(tmp_path / "2", state).read_bytes() == first
    assert saved(tmp_path / "2", state, meta={"x": 1}).read_bytes() != first


@pytest.mark.parametrize(
    ("leaf", "words"), [("text", "is a str"), (np.array(["a"]), "dtype <U1"), (np.ones(1, "longdouble"), "dtype")]
)
def test_leaves_that_are_no_arrays_are_refused(tmp_path, leaf, words):
    with pytest.raises(TypeError, match=words):
        saved(tmp_path, {"x": leaf})
    with pytest.raises(TypeError, match=r"meta\['x'\]\[1\] is a object"):
        saved(tmp_path, {}, meta={"x": [1, object()]})
    assert not list(tmp_path.iterdir())


# Another structure, another version


STATE = {"net": {"w": jnp.ones((4, 64))}, "step": jnp.int32(0), "zkey": jax.random.key(0)}
W = r"leaf \['net'\]\['w'\] is float32\[4, 64\] there and "
CHANGES = [
    ({"net": {"w": jnp.ones((4, 32))}}, W + r"float32\[4, 32\] now; .*sizes of the network"),
    ({"net": {"w": jnp.ones((8, 64))}}, W + r"float32\[8, 64\] now; .*number of environments"),
    ({"net": {"w": jnp.ones((4, 64), jnp.bfloat16)}}, W + r"bfloat16\[4, 64\] now; .*precision"),
    ({"net": {"w": jnp.ones((4, 64)), "b": jnp.ones(1)}}, r"no leaf \['net'\]\['b'\]; .*structural settings"),
    ({"net": {}}, r"a leaf \['net'\]\['w'\] that there is no place for"),
    ({"zkey": jax.random.key(0, impl="rbg")}, r"\['zkey'\] is a threefry2x32 key there and a rbg key now; .*default"),
    ({"zkey": jnp.zeros(2, jnp.uint32)}, r"a threefry2x32 key there and no typed key now"),
    ({"step": jax.random.key(0)}, r"\['step'\] is no typed key there and a threefry2x32 key now"),
    ({"zkey": jax.random.split(jax.random.key(0))}, r"\['zkey'\] is uint32\[2\] there and uint32\[2, 2\] now"),
]


@pytest.mark.parametrize(("change", "message"), CHANGES)
def test_the_first_leaf_that_differs_is_named(tmp_path, change, message):
    with pytest.raises(WrongCheckpoint, match=message + ".*config.json"):
        load(saved(tmp_path, STATE), STATE | change)


def test_versions_are_told(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "version", lambda package: "9.1")
    path = saved(tmp_path, {"x": jnp.ones(2)})
    monkeypatch.setattr(module, "FORMAT", 2)
    newer = saved(tmp_path, {"x": jnp.ones(2)}, 2)
    monkeypatch.undo()
    with pytest.raises(WrongCheckpoint, match=r"by bellmax 9\.1, this is"):
        load(path, {"x": jnp.ones(3)})
    with pytest.raises(WrongCheckpoint, match=r"has format 2, of bellmax 9\.1; .* reads up to 1: upgrade bellmax"):
        load(newer, {"x": jnp.ones(2)})


# The folder


def test_the_last_few_are_kept_and_the_one_just_saved_always(tmp_path):
    kept = Checkpoints(tmp_path / "checkpoints", keep=2)
    assert kept.latest() is None
    assert kept.list() == []
    for step in (5, 1_000_000_000_000, 20, 10):
        path = kept.save(step, {}, {})
        assert path in kept.list()
    # by number, not by name (13 digits come after 12 in time); 10 was just saved, so 20 had to go
    assert [step_of(path) for path in kept.list()] == [10, 1_000_000_000_000]
    kept.rewind(10)
    assert step_of(kept.latest()) == 10
    with pytest.raises(ValueError, match="keep = 0"):
        Checkpoints(tmp_path, keep=0)
    with pytest.raises(ValueError, match="step = -1"):
        kept.save(-1, {}, {})


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(RunFolderError, match=r"Cannot read .*nothing.*: there is no such file"):
        load(tmp_path / "nothing.safetensors", {})
    with pytest.raises(RunFolderError, match="is no file"):
        load(tmp_path, {})
    with pytest.raises(RunFolderError, match="is no file"):
        load("/dev/zero", {})
