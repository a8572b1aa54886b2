"""`bellmax sft DATA`, `bellmax grpo DATA`, ...: train a language model."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

from tyro.conf import OmitArgPrefixes, Positional, arg

from bellmax.alignment.front import DEFAULT_STEPS, EPOCHS, align
from bellmax.catalogue import LANGUAGE_SUMMARIES, language_class
from bellmax.cli import flags, hyperparameters
from bellmax.cli.find_run import explain_interrupt
from bellmax.cli.flags import Flag
from bellmax.cli.options import _said
from bellmax.recipes import find_language

_DATA = Annotated[str, Positional, arg(metavar="DATA", help="a .jsonl or .parquet file, or a built-in task: reverse")]


@dataclasses.dataclass(frozen=True)
class AlignOptions:
    """What to begin with, how long, and what to keep."""

    model: str = "tiny"  # a Hugging Face folder, a run's folder, or tiny: a small one from nothing, for built-in tasks
    reward: Annotated[
        tuple[str, ...], _said("the task's own")
    ] = ()  # names of rewards, module:function, or a run's folder
    critic: Annotated[str | None, _said("a copy of the model")] = None  # the folder of a reward model's run
    adapters: Annotated[int | None, _said("train everything")] = None  # rank of low-rank adapters
    steps: Annotated[int | None, _said(f"{EPOCHS} epochs of rows, or {DEFAULT_STEPS} updates")] = None  # updates
    devices: Annotated[tuple[int, int] | None, _said("one does all")] = None  # that share rows, that share weights
    seed: int = 0
    evaluate_every: Annotated[int | None, _said("never")] = None  # updates between greedy evaluations
    evaluation_episodes: int = 100  # held-out prompts of an evaluation
    log_every: Annotated[int | None, _said("a hundredth of the run")] = None  # updates between rows of metrics
    checkpoint_every: Annotated[int | None, _said("a tenth of the run")] = None  # updates between checkpoints
    run_folder: str = "runs"  # where the run's folder is made; none: keep nothing
    name: Annotated[str | None, _said("algorithm, data and time")] = None  # of the run's folder
    track: Annotated[str, arg(metavar="A,B,..")] = "tensorboard"  # any of tensorboard, wandb and mlflow, or none
    save: str | None = None  # write the trained model here, as a Hugging Face folder
    quiet: Flag = False  # print nothing
    json: Flag = False  # print every event as a line of JSON

    def __post_init__(self) -> None:
        if self.quiet and self.json:
            raise ValueError("--quiet and --json exclude each other: choose one.")

    @property
    def arguments(self) -> dict[str, Any]:
        """What `bellmax.align` wants to hear, by name."""
        same = ["model", "critic", "adapters", "devices", "steps", "seed", "evaluate_every", "evaluation_episodes"]
        same += ["log_every", "checkpoint_every", "name"]
        return {name: getattr(self, name) for name in same} | {
            "reward": list(self.reward) or None,
            "run_folder": None if self.run_folder.lower() == "none" else self.run_folder,
            "track": () if self.track.lower() == "none" else tuple(self.track.split(",")),
            "display": "quiet" if self.quiet else "json" if self.json else "auto",
        }


def main(words: list[str], name: str) -> None:
    """Train with the learner called `name`, and save the model if that was asked for."""
    parsed, default = understand(words, name)
    options: AlignOptions = parsed.run
    changed = hyperparameters.changed(getattr(parsed, type(default).__name__), default)
    with explain_interrupt(options.run_folder):
        run = align(name, data=parsed.data, hyperparameters=changed, **options.arguments)
    if options.save:
        print(f"wrote {run.save(options.save)}")


def understand(words: list[str], name: str) -> tuple[Any, Any]:
    """Read a command line -> `data`, `run` (AlignOptions) and the learner by its class's name; its defaults."""
    kind = language_class(name)
    if {"-h", "--help"}.isdisjoint(words):
        data = _parse(words, name, kind(), None, "").data
    else:
        data = next((word for word in words if not word.startswith("-")), "")
    default, steps = find_language(name, data) or (kind(), None)
    return _parse(words, name, default, steps, data), default


def _parse(words: list[str], name: str, default: Any, steps: int | None, data: str) -> Any:
    kind = type(default)
    fields: list[tuple[str, Any, Any]] = [("data", _DATA, dataclasses.field())]
    fields.append(("run", OmitArgPrefixes[AlignOptions], AlignOptions(steps=steps)))  # type: ignore[misc]
    fields.append((kind.__name__, OmitArgPrefixes[kind], default))  # type: ignore[valid-type,misc]
    asked = dataclasses.make_dataclass("Asked", fields, frozen=True)
    origin = f"The defaults below are the recipe's for {data}." if steps else "The defaults below are the paper's."
    about = f"{LANGUAGE_SUMMARIES[name]}. {origin}\n\nSCHEDULE: a number, or linear:START:END over the run."
    return flags.parse(asked, words, name, hyperparameters.registry(), description=about)
