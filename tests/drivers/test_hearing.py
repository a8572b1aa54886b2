"""Who acts hears what came of its actions: after every step, before the next, wherever it plays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.drivers.listener import Heard, Listener

import bellmax as bm
from bellmax import Steps
from bellmax.core import Env, Outcome, Spec
from bellmax.data.behaviour import Behaviour
from bellmax.drivers import evaluate, hosted, ingraph
from bellmax.envs.adaptors.as_gymnasium import AsGymnasium
from bellmax.envs.names import find
from bellmax.export.failed import ExportFailed
from bellmax.export.flat import flatten
from bellmax.run import Policy
from bellmax.watch.playing import play
from bellmax.watch.stages import InGraph

SPEC = Spec(bm.Box((1,)), bm.Discrete(4))


class Paying(Env):
    """Pays 1, 2, 3, 4 for the steps of an episode, and for actions if asked to, and ends; shows the step."""

    per_action: float = 0.0

    @property
    def spec(self):
        return SPEC

    def reset(self, key):
        return jnp.int32(0), jnp.zeros(1)

    def step(self, env_state, action, key):
        step = env_state + 1
        return step, Outcome(jnp.float32(step)[None], step + self.per_action * action, jnp.float32(step < 4), step == 4)


# total <- total / 2 + loudness * (reward + obs / 4 + discount / 2 + last): with loudness 1
#   0, then 1 + 1/4 + 1/2 = 1.75, then 0.875 + 2 + 1/2 + 1/2 = 3.875, then 1.9375 + 3 + 3/4 + 1/2 = 6.1875
BY_HAND = [0.0, 1.75, 3.875, 6.1875]


def hosted_envs(num_envs, env=None):
    return find(lambda: AsGymnasium(env or Paying()), vectorization="sync").vector(num_envs, seed=0)


@jax.jit
def one_round(algorithm, run):
    return ingraph.tick(algorithm, Paying(), run)[0], ingraph.collect(algorithm, Paying(), run)[1]


def test_what_is_heard_by_hand_and_with_what_was_known_when_the_step_was_taken():
    """Rounds of three. The fourth action of an episode is chosen after learning, but hears the third as the old state.

    The second round's state is 2, in which an episode begins: 2 * 1.75 = 3.5; were the third step heard by it, the
    fourth action had heard 1.9375 + 2 * 4.25 instead of 6.1875.
    """
    algorithm, heard, drawn = Listener(Steps(3)), [], []
    run = jax.jit(ingraph.start, static_argnums=3)(algorithm, Paying(), jax.random.key(0), 2)
    drive = hosted.Drive(algorithm, hosted_envs(2), jax.random.key(0))
    for _ in range(2):
        run, batch = one_round(algorithm, run)
        heard += batch.extras["heard"][:, 0].tolist()
        drive.advance(1, 10**9)
        drawn += drive.window.extras["heard"][:, 1].tolist()
    assert heard == [*BY_HAND, 0.0, 3.5]
    assert drawn == heard


def test_evaluation_hears_in_the_graph_and_on_the_host():
    """Where actions are paid for, too: 0, 1.75 -> 1, 4.875 -> 0 and 6.6875 -> 2 are 3 more than 1 + 2 + 3 + 4."""
    env, state = Paying(per_action=1.0), jnp.float32(1)
    for algorithm, score in ((Listener(), 13), (Listener(deaf=True), 10)):
        one = evaluate.ingraph(algorithm, env, state, jax.random.key(0), episodes=2)
        other = evaluate.hosted(algorithm, hosted_envs(2, env), state, jax.random.key(0), episodes=2)
        assert one.scores.tolist() == other.scores.tolist() == [score] * 2


def told(algorithm, state):
    """What is heard at each step, where no driver is: `policy` of a run."""
    policy, found = Policy(algorithm, state, SPEC), []
    for step in range(4):
        found.append(int(policy(np.float32([step]))))
        policy.hear(np.float32([step + 1]), step + 1.0, float(step < 3), step == 3)
    return found


def test_a_policy_is_told_and_one_that_is_watched_hears(monkeypatch):
    actions = [(int(abs(heard) * 16) + step) % 4 for step, heard in enumerate(BY_HAND)]
    for around in (bm.ScaledRewards, bm.Curious):
        algorithm = around(Listener())
        assert told(algorithm, algorithm.init(jax.random.key(0), SPEC)) == actions
    assert told(Behaviour(Listener(), SPEC.action), jnp.float32(1)) == actions
    assert told(Listener(deaf=True), jnp.float32(1)) != actions, "the control"
    stage, seen = InGraph(Paying(), 0), []
    step = stage.step
    monkeypatch.setattr(stage, "step", lambda action: seen.append(int(action)) or step(action))
    moments = list(play(Listener(), jnp.float32(1), stage))
    assert seen == actions
    assert [moment.score for moment in moments] == [0, 1, 3, 6, 10]


def test_what_is_heard_through_normalised_is_standardised():
    """Observations of mean 3 and deviation 2: 7 is heard of as 2."""
    algorithm, memory = bm.Normalised(Listener()), Heard(jnp.float32(0), jnp.int32(0))
    state = algorithm.init(jax.random.key(0), SPEC)
    moments = [seen._replace(mean=jnp.full(1, 3.0), variance=jnp.full(1, 4.0)) for seen in state.moments]
    outcome = Outcome(jnp.full(1, 7.0), jnp.float32(1), jnp.float32(1), jnp.bool_(False))
    heard = algorithm.hear(state._replace(moments=moments), memory, outcome)
    assert float(heard.total) == pytest.approx(1 + 0.25 * 2 + 0.5)


def test_what_acts_on_rewards_is_not_exported_and_what_only_remembers_is():
    with pytest.raises(ExportFailed, match="acts on the rewards"):
        flatten(Listener(), jnp.float32(1), SPEC)
    assert flatten(Listener(deaf=True), jnp.float32(1), SPEC).begin


def test_to_hear_nothing_is_the_same_program():
    """The verb costs nothing: what learns without it has the graph that it had."""
    algorithm = bm.RecurrentPPO(hidden=(4,), experience=bm.Steps(2), memory_size=4)
    outcome = Outcome(jnp.zeros(1), *[jnp.float32(0)] * 2, jnp.bool_(False))
    graph = jax.make_jaxpr(lambda memory: algorithm.hear(None, memory, outcome))(jnp.zeros(4)).jaxpr
    assert not graph.eqns
    assert graph.outvars == graph.invars
