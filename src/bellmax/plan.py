"""What a run is asked to do: one value that training, resuming and the run folder share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bellmax.catalogue import algorithm_name
from bellmax.core import Algorithm, Env
from bellmax.drivers.learn import eats
from bellmax.encode import from_plain, spec_from_plain, spec_to_plain, to_plain
from bellmax.envs.adaptors.gymnasium_around import from_plain as from_plain_around
from bellmax.envs.adaptors.gymnasium_around import to_plain as to_plain_around
from bellmax.envs.parameters import innermost
from bellmax.envs.with_simulator import WithSimulator


@dataclass(frozen=True)
class Plan:
    """Which algorithm, where, how long, and when to look at it. Steps are environment steps."""

    algorithm: Algorithm  # schedules have their lengths
    env: Any  # an Env, or a HostedSource
    steps: int
    num_envs: int
    seeds: tuple[int, ...]
    log_every: int
    checkpoint_every: int
    evaluate_every: int = 0  # 0: never while training
    evaluation_episodes: int = 100
    recipe: str | None = None
    track: tuple[str, ...] = ()
    overlap: bool = False  # on the host, learn while the environments step: actions are chosen one update earlier
    data: Any = None  # a `bellmax.data.Logged`: what replay begins with, or, where steps are updates, all there is
    start: Any = None  # a `bellmax.starting.Start`, if it begins with what another run has learned

    def __post_init__(self) -> None:
        least = {"steps": 1, "num_envs": 1, "log_every": 1, "checkpoint_every": 1}
        least |= {"evaluate_every": 0, "evaluation_episodes": 1}
        for name, low in least.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name} = {value!r}: give a whole number of at least {low}.")
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or any(seed < 0 for seed in self.seeds):
            raise ValueError(f"seeds = {list(self.seeds)}: give at least one, each once, none negative.")
        if self.data is not None and not eats(self.algorithm).replays:
            raise ValueError(
                f"data: {self.algorithm_name} learns from {type(eats(self.algorithm)).__name__}, steps of its own; to "
                "have it learn from logged ones, give experience=bellmax.Dataset(), from those and its own "
                "bellmax.Replay(), or leave data out."
            )
        if self.data is None and eats(self.algorithm).logged:
            eats(self.algorithm).empty(None, self.num_envs)  # type: ignore[arg-type]  # which says what is missing
        if self.driver == "hosted" and len(self.seeds) > 1:
            self._check_processes()

    def _check_processes(self) -> None:
        """ValueError unless all that seeds begin with can be found by other processes."""
        if self.start is not None and self.start.run is None:
            raise ValueError("start_from: seeds on the host are processes, and need a folder: run.save(path) first.")
        if self.data is not None and self.data.source is None:
            raise ValueError("data: seeds on the host are processes, and need a file, minari:ID or a run's folder.")

    @property
    def prefills(self) -> bool:
        """Do logged steps stand in the replay buffer before the first step of its own?"""
        return self.data is not None and not eats(self.algorithm).logged

    @property
    def ingraph(self) -> bool:
        """Does the environment run in the graph?"""
        return isinstance(self.env, Env)

    @property
    def driver(self) -> str:
        """Which driver carries it out."""
        if eats(self.algorithm).logged:
            return "offline"
        return "ingraph" if self.ingraph else "hosted"

    @property
    def env_name(self) -> str:
        """What to call the environment."""
        if not _is_world(self.env):
            return str(self.env.name)
        world = innermost(self.env)
        if not _is_world(world):
            return str(world.name)
        ours = type(world).__module__.startswith("bellmax.")
        return f"bellmax:{type(world).__name__}" if ours else type(world).__name__

    @property
    def algorithm_name(self) -> str:
        """What to call the algorithm: that of the innermost, without its wrappers."""
        inner: Any = self.algorithm
        while isinstance(getattr(inner, "inner", None), Algorithm):
            inner = inner.inner
        return algorithm_name(type(inner))

    def config(self, spec: Any) -> dict[str, Any]:
        """What config.json says."""
        more = {} if self.data is None else {"data": self.data.config()}
        more |= {} if self.start is None else {"start_from": self.start.config()}
        return {
            "algorithm": to_plain(self.algorithm),
            "environment": self._environment(),
            "driver": self.driver,
            "steps": self.steps,
            "num_envs": self.num_envs,
            "seeds": list(self.seeds),
            "recipe": self.recipe,
            "log_every": self.log_every,
            "checkpoint_every": self.checkpoint_every,
            "evaluate_every": self.evaluate_every,
            "evaluation_episodes": self.evaluation_episodes,
            "track": list(self.track),
            "overlap": self.overlap,
            "spec": spec_to_plain(spec),
        } | more

    def _environment(self) -> dict[str, Any]:
        if self.ingraph:
            inner = self.env.inner if isinstance(self.env, WithSimulator) else self.env
            ours = type(inner).__module__.split(".")[0] == "bellmax"
            plain = to_plain(self.env)
            if not _is_plain(plain):  # such as a World, which holds a whole model
                return {"name": self.env_name, "again": False}
            return {"name": self.env_name, "env": plain, "again": ours}
        reference = self.env.reference
        options = {name: value for name, value in self.env.kwargs.items() if _is_plain(value)}
        again = reference is not None and options == self.env.kwargs
        how = {"vectorization": self.env.vectorization}
        described = {"name": reference or self.env_name, "options": options | how, "again": again}
        around = getattr(self.env, "around", ())
        return described | ({"around": to_plain_around(around)} if around else {})


def planned(
    config: dict[str, Any],
    algorithm: type[Algorithm] | None = None,
    env: Any = None,
    data: Any = None,
    *,
    goes_on: bool = True,
) -> Plan:
    """The plan in a run folder's config. `algorithm`, `env` and `data` replace what the config cannot make again.

    Logged steps are only looked for if the run `goes_on` and has not stored them itself.
    """
    world = environment(config, env)
    settings = config["algorithm"]
    learner = from_plain(settings if "rules" not in settings else settings | {"rules": None}, algorithm)
    if isinstance(world, WithSimulator):
        learner = learner.replace(rules=world.inner)
    kinds = {"steps", "num_envs", "log_every", "checkpoint_every", "evaluate_every", "evaluation_episodes", "recipe"}
    return Plan(
        algorithm=learner,
        env=world,
        seeds=tuple(config["seeds"]),
        track=tuple(config["track"]),
        overlap=config.get("overlap", False),
        data=logged(config, data, goes_on and eats(learner).logged),
        start=begins_with(config),
        **{name: config[name] for name in kinds},
    )


def begins_with(config: dict[str, Any]) -> Any:
    """The run that a run begins with, if there is one; it is looked for when it is needed."""
    if "start_from" not in config:
        return None
    from bellmax.starting import Start

    return Start(**config["start_from"])


def logged(config: dict[str, Any], data: Any, needed: bool) -> Any:
    """The logged steps that a run learns from, if it does: found again, or `data`; or only what is said of them."""
    if "data" not in config:
        return None
    from bellmax.data import Elsewhere, find

    elsewhere = Elsewhere(config["data"])
    if not needed and data is None:
        return elsewhere
    return find(elsewhere if data is None else data, spec_from_plain(config["spec"]), elsewhere.told["checksum"])


def environment(config: dict[str, Any], env: Any = None) -> Any:
    """The environment of a run, made again from its config, or `env` if that is given."""
    from bellmax.envs.names import find

    described = config["environment"]
    if env is not None:
        planned_in = described.get("env", {}).get("kind", "").endswith(":WithSimulator")
        found: Any = find(env)
        return WithSimulator(found) if planned_in else found
    if not described["again"]:
        raise ValueError(
            f"The environment {described['name']} of this run was made in a program and cannot be made again from its "
            "name: pass it, as in env=MyEnv."
        )
    if "env" in described:
        return from_plain(described["env"])
    source = find(described["name"], **described["options"])
    return source.within(from_plain_around(described["around"])) if "around" in described else source  # type: ignore[union-attr]


def _is_world(env: Any) -> bool:
    return isinstance(env, Env) and not isinstance(getattr(env, "name", None), str)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)
