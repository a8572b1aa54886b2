"""The flags of a training run that are no hyperparameters."""

from __future__ import annotations

import ast
import dataclasses
from typing import Annotated, Any, Literal

from tyro.conf import UseAppendAction, arg

from bellmax.cli.flags import Flag, whole
from bellmax.training import DEFAULT_ENVS, DEFAULT_STEPS


def _said(text: str) -> Any:
    """What the help says of a default that is worked out."""
    return arg(help_behavior_hint=f"(default: {text})")


@dataclasses.dataclass(frozen=True)
class Options:
    """How long, how often, and what to keep."""

    steps: int = DEFAULT_STEPS  # environment steps of each seed; from logged steps alone, updates
    data: Annotated[str | None, _said("steps of its own"), arg(metavar="FILE|RUN|minari:ID")] = None  # logged ones
    start_from: Annotated[str | None, _said("nothing"), arg(metavar="RUN")] = None  # begin with this run's weights
    frozen: Annotated[tuple[str, ...], UseAppendAction, arg(metavar="PART")] = ()  # layers that do not move: torsos
    num_envs: int = DEFAULT_ENVS  # environments side by side
    seeds: Annotated[str, arg(metavar="N|A,B,..")] = "1"  # how many runs to train together, or their seeds
    recipe: Literal["auto", "none"] = "auto"  # auto: settings known to work, if there are any; none: the paper's
    normalise: bool = False  # standardise observations
    scale_rewards: bool = False  # divide rewards by the deviation of the return
    set: Annotated[tuple[str, ...], UseAppendAction, arg(metavar="KEY=VALUE")] = ()  # an option of the environment
    randomise: Annotated[tuple[str, ...], UseAppendAction, arg(metavar="NAME=LOW:HIGH")] = ()  # physics, each episode
    widen: Annotated[str | None, _said("no"), arg(metavar="LOW:HIGH")] = None  # widen ranges by these scores (ADR)
    observation_noise: float = 0.0  # standard deviation of the noise on what is observed
    action_delay: Annotated[str, arg(metavar="N|A:B")] = "0"  # steps until an action acts; A:B is drawn each episode
    observation_delay: Annotated[str, arg(metavar="N|A:B")] = "0"  # steps until what happens is seen
    evaluate_every: Annotated[int | None, _said("never; offline run / 10")] = None  # steps between evaluations
    evaluation_episodes: int = 100  # episodes of an evaluation
    log_every: Annotated[int | None, _said("a hundredth of the run")] = None  # steps between rows of metrics
    checkpoint_every: Annotated[int | None, _said("a tenth of the run")] = None  # steps between checkpoints
    run_folder: str = "runs"  # where the run's folder is made; none: keep nothing
    overlap: Flag = False  # on the host, learn while the environments step: actions are chosen one update earlier
    name: Annotated[str | None, _said("algorithm, environment and time")] = None  # of the run's folder
    track: Annotated[str, arg(metavar="A,B,..")] = "tensorboard"  # any of tensorboard, wandb and mlflow, or none
    plot: Flag = False  # draw the learning curve when done, and what was learned about a grid
    quiet: Flag = False  # print nothing
    json: Flag = False  # print every event as a line of JSON

    def __post_init__(self) -> None:
        if self.quiet and self.json:
            raise ValueError("--quiet and --json exclude each other: choose one.")
        if self.steps < 1:
            raise ValueError(f"--steps {self.steps}: give at least 1.")

    @property
    def arguments(self) -> dict[str, Any]:
        """What `bellmax.train` wants to hear, by name."""
        same = ["steps", "data", "num_envs", "recipe", "normalise", "scale_rewards", "name"]
        same += ["frozen", "log_every", "evaluate_every", "evaluation_episodes", "checkpoint_every", "overlap"]
        return {name: getattr(self, name) for name in same} | {
            "seeds": seeds(self.seeds),
            "start_from": None if self.start_from is None else start(self.start_from),
            "run_folder": None if self.run_folder.lower() == "none" else self.run_folder,
            "track": () if self.track.lower() == "none" else tuple(self.track.split(",")),
            "display": "quiet" if self.quiet else "json" if self.json else "auto",
        }

    @property
    def env_options(self) -> dict[str, Any]:
        """What `--set` says, as values."""
        return dict(setting(text) for text in self.set)

    def harder(self, env: Any) -> Any:
        """The environment with the physics, noise and delays that were asked for."""
        if not (
            self.randomise
            or self.widen
            or self.observation_noise
            or (self.action_delay, self.observation_delay) != ("0", "0")
        ):
            return env
        from bellmax.envs.perturbed import perturbed

        return perturbed(
            env,
            dict(between(text) for text in self.randomise),
            observation_noise=self.observation_noise,
            action_delay=late(self.action_delay, "--action-delay"),
            observation_delay=late(self.observation_delay, "--observation-delay"),
            widen=scores(self.widen),
        )


def start(name: str) -> str:
    """The folder of the run that is meant, or a checkpoint as it is. Raises RunFolderError."""
    from bellmax.cli.find_run import find_run

    return name if name.endswith(".safetensors") else str(find_run(name))


def between(text: str) -> tuple[str, tuple[float, float]]:
    """ "force=5:15" -> ("force", (5.0, 15.0)). Raises ValueError."""
    name, _, numbers = text.rpartition("=")
    found = pair(numbers)
    if found is None or not name:
        raise ValueError(f"--randomise {text}: write NAME=LOW:HIGH, such as --randomise gravity=9:11.")
    return name, found


def pair(text: str) -> tuple[float, float] | None:
    """ "5:15" -> (5.0, 15.0); None for anything else."""
    try:
        low, high = map(float, text.split(":"))
    except ValueError:
        return None
    return low, high


def scores(text: str | None) -> tuple[float, float] | None:
    """The scores of --widen. Raises ValueError."""
    found = None if text is None else pair(text)
    if text is not None and found is None:
        raise ValueError(f"--widen {text}: give the scores that narrow and that widen a range, such as 200:450.")
    return found


def late(text: str, flag: str) -> int | tuple[int, int]:
    """ "2" -> 2; "1:3" -> (1, 3). Raises ValueError."""
    try:
        numbers = [whole(part) for part in text.split(":")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        raise ValueError(f"{flag} {text}: give steps, or the fewest and the most, such as 2 or 1:3.")
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def seeds(text: str) -> int | list[int]:
    """ "5" -> 5, the seeds 0 to 4; "3,7" -> [3, 7]; "3," -> [3]. Raises ValueError."""
    try:
        found = [whole(part) for part in text.split(",") if part]
    except ValueError:
        found = []
    if not found or (found == [0] and "," not in text):
        raise ValueError(f"--seeds {text}: give how many (5), or which (3,7,11; a single one as 3,).")
    return found if "," in text else found[0]


def setting(text: str) -> tuple[str, Any]:
    """ "size=8" -> ("size", 8); values as Python writes them, anything else is text. Raises ValueError."""
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise ValueError(f"--set {text}: write KEY=VALUE, such as --set size=8.")
    named = {"true": True, "false": False, "none": None}
    try:
        return key, named[value.lower()] if value.lower() in named else ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value
