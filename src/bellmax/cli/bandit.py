"""`bellmax bandit ALGORITHM ...`."""

from __future__ import annotations

import dataclasses
import functools
import json
import time
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np
from tyro.conf import OmitArgPrefixes, Positional, UseAppendAction, arg

from bellmax.catalogue import ALGORITHMS, SUMMARIES, UnknownAlgorithm, algorithm_class, algorithm_name
from bellmax.cli import hyperparameters
from bellmax.cli.flags import Flag, PlotPath, parse
from bellmax.cli.options import setting
from bellmax.compilation import use_cache
from bellmax.core import Algorithm, Env
from bellmax.drivers.bandit import Play, play
from bellmax.envs.names import find
from bellmax.maths.schedules import resolve
from bellmax.report.line_plots import Panel, plot_lines
from bellmax.report.sparklines import sparkline
from bellmax.report.wording import aligned, figure

_WHERE = "bellmax:GaussianBandit"
_HOME = "bellmax.algorithms.bandits."
_END = 0.01  # part of the steps that "at the end" means


def _said(metavar: str, text: str) -> Any:
    """What the help says of a flag that may be left out."""
    return arg(metavar=metavar, help=text, help_behavior_hint="")


@dataclasses.dataclass(frozen=True)
class Bandit:
    """Play many bandit problems at once. With one algorithm alone, its hyperparameters are flags."""

    names: Annotated[
        tuple[str, ...],
        Positional,
        _said("ALGORITHM [ALGORITHM ...] [ENV]", f"such as ucb thompson; the bandit is {_WHERE} if left out"),
    ] = ()
    steps: int = 1000  # pulls in each problem
    problems: int = 2000  # how many, each with a learner of its own
    seed: int = 0  # of the problems and of everything drawn
    set: Annotated[tuple[str, ...], UseAppendAction, arg(metavar="KEY=VALUE")] = ()  # an option of the bandit
    over: Annotated[str | None, _said("FLAG=A,B,..", "a hyperparameter of the only algorithm, and values of it")] = None
    plot: PlotPath = None
    json: Flag = False  # print a line of JSON for each algorithm


class Played(NamedTuple):
    """What one algorithm did."""

    play: Play
    seconds: float  # of running, without compiling


def main(words: list[str]) -> None:
    """Play, and say how it went."""
    asked, algorithms = understand(words)
    env = find(place(asked.names), **dict(map(setting, asked.set)))
    if not isinstance(env, Env):
        raise ValueError(f"{place(asked.names)} runs on the host: a bandit is an in-graph one, such as {_WHERE}.")
    use_cache()
    played = {name: _play(algorithm, env, asked) for name, algorithm in algorithms.items()}
    title = f"{place(asked.names)}: {asked.steps:,} steps in each of {asked.problems:,} problems"
    print("\n".join(map(json.dumps, facts(played))) if asked.json else said(played, title))
    if asked.plot is not None:
        path = plot_lines(panels(played), asked.plot or "bandit.png", title, _CAPTION)
        if not asked.json:
            print(f"\ndrew {path}")


def understand(words: Sequence[str]) -> tuple[Bandit, dict[str, Algorithm]]:
    """A command line -> what it says, and the algorithms to play by what to call them. Raises UnknownAlgorithm."""
    named = [word for word in words if _is_algorithm(word)]
    asked, single = _parse(words, named)
    for name in ("steps", "problems"):
        if getattr(asked, name) < 1:
            raise ValueError(f"--{name} {getattr(asked, name)}: give at least 1.")
    if not (chosen := [name for name in asked.names if not _is_place(name)]):
        known = [name for name, home in ALGORITHMS.items() if home.startswith(_HOME)]
        raise UnknownAlgorithm(f"which algorithm? `bellmax bandit ALGORITHM ...`, of {', '.join(known)}.")
    kinds = {name: algorithm_class(name) for name in chosen}  # here what is misspelt is noticed
    if len(kinds) > 1 and asked.over:
        raise ValueError(f"--over {asked.over}: there are {len(kinds)} algorithms; give one alone.")
    if asked.over:
        return asked, _every(words, named, asked.over)
    return asked, {name: single or kind() for name, kind in kinds.items()}


def _parse(words: Sequence[str], named: Sequence[str]) -> tuple[Bandit, Algorithm | None]:
    """The flags; those of the algorithm too, if there is one alone."""
    kinds = {algorithm_class(name) for name in named}
    rules = hyperparameters.registry()
    if len(kinds) != 1:
        return parse(Bandit, words, "bandit", rules), None
    (kind,) = kinds
    fields: list[Any] = [("bandit", OmitArgPrefixes[Bandit], dataclasses.field())]  # type: ignore[misc]
    fields.append(("algorithm", OmitArgPrefixes[kind], kind()))  # type: ignore[valid-type,misc]
    both: Any = dataclasses.make_dataclass("Asked", fields, frozen=True)
    about = f"{SUMMARIES[algorithm_name(kind)]}."
    wants_help = not {"-h", "--help"}.isdisjoint(words)
    asked = parse(both, ["--help"] if wants_help else words, f"bandit {named[0]}", rules, description=about)
    return asked.bandit, asked.algorithm


def _every(words: Sequence[str], named: Sequence[str], over: str) -> dict[str, Any]:
    """What --over asks for: the algorithm with each value, by what to call it."""
    flag, equals, values = over.partition("=")
    if not equals or not values:
        raise ValueError(f"--over {over}: write FLAG=A,B,.., such as --over epsilon=0,0.01,0.1.")
    flag = flag.lstrip("-").replace("_", "-")
    return {f"{flag} {value}": _parse([*words, f"--{flag}", *value.split()], named)[1] for value in values.split(",")}


def place(names: Sequence[str]) -> str:
    """The bandit that is meant. Raises ValueError if there are several."""
    places = [name for name in names if _is_place(name)]
    if len(places) > 1:
        raise ValueError(f"{' and '.join(places)}: play one bandit at a time.")
    return places[0] if places else _WHERE


def _is_place(name: str) -> bool:
    return ":" in name


def _is_algorithm(word: str) -> bool:
    try:
        return bool(algorithm_class(word))
    except UnknownAlgorithm:
        return False


def _play(algorithm: Algorithm, env: Env, asked: Bandit) -> Played:
    """Compile, then play."""
    game = functools.partial(play, steps=asked.steps, problems=asked.problems)
    arguments = resolve(algorithm, asked.steps), env, jax.random.key(asked.seed)
    compiled = jax.jit(lambda *its: game(*its)._replace(state=None)).lower(*arguments).compile()
    begun = time.perf_counter()
    curves = jax.tree.map(np.asarray, jax.block_until_ready(compiled(*arguments)))
    return Played(curves, time.perf_counter() - begun)


def facts(played: dict[str, Played]) -> list[dict[str, Any]]:
    """What the table says, as numbers: a dict for each algorithm."""
    return [
        {
            "algorithm": name,
            "reward": float(_at_the_end(curves.reward)),
            "optimal": float(_at_the_end(curves.optimal)),
            "regret": float(curves.regret[-1]),
            "regret_error": float(curves.regret_error[-1]),
            "seconds": round(seconds, 4),
        }
        for name, (curves, seconds) in played.items()
    ]


def said(played: dict[str, Played], title: str) -> str:
    """The table: a line for each algorithm."""
    heading = ["algorithm", "reward", "optimal action", "over time", "regret", "seconds"]
    lines = [
        [
            row["algorithm"],
            f"{row['reward']:.3f}",
            f"{row['optimal']:.1%}".replace("%", " %"),
            sparkline(np.asarray(played[row["algorithm"]].play.optimal), 20),
            f"{figure(row['regret'])} ± {figure(row['regret_error'])}",
            f"{row['seconds']:.2f}",
        ]
        for row in facts(played)
    ]
    about = "Reward and optimal action: means over the problems and the last 1 % of steps. Regret: what always taking"
    about += "\nthe best action would have paid more by the end, on average ± standard error."
    return "\n".join([title, "", aligned(heading, lines), "", about])


_CAPTION = (
    "Means over the problems. Regret: what always taking the best action would have paid more so far, on average."
)


def panels(played: dict[str, Played]) -> list[Panel]:
    """What is drawn: reward, optimal action and regret over the steps."""
    first = next(iter(played.values())).play
    steps = np.arange(1, 1 + len(first.reward))

    def curves(field: str) -> dict[str, Any]:
        return {name: (steps, getattr(each.play, field)) for name, each in played.items()}

    return [
        Panel(curves("reward"), "step", "reward"),
        Panel(curves("optimal"), "step", "optimal action", percent=True, limits=(0, 1)),
        Panel(curves("regret"), "step", "regret so far"),
    ]


def _at_the_end(curve: Any) -> Any:
    return curve[-max(1, round(_END * len(curve))) :].mean()
