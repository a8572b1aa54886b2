"""SARSA(lambda) with tile coding against the box of section 12.7 in loops, and on a world where it must be exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax.algorithms.tabular.tile_sarsa import TileSARSA
from bellmax.core import Env, Outcome, Spec, Transition
from bellmax.drivers import ingraph
from bellmax.envs import CartPole
from bellmax.envs.mountain_car import MountainCar
from bellmax.experience import Steps
from bellmax.maths.chance import uniform
from bellmax.maths.exploration import CountBonus, EpsilonGreedy
from bellmax.maths.schedules import Linear
from bellmax.spaces import Box, Discrete, Masked, MultiBinary

LOW, HIGH, TILINGS, TILES, ENVS, GAMMA = np.array([-1.0, 0.0]), np.array([1.0, 4.0]), 4, 3, 2, 0.9
PLAIN = Spec(Box((2,), (-1.0, 0.0), (1.0, 4.0)), Discrete(3), ENVS)
MASKED = PLAIN._replace(obs=Masked(PLAIN.obs, MultiBinary(3)))


class Slow:
    """The box, with dictionaries for w and z, in float64; one object for all environments, which share w."""

    def __init__(self, lambda_, alpha, epsilon):
        self.lambda_, self.alpha, self.epsilon = lambda_, alpha, epsilon
        self.w, self.z, self.waiting = {}, [{} for _ in range(ENVS)], [None] * ENVS

    def features(self, obs, action):
        found = []
        for k in range(TILINGS):
            moved = np.array([k * 1 % TILINGS, k * 3 % TILINGS]) / TILINGS
            across = (np.clip(obs, LOW, HIGH) - LOW) / (HIGH - LOW) * TILES
            found.append((action, k, *np.floor(across + moved).astype(int)))
        return found

    def value(self, obs, action):
        return sum(self.w.get(i, 0.25) for i in self.features(obs, action))  # initial 1 over 4 tilings

    def learn(self, changes):
        """[(env, obs, action, R, gamma times discount, Q(S',A'), whether the episode is over)], all from the same w."""
        added = {}
        for env, obs, action, reward, discount, next_value, over in changes:
            delta = reward + discount * next_value - self.value(obs, action)
            for i in self.features(obs, action):
                self.z[env][i] = 1.0
            for i, z in self.z[env].items():
                added[i] = added.get(i, 0) + self.alpha / TILINGS * delta * z
            self.z[env] = {} if over else {i: discount * self.lambda_ * z for i, z in self.z[env].items()}
        for i, change in added.items():
            self.w[i] = self.w.get(i, 0.25) + change

    def draw(self, obs, legal, number):
        """An action of the epsilon-greedy policy: the one at which the running sum of probabilities passes `number`."""
        actions = [a for a in range(3) if legal[a]]
        best = max(self.value(obs, a) for a in actions)
        ties = [a for a in actions if np.isclose(self.value(obs, a), best, rtol=0, atol=1e-6)]
        total = 0.0
        for a in actions:
            total += self.epsilon / len(actions) + (1 - self.epsilon) * (a in ties) / len(ties)
            if total > number:
                return a
        raise AssertionError

    def step(self, rows, numbers):
        """One step of every environment: (obs, legal, action, R, discount, last, next obs, next legal, weight)."""
        real = [env for env in range(ENVS) if rows[env][-1] > 0]
        completed = []
        for env in real:
            obs, _, action, *_ = rows[env]
            if self.waiting[env] is not None:
                completed.append((env, *self.waiting[env], self.value(obs, action), False))
        self.learn(completed)
        ended = []
        for env in real:
            obs, _, action, reward, discount, last, next_obs, next_legal, _ = rows[env]
            self.waiting[env] = None if last else (obs, action, reward, GAMMA * discount)
            if last:
                next_value = self.value(next_obs, self.draw(next_obs, next_legal, numbers[env]))
                ended.append((env, obs, action, reward, GAMMA * discount, next_value, True))
        self.learn(ended)
        return len(completed), len(ended)


def episodes(spec, seed, time=6):
    """Steps [time, env] of walks through the box, some ending, some of weight 0."""
    draw = np.random.default_rng(seed)
    rows = (time, ENVS)
    obs, next_obs = draw.uniform(LOW - 0.1, HIGH + 0.1, size=(2, *rows, 2)).astype(np.float32)
    legal, next_legal = draw.random((2, *rows, 3)) < (0.6 if spec is MASKED else 2)
    legal[..., 1], next_legal[..., 2] = True, True
    action = np.array([[draw.choice(np.flatnonzero(mask)) for mask in row] for row in legal])
    over = draw.random(rows) < 0.15
    last = over | (draw.random(rows) < 0.25)
    reward, weight = draw.normal(size=rows).astype(np.float32), (draw.random(rows) > 0.2).astype(np.float32)
    discount = (1 - over).astype(np.float32)
    see = (lambda x, mask: Masked(x, mask)) if spec is MASKED else (lambda x, mask: x)
    batch = Transition(see(obs, legal), action, reward, discount, last, see(next_obs, next_legal), {}, weight)
    columns = (obs, legal, action, reward, discount, last, next_obs, next_legal, weight)
    return jax.tree.map(jnp.asarray, batch), columns


@pytest.mark.parametrize("lambda_", [0.0, 0.8])
@pytest.mark.parametrize("spec", [PLAIN, MASKED], ids=["plain", "masked"])
def test_three_updates_are_those_of_the_box(spec, lambda_):
    sarsa = TileSARSA(
        experience=Steps(6), tilings=TILINGS, tiles=TILES, gamma=GAMMA, lambda_=lambda_, learning_rate=0.4, initial=1.0,
        exploration=EpsilonGreedy(0.3),
    )  # fmt: skip
    state, slow, update = sarsa.init(jax.random.key(0), spec), Slow(lambda_, 0.4, 0.3), jax.jit(sarsa.update)
    counts = np.zeros(2)
    for seed in (1, 2, 3):
        batch, columns = episodes(spec, seed)
        state, metrics = update(state, batch, jax.random.key(seed))
        numbers = np.asarray(uniform(jax.random.key(seed), (6, ENVS)))
        for t in range(6):
            counts += slow.step([[column[t, env] for column in columns] for env in range(ENVS)], numbers[t])
        expected = np.full(state.weights.shape, 0.25)
        for (action, tiling, row, column), w in slow.w.items():
            expected[action, tiling, row * (TILES + 1) + column] = w
        np.testing.assert_allclose(state.weights, expected, atol=1e-5)
        assert float(metrics["td_error"]) > 0
    assert (counts >= 5).all(), "steps that waited, and steps that were the last"


def test_padding_between_steps_leaves_what_waits_waiting():
    sarsa = TileSARSA(experience=Steps(6), tilings=TILINGS, tiles=TILES)
    batch = episodes(PLAIN, 1)[0]
    batch = batch._replace(weight=jnp.ones_like(batch.weight), last=jnp.zeros_like(batch.last))
    nothing = jax.tree.map(lambda x: x[:1] + 1, batch)._replace(weight=jnp.zeros((1, ENVS)), last=batch.last[:1])
    cut = lambda x, y: jnp.concatenate([x[:3], y, x[3:]])
    padded, begun = jax.tree.map(cut, batch, nothing), sarsa.init(jax.random.key(0), PLAIN)
    one, other = (jax.jit(sarsa.update)(begun, b, jax.random.key(0))[0] for b in (batch, padded))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), one, other)
    assert bool(one.waiting.waits.all())


class Corridor(Env):
    """Ten places from 0 to 9, seen as numbers; right leads to the end and a reward of 1, left back. Exact by hand."""

    @property
    def spec(self):
        return Spec(Box((1,), 0.0, 10.0), Discrete(2))

    def reset(self, key):
        place = jnp.floor(10 * uniform(key))
        return place, place[None] + 0.5

    def step(self, env_state, action, key):
        place = jnp.maximum(env_state + 2.0 * action - 1, 0)
        over = place > 9
        return place, Outcome(place[None] + 0.5, over.astype(jnp.float32), 1.0 - over, over)


@pytest.mark.parametrize("lambda_", [0.0, 0.7])
def test_with_one_tile_a_place_the_values_are_exact(lambda_):
    # One tiling of 10 tiles is a table. From place p the way right pays gamma^(9 - p); left costs two steps more, but
    # from place 0 only one, where left is to stay. With little exploration SARSA's values are close to these.
    less_and_less = EpsilonGreedy(Linear(0.02, 0.002, 12_000.0))
    sarsa = TileSARSA(tilings=1, tiles=10, gamma=0.9, lambda_=lambda_, learning_rate=0.2, exploration=less_and_less)
    run, _ = jax.jit(lambda key: ingraph.train(sarsa, Corridor(), key, steps=12_000, num_envs=3))(jax.random.key(0))
    weights = np.asarray(run.state.weights)[:, 0, :10]
    right = 0.9 ** (9 - np.arange(10))
    np.testing.assert_allclose(weights[1], right, atol=0.03)
    untrained = TileSARSA(tilings=1, tiles=10).init(jax.random.key(0), Corridor().spec)
    assert np.abs(np.asarray(untrained.weights)[1, 0, :10] - right).max() > 0.9


def test_a_time_limit_is_no_termination():
    """One place, reward 1 a step, cut every other step, worth 1 / (1 - gamma) = 5; with terminations 1 or 1.8."""
    sarsa = TileSARSA(experience=Steps(200), tilings=2, tiles=2, gamma=0.8, lambda_=0.5, learning_rate=0.3)
    spec = Spec(Box((1,), 0.0, 1.0), Discrete(1))
    rows = (200, 1)
    obs, ones, last = jnp.full((*rows, 1), 0.3), jnp.ones(rows), jnp.arange(200)[:, None] % 2 == 1
    batch = Transition(obs, jnp.zeros(rows, jnp.int32), ones, ones, last, obs, {}, ones)
    q, begun, update = {}, sarsa.init(jax.random.key(0), spec), jax.jit(sarsa.update)
    for name, discount in (("limit", ones), ("over", 1.0 - last)):
        state, _ = update(begun, batch._replace(discount=discount), jax.random.key(0))
        q[name] = float(state.weights[0, jnp.arange(2), sarsa.active(state, obs[0, 0])].sum())
    assert q["limit"] == pytest.approx(5, abs=0.01)
    assert 1 < q["over"] < 2


def test_mountain_car_is_learned_and_without_learning_it_is_not():
    def late_lengths(rate):
        sarsa = TileSARSA(gamma=1.0, lambda_=0.9, learning_rate=rate, exploration=EpsilonGreedy(0.0))
        car = MountainCar(max_steps=1000)
        metrics = jax.jit(lambda key: ingraph.train(sarsa, car, key, steps=10_000))(jax.random.key(0))[1]
        return np.asarray(metrics["length"])[np.asarray(metrics["episodes"]) > 0][-10:]

    assert late_lengths(0.5).mean() < 250
    assert late_lengths(0.0).mean() > 900


def test_legal_actions_alone_are_taken_and_counts_can_guide():
    sarsa = TileSARSA(tilings=2, tiles=2, exploration=CountBonus(10.0))
    state = sarsa.init(jax.random.key(0), MASKED)
    see = lambda *legal: Masked(jnp.array([0.0, 1.0]), jnp.array(legal))
    state = state._replace(count=state.count.at[0].set(5.0), weights=state.weights.at[0].set(1.0).at[2].set(0.5))
    assert int(sarsa.greedy(state, see(True, True, True), jax.random.key(0)).action) == 0
    assert int(sarsa.greedy(state, see(False, True, True), jax.random.key(0)).action) == 2
    assert int(sarsa.act(state, see(True, True, True), jax.random.key(0)).action) == 2, "value 1 and never tried"
    assert int(sarsa.act(state, see(True, True, False), jax.random.key(0)).action) == 1


def test_an_endless_dimension_is_named_and_the_remedy_works():
    with pytest.raises(ValueError, match=r"dimension 1 .* from -inf to inf.*low=\(...\) and high=\(...\)"):
        TileSARSA().init(jax.random.key(0), CartPole().spec)
    high = (2.4, 3.0, 0.21, 3.5)
    sarsa = TileSARSA(tiles=3, low=tuple(-x for x in high), high=high)
    state = sarsa.init(jax.random.key(0), CartPole().spec)
    np.testing.assert_allclose(state.high, high)
    assert state.weights.shape == (2, 8, 4**4)


@pytest.mark.parametrize(
    ("sarsa", "spec", "message"),
    [
        (TileSARSA(), Spec(Discrete(3), Discrete(2)), "needs a Box"),
        (TileSARSA(), Spec(Box((1,), 0.0, 1.0), Box((1,), 0.0, 1.0)), "needs Discrete actions"),
        (TileSARSA(low=(0.0, 1.0)), Spec(Box((1,), 0.0, 1.0), Discrete(2)), "low = .* give 1 numbers"),
        (TileSARSA(low=(1.0,)), Spec(Box((1,), 0.0, 1.0), Discrete(2)), "dimension 0 .* from 1 to 1"),
        (TileSARSA(), Spec(Box((12,), 0.0, 1.0), Discrete(2)), "tiles = 8: 12 dimensions .* fewer tiles"),
        (TileSARSA(), Spec(Box((1,), 0.0, 3.4e38), Discrete(2)), "dimension 0"),
    ],
)
def test_what_cannot_be_tiled_is_refused(sarsa, spec, message):
    with pytest.raises(ValueError, match=message):
        sarsa.init(jax.random.key(0), spec)
