"""Kills, full disks and missing folders: a reader sees an old file or a whole new one, and one clear error."""

import errno
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bellmax.runs import Checkpoints, RunFolder, RunFolderError, disk, load, save

# One process that imports bellmax once, then forks savers and kills them: ten kills cost no ten imports of JAX.
SAVE_AND_BE_KILLED = """
    import os, random, signal, sys, time
    import numpy as np
    from bellmax.runs import Checkpoints, RunFolderError, disk, load, tensors

    folder, chance, step, bad, half_written = sys.argv[1], random.Random(1), 0, 0, 0
    tree = lambda step: {"weights": np.full(50_000, step), "count": np.asarray(step)}

    def in_place(path, pieces):
        with open(path, "wb", buffering=0) as file:
            for piece in pieces:
                file.write(piece)
                time.sleep(0.003)
        return path

    if sys.argv[2] == "in place":
        tensors.replace = in_place
    kept = Checkpoints(folder)
    kept.save(0, tree(0), {"step": 0})
    for kill in range(12):
        before, child = kept.latest(), os.fork()
        if child == 0:
            while True:
                step += 1
                kept.save(step, tree(step), {"step": step})
        deadline = time.monotonic() + 5
        while kill % 3 == 0 and kept.latest() == before and time.monotonic() < deadline:
            time.sleep(0.002)  # every third kill lets a save through, however slow the machine is
        time.sleep(chance.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        half_written += any(name.endswith(".tmp") for name in os.listdir(folder))
        try:
            found, meta = load(kept.latest(), tree(0))
            step = meta["step"]
            assert (found["weights"] == step).all() and found["count"] == step
        except RunFolderError:
            bad += 1
            kept.latest().unlink()
    for more in (1, 2, 3):
        kept.save(step + more, tree(step + more), {})
    print(bad, half_written, step, *sorted(os.listdir(folder)))
"""


def test_a_killed_process_never_leaves_a_bad_checkpoint(run_python, tmp_path):
    bad, half_written, step, *names = run_python(SAVE_AND_BE_KILLED, tmp_path, "atomic").split()
    assert bad == "0"
    assert int(half_written) > 0  # some kills did fall into a write
    assert int(step) > 0  # and some saves came through
    assert names == [
        f"step-{number:012d}.safetensors" for number in range(int(step) + 1, int(step) + 4)
    ]  # and they are swept up


def test_that_kills_do_damage_files_written_in_place(run_python, tmp_path):
    assert int(run_python(SAVE_AND_BE_KILLED, tmp_path, "in place").split()[0]) > 0


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="Linux tells what a descriptor is")
def test_the_content_reaches_the_disk_before_the_name_and_the_name_before_the_return(tmp_path, monkeypatch):
    order, fsync, replace = [], os.fsync, os.replace

    def note_fsync(descriptor):
        target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        order.append(("fsync", target.suffix or target.name, target.stat().st_size if target.suffix else None))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note_fsync)
    monkeypatch.setattr(os, "replace", lambda *names: order.append(("replace",)) or replace(*names))
    path = save(tmp_path / "checkpoints", 1, {"x": np.ones(100_000)}, {})
    assert order == [("fsync", ".tmp", path.stat().st_size), ("replace",), ("fsync", "checkpoints", None)]


def failing(number):
    def fail(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    return fail


FAILURES = [
    (errno.ENOSPC, "the disk is full; free some space"),
    (errno.EDQUOT, "the disk is full; free some space"),
    (errno.EACCES, "no permission to write there; change the permissions"),
    (errno.EROFS, "no permission to write there; change the permissions"),
    (errno.EIO, "input/output error; check the disk"),
]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(("number", "message"), FAILURES)
def test_a_failing_disk_is_one_clear_error_and_the_old_file_stays(tmp_path, monkeypatch, call, number, message):
    run, tree = RunFolder.create(tmp_path, "run"), {"x": np.arange(1000)}
    run.write_config({"a": 1})
    good = run.checkpoints.save(1, tree, {})
    monkeypatch.setattr(os, call, failing(number))
    for attempt in (
        lambda: run.checkpoints.save(2, tree, {}),
        lambda: run.checkpoints.save(1, {"x": np.zeros(9)}, {}),
        lambda: run.write_config({"a": 2}),
        lambda: setattr(run, "status", "failed"),
        lambda: run.write_failure(tree, {}),
        lambda: RunFolder.create(tmp_path, "other"),
    ):
        with pytest.raises(RunFolderError, match=message) as caught:
            attempt()
        assert str(tmp_path) in str(caught.value)
    monkeypatch.undo()
    assert run.checkpoints.latest() == good
    assert (load(good, tree)[0]["x"] == tree["x"]).all()
    assert (run.config, run.status) == ({"a": 1}, "running")
    assert not list(tmp_path.rglob("*.tmp"))


def test_opening_for_writing_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "open", failing(errno.EACCES), raising=False)
    with pytest.raises(RunFolderError, match="no permission to write there"):
        save(tmp_path, 1, {}, {})


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux's disk that is always full")
def test_rows_on_a_disk_that_is_really_full(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    (run.path / "metrics.jsonl").symlink_to("/dev/full")
    with pytest.raises(RunFolderError, match="the disk is full; free some space"):
        run.append({"step": 1})


def test_rows_of_which_only_a_part_fits(tmp_path, monkeypatch):
    run, write = RunFolder.create(tmp_path, "run"), os.write
    run.append({"step": 1})
    monkeypatch.setattr(os, "write", lambda descriptor, line: write(descriptor, line[:5]))
    with pytest.raises(RunFolderError, match="the disk is full"):
        run.append({"step": 2})
    monkeypatch.undo()
    run.append({"step": 3})
    assert run.metrics() == [{"step": 1}, {"step": 3}]


def test_folders_that_are_missing_or_files(tmp_path):
    with pytest.raises(RunFolderError, match=rf"the folder {tmp_path}/a does not exist; create it again"):
        save(tmp_path / "a" / "b", 1, {}, {})
    run = RunFolder.create(tmp_path / "new" / "root", "run")  # a root is made
    run.path.rename(tmp_path / "moved")
    for attempt in (lambda: run.append({}), lambda: run.write_config({}), lambda: run.checkpoints.save(1, {}, {})):
        with pytest.raises(RunFolderError, match=rf"{run.path} does not exist; create it again if it was moved"):
            attempt()
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(RunFolderError, match="is a file and no folder; move that file away"):
            RunFolder.create(root, "run")


def test_only_what_dead_processes_left_is_swept(tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    dead = process.pid
    kept = Checkpoints(tmp_path)
    gone = [f".step-1.safetensors.{dead}-01234567-0.tmp", f".config.json.{os.getpid()}-01234567-3.tmp"]
    alive = [
        ".step-1.safetensors.1-01234567-0.tmp",
        f".x.{os.getpid()}-{disk._PROCESS}-0.tmp",
        "mine.tmp",
        ".notes.tmp",
    ]
    for name in gone + alive:
        (tmp_path / name).write_bytes(b"half")
    kept.save(1, {}, {})
    assert kept.list() == [tmp_path / "step-000000000001.safetensors"]
    assert {path.name for path in tmp_path.iterdir()} == {*alive, "step-000000000001.safetensors"}


def test_a_run_that_begins_again_sweeps_its_own_folder(tmp_path):
    run = RunFolder.create(tmp_path, "run")
    (run.path / f".config.json.{os.getpid()}-01234567-0.tmp").write_bytes(b"{")
    run.status = "running"
    assert [path.name for path in run.path.iterdir()] == ["status.json"]


def test_files_get_the_permissions_that_files_get(tmp_path):
    (tmp_path / "plain").touch()
    assert save(tmp_path, 1, {}, {}).stat().st_mode == (tmp_path / "plain").stat().st_mode
