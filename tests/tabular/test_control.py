"""Control with tables: what chose each action, identities between methods, and convergence to exact values."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.double_q_learning import DoubleQLearning
from bellmax.algorithms.tabular.expected_sarsa import ExpectedSARSA
from bellmax.algorithms.tabular.mc_control import MCControl
from bellmax.algorithms.tabular.n_step_sarsa import NStepSARSA
from bellmax.algorithms.tabular.off_policy_mc_control import OffPolicyMCControl
from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.algorithms.tabular.sarsa import SARSA
from bellmax.algorithms.tabular.sarsa_lambda import SARSALambda
from bellmax.algorithms.tabular.watkins_q_lambda import WatkinsQLambda
from bellmax.core import Spec, Transition
from bellmax.drivers import ingraph
from bellmax.envs.maximisation_bias import MaximisationBias
from bellmax.experience import Episodes
from bellmax.maths.exploration import EpsilonGreedy
from bellmax.maths.schedules import Linear
from bellmax.spaces import Discrete
from tests.tabular.walks import MASKED, PLAIN, RandomWorld, walk

GAMMA, EPSILON = 0.9, 0.4
KEY = jax.random.key(3)


def trained(algorithm, env, steps, num_envs=1, seeds=1):
    """The states after training, one a seed."""
    run = lambda key: ingraph.train(algorithm, env, key, steps=steps, num_envs=num_envs)[0].state
    return jax.jit(jax.vmap(run))(jax.random.split(KEY, seeds))


# --- the tables that choose -------------------------------------------------------------------------------------------


def tables_and_steps(algorithm, env, steps):
    """Of a run in the driver: the table that chose each action, and each step as (S, A, R, S', terminated)."""
    run = ingraph.start(algorithm, env, KEY)
    batch, tick = jax.jit(ingraph.last_batch), jax.jit(lambda a, e, r: ingraph.tick(a, e, r)[0])
    choosing, rows = [], []
    for _ in range(steps):
        now = batch(algorithm, env, run)[0]
        choosing.append(np.asarray(run.state.q))
        rows.append([x.item() for x in (now.obs, now.action, now.reward, now.next_obs, now.discount == 0)])
        run = tick(algorithm, env, run)
    return choosing, rows


def the_box(rows, alpha, fade=0.0):
    """Sections 6.4 and 12.7 (accumulating traces) word for word, but that steps are read: the tables that choose."""
    q, z, stream, choosing = np.zeros((4, 3)), np.zeros((4, 3)), iter(rows), []
    row = next(stream)
    while True:  # for each episode: choose A from S
        choosing.append(q.copy())
        z[:] = 0
        terminal = False
        while not terminal:
            s, a, r, _, terminal = row
            row = next(stream, None)
            if row is None:
                return choosing
            delta = r - q[s, a]
            z[s, a] += 1
            if not terminal:
                choosing.append(q.copy())  # choose A' from S'
                delta += GAMMA * q[row[0], row[1]]
            q += alpha * delta * z
            z *= GAMMA * fade


@pytest.mark.parametrize(
    ("algorithm", "fade"), [(SARSA, 0.0), (functools.partial(SARSALambda, lambda_=0.7, traces="accumulating"), 0.7)]
)
def test_every_action_is_chosen_by_the_table_that_the_book_would_have(algorithm, fade):
    sarsa = algorithm(gamma=GAMMA, learning_rate=0.4, exploration=EpsilonGreedy(EPSILON))
    choosing, rows = tables_and_steps(sarsa, RandomWorld(), 80)
    assert sum(terminal for *_, terminal in rows) > 8
    np.testing.assert_allclose(choosing, the_box(rows, 0.4, fade), atol=1e-5)
    with pytest.raises(AssertionError):  # the table after the update is another
        np.testing.assert_allclose(choosing[:-1], the_box(rows, 0.4, fade)[1:], atol=1e-5)


# --- identities -------------------------------------------------------------------------------------------------------

SETTINGS = {"gamma": GAMMA, "learning_rate": 0.3, "decay": 0.2, "exploration": EpsilonGreedy(EPSILON)}
IDENTITIES = {
    "n-step SARSA, n 1": (NStepSARSA(**SETTINGS, n=1), SARSA(**SETTINGS)),
    "SARSA(0)": (SARSALambda(**SETTINGS, lambda_=0.0), SARSA(**SETTINGS)),
    "Watkins Q(0)": (WatkinsQLambda(**SETTINGS, lambda_=0.0), QLearning(**SETTINGS)),
    "Expected SARSA of the greedy policy": (
        ExpectedSARSA(**SETTINGS | {"exploration": EpsilonGreedy(0.0)}),
        QLearning(**SETTINGS | {"exploration": EpsilonGreedy(0.0)}),
    ),
}


def fed(algorithm, spec, batch, time=1):
    """Q after updates with `time` rows of [time, env] each."""
    rows = jax.tree.map(lambda x: jnp.asarray(x).reshape(-1, time, *x.shape[1:]), batch)

    def run():
        update = lambda state, now: (algorithm.update(state, *now)[0], None)
        keys = jax.random.split(KEY, len(rows.reward))
        return jax.lax.scan(update, algorithm.init(KEY, spec), (rows, keys))[0].q

    return np.asarray(jax.jit(run)())


@functools.cache
def after_a_walk(algorithm, spec):
    return fed(algorithm, spec, walk(spec, 1, 60)[0])


@pytest.mark.parametrize("name", IDENTITIES)
@pytest.mark.parametrize("spec", [PLAIN, MASKED], ids=["numbered", "masked"])
def test_two_names_for_one_method(name, spec):
    one, other = (after_a_walk(algorithm, spec) for algorithm in IDENTITIES[name])
    np.testing.assert_allclose(one, other, atol=1e-5)
    assert np.abs(one).max() > 0.05


def test_another_lambda_or_n_is_another_method():
    for other in (NStepSARSA(**SETTINGS, n=2), SARSALambda(**SETTINGS, lambda_=0.1)):
        assert np.abs(after_a_walk(other, PLAIN) - after_a_walk(SARSA(**SETTINGS), PLAIN)).max() > 0.01


# --- convergence ------------------------------------------------------------------------------------------------------

FALLING = {"gamma": GAMMA, "learning_rate": 1.0, "decay": 0.8}
EXPLORING = FALLING | {"exploration": EpsilonGreedy(EPSILON)}
WHOLE = {"gamma": GAMMA, "experience": Episodes(30), "exploration": EpsilonGreedy(EPSILON)}
ON_POLICY = {
    "sarsa": SARSA(**EXPLORING),
    "expected-sarsa": ExpectedSARSA(**EXPLORING),
    "n-step-sarsa": NStepSARSA(**EXPLORING, n=3),
    "sarsa-lambda": SARSALambda(**EXPLORING, lambda_=0.6),
    "mc-control": MCControl(**WHOLE, decay=0.9),
}
OFF_POLICY = {
    "q-learning": QLearning(**EXPLORING),
    "double-q-learning": DoubleQLearning(**EXPLORING),
    "watkins-q-lambda": WatkinsQLambda(**EXPLORING, lambda_=0.6),
}
WORLDS = [RandomWorld(seed=seed) for seed in (0, 6)]
TOLERANCE = 0.1


@functools.cache
def learned(name):
    """Q in every world."""
    algorithm = (ON_POLICY | OFF_POLICY)[name]
    steps = 1_000_000 if isinstance(algorithm.experience, Episodes) else 80_000
    run = lambda seed, key: ingraph.train(algorithm, RandomWorld(seed=seed), key, steps=steps, num_envs=4)[0].state.q
    seeds = jnp.array([world.seed for world in WORLDS])
    q = np.asarray(jax.jit(jax.vmap(run))(seeds, jax.random.split(KEY, len(WORLDS))), np.float64)
    return q.mean(1) if q.ndim == 4 else q


def distances(name, epsilon):
    return [np.abs(q - world.exact(GAMMA, epsilon)).max() for q, world in zip(learned(name), WORLDS)]


@pytest.mark.parametrize("name", ON_POLICY)
def test_on_policy_methods_find_the_best_soft_policy(name):
    assert max(distances(name, EPSILON)) < TOLERANCE
    assert min(distances(name, 0.0)) > 2 * TOLERANCE, "and not the values of the greedy one"


@pytest.mark.parametrize("name", OFF_POLICY)
def test_off_policy_methods_find_the_best_policy(name):
    assert max(distances(name, 0.0)) < TOLERANCE
    assert min(distances(name, EPSILON)) > 2 * TOLERANCE, "and not the values of the one that explores"


def test_sarsa_that_explores_less_and_less_finds_the_best_policy():
    """What is not chosen any more keeps its old value; the values of the best actions converge."""
    sarsa = SARSA(**FALLING | {"decay": 0.6}, exploration=EpsilonGreedy(Linear(1.0, 0.02, 40_000.0)))
    found, world = np.asarray(trained(sarsa, WORLDS[0], 100_000, num_envs=4).q[0]), WORLDS[0]
    best = world.exact(GAMMA, 0.0)
    assert (found.argmax(1) == best.argmax(1)).all()
    assert np.abs(found.max(1) - best.max(1)).max() < 0.2
    assert np.abs(world.exact(GAMMA, EPSILON).max(1) - best.max(1)).max() > 0.4


def test_off_policy_monte_carlo_finds_the_best_policy_where_episodes_are_short():
    """Its weights are products over an episode, so its variance grows with the length."""
    world = RandomWorld(seed=0, ending=6)
    algorithm = OffPolicyMCControl(**WHOLE | {"experience": Episodes(8)})
    q = np.asarray(trained(algorithm, world, 200_000, num_envs=20).q[0], np.float64)
    assert np.abs(q - world.exact(GAMMA, 0.0)).max() < 0.05
    assert np.abs(q - world.exact(GAMMA, EPSILON)).max() > 0.1


CHAIN = {"gamma": 0.8, "learning_rate": 0.3}
CHAINED = [kind(**CHAIN) for kind in (QLearning, SARSA, ExpectedSARSA, DoubleQLearning, SARSALambda, WatkinsQLambda)]
CHAINED += [
    NStepSARSA(**CHAIN, n=3),
    NStepSARSA(**CHAIN, n=9),
    MCControl(**CHAIN, decay=0.0),
    OffPolicyMCControl(gamma=0.8),
]


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "ended"])
@pytest.mark.parametrize("algorithm", CHAINED, ids=lambda algorithm: type(algorithm).__name__)
def test_a_time_limit_is_no_end(algorithm, cut):
    """Reward 1 for ever is worth 1 / (1 - 0.8) = 5; episodes of 4 steps that really end at most 2.95."""
    ones, last = np.ones((1200, 1), np.float32), (np.arange(1200) % 4 == 3)[:, None]
    discount, where = np.where(last & (not cut), 0, ones).astype(np.float32), np.zeros((1200, 1), np.int32)
    batch = Transition(where, where, ones, discount, last, where, {"probability": ones}, ones)
    time = 4 if isinstance(algorithm.experience, Episodes) else 1
    q = fed(algorithm, Spec(Discrete(1), Discrete(1)), batch, time)
    assert q.min() > 4.4 if cut else q.max() < 3.7


# --- single methods ---------------------------------------------------------------------------------------------------


def test_two_tables_do_not_take_noise_for_gain():
    """Every action of B is worth -0.1. The best of ten estimates looks good, but not if the other table values it."""
    always_left = {"gamma": 1.0, "learning_rate": 0.1, "exploration": EpsilonGreedy(1.0)}
    env, seeds = MaximisationBias(), 150
    single = trained(QLearning(**always_left), env, 600, seeds=seeds).q[:, 1].max(-1)
    double = trained(DoubleQLearning(**always_left), env, 600, seeds=seeds).q[:, :, 1]
    chosen = double[:, 0].argmax(-1)
    valued = jnp.take_along_axis(double[:, 1], chosen[:, None], 1)
    assert float(single.mean()) > 0.15
    assert abs(float(valued.mean()) + 0.1) < 0.07
    assert float(double[:, 0].max(-1).mean()) > 0.1, "either table alone is biased too"


def test_exploring_starts_draw_the_first_action_evenly_and_no_other():
    algorithm = MCControl(experience=Episodes(6), exploration=EpsilonGreedy(0.0), exploring_starts=True)
    env = RandomWorld()

    def batch(key):
        run = ingraph.start(algorithm, env, key, 64)
        q = jnp.tile(jnp.array([0.0, 1.0, 0.0]), (4, 1))
        return ingraph.last_batch(algorithm, env, run._replace(state=run.state._replace(q=q)))[0]

    found = jax.jit(jax.vmap(batch))(jax.random.split(KEY, 10))
    first = np.bincount(np.asarray(found.action[:, 0]).ravel(), minlength=3)
    assert np.abs(first - 640 / 3).max() < 50  # four standard deviations
    assert (np.asarray(found.action[:, 1:]) == 1).all()


def test_off_policy_monte_carlo_learns_only_behind_the_last_exploring_action():
    """Nearly all of a greedy episode teaches, and of a random one little."""
    shares = []
    for epsilon in (0.0, 1.0):
        algorithm = OffPolicyMCControl(**WHOLE | {"exploration": EpsilonGreedy(epsilon)})
        run = jax.jit(lambda a: ingraph.train(a, RandomWorld(), KEY, steps=3000, num_envs=2)[1]["learned"])
        shares.append(float(run(algorithm)[-20:].mean()))
    assert shares[0] > 0.85  # not 1: what the end of an episode teaches may change what is greedy at its start
    assert shares[1] < 0.6


def test_illegal_actions_are_never_taken_nor_learned():
    env = MaximisationBias(actions=5)
    whole = OffPolicyMCControl(exploration=EpsilonGreedy(1.0), experience=Episodes(2))
    for algorithm in [SARSA(**SETTINGS), whole]:
        count = np.asarray(trained(algorithm, env, 400).count[0])
        assert (count[0, :2] > 10).all()
        assert (count[0, 2:] == 0).all()
        assert (count[1] > 3).all()
