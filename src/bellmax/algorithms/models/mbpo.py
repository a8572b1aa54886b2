"""Model-based policy optimisation (Janner et al., 2019), https://arxiv.org/abs/1906.08253, around what replays.

Keep the steps that were taken, and learn from them an ensemble of models of the world (see `models.ensemble`). From
states that were really seen, let the policy take k steps in the models, and keep those steps too. The learner, the
paper's is SAC, learns G times from every real step, mostly from imagined ones (algorithm 2). k grows from 1 to
`rollout` while real steps go from `grows_from` to `grows_until`:

    k = 1 + (rollout - 1) (steps - grows_from) / (grows_until - grows_from),  cut to 1 .. rollout, rounded down

G is `learner.experience.updates`, where one step is collected at a time.

Beyond the paper: the models train all the time, a gradient step every `model_every` updates on the batch that was
replayed for the learner, and not now and then until what is held out gets no better: so that all is one program of
fixed length. Which steps are held out is decided when they are taken, for good. Rollouts branch after every round of
collecting. Until the models have learned `model_start` times, nothing is imagined and all that is learned from is real.
That an episode terminates is foreseen by the models, where the paper is told by the environment.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from bellmax.core import Algorithm, Decision, Outcome, Spec, Transition
from bellmax.experience import Replay, loose_steps
from bellmax.experience.loose_steps import LooseSteps
from bellmax.maths.batches import flatten_time
from bellmax.maths.chance import invert, uniform
from bellmax.maths.delayed import when
from bellmax.models import Ensemble, EnsembleWorld, imagine, unrolled
from bellmax.ranges import Count, NonNegative, Unit, Whole
from bellmax.spaces import zeros


class State(NamedTuple):
    """What has been learned, and imagined."""

    learner: Any
    models: Any
    imagined: LooseSteps
    updates: Array  # so far: the clock of the models and of rollouts


class MBPO(Algorithm):
    """Around any learner that replays: short rollouts in learned models, from states that were seen."""

    learner: Algorithm  # learns from what is imagined, and names the experience; the paper's is SAC
    models: Ensemble = Ensemble()  # of the world
    model_every: Count = 1  # updates for each gradient step of the models
    model_start: Whole = 1_000  # gradient steps of the models before anything is imagined
    held_out: Unit = 0.2  # share of the steps that models do not train on
    rollouts: Count = 400  # branched from replayed states after every round of collecting
    rollout: Count = 1  # steps of each, in the end: k
    grows_from: NonNegative = 0.0  # environment steps from which rollouts get longer than 1
    grows_until: NonNegative = 0.0  # environment steps from which they are k steps long
    kept: Count = 400_000  # imagined steps kept
    real: Unit = 0.05  # share of real steps in a batch of the learner

    def __post_init__(self) -> None:
        Algorithm.__post_init__(self)
        name, food = type(self.learner).__name__, self.experience
        if type(food) is not Replay or food.n != 1 or food.frames:
            raise ValueError(
                f"MBPO.learner = {name}(experience={food!r}): models foresee single steps; give it Replay with n=1 and "
                "frames=0."
            )
        if self.kept < self.rollouts * self.rollout:
            raise ValueError(
                f"MBPO.kept = {self.kept}: one time of imagining is {self.rollouts} x {self.rollout} steps; keep at "
                "least those."
            )

    @property
    def experience(self) -> Replay:
        return self.learner.experience  # type: ignore[attr-defined]

    def init(self, key: Array, spec: Spec) -> State:
        learner_key, model_key = jax.random.split(key)
        learner, models = self.learner.init(learner_key, spec), self.models.init(model_key, spec)

        def example() -> Transition:
            obs, one = zeros(spec.obs), jnp.float32(1)
            decision = self.afresh(learner, obs, key)
            return Transition(obs, decision.action, one, one, jnp.bool_(False), obs, decision.extras, one)

        imagined = loose_steps.empty(jax.eval_shape(example), self.kept)
        return State(learner, models, imagined, jnp.int32(0))

    def act(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        learner_key, held_key = jax.random.split(key)
        decision = self.learner.act(state.learner, obs, learner_key, memory)
        held_out = uniform(held_key) < self.held_out
        return decision._replace(extras={**decision.extras, "held_out": held_out})

    def greedy(self, state: State, obs: Any, key: Array, memory: Any = None) -> Decision:
        return self.learner.greedy(state.learner, obs, key, memory)

    def begin(self, state: State, obs: Any, key: Array) -> Any:
        return self.learner.begin(state.learner, obs, key)

    def foresee(self, state: State, obs: Any, memory: Any, actions: Any, key: Array) -> Outcome:
        """What would come of `actions` [time, ...] (see `models.Foresees`)."""
        return unrolled(EnsembleWorld(self.models.best(state.models)), obs, actions, key)

    def observe(self, state: State, fresh: Transition) -> State:
        trained_on = fresh._replace(weight=fresh.weight * (1.0 - fresh.extras["held_out"]))
        models = self.models.observe(state.models, trained_on)
        return state._replace(learner=self.learner.observe(state.learner, fresh), models=models)

    def update(self, state: State, batch: Transition, key: Array) -> tuple[State, dict[str, Array]]:
        model_key, world_key, mixed_key, learner_key = jax.random.split(key, 4)
        real = jax.tree.map(lambda x: x[0], batch)

        def train(kept: Any) -> Any:
            return self.models.learn(kept[0], real, real.extras["held_out"], model_key)

        nothing = {name: jnp.zeros(()) for name in ("model_loss", "held_out_loss", "disagreement")}
        models, found = when(state.updates % self.model_every == 0, train, (state.models, nothing))
        found = {name: x * self.model_every for name, x in found.items()}  # counts for the updates without one, too

        ready = models.learned >= self.model_start
        due = ready & (state.updates % self.experience.updates == 0)
        branch = lambda imagined: self.branch(state.learner, models, imagined, real, world_key)
        imagined = when(due, branch, state.imagined)
        mixed = self.mixed(imagined, real, mixed_key)
        learner, metrics = self.learner.update(state.learner, jax.tree.map(lambda x: x[None], mixed), learner_key)
        steps = {"imagined_steps": imagined.held.astype(jnp.float32)}
        return State(learner, models, imagined, state.updates + 1), metrics | found | steps

    def branch(self, learner: Any, models: Any, imagined: LooseSteps, real: Transition, key: Array) -> LooseSteps:
        """What is kept, with rollouts from the states of the real steps [batch] in it."""
        start_key, rollout_key = jax.random.split(key)
        share = real.weight / jnp.maximum(real.weight.sum(), 1e-6)
        starts = jax.vmap(invert, (None, 0))(share, jax.random.uniform(start_key, (self.rollouts,)))
        obs = jax.tree.map(lambda x: x[starts], real.obs)
        choose = lambda obs, key: self.afresh(learner, obs, key)
        world = EnsembleWorld(self.models.best(models))
        steps = imagine(world, choose, obs, obs, rollout_key, self.rollout)
        short = jnp.arange(self.rollout) < self.length(real.extras["steps"].max())
        return loose_steps.write(imagined, flatten_time(steps._replace(weight=steps.weight * short[:, None])))

    def afresh(self, learner: Any, obs: Any, key: Array) -> Decision:
        """What the learner does in an imagined step, of which it remembers nothing, such as noise that drifts."""
        act_key, begin_key = jax.random.split(key)
        memory = self.learner.begin(learner, obs, begin_key)
        return self.learner.act(learner, obs, act_key, memory)._replace(memory=None)

    def length(self, steps: Array) -> Array:
        """k after so many environment steps."""
        span = jnp.maximum(self.grows_until - self.grows_from, 1e-6)
        return jnp.floor(1 + (self.rollout - 1) * jnp.clip((steps - self.grows_from) / span, 0, 1))

    def mixed(self, imagined: LooseSteps, real: Transition, key: Array) -> Transition:
        """A batch for the learner: real steps, and imagined ones as soon as there are some."""
        size = self.experience.batch
        dreamt = loose_steps.draw(imagined, key, size)
        awake = jax.tree.map(lambda x: x[:size], real)
        awake = awake._replace(extras={name: awake.extras[name] for name in dreamt.extras})
        stays = (jnp.arange(size) < self.real * size) | (imagined.held == 0)
        choose = lambda one, other: jnp.where(stays.reshape(-1, *[1] * (one.ndim - 1)), one, other)
        both = jax.tree.map(choose, awake, dreamt)
        return both._replace(extras={**both.extras, "steps": real.extras["steps"][:size]})
