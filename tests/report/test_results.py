"""A result for the record holds the table and all that is needed to get it again."""

import json
import sys

import pytest

from bellmax.report import write_result
from bellmax.runs import RunFolderError

ROWS = [
    {"environment": "CartPole-v1", "score": 497.25, "steps": 100_000, "met": True, "raw": [1.0, 2.0]},
    {"environment": "Pendulum-v1", "score": float("nan"), "steps": 20_000, "met": None, "raw": []},
]
FACTS = {
    "versions": {"jax": "0.10.2", "equinox": None},
    "python": "3.11.9",
    "platform": "Linux-x86_64",
    "cpus": 2,
    "devices": {"cpu": 1},
    "commit": "abc123",
    "dirty": True,
    "time": "2026-11-21T10:00:00+00:00",
}


def write(folder, **changes):
    arguments = {
        "columns": {"environment": "where", "score": "score", "met": "met?"},
        "notes": ["Greedy."],
        "seeds": [0, 1],
    }
    arguments |= {"provenance": FACTS, "command": "python -m benchmarks.x --quick"} | changes
    return write_result(folder / "docs" / "x-v1.5", "PPO", ROWS, **arguments)


def test_the_page(tmp_path):
    page, _ = write(tmp_path)
    assert page.name == "x-v1.5.md"
    assert page.read_text() == (
        "# PPO\n\n"
        "| where | score | met? |\n| --- | ---: | --- |\n"
        "| CartPole-v1 | 497.2 | yes |\n| Pendulum-v1 | - | - |\n\n"
        "* Greedy.\n\n## How it was made\n\n"
        "* command: `python -m benchmarks.x --quick`\n* seeds: 0, 1\n* date: 2026-11-21T10:00:00+00:00\n"
        "* machine: Linux-x86_64, 2 cores, 1 x cpu\n* versions: jax 0.10.2\n* Python: 3.11.9\n"
        "* commit: abc123 with changes\n"
    )


def test_the_json_keeps_everything(tmp_path):
    _, data = write(tmp_path)
    assert data.name == "x-v1.5.json"
    read = json.loads(data.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert read["rows"] == [ROWS[0], ROWS[1] | {"score": None}]
    assert read["columns"] == {"environment": "where", "score": "score", "met": "met?"}
    assert (read["title"], read["seeds"], read["notes"], read["date"]) == ("PPO", [0, 1], ["Greedy."], FACTS["time"])
    assert read["command"] == "python -m benchmarks.x --quick"
    assert read["provenance"] == FACTS | {"command": "python -m benchmarks.x --quick"}


def test_columns_may_be_names_and_seeds_a_sentence(tmp_path):
    page, _ = write(tmp_path, columns=["environment", "steps"], seeds="20 seeds, 0 to 19")
    assert page.read_text().split("\n")[2:5] == [
        "| environment | steps |",
        "| --- | ---: |",
        "| CartPole-v1 | 100,000 |",
    ]
    assert "* seeds: 20 seeds, 0 to 19\n" in page.read_text()


def test_by_default_it_says_where_it_is_now(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [str(tmp_path / "benchmarks" / "x.py"), "--out=/somewhere/else.json", "a b"])
    monkeypatch.chdir(tmp_path)
    _, data = write(tmp_path, provenance=None, command=None)
    read = json.loads(data.read_text())
    assert read["command"] == "benchmarks/x.py --out=else.json 'a b'"  # no path of this machine
    assert str(tmp_path) not in data.read_text()
    assert read["provenance"]["versions"]["jax"]


def test_a_result_that_cannot_be_trusted_is_refused(tmp_path):
    with pytest.raises(ValueError, match="seeds are not told"):
        write(tmp_path, seeds=None)
    with pytest.raises(ValueError, match=r"columns has 'scores', which no row has: choose from environment, score"):
        write(tmp_path, columns=["scores"])
    with pytest.raises(ValueError, match="rows is empty"):
        write_result(tmp_path / "x", "PPO", [], [])
    (tmp_path / "docs").write_text("a file")
    with pytest.raises(RunFolderError, match="a part of this path is a file"):
        write(tmp_path)
