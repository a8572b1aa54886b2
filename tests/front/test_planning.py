"""The front door hands a planner its rules, finds them again, and refuses what cannot be planned in."""

import jax
import numpy as np
import pytest

pytest.importorskip("pgx")
pytest.importorskip("mctx")

import bellmax as bm
from bellmax.envs.adaptors.pgx import Pgx
from bellmax.plan import planned

SMALL = {"simulations": 2, "search": "gumbel", "hidden": (8,), "experience": {"start": 40, "batch": 8, "n": 3}}
OPTIONS = {"num_envs": 4, "hyperparameters": SMALL, "display": "quiet", "track": (), "recipe": "none"}


def test_a_run_is_found_again_with_its_rules(tmp_path):
    """That it goes on bit for bit is the contract's to test: what is compiled here is compiled once."""
    run = bm.train("alphazero", "pgx:tic_tac_toe", steps=80, run_folder=tmp_path, name="zero", **OPTIONS)
    assert run.algorithm.rules == Pgx()
    assert run.plan.env == bm.WithSimulator(Pgx())
    assert run.config["environment"]["name"] == "tic_tac_toe"
    loaded = bm.load(tmp_path / "zero")
    assert planned(loaded.config) == run.plan
    assert planned(loaded.config, env=Pgx()) == run.plan, "an environment that is passed gets its simulator shown too"
    for one, other in zip(jax.tree.leaves(run.state), jax.tree.leaves(loaded.state), strict=True):
        np.testing.assert_array_equal(one, other)
    assert run.state.steps[0] == 80


def test_what_cannot_be_planned_in_is_refused():
    with pytest.raises(ValueError, match=r"alphazero plans with the rules, .* CartPole-v1 is on the host"):
        bm.train("alphazero", "CartPole-v1", **OPTIONS)
    with pytest.raises(ValueError, match=r"searches in the rules, whose numbers are as they are"):
        bm.train("alphazero", "pgx:tic_tac_toe", normalise=True, **OPTIONS)
    with pytest.raises(ValueError, match=r"AlphaZero.rules = None .* bellmax.train sees to both"):
        bm.AlphaZero().init(jax.random.key(0), Pgx().spec)
