"""What `bellmax train ALGORITHM ENV ...` asks for: shared by train and sweep."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple

from tyro.conf import OmitArgPrefixes, Positional, arg

from bellmax import recipes
from bellmax.catalogue import ALGORITHMS, SUMMARIES, UnknownAlgorithm, algorithm_class, algorithm_name, as_published
from bellmax.cli import flags, hyperparameters, kinds
from bellmax.cli.options import Options
from bellmax.core import Algorithm
from bellmax.envs.names import find
from bellmax.recipes import Recipe
from bellmax.training import default_envs, source_name

Fields = Sequence[tuple[str, Any, Any]]  # name, annotation, default
_ENV = Annotated[str, Positional, arg(metavar="ENV", help="such as CartPole-v1; `bellmax envs` lists them")]


class Request(NamedTuple):
    """A command line, understood."""

    algorithm: Algorithm  # with every hyperparameter
    default: Algorithm  # as the recipe or the paper has it
    env: Any
    options: Options
    parsed: Any  # holds also the fields that only one command has

    @property
    def arguments(self) -> dict[str, Any]:
        """What `bellmax.train` wants to hear, by name.

        The algorithm goes by its name, with what was changed beside it, so that the run can tell its recipe.
        """
        changed = hyperparameters.changed(self.algorithm, self.default)
        chosen = {"algorithm": algorithm_name(type(self.algorithm)), "env": self.env}
        return chosen | ({"hyperparameters": changed} if changed else {}) | self.options.arguments


def understand(words: Sequence[str], command: str, extra: Fields = ()) -> Request:
    """Read a command line that names an algorithm and an environment; `extra` are further flags of the command.

    What is left out is as in the recipe for this algorithm and environment, if there is one. Raises UnknownAlgorithm
    or UnknownEnvironment, and leaves with SystemExit for what the parser refuses and for `--help`.
    """
    name, rest = _split(list(words))
    wants_help = not {"-h", "--help"}.isdisjoint(rest)
    if name is None:
        if wants_help:
            _parse(["--help"], command, None, None, extra)
        raise UnknownAlgorithm(f"which algorithm? `bellmax {command} ALGORITHM ENV`, one of {', '.join(ALGORITHMS)}.")
    kind, title = algorithm_class(name), f"{command} {name}"
    if wants_help:
        guess = next((word for word in rest if not word.startswith("-")), "")
        _parse(["--help"], title, as_published(kind), recipes.find(algorithm_name(kind), guess), extra)
    parsed = _parse(rest, title, as_published(kind), None, extra)
    env = parsed.run.harder(find(parsed.env, **parsed.run.env_options))
    recipe = recipes.find(algorithm_name(kind), source_name(env)) if parsed.run.recipe == "auto" else None
    if recipe is not None:
        parsed = _parse(rest, title, as_published(kind), recipe, extra)
    default = recipe.algorithm if recipe is not None else as_published(kind)
    return Request(getattr(parsed, kind.__name__), default, env, parsed.run, parsed)


def _split(words: list[str]) -> tuple[str | None, list[str]]:
    """-> the algorithm's name, the other words. It comes first, but flags or the environment may stand before it."""
    known = [word for word in words if _is_algorithm(word)]
    first = words[0] if words and not words[0].startswith("-") else None
    if known and (first is None or known[:1] == words[1:2]):
        first = known[0]
    if first is None:
        return None, words
    place = words.index(first)
    return first, words[:place] + words[place + 1 :]


def _is_algorithm(word: str) -> bool:
    try:
        return bool(algorithm_class(word))
    except UnknownAlgorithm:
        return False


def _parse(words: list[str], title: str, algorithm: Algorithm | None, recipe: Recipe | None, extra: Fields) -> Any:
    """Read flags whose defaults are those of the recipe or the algorithm."""
    algorithm = algorithm if recipe is None else recipe.algorithm
    if algorithm is not None:
        words, algorithm = kinds.chosen(words, algorithm)
    options = Options() if algorithm is None else Options(num_envs=default_envs(algorithm))
    if recipe is not None:
        names = ("steps", "num_envs", "normalise", "scale_rewards")
        options = dataclasses.replace(options, **{name: getattr(recipe, name) for name in names})
    fields: list[tuple[str, Any, Any]] = [("env", _ENV, dataclasses.field()), *extra]
    fields.append(("run", OmitArgPrefixes[Options], options))  # type: ignore[misc]
    if algorithm is not None:
        kind = type(algorithm)
        fields.append((kind.__name__, OmitArgPrefixes[kind], algorithm))  # type: ignore[valid-type,misc]
    asked = dataclasses.make_dataclass("Asked", fields, frozen=True)
    about = _description(title, algorithm, recipe)
    return flags.parse(asked, words, title, hyperparameters.registry(), description=about)


def _description(title: str, algorithm: Algorithm | None, recipe: Recipe | None) -> str:
    """What the help says first. A paragraph is a line: tyro joins lines, but leaves those alone that are indented."""
    if algorithm is None:
        asks = f"ALGORITHM comes first. `bellmax {title} ppo --help` shows the settings of ppo; there are:\n"
        return "\n".join([asks, *(f"  {name.ljust(14)} {summary}" for name, summary in SUMMARIES.items())])
    if recipe is not None:
        origin = f"Recipe: {recipe.name} ({recipe.source}). The defaults below are the recipe's."
    else:
        known = recipes.names(algorithm_name(type(algorithm)))
        origin = f"The defaults below are the paper's. Recipes, with others, for: {', '.join(known) or 'none yet'}."
    several = [f"--{name.replace('_', '-')} {'|'.join(each)}" for name, each in kinds.kinds(algorithm).items()]
    choices = f"\n\nOf another kind, with fields of its own: {', '.join(several)}." if several else ""
    return f"{origin}{choices}\n\nSCHEDULE: a number, linear:START:END over the run, or linear:START:END:STEPS."
