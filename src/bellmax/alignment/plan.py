"""What a run that trains a language model is asked to do."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax

from bellmax.catalogue import algorithm_name
from bellmax.core import Frozen
from bellmax.encode import spec_to_plain, to_plain
from bellmax.language.rewards import Rewards
from bellmax.language.tokeniser import Tokeniser

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Materials:
    """What a run works with. Names are what a run folder says of it, and finds it again by."""

    model: Any  # the Transformer it begins with; where a run goes on, one whose weights are shapes alone
    model_name: str
    tokeniser: Tokeniser
    rows: Rows
    data_name: str
    held_out: Rows = ()  # for evaluations
    task: Any = None  # the built-in task that made them, if one did
    rewards: Rewards | None = None
    reward_names: Mapping[str, Any] | None = None  # how to find each again, and its weight; None where one cannot be
    critic: Any = None  # the reward model that PPO's critic begins as
    adapters: int | None = None  # rank of low-rank adapters; None trains everything


@dataclass(frozen=True)
class AlignmentPlan:
    """Which algorithm, on what, how long, and when to look at it. A step is one update."""

    algorithm: Any  # schedules have their lengths
    materials: Materials
    steps: int
    seeds: tuple[int, ...]
    log_every: int
    checkpoint_every: int
    evaluate_every: int = 0  # 0: never while training
    evaluation_episodes: int = 100  # answers to held-out prompts
    track: tuple[str, ...] = ()
    recipe: str | None = None
    devices: tuple[int, int] | None = None  # that share the rows of a batch, that share the weights; None: one does all
    overlap: bool = False

    def __post_init__(self) -> None:
        least = {"steps": 1, "log_every": 1, "checkpoint_every": 1, "evaluate_every": 0, "evaluation_episodes": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name} = {value!r}: give a whole number of at least {low}.")

        if self.devices is not None:
            self._check_devices(*self.devices)

    def _check_devices(self, data: int, model: int) -> None:
        if min(data, model) < 1 or data * model > jax.device_count():
            raise ValueError(
                f"devices = {(data, model)}: give whole numbers from 1, together {jax.device_count()} at most: so many "
                "are there."
            )
        if self.num_envs % data:
            raise ValueError(f"devices = {(data, model)}: {data} must divide the {self.num_envs} rows of a batch.")

    ingraph = True  # it goes on bit for bit
    driver = "language"

    @property
    def num_envs(self) -> int:
        """Rows of a batch."""
        experience = self.algorithm.experience
        return experience.answers if experience.written else experience.batch

    @property
    def env_name(self) -> str:
        """What to call the data."""
        return self.materials.data_name

    @property
    def algorithm_name(self) -> str:
        """What to call the algorithm."""
        return algorithm_name(type(self.algorithm))

    def config(self, spec: Any) -> dict[str, Any]:
        """What config.json says."""
        materials = self.materials
        names = ("steps", "log_every", "checkpoint_every", "evaluate_every", "evaluation_episodes")
        return {
            "family": "language",
            "algorithm": to_plain(self.algorithm),
            "model": {
                "name": materials.model_name,
                "adapters": materials.adapters,
                "now": _iso(materials.tokeniser.now),
            },
            "environment": {"name": materials.data_name, "task": _task(materials.task), "again": True},
            "critic": materials.critic is not None,
            "rewards": None if materials.reward_names is None else dict(materials.reward_names),
            "driver": self.driver,
            "num_envs": self.num_envs,
            "seeds": list(self.seeds),
            "recipe": self.recipe,
            "devices": None if self.devices is None else list(self.devices),
            "track": list(self.track),
            "spec": spec_to_plain(spec),
        } | {name: getattr(self, name) for name in names}


def _iso(now: datetime.datetime | None) -> str | None:
    return None if now is None else now.isoformat()


def _task(task: Any) -> Any:
    """A built-in task as what JSON can hold; one of reasoning-gym by its name."""
    return to_plain(task) if task is None or isinstance(task, Frozen) else f"reasoning-gym:{task.name}"
