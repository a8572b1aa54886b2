"""Whole runs over several devices: as on one, and going on where there are fewer."""

import json

import pytest

import bellmax as bm
from tests.alignment.small import KEPT_QUIET, SETTINGS, TASK, small_model
from tests.with_devices import printed


def test_runs_over_four_devices_are_those_on_one_and_go_on_where_there_is_one(tmp_path):
    assert printed("tests.alignment.over_devices", 4, tmp_path) == ["the same"]
    assert json.loads((tmp_path / "sft" / "config.json").read_text())["devices"] == [2, 2]
    again = bm.resume(tmp_path / "sft", steps=5, display="quiet")
    assert again.plan.devices is None
    assert again.meta["taken"] == [5]


@pytest.mark.parametrize("devices", [(0, 1), (1, 2), (64, 1)])
def test_devices_that_are_not_there(devices):
    with pytest.raises(ValueError, match=r"devices = .*: give whole numbers from 1, together 1 at most"):
        bm.align(SETTINGS["sft"], small_model(), TASK, steps=1, run_folder=None, devices=devices, **KEPT_QUIET)


def test_rows_that_cannot_be_shared_out(monkeypatch):
    monkeypatch.setattr("jax.device_count", lambda: 8)
    with pytest.raises(ValueError, match=r"devices = \(3, 1\): 3 must divide the 4 rows of a batch"):
        bm.align(SETTINGS["sft"], small_model(), TASK, steps=1, run_folder=None, devices=(3, 1), **KEPT_QUIET)
