"""What is learned does not depend on how many devices share the rows and the weights."""

import dataclasses

import jax
import pytest
from jax.sharding import AbstractMesh, AxisType

from bellmax.language import sharding
from bellmax.language.learner import AdamW
from tests.language import tiny
from tests.with_devices import printed


def test_updates_over_four_devices_are_those_on_one():
    """Both ways at once; the model, with adapters, over four, which do not divide its two key heads."""
    assert len(printed("tests.language.over_devices", 4)) == 2


def test_the_rules():
    over = AbstractMesh((2, 4), sharding.AXES, axis_types=(AxisType.Auto,) * 2)
    model = tiny.model()
    state = AdamW().init(model)
    places = jax.tree_util.tree_flatten_with_path(sharding.of_state((model, state), over))[0]
    found = {jax.tree_util.keystr(path): tuple(place.spec) for path, place in places}
    moments = [name for name in found if name.endswith(".mu.layers[0].feed_forward.down.weight")]
    for name, spec in {
        "[0].layers[0].attention.query.weight": (None, "model"),
        "[0].layers[0].attention.output.weight": ("model", None),
        "[0].layers[0].feed_forward.up.weight": (None, "model"),
        moments[0]: ("model", None),
        "[0].embedding": ("model", None),  # 20 tokens
        "[0].layers[0].attention_norm.weight": (),
    }.items():
        assert found[name] == spec, name
    odd = dataclasses.replace(tiny.LLAMA, vocabulary=21)
    assert tuple(sharding.of_state(tiny.model(odd), over).embedding.spec) == (None, None)


def test_what_cannot_be_shared_out_is_refused():
    with pytest.raises(ValueError, match=r"mesh: data = 99, model = 1: give whole numbers from 1"):
        sharding.mesh(99)
    over = AbstractMesh((3, 1), sharding.AXES, axis_types=(AxisType.Auto,) * 2)
    with pytest.raises(ValueError, match=r"mesh: data = 3: it must divide the 4 rows of a batch"):
        sharding.of_batch(tiny.answers(), over)
