"""The transformer is the one that `transformers` has, family by family; folders are read, written, and refused.

tests/language/golden was made by make_golden.py. `python -m tests.language.test_transformer FOLDER` writes what bellmax
makes of it, for `make_golden.py check FOLDER` to read.
"""

import dataclasses
import json
import shutil
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bellmax.language.config import ModelConfig, Rope
from bellmax.language.families import read_config, write_config
from bellmax.language.folder import model_config, read_model, write_model
from bellmax.language.transformer import Transformer, count, positions_of
from tests.language import tiny
from tests.paper.by_hand import by_name

GOLDEN = Path(__file__).parent / "golden"
FAMILIES = sorted(folder.name for folder in GOLDEN.iterdir())


def logits(model, tokens, segments=None):
    return np.asarray(jax.jit(lambda model: model.logits(model(tokens, segments)))(model))


def same_weights(one, other):
    assert filled(one.config) == filled(other.config)
    one, other = by_name(one), by_name(other)
    assert set(one) == set(other)
    for name, x in one.items():
        np.testing.assert_array_equal(other[name], x, err_msg=name)


def filled(config):
    """The config with sizes that it leaves out as they follow from the others."""
    sizes = {"key_heads": config.key_heads, "head_size": config.head_size, "hidden": config.hidden}
    return dataclasses.replace(config, **sizes)


def edited(family, path, **changes):
    """A copy of a golden folder with other words in its config; None takes one out."""
    folder = shutil.copytree(GOLDEN / family, path / family)
    said = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps({name: x for name, x in said.items() if x is not None}))
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_transformers(family):
    golden = np.load(GOLDEN / family / "logits.npz")
    ours = logits(read_model(GOLDEN / family), golden["tokens"])
    assert np.abs(golden["logits"]).max() > 0.5
    np.testing.assert_allclose(ours, golden["logits"], atol=1e-4)


def test_the_options_of_the_golden_models_matter():
    """A config that is read wrongly would show: without its window, its rope or its norm each gives other logits."""
    for family, changes in (
        ("qwen2-window", {"use_sliding_window": False}),
        ("mistral", {"sliding_window": None}),
        ("yarn", {"rope_parameters": {"rope_type": "default", "rope_theta": 30.0}}),
        ("linear", {"rope_parameters": {"rope_type": "default", "rope_theta": 100.0}}),
        ("llama3", {"rope_parameters": {"rope_type": "linear", "factor": 8.0, "rope_theta": 100.0}}),
        ("smollm2", {"rope_parameters": None}),
        ("llama", {"rms_norm_eps": 0.1}),
        ("gpt2", {"activation_function": "gelu"}),
    ):
        golden = np.load(GOLDEN / family / "logits.npz")
        said = json.loads((GOLDEN / family / "config.json").read_text()) | changes
        model = read_model(GOLDEN / family)
        other = jax.tree.unflatten(
            jax.tree.structure(jax.eval_shape(lambda c=said: Transformer(jax.random.key(0), read_config(c)))),
            jax.tree.leaves(model),
        )
        assert np.abs(logits(other, golden["tokens"]) - golden["logits"]).max() > 2e-4, family


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_written_has_the_names_and_values_that_transformers_wrote(family, tmp_path):
    model = read_model(GOLDEN / family)
    write_model(tmp_path, model, extra={"eos_token_id": 7})
    theirs, ours = load_file(GOLDEN / family / "model.safetensors"), load_file(tmp_path / "model.safetensors")
    assert set(ours) == set(theirs)
    for name, x in theirs.items():
        np.testing.assert_array_equal(ours[name], x, err_msg=name)
    same_weights(read_model(tmp_path), model)
    said = json.loads((tmp_path / "config.json").read_text())
    expected = json.loads((GOLDEN / family / "config.json").read_text())
    assert said["eos_token_id"] == 7
    for name in ("model_type", "architectures", "vocab_size", "tie_word_embeddings"):
        assert said[name] == expected[name], name


@pytest.mark.parametrize("family", ["gpt2", "qwen2", "llama"])
def test_several_files_hold_the_same_weights(family, tmp_path):
    model = read_model(GOLDEN / family)
    write_model(tmp_path, model, shard=2500)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) > 3
    assert files[0].name == f"model-00001-of-{len(files):05d}.safetensors"
    assert max(sum(x.nbytes for x in load_file(file).values()) for file in files) <= 2500
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == 4 * count(model)
    for name, file in index["weight_map"].items():
        assert name in load_file(tmp_path / file)
    same_weights(read_model(tmp_path), model)
    files[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"model-00002-of-.*its weights are missing"):
        read_model(tmp_path)


def test_a_folder_written_again_as_one_file_is_that_file(tmp_path):
    write_model(tmp_path, read_model(GOLDEN / "llama"), shard=2500)
    changed = jax.tree.map(lambda x: 2 * x, read_model(GOLDEN / "llama"))
    write_model(tmp_path, changed)
    same_weights(read_model(tmp_path), changed)


def test_half_precision_is_read_as_float32(tmp_path):
    for kind in (ml_dtypes.bfloat16, np.float16):
        folder = edited("qwen2", tmp_path / kind.__name__)
        half = {name: x.astype(kind) for name, x in load_file(folder / "model.safetensors").items()}
        save_file(half, folder / "model.safetensors")
        model, whole = read_model(folder), read_model(GOLDEN / "qwen2")
        rounded = jax.tree.map(lambda x, kind=kind: np.asarray(x).astype(kind).astype(np.float32), whole)
        assert {x.dtype.name for x in jax.tree.leaves(model)} == {"float32"}
        same_weights(model, rounded)


def rewritten(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    return folder


def test_wrong_weights_are_refused_by_name(tmp_path):
    name = "model.layers.1.mlp.up_proj.weight"
    missing = rewritten(edited("llama", tmp_path / "a"), lambda weights: weights.pop(name))
    with pytest.raises(ValueError, match=rf"llama: there is no '{name}'; the config asks for it"):
        read_model(missing)
    extra = rewritten(edited("llama", tmp_path / "b"), lambda weights: weights.update(more=np.zeros(3, np.float32)))
    with pytest.raises(ValueError, match=r"the config has no use for more \(1 in all\)"):
        read_model(extra)
    wrong = rewritten(edited("llama", tmp_path / "c"), lambda weights: weights.update({name: weights[name][1:]}))
    with pytest.raises(ValueError, match=rf"'{name}' has shape \(12, 15\); the config says \(12, 16\)"):
        read_model(wrong)


def test_buffers_of_old_files_and_a_second_copy_of_the_embedding_are_passed_over(tmp_path):
    def old(weights):
        weights["model.layers.0.self_attn.rotary_emb.inv_freq"] = np.ones(3, np.float32)
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"].copy()

    same_weights(read_model(rewritten(edited("smollm2", tmp_path), old)), read_model(GOLDEN / "smollm2"))

    def unprefixed(weights):
        for name in list(weights):
            weights[name.removeprefix("transformer.")] = weights.pop(name)
        weights["h.0.attn.bias"] = np.ones((1, 1, 24, 24), np.float32)

    same_weights(read_model(rewritten(edited("gpt2", tmp_path), unprefixed)), read_model(GOLDEN / "gpt2"))


def test_other_models_are_refused_by_name(tmp_path):
    for changes, message in (
        ({"model_type": "gemma2"}, r"config.json: model_type = 'gemma2': bellmax reads gpt2, llama"),
        ({"model_type": None}, r"config.json: model_type = None"),
        ({"hidden_act": "relu6"}, r"config.json: activation 'relu6'"),
        ({"rope_parameters": {"rope_type": "longrope"}}, r"config.json: rope type 'longrope'"),
    ):
        with pytest.raises(ValueError, match=message):
            read_model(edited("llama", tmp_path / str(len(list(tmp_path.iterdir()))), **changes))
    with pytest.raises(ValueError, match=r"scale_attn_by_inverse_layer_idx = True"):
        read_model(edited("gpt2", tmp_path / "x", scale_attn_by_inverse_layer_idx=True))
    with pytest.raises(FileNotFoundError, match=r"config.json: there is no such file; a model's folder has"):
        read_model(tmp_path / "nowhere")


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "gpt2"])
def test_rope_is_read_the_old_way_and_the_new(family):
    said = json.loads((GOLDEN / family / "config.json").read_text())
    new = said.pop("rope_parameters")
    theta = new.pop("rope_theta")
    old = said | {"rope_theta": theta, "rope_scaling": None if new["rope_type"] == "default" else new}
    older = dict(new)
    older["type"] = older.pop("rope_type")
    oldest = said | {"rope_theta": theta, "rope_scaling": None if older["type"] == "default" else older}
    expected = model_config(GOLDEN / family)
    assert read_config(old) == expected
    assert read_config(oldest) == expected
    both = write_config(expected)
    for leave_out in (("rope_parameters",), ("rope_theta", "rope_scaling")):
        again = read_config({name: x for name, x in both.items() if name not in leave_out})
        assert filled(again) == filled(expected)


def test_the_layers_that_have_a_window_are_read_with_and_without_a_list_of_them():
    """Of two layers those from max_window_layers on."""
    said = json.loads((GOLDEN / "qwen2-window" / "config.json").read_text())
    assert said.pop("layer_types") == ["full_attention", "sliding_attention"]
    expected = model_config(GOLDEN / "qwen2-window")
    assert [expected.window_of(layer) for layer in (0, 1)] == [None, 5]
    assert read_config(said) == expected
    assert read_config(said | {"max_window_layers": 0}).window_of(0) == 5
    assert read_config(said | {"use_sliding_window": False}).window is None


def test_shapes_that_fit_no_family_are_refused():
    odd = ModelConfig(31, width=8, layers=1, heads=2, norm="layer", rope=Rope())
    with pytest.raises(ValueError, match="no family that Hugging Face knows has all of this"):
        write_config(odd)


def test_positions_count_from_where_a_document_begins():
    segments = jnp.array([[0, 0, 1, 1, 1, 0], [1, 1, 2, 2, 2, 3]])
    np.testing.assert_array_equal(positions_of(segments), [[0, 0, 0, 1, 2, 0], [0, 1, 0, 1, 2, 0]])


@pytest.mark.parametrize("config", [tiny.LLAMA, tiny.WINDOW, tiny.GPT2], ids=["llama", "window", "gpt2"])
def test_a_token_sees_those_before_it_in_its_document_alone(config):
    """The slope of what is known behind one token by the embedding of each: 0 for all that it must not see."""
    model = tiny.model(config)
    segments = jnp.array([[0, 1, 1, 1, 1, 2, 2, 2, 0]])
    tokens = jnp.arange(1, 10)[None]  # all different: an embedding is a place

    def known(embedding, time):
        changed = jax.tree.unflatten(
            jax.tree.structure(model), [embedding, *jax.tree.leaves(model)[1:]]
        )  # the embedding comes first
        return changed(tokens, segments)[0, time].sum()

    assert jax.tree.leaves(model)[0] is model.embedding
    slopes = jax.jit(jax.vmap(jax.grad(known), (None, 0)))(model.embedding, jnp.arange(9))
    sees = np.abs(np.asarray(slopes)[:, 1:10]).max(-1) > 1e-6
    expected = np.zeros((9, 9), bool)
    for time, segment in enumerate(segments[0]):
        for before in range(time + 1):
            near = config.window is None or time - before < config.window
            expected[time, before] = near and segment > 0 and segments[0, before] == segment
    assert (sees == expected)[1:8].all()


def write_all(folder):
    for family in FAMILIES:
        write_model(folder / family, read_model(GOLDEN / family))


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
