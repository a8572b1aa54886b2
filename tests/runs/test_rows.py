"""Rows: whole whoever writes, readable by anybody, and cut back before a run goes on."""

import json
import math

import jax.numpy as jnp
import numpy as np
import pandas
import pytest

from bellmax.runs import RunFolder, rows


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


APPEND = """
    import contextlib, os, sys
    from pathlib import Path
    from bellmax.runs import rows

    path, write = Path(sys.argv[1]), os.write

    def in_two(descriptor, line):
        os.sched_yield()
        return write(descriptor, line[:50]) + (os.sched_yield() or write(descriptor, line[50:]))

    if sys.argv[2] == "in two":
        os.write = in_two
        rows.turn = lambda descriptor: contextlib.nullcontext()
    children = []
    for seed in range(2):
        children.append(os.fork())
        if children[-1] == 0:
            for step in range(1500):
                rows.append(path, {"seed": seed, "step": step, "text": str(seed) * (step % 300)})
            os._exit(0)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
"""


def test_rows_of_two_processes_do_not_mix(run_python, path):
    run_python(APPEND, path, "one")
    found = rows.read(path)
    assert len(path.read_bytes().splitlines()) == 3000
    for seed in range(2):
        mine = [row for row in found if row["seed"] == seed]
        assert [row["step"] for row in mine] == list(range(1500))
        assert all(row["text"] == str(seed) * (row["step"] % 300) for row in mine)


def test_that_rows_written_in_two_calls_do_mix(run_python, path):
    for _ in range(5):  # it is a race: on a busy machine one may pass without an accident
        run_python(APPEND, path, "in two")
        if len(rows.read(path)) < 3000:
            return
        path.unlink()
    pytest.fail("five times nothing mixed")


def test_numbers_of_every_library_as_any_json_reader_likes_them(path):
    row = {
        "nan": math.nan,
        "inf": np.float32("-inf"),
        "jax": jnp.float32(0.5),
        "half": jnp.bfloat16(1.5),
        "int": np.int64(2**60),
    }
    rows.append(
        path, row | {"list": np.array([[1.0, np.nan]]), "text": "a\nb é", "on": np.True_, "inner": {"x": jnp.inf}}
    )
    line = path.read_text()
    assert line.count("\n") == 1
    strict = json.loads(line, parse_constant=pytest.fail)  # called for NaN and Infinity, which JSON does not have
    expected = {
        "nan": None,
        "inf": None,
        "jax": 0.5,
        "half": 1.5,
        "int": 2**60,
        "list": [[1.0, None]],
        "text": "a\nb é",
    }
    assert strict == expected | {"on": True, "inner": {"x": None}}
    with pytest.raises(TypeError, match=r"row\['when'\] is a set, which JSON cannot hold"):
        rows.append(path, {"when": {1}})
    assert path.read_text() == line


def test_pandas_reads_the_file(path):
    for step in range(3):
        rows.append(path, {"seed": 0, "step": step, "score": [1.0, math.nan, 3.0][step]})
    frame = pandas.read_json(path, lines=True)
    assert frame["step"].tolist() == [0, 1, 2]
    assert frame["score"].isna().tolist() == [False, True, False]


@pytest.mark.parametrize("torn", [b'{"step": 3, "sco', b"{", b"\0\0\0", b'{"step": 3}'[:-1], b'"\xc3'])
def test_a_torn_last_line_is_left_out_and_spoils_nothing_after_it(path, torn):
    rows.append(path, {"step": 1})
    with path.open("ab") as file:
        file.write(torn)
    assert rows.read(path) == [{"step": 1}]
    rows.append(path, {"step": 4})
    rows.append(path, {"step": 5})
    assert rows.read(path) == [{"step": 1}, {"step": 4}, {"step": 5}]


def test_a_last_row_without_its_newline_is_whole(path):
    path.write_bytes(b'{"step": 1}\n{"step": 2}')
    rows.append(path, {"step": 3})
    assert [row["step"] for row in rows.read(path)] == [1, 2, 3]


def test_no_file_no_rows(path):
    assert rows.read(path) == []
    rows.rewind(path, 5)
    assert not path.exists()


@pytest.mark.parametrize(
    ("seed", "kept"), [(None, ["0:10", "1:10", "0:20", "note"]), (1, ["0:10", "1:10", "0:20", "0:30", "note"])]
)
def test_rewind_drops_what_is_beyond_a_step(path, seed, kept):
    for step in (10, 20, 30):
        rows.append(path, {"seed": 0, "step": step, "name": f"0:{step}", "score": 0.1})
        if step != 20:
            rows.append(path, {"seed": 1, "step": step, "name": f"1:{step}"})
    rows.append(path, {"name": "note", "step": None})
    before = path.read_bytes()
    rows.rewind(path, 20, seed)
    assert [row["name"] for row in rows.read(path)] == kept
    assert all(
        line in before for line in path.read_bytes().splitlines(keepends=True)
    )  # what stays, stays byte for byte
    after = path.read_bytes()
    rows.rewind(path, 20, seed)
    assert path.read_bytes() == after


def test_a_parent_gathers_and_rewinds_its_children(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    for seed in (10, 2):
        child = run.child(seed)
        for step in (1, 2, 3):
            child.append({"step": step})
            child.append_evaluation({"step": step, "score": step * 10})
            child.checkpoints.save(step, {}, {})
    run.append({"seed": 7, "step": 3})
    assert [(row["seed"], row["step"]) for row in run.metrics()] == [
        (7, 3),
        *[(2, n) for n in (1, 2, 3)],
        *[(10, n) for n in (1, 2, 3)],
    ]
    run.rewind(1, seed=2)
    assert [(row["seed"], row["step"]) for row in run.metrics()] == [(7, 3), (2, 1), (10, 1), (10, 2), (10, 3)]
    assert [(row["seed"], row["score"]) for row in run.evaluations()] == [(2, 10), (10, 10), (10, 20), (10, 30)]
    run.rewind(2)
    assert [(row["seed"], row["step"]) for row in run.metrics()] == [(2, 1), (10, 1), (10, 2)]
    assert [len(child.checkpoints.list()) for child in run.children] == [1, 2]
