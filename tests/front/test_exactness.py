"""How far learned policies are from the best: against numbers worked out by hand, and published ones."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.algorithms.policy.ppo import PPO
from bellmax.algorithms.policy.recurrent_ppo import RecurrentPPO
from bellmax.algorithms.tabular.double_q_learning import DoubleQLearning
from bellmax.algorithms.tabular.q_learning import QLearning
from bellmax.algorithms.wrappers.normalised import Normalised
from bellmax.core import Spec
from bellmax.envs import CartPole, CliffWalking, FrozenLake, GridWorld
from bellmax.envs.names import find
from bellmax.exactness import discount_of, exactness, model_of, policy_table, reachable, result_of, time_limit
from bellmax.maths.exploration import EpsilonGreedy
from bellmax.mdp import World, from_gymnasium
from bellmax.mdp.solving import solve
from bellmax.spaces import Box, Discrete

LINE = GridWorld(layout=("S.G",))  # left, down, right, up; only right leads anywhere


def run_of(env, algorithm, state, spec=None):
    """A run, as far as exactness looks."""
    plan = SimpleNamespace(env=env)
    return SimpleNamespace(plan=plan, algorithm=algorithm, spec=spec or env.spec, state_of=lambda seed: state)


def with_table(env, q, gamma=0.9, spec=None):
    algorithm = QLearning(gamma=gamma)
    spec = spec or env.spec
    return run_of(env, algorithm, algorithm.init(jax.random.key(0), spec)._replace(q=jnp.asarray(q)), spec)


def test_a_policy_that_never_comes_home():
    # V* = .9, 1. From S the table says left: it stays for ever, V = 0. From the middle it says right: V = 1.
    found = exactness(with_table(LINE, [[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 0]]))
    assert (found.start_value, found.optimal_start_value) == pytest.approx((0, 0.9))
    assert (found.max_gap, found.mean_gap) == pytest.approx((0.9, 0.45))  # the best policy comes to the middle
    # Q*(S, right) = .9 and the table has 0; of the middle Q*(., down) = .9 and the table has 0
    assert found.q_distance == pytest.approx(0.9)
    assert (found.success, found.score) == (0, 0)
    assert found.values == pytest.approx([0, 1, 0])
    assert found.policy[:2].tolist() == [[1, 0, 0, 0], [0, 0, 1, 0]]


def test_ties_are_broken_evenly():
    # All zero: every action with 1/4. In the middle: 1/4 home, 1/4 to S, 1/2 stays; at S: 1/4 on, 3/4 stays.
    #   V1 = 1/4 + .225 V0 + .45 V1,   V0 = .225 V1 + .675 V0
    middle = 0.25 / (1 - 0.45 - 0.225 * 0.225 / 0.325)
    found = exactness(with_table(LINE, np.zeros((3, 4))))
    assert found.policy[:2] == pytest.approx(np.full((2, 4), 0.25), abs=0)
    assert found.start_value == pytest.approx(0.225 / 0.325 * middle, abs=1e-9)
    assert found.max_gap == pytest.approx(max(0.9 - found.start_value, 1 - middle))


def test_states_that_nobody_comes_to_are_told_apart():
    # Two floors that nothing connects to S: the table is wrong there, and that is seen "anywhere" alone.
    env = GridWorld(layout=("SG", "##", ".G"))
    q = np.zeros((6, 4))
    q[0, 2], q[4, 0] = 1, 1
    found = exactness(with_table(env, q))
    assert (found.max_gap, found.mean_gap) == (0, 0)
    assert (found.max_gap_anywhere, found.mean_gap_anywhere) == pytest.approx((1, 0.5))


@pytest.mark.parametrize(
    ("name", "start", "success"), [("FrozenLake-v1", 0.542026, 0.7402), ("FrozenLake8x8-v1", 0.414640, 0.8630)]
)
def test_the_optimal_table_of_a_lake_is_optimal(name, start, success):
    source = find(name)
    mdp = model_of(source, 0.99)
    best = solve(mdp)
    run = with_table(source, best.q, 0.99, Spec(Discrete(mdp.states), Discrete(4)))
    found = exactness(run)
    assert (found.start_value, found.optimal_start_value) == pytest.approx((start, start), abs=1e-6)
    assert found.success == found.score == pytest.approx(success, abs=5e-5)
    assert found.q_distance < 1e-6
    assert abs(found.max_gap_anywhere) < 1e-6
    ours = FrozenLake(map_name="8x8" if "8x8" in name else "4x4")
    assert exactness(with_table(ours, best.q, 0.99)).success == pytest.approx(found.success, abs=1e-9)


def test_training_comes_near_and_the_distance_says_so():
    learner = QLearning(gamma=0.9, learning_rate=1.0, exploration=EpsilonGreedy(1.0))
    world = GridWorld(size=3)
    options = {"num_envs": 1, "run_folder": None, "display": "quiet", "seeds": 2}
    much = bm.train(learner, world, steps=3000, **options).exact(seed=1)
    little = exactness(run_of(world, learner, learner.init(jax.random.key(0), world.spec)))
    assert much.q_distance < 1e-5 < little.q_distance
    assert (much.max_gap, much.success) == pytest.approx((0, 1), abs=1e-9)
    assert little.max_gap > 0.1
    assert much.optimal_start_value == pytest.approx(0.9**3)  # 4 steps, the last of them pays


def test_a_network_has_gaps_and_no_table():
    algorithm = PPO(hidden=(8,), epochs=1)
    run = bm.train(algorithm, "bellmax:FrozenLake", steps=1024, run_folder=None, display="quiet")
    found = run.exact()
    assert found.gamma == algorithm.gamma
    assert found.q_distance is None
    assert 0 < found.max_gap <= 1
    assert 0 <= found.start_value < found.optimal_start_value == pytest.approx(0.542026, abs=1e-6)
    assert set(np.unique(found.policy)) == {0.0, 1.0}
    played = run.evaluate(500)
    assert played.mean == pytest.approx(found.success, abs=5 * np.sqrt(0.25 / 500))
    assert run.exact(gamma=0.9).optimal_start_value == pytest.approx(0.068891, abs=1e-6)


def test_of_two_tables_the_mean_counts():
    # Q*(S, .) = .81 .81 .9 .81 and Q*(middle, .) = .81 .9 1 .9; one table is .1 too high, the other too low
    best = np.array([[0.81, 0.81, 0.9, 0.81], [0.81, 0.9, 1.0, 0.9], [0, 0, 0, 0]])
    algorithm = DoubleQLearning(gamma=0.9)
    state = algorithm.init(jax.random.key(0), LINE.spec)._replace(q=jnp.asarray([best + 0.1, best - 0.1]))
    assert exactness(run_of(LINE, algorithm, state)).q_distance == pytest.approx(0, abs=1e-6)


def test_only_legal_actions_count():
    mdp = from_gymnasium("Taxi-v4", 0.9, masked=True)
    assert mdp.legal is not None
    best = solve(mdp)
    q = np.where(mdp.legal, np.nan_to_num(best.q, neginf=0), 1e6)  # a table that thinks highly of what is illegal
    found = exactness(with_table(World(mdp, max_steps=200), q))
    assert found.q_distance < 1e-4
    assert abs(found.max_gap) < 1e-6
    assert found.success == pytest.approx(1, abs=1e-9)
    assert (found.policy[~mdp.legal] == 0).all()


def test_the_table_inside_wrappers_is_another_one():
    inner = QLearning(gamma=0.9)
    algorithm = Normalised(inner)
    state = algorithm.init(jax.random.key(0), LINE.spec)
    found = exactness(run_of(LINE, algorithm, state))
    assert found.gamma == pytest.approx(0.9)
    assert found.q_distance is None
    assert discount_of(algorithm) == pytest.approx(0.9)


def test_what_cannot_be_known_is_said():
    algorithm = PPO(hidden=(8,))
    run = run_of(CartPole(), algorithm, None)
    with pytest.raises(ValueError, match=r"CartPole does not know its own transitions: FrozenLake, .* do;"):
        exactness(run)
    with pytest.raises(ValueError, match="has no table P of its transitions"):
        model_of(find("CartPole-v1"), 0.9)
    remembers = RecurrentPPO(hidden=(8,), memory_size=4)
    state = remembers.init(jax.random.key(0), LINE.spec)
    with pytest.raises(ValueError, match=r"^RecurrentPPO remembers: "):
        exactness(run_of(LINE, remembers, state))
    with pytest.raises(ValueError, match="observations are Box"):
        policy_table(algorithm, None, Spec(Box((3,)), Discrete(4)), model_of(LINE, 0.9))
    with pytest.raises(ValueError, match=r"has no discount: say which is meant, as in run.exact\(gamma=0.99\)"):
        discount_of(SimpleNamespace())


def test_time_limits():
    assert [time_limit(find(name)) for name in ("FrozenLake-v1", "FrozenLake8x8-v1", "Taxi-v4")] == [100, 200, 200]
    assert time_limit(find("FrozenLake-v1", max_episode_steps=7)) == 7
    assert [time_limit(env) for env in (FrozenLake(), FrozenLake(map_name="8x8"), FrozenLake(max_steps=9))] == [
        100,
        200,
        9,
    ]
    assert (time_limit(CliffWalking()), time_limit(LINE)) == (None, 100)


def test_results_with_and_without_a_time_limit():
    mdp = model_of(GridWorld(layout=("S.G",), slip=0.0, step_reward=-1.0), 1.0)
    right, left = np.eye(4)[[2, 2, 2]], np.eye(4)[[0, 0, 0]]
    assert result_of(mdp, right, 100)[:4] == pytest.approx((1, 0, 2, 1))
    assert result_of(mdp, right, 1)[:4] == pytest.approx((0, -1, 1, 0))
    assert result_of(mdp, left, 5)[:4] == pytest.approx((0, -5, 5, 0))
    free = result_of(mdp, right, None)
    assert free == pytest.approx((1, 0, 2, 1, None))
    never = result_of(mdp, left, None)
    assert (never.success, never.length, never.ended) == (0, np.inf, 0)
    assert np.isnan(never.score)


def test_no_success_where_no_end_pays():
    mdp = model_of(CliffWalking(), 1.0)
    best = solve(mdp)
    result = result_of(mdp, np.eye(4)[np.asarray(best.policy)], None)
    assert (result.success, result.score, result.length) == (None, pytest.approx(-13), pytest.approx(13))


def test_what_can_be_reached():
    mdp = model_of(LINE, 0.9)
    assert reachable(mdp, np.eye(4)[[0, 2, 0]]).tolist() == [True, False, False]
    assert reachable(mdp, np.eye(4)[[2, 2, 0]]).tolist() == [True, True, True]
