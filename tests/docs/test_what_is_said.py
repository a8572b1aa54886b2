"""Commands, links, names and numbers on the pages are those of the program. Nothing is trained here."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import re
import shlex
import tomllib

import jax
import pytest

from bellmax.algorithms.wrappers.curious import Curious
from bellmax.algorithms.wrappers.scaled_rewards import ScaledRewards
from bellmax.bonuses import ICM, RND, HashedCounts
from bellmax.catalogue import ALGORITHMS, algorithm_class, as_published
from bellmax.cli import align, flags
from bellmax.cli.main import COMMANDS, LEARNERS
from bellmax.cli.request import understand
from bellmax.cli.sweep import _OVER
from bellmax.core import Spec, Transition
from bellmax.drivers.learn import example_transition, learn
from bellmax.envs import WORLDS
from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.probes import Forbidden
from bellmax.envs.with_simulator import WithSimulator
from bellmax.experience import Log
from bellmax.maths.schedules import resolve
from bellmax.spaces import Box, Discrete
from bellmax.training import plans
from tests.architecture.test_architecture import ALLOWED, SOURCE
from tests.docs.pages import PAGES, ROOT, commands, headings, links, table

TEXTS = {page.name: page.read_text() for page in PAGES}
ALL = "\n".join(TEXTS.values())
FRONT = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
FRONT -= {*ALLOWED, "__init__"}
STAND_INS = {"ALGORITHM": "ppo", "ENV": "CartPole-v1", "RUN": "latest", "FOLDER": "policy"}
STAND_INS |= {"COMMAND": "train", "FLAG=A,B": "gamma=0.9,0.99", "KEY=VALUE": "size=8", "FIELD=A,B": "force=5,15"}
STAND_INS |= {"DATA": "reverse", "MODEL": "reverser", "PROMPT": "abc=", "TASK": "reverse"}
SAID = sorted({(page, command) for page, text in TEXTS.items() for command in commands(text)})


def parse(command: str) -> None:
    """Read a command line with the program's own parser. Raises whatever the program would say."""
    words = [STAND_INS.get(word, word) for word in shlex.split(command)]
    assert words[1] in {*COMMANDS, "--help"}, f"there is no command {words[1]}"
    if len(words) == 2:  # no more than its name
        return
    if words[1] in ("train", "sweep"):
        extra = [("over", _OVER, ())] if words[1] == "sweep" else []
        understand(words[2:], words[1], extra)
    elif words[1] in LEARNERS:
        align.understand(words[2:], words[1])
    else:
        kind = getattr(importlib.import_module(f"bellmax.cli.{words[1]}"), words[1].capitalize())
        flags.parse(kind, words[2:], words[1])


@pytest.mark.parametrize(("page", "command"), [x for x in SAID if x[1].startswith("bellmax ")])
def test_every_command_line_can_be_parsed(page, command, capsys):
    code, installs = 0, True
    try:
        parse(command)
    except SystemExit as leaving:  # also after --help
        code = leaving.code or 0
    except MissingDependency as missing:  # a command of an extra says which
        installs = re.search(r'pip install "bellmax\[\w+\]"', str(missing)) is not None
    assert installs, f"{page}: {command}: the error names no extra"
    assert code == 0, f"{page}: {command}\n{capsys.readouterr().err}"


@pytest.mark.parametrize(
    "command", ["bellmax evaluate latest --episode 3", "bellmax train ppo CartPole-v1 --lerning 3"]
)
def test_a_flag_that_is_none_is_noticed(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        parse(command)
    assert leaving.value.code == 2


def test_every_sweep_names_a_hyperparameter():
    for _, command in SAID:
        words = shlex.split(command)
        fields = [field.partition(".")[0] for field in re.findall(r"--over ([\w.]+)=[\w.-]+", command)]
        if words[:2] == ["bellmax", "sweep"] and fields and "ALGORITHM" not in words:
            assert set(fields) <= set(algorithm_class(words[2])._hints), command


def test_every_target_of_make_and_every_module_exists():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for page, command in SAID:
        words = command.split()
        if words[0] == "make":
            assert words[1] in targets, f"{page}: {command}"
        if words[1:2] == ["-m"] and words[2].startswith("benchmarks"):
            module = ROOT / words[2].replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), f"{page}: {command}"
        if words[1:3] == ["-m", "pytest"]:
            assert (ROOT / words[3]).is_dir(), f"{page}: {command}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in links(TEXTS[page.name]):
        path, _, fragment = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists() or target == ROOT / "docs" / "results", link
        if fragment:
            assert fragment in headings(target.read_text()), link


def test_every_page_is_in_the_index_and_the_readme():
    for page in (ROOT / "docs").glob("*.md"):
        if page.name != "index.md":
            assert f"({page.name})" in TEXTS["index.md"]
            assert f"(docs/{page.name})" in TEXTS["README.md"]


def test_the_readme_names_every_algorithm_world_and_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in [*ALGORITHMS, *(f"bellmax:{world}" for world in WORLDS), *(f"bellmax[{extra}]" for extra in extras)]:
        assert f"`{name}`" in TEXTS["README.md"], name
    for name in re.findall(r"bellmax\[(\w+)\]", ALL):
        assert name in extras
    for name in re.findall(r"`bellmax:(\w+)`", ALL):
        assert name in WORLDS


def test_every_command_is_described():
    described = [row["command"].split()[1] for row in table(TEXTS["command-line.md"], "command")]
    assert sorted(described) == sorted(COMMANDS)


def test_the_tables_of_hyperparameters_are_those_of_the_dataclasses():
    rows = [row for text in TEXTS.values() for row in table(text, "algorithm")]
    said = {row["algorithm"]: row["hyperparameters"] for row in rows if "hyperparameters" in row}
    assert said == {name: written(example(name)) for name in ALGORITHMS}


def example(name):
    """The algorithm as its paper has it."""
    return as_published(algorithm_class(name))


def written(algorithm) -> str:
    """Its fields with their defaults: gamma=0.99, hidden=(64, 64), ..."""
    fields = dataclasses.fields(algorithm)
    return ", ".join(f"{field.name}={getattr(algorithm, field.name)!r}" for field in fields)


def test_every_metric_is_explained_and_every_one_explained_is_reported():
    reported = metrics_of(ScaledRewards(example("ppo")))
    for name in ALGORITHMS:
        reported |= metrics_of(resolve(example(name), 1000))
    for bonus in (HashedCounts(), RND(), ICM()):
        reported |= metrics_of(Curious(example("a2c"), bonus=bonus))
    assert {row["metric"] for text in TEXTS.values() for row in table(text, "metric")} == reported


def metrics_of(algorithm) -> set[str]:
    """The metrics of a round's learning, which is only traced."""
    key, experience = jax.random.key(0), algorithm.experience
    if plans(algorithm):
        algorithm = algorithm.replace(rules=Forbidden())
    pictures = Box((12, 12, 1), 0, 255, "uint8")
    worlds = itertools.product(
        (Discrete(5), Box((3,), 0.0, 1.0), Box((2, 3)), pictures), (Discrete(2), Box((2,), -1.0, 1.0))
    )
    specs = [*(Spec(*world, 4) for world in worlds), WithSimulator(Forbidden()).spec]
    spec = next(spec for spec in specs if takes(algorithm, spec))

    def update() -> dict[str, jax.Array]:
        state = algorithm.init(key, spec)
        one = example_transition(algorithm, state, spec)
        fresh: Transition = jax.tree.map(lambda x: jax.numpy.zeros((8, 4, *x.shape), x.dtype), one)
        if experience.logged:
            fresh = fresh._replace(extras={"return_to_go": fresh.reward, "time": jax.numpy.int32(fresh.reward)})
            buffer = Log(jax.tree.map(lambda x: x[:, 0], fresh))
        else:
            buffer = experience.empty(one, 4)
        return learn(algorithm, state, buffer, fresh, key)[2]

    return set(jax.eval_shape(update))


def takes(algorithm, spec: Spec) -> bool:
    """Does it learn from such observations?"""
    try:
        jax.eval_shape(lambda: algorithm.init(jax.random.key(0), spec))
    except ValueError:
        return False
    return True


def test_the_table_of_parts_is_what_the_architecture_allows():
    rows = table(TEXTS["architecture.md"], "part")
    said = {name.strip().rstrip("/"): row["may import of bellmax"] for row in rows for name in row["part"].split(",")}
    assert set(said) == {*ALLOWED, "the front door"}
    for part, allowed in ALLOWED.items():
        words = {word.rstrip("/") for word in re.findall(r"[a-z]+/?", said[part].partition(";")[0])}
        assert words - {"nothing", "and"} == allowed - {part}, part


def test_the_front_door_is_all_there():
    holds = next(row["holds"] for row in table(TEXTS["architecture.md"], "part") if row["part"] == "the front door")
    assert {word.rstrip("/") for word in re.findall(r"[a-z_]+/?", holds)} == FRONT
