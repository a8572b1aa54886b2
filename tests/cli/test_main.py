"""The top of the command line: finding commands, and saying what went wrong."""

import importlib
import os
import subprocess
import sys

import pytest

import bellmax.cli.compare
from bellmax.cli.main import COMMANDS, LEARNERS, is_explained, main
from bellmax.runs import RunFolderError


def run_as(monkeypatch, action):
    monkeypatch.setattr(bellmax.cli.compare, "main", action)
    monkeypatch.delenv("BELLMAX_DEBUG", raising=False)


def raising(error):
    def action(words):
        raise error

    return action


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_help_lists_every_command(words, capsys):
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert all(f"  {name} " in printed and summary in printed for name, summary in COMMANDS.items())
    assert "\x1b[" not in printed, "no colours outside a terminal"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_of_its_own(command, capsys):
    assert callable(importlib.import_module(f"bellmax.cli.{'align' if command in LEARNERS else command}").main)
    assert main([command, "--help"]) == 0
    assert f"usage: bellmax {command}" in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from bellmax.cli.main import main; main(['--help']); main(['trian']);"
        "print([name for name in sys.modules if name in ('jax', 'numpy', 'gymnasium', 'rich', 'tyro', 'matplotlib')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_that_is_none_suggests_the_nearest(capsys):
    assert main(["trian", "ppo"]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", "error: there is no command 'trian': did you mean `bellmax train`?\n")
    assert main(["xyzzy"]) == 2
    assert "`bellmax --help` lists the commands." in capsys.readouterr().err


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("bellmax ")


def test_an_error_of_bellmax_is_one_line(monkeypatch, capsys):
    run_as(monkeypatch, raising(RunFolderError("Cannot read x:\nno such file.")))
    assert main(["compare"]) == 1
    assert capsys.readouterr() == ("", "error: Cannot read x: no such file.\n")


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_debugging_shows_where_it_came_from(monkeypatch, capsys, how):
    run_as(monkeypatch, raising(RunFolderError("Cannot read x.")))
    if how == "variable":
        monkeypatch.setenv("BELLMAX_DEBUG", "1")
    assert main(["compare", *(["--debug"] if how == "flag" else [])]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1] == "error: Cannot read x."


def test_an_error_of_somebody_else_keeps_its_traceback(monkeypatch, capsys):
    run_as(monkeypatch, raising(ValueError("the simulator\nexploded")))  # raised in this file, not in bellmax
    assert main(["compare"]) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err
    assert err.splitlines()[-1] == "error: ValueError: the simulator"


def test_what_is_raised_inside_bellmax_is_explained_and_a_slip_is_not():
    from bellmax.cli.flags import whole

    with pytest.raises(ValueError) as caught:
        whole("many")
    assert is_explained(caught.value)
    with pytest.raises(AttributeError) as slip:
        whole(None)  # a bug of ours: its message says nothing
    assert not is_explained(slip.value)
    assert is_explained(FileNotFoundError("x"))


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(monkeypatch, capsys):
    run_as(monkeypatch, raising(KeyboardInterrupt("go on with: bellmax resume x")))
    assert main(["compare"]) == 130
    assert capsys.readouterr() == ("", "go on with: bellmax resume x\n")


def test_an_error_gives_the_terminal_back_before_it_speaks(monkeypatch, capsys):
    import io

    from rich.console import Console

    from bellmax.display import Facts
    from bellmax.display.live import Live

    console, out = Console(file=io.StringIO(), force_terminal=True, legacy_windows=False), sys.stdout

    def broken(words):
        Live(console).start(Facts("ppo", "X", "hosted", 10, 1, [0]))
        raise RunFolderError("the disk is full")

    run_as(monkeypatch, broken)
    assert main(["compare"]) == 1
    assert sys.stdout is out
    assert console.file.getvalue().rstrip().endswith("\x1b[?25h"), "the cursor is shown"


def test_a_reader_that_has_gone_is_no_error():
    script = "import sys; from bellmax.cli.main import main; sys.exit(main(['algorithms']))"
    reader, writer = os.pipe()
    os.close(reader)
    env = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, env=env)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")
