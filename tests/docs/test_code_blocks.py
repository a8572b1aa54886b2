"""The Python on the pages runs, from the top of a page to its end, and prints what its comments promise.

`bellmax.train` is the real one, cut to a few hundred steps.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import linecache
from typing import Any

import pytest

import bellmax
import bellmax.alignment.finding
import bellmax.training
from tests.docs.pages import PAGES, Block, blocks, statements

STEPS = 512


@pytest.fixture
def short(monkeypatch, tmp_path):
    """An empty folder to work in, and training that takes a moment."""
    train, resume, align = bellmax.training.train, bellmax.training.resume, bellmax.align

    def short_train(*args: Any, **options: Any) -> Any:
        quick = {"steps": min(options.get("steps") or STEPS, STEPS), "display": "quiet"}
        quick["evaluation_episodes"] = min(options.get("evaluation_episodes", 3), 3)
        return train(*args, **options | quick)

    def short_resume(path: Any, **options: Any) -> Any:
        done = json.loads((tmp_path / path / "config.json").read_text())["steps"]
        return resume(path, **options | {"steps": min(options["steps"], done + STEPS), "display": "quiet"})

    def short_align(*args: Any, **options: Any) -> Any:
        quick = {"steps": min(options["steps"], 2), "evaluate_every": 0, "display": "quiet"}
        small = {"prompts": 4} if args[0] in ("grpo", "ppo-lm") else {"batch": 4}
        return align(*args, **options | quick, hyperparameters={"experience": small})

    monkeypatch.setattr(bellmax.alignment.finding, "TINY", {"width": 16, "layers": 1, "heads": 2, "max_positions": 64})

    monkeypatch.setattr(bellmax, "align", short_align)
    for module in (bellmax, bellmax.training):
        monkeypatch.setattr(module, "train", short_train)
        monkeypatch.setattr(module, "resume", short_resume)
    monkeypatch.chdir(tmp_path)


def run(page: list[Block], name: str) -> None:
    """Run a page's blocks of Python in one namespace. Raises AssertionError where a promise is not kept."""
    namespace = {"__name__": "page"}
    for block in page:
        for code, promised in statements(block):
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(ast.Module([code], []), name, "exec", dont_inherit=True), namespace)
            if promised:
                lines = printed.getvalue().splitlines()
                assert len(lines) == len(promised), f"{name}:{code.lineno} printed {lines}"
                for line, wanted in zip(lines, promised):
                    same = line.startswith(wanted[:-3]) if wanted.endswith("...") else line == wanted
                    assert same, f"{name}:{code.lineno} printed {line!r}, the page says {wanted!r}"


def python(text: str) -> list[Block]:
    return [block for block in blocks(text) if block.kind == "python" and block.is_run]


WITH_PYTHON = [page for page in PAGES if python(page.read_text())]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs_and_keeps_its_promises(page, short):
    linecache.checkcache(str(page))  # a traceback shows the page's own lines
    run(python(page.read_text()), str(page))


def test_most_pages_have_python():
    assert {"README", "getting-started", "environments", "algorithms", "drivers", "run-folder"} <= {
        page.stem for page in WITH_PYTHON
    }


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("print(1 + 1)  # -> 3", "printed '2', the page says '3'"),
        ("for i in range(2):\n    print(i)  # -> 0", "printed ['0', '1']"),
        ("print('abc')  # -> ad...", "says 'ad...'"),
    ],
)
def test_a_broken_promise_is_noticed(text, complaint):
    with pytest.raises(AssertionError) as error:
        run(python(f"# Page\n\n```python\n{text}\n```\n"), "page")
    assert complaint in str(error.value)


def test_a_block_that_raises_is_noticed_with_its_line_in_the_page():
    page = "# Page\n\nText.\n\n```python\nx = 1\nx / 0\n```\n"
    with pytest.raises(ZeroDivisionError) as error:
        run(python(page), "page")
    assert error.traceback[-1].lineno == 6  # counted from 0: line 7


def test_blocks_share_names_and_only_marked_ones_are_left_out():
    page = "```python\nx = 2\n```\n\n<!-- not run: it would fail -->\n```python\n1 / 0\n```\n"
    page += "\n```python\nprint(x)  # -> 2\n```\n"
    assert len(python(page)) == 2
    run(python(page), "page")
    assert len(python(page.replace("not run: it would fail", "not run:"))) == 3, "a reason is wanted"
