"""Bonuses against loops in NumPy: counts in a dictionary, networks by hand, gradients by central differences."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bellmax import DQN, PPO, Box, Discrete, EpsilonGreedy, Normalised, Replay, Spec, Steps
from bellmax.algorithms.wrappers import curious
from bellmax.algorithms.wrappers.curious import Curious
from bellmax.bonuses import ICM, RND, HashedCounts
from bellmax.networks.hashes import Exact, SimHash
from bellmax.spaces import Masked, MultiBinary
from tests.paper.by_hand import assert_same, by_name, quickly, random_batch
from tests.paper.control_by_hand import Adam
from tests.paper.test_by_hand import differences

SPEC = Spec(Box((3,)), Discrete(3), 4)
INNER = DQN(hidden=(4,), experience=Replay(), exploration=EpsilonGreedy(0.5))


def rows(batch):
    """(time, env) of every step that counts."""
    return [i for i in np.ndindex(*batch.weight.shape) if batch.weight[i]]


def mean(x, batch):
    """Over the steps that count, as much as they count."""
    return sum(batch.weight[i] * x[i] for i in rows(batch)) / batch.weight.sum()


def random_state(bonus, spec, seed=0):
    """A state whose networks have random parameters, biases too."""
    draw = np.random.default_rng(seed)
    state = jax.jit(lambda key: bonus.init(key, spec))(jax.random.key(seed))
    networks = [name for name in ("predictor", "target", "network") if name in state._fields]
    random = lambda network: jax.tree.map(lambda x: jnp.float32(0.5 * draw.normal(size=x.shape)), network)
    return state._replace(**{name: random(getattr(state, name)) for name in networks})


# --- counts -----------------------------------------------------------------------------------------------------------


def chosen(draw, legal):
    """Observations [7, 4] made of choices, nested, with a mask that is no part of what is seen."""
    now = {"cell": draw.integers(3, size=(7, 4)), "flags": draw.integers(2, size=(7, 4, 2))}
    return Masked(now, draw.random((7, 4, 3)) > 0.3) if legal else now


def what(obs, index):
    obs = obs.obs if isinstance(obs, Masked) else obs
    return int(obs["cell"][index]), *(int(x) for x in obs["flags"][index])


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("actions", [False, True])
def test_counts_are_exact_where_there_is_room(actions, masked):
    """One over the root of n, n counted in a dictionary: of where steps lead, or of what was done where."""
    space = {"cell": Discrete(3), "flags": MultiBinary(2)}
    spec = Spec(Masked(space, MultiBinary(3)) if masked else space, Discrete(3), 4)
    bonus, draw, counted = (
        HashedCounts(actions=actions, cells=36 if actions else 12),
        np.random.default_rng(0),
        Counter(),
    )
    state = bonus.init(jax.random.key(0), spec)
    assert isinstance(state.place, Exact)
    observe, of = quickly(bonus.observe), quickly(bonus.of)
    name = lambda batch, i: (what(batch.obs, i), int(batch.action[i])) if actions else what(batch.next_obs, i)
    for seed in range(4):
        batch = random_batch(seed, Discrete(3))._replace(obs=chosen(draw, masked), next_obs=chosen(draw, masked))
        before = np.asarray(of(state, batch))
        for i in np.ndindex(7, 4):
            assert before[i] == pytest.approx(max(counted[name(batch, i)], 1) ** -0.5)
        state = observe(state, batch)
        for i in rows(batch):
            counted[name(batch, i)] += 1
    assert sorted(x for x in np.asarray(state.counts) if x) == sorted(counted.values())
    if actions:
        obs = jax.tree.map(lambda x: x[0, 0], batch.obs)
        expected = [counted[what(batch.obs, (0, 0)), a] == 0 for a in range(3)]
        assert bonus.untried(state, obs).tolist() == expected


def stirred(x):
    """MurmurHash3's finaliser, in whole numbers."""
    x = (x ^ (x >> 16)) * 0x85EBCA6B % 2**32
    x = (x ^ (x >> 13)) * 0xC2B2AE35 % 2**32
    return x ^ (x >> 16)


def test_hashes_are_signs_of_random_directions():
    space = {"eye": Box((2, 4, 3), 0, 255, "uint8"), "turn": Discrete(4), "where": Box((2,))}
    bonus, draw = HashedCounts(bits=9, cells=50), np.random.default_rng(1)
    state = bonus.init(jax.random.key(2), Spec(space, Discrete(2)))
    assert isinstance(state.place, SimHash)
    directions, offset = (np.asarray(x, np.float64) for x in (state.place.directions, state.place.offset))
    eye, turn = draw.integers(256, size=(5, 6, 2, 4, 3), dtype=np.uint8), draw.integers(4, size=(5, 6))
    obs = {"eye": eye, "turn": turn, "where": np.float32(draw.normal(size=(5, 6, 2)))}
    batch = random_batch(0, Discrete(2), 5, 6)._replace(next_obs=obs, obs=None)
    found = np.asarray(bonus.cell(state, jax.tree.map(jnp.asarray, batch))).reshape(5, 6)
    for i in np.ndindex(5, 6):
        x = np.concatenate([eye[i].ravel() / 255, np.eye(4)[turn[i]], obs["where"][i]])
        code = sum(stirred((k + 1) * 0x9E3779B9 % 2**32) for k in range(9) if x @ directions[:, k] + offset[k] > 0)
        assert found[i] == stirred(code % 2**32) % 50
    assert len(set(found.ravel().tolist())) > 5


def test_alike_is_counted_as_alike():
    """Two points at an angle of t share a sign with probability 1 - t / pi: of 20,000, within 4 deviations."""
    place = SimHash(jax.random.key(0), Box((3,)), 20_000, 100)
    x, y = np.array([1.0, 0, 0]), np.array([np.cos(0.7), np.sin(0.7), 0])
    shared = np.mean(np.sign(x @ np.asarray(place.directions)) == np.sign(y @ np.asarray(place.directions)))
    assert shared == pytest.approx(1 - 0.7 / np.pi, abs=4 * np.sqrt(0.25 / 20_000))


def test_few_hashes_share_a_cell():
    """Of m different observations one is alone in its cell with probability exp(-m / cells), here 0.74."""
    space = Box((3,))
    place = SimHash(jax.random.key(1), space, 64, 1000)
    cells = np.asarray(jax.jit(jax.vmap(place))(10 * jax.random.normal(jax.random.key(2), (300, 3))))
    alone = np.mean([np.sum(cells == cell) == 1 for cell in cells])
    assert alone == pytest.approx(np.exp(-0.3), abs=0.12)


# --- random network distillation --------------------------------------------------------------------------------------


def said(params, x):
    """Dense layers of relu, and a dense one, on one observation."""
    k = 0
    while f".torso.mlp.layers[{k}].weight" in params:
        layer = f".torso.mlp.layers[{k}]"
        x = np.maximum(x @ params[f"{layer}.weight"] + params[f"{layer}.bias"], 0)
        k += 1
    return x @ params[".head.weight"] + params[".head.bias"]


class SlowRND:
    """Statistics from lists of all that was seen, taken anew each time."""

    def __init__(self, state, bonus):
        self.predictor, self.target, self.bonus = by_name(state.predictor), by_name(state.target), bonus
        self.adam, self.seen, self.sums, self.running = Adam(state.opt_state), [], [], np.zeros(4)

    def error(self, predictor, batch):
        centre, deviation = np.mean(self.seen, 0), np.sqrt(np.var(self.seen, 0) + 1e-8)
        x = np.clip((batch.next_obs - centre) / deviation, -self.bonus.clip, self.bonus.clip)
        each = [np.mean((said(predictor, x[i]) - said(self.target, x[i])) ** 2) for i in np.ndindex(batch.weight.shape)]
        return np.reshape(each, batch.weight.shape)

    def observe(self, batch):
        self.seen += [batch.next_obs[i] for i in rows(batch)]
        error = self.error(self.predictor, batch)
        for t, n in np.ndindex(*batch.weight.shape):  # the sum goes on behind an episode's end
            self.running[n] = self.bonus.gamma * self.running[n] + (error[t, n] if batch.weight[t, n] else 0)
            if batch.weight[t, n]:
                self.sums.append(self.running[n])

    def of(self, batch):
        return np.minimum(self.error(self.predictor, batch) / np.sqrt(np.var(self.sums) + 1e-8), self.bonus.clip)

    def learn(self, batch):
        for _ in range(self.bonus.epochs):
            grads = differences(lambda p: mean(self.error(p, batch), batch), self.predictor)
            self.predictor = self.adam.step(self.predictor, grads, self.bonus.learning_rate)


def stretched(batch):
    """Observations far from 0 and of other sizes, and one that stands out."""
    far = np.float64(np.float32(batch.next_obs * [30.0, 0.25, 1.0] + [-4.0, 8.0, 0.5]))
    far[0, 0] *= 50
    return batch._replace(next_obs=far)


def test_random_network_distillation():
    bonus = RND(gamma=0.8, learning_rate=0.02, epochs=2, hidden=(4,), outputs=2, clip=1.5)
    state = random_state(bonus, SPEC)
    slow, target = SlowRND(state, bonus), by_name(state.target)
    observe, of, learn = (quickly(function) for function in (bonus.observe, bonus.of, bonus.learn))
    for seed in (2, 3, 4):
        fresh, replayed = (stretched(random_batch(k, Discrete(3))) for k in (seed, seed + 10))
        state = observe(state, fresh)
        slow.observe(fresh)
        moments = {"count": state.moments.count, "variance": state.moments.variance, "returns": state.returns}
        assert_same(moments, {"count": len(slow.sums), "variance": np.var(slow.sums), "returns": slow.running})
        paid = np.asarray(of(state, replayed))
        np.testing.assert_allclose(paid, slow.of(replayed), rtol=1e-4, atol=1e-5)
        assert (paid < 1.5).any()
        state, metrics = learn(state, replayed, jax.random.key(0))
        slow.learn(replayed)
        assert len(metrics["bonus_loss"]) == 2
        assert_same(by_name(state.predictor), slow.predictor)
        assert_same(by_name(state.target), target)
    assert float(state.seen[0].count) == len(slow.seen), "what is replayed is not counted"


def test_what_was_seen_often_is_no_news():
    """The bonus of what is learned from falls to a tenth; of what is seen but not learned from it stays."""
    bonus, draw = RND(learning_rate=3e-3, hidden=(16,), outputs=8), np.random.default_rng(0)
    batch = random_batch(0, Discrete(3))._replace(weight=np.ones((7, 4)))
    known, strange = (batch._replace(next_obs=sign + 0.3 * draw.normal(size=(7, 4, 3))) for sign in (1, -1))
    state = jax.jit(lambda key: bonus.init(key, SPEC))(jax.random.key(0))
    observe, of, learn = (quickly(function) for function in (bonus.observe, bonus.of, bonus.learn))
    for each in (known, strange):
        state = observe(state, each)
    before = [of(state, each).mean() for each in (known, strange)]
    for _ in range(200):
        state, _ = learn(state, known, jax.random.key(0))
    after = [of(state, each).mean() for each in (known, strange)]
    assert after[0] < 0.1 * before[0]
    assert after[1] > 0.5 * before[1]


# --- the intrinsic curiosity module -----------------------------------------------------------------------------------


def dense(params, name, x):
    return x @ params[f"{name}.weight"] + params[f"{name}.bias"]


class SlowICM:
    """Features, inverse and forward model of one step at a time."""

    def __init__(self, action):
        self.action = action

    def phi(self, params, x):
        return said({name[len(".features") :]: p for name, p in params.items() if name.startswith(".features")}, x)

    def inverse(self, params, batch, i):
        both = np.concatenate([self.phi(params, batch.obs[i]), self.phi(params, batch.next_obs[i])])
        out = dense(params, ".action.dense", np.maximum(dense(params, ".inverse.layers[0]", both), 0))
        if isinstance(self.action, Discrete):
            return np.log(np.exp(out).sum()) - out[batch.action[i]]
        log_std = params[".action.log_std"]
        z = (batch.action[i] - out) / np.exp(log_std)
        return sum(z**2 / 2 + log_std + np.log(2 * np.pi) / 2)

    def forward(self, params, frozen, batch, i):
        """Half the mean square; features by `frozen`, so that none of it is theirs."""
        action = np.eye(self.action.n)[batch.action[i]] if isinstance(self.action, Discrete) else batch.action[i]
        both = np.concatenate([self.phi(frozen, batch.obs[i]), action])
        guess = dense(params, ".head", np.maximum(dense(params, ".forward.layers[0]", both), 0))
        return np.mean((guess - self.phi(frozen, batch.next_obs[i])) ** 2) / 2

    def errors(self, params, frozen, batch):
        shape = batch.weight.shape
        inverse = np.reshape([self.inverse(params, batch, i) for i in np.ndindex(shape)], shape)
        return inverse, np.reshape([self.forward(params, frozen, batch, i) for i in np.ndindex(shape)], shape)


@pytest.mark.parametrize("action", [Discrete(3), Box((2,), -2.0, 2.0)], ids=["choices", "numbers"])
def test_intrinsic_curiosity(action):
    bonus = ICM(beta=0.3, learning_rate=0.02, hidden=(3,), features=2)
    state = random_state(bonus, Spec(Box((3,)), action, 4))
    slow, params, adam = SlowICM(action), by_name(state.network), Adam(state.opt_state)
    of, learn = quickly(bonus.of), quickly(bonus.learn)
    for seed in (2, 3):
        batch = random_batch(seed, action, length=5, num_envs=3)
        inverse, forward = slow.errors(params, params, batch)
        np.testing.assert_allclose(of(state, batch), forward, rtol=1e-4, atol=1e-5)
        state, metrics = learn(state, batch, jax.random.key(0))
        assert_same(dict(metrics), {"inverse_loss": mean(inverse, batch), "forward_loss": mean(forward, batch)})

        def loss(p, batch=batch, frozen=params):
            inverse, forward = slow.errors(p, frozen, batch)
            return 0.7 * mean(inverse, batch) + 0.3 * mean(forward, batch)

        params = adam.step(params, differences(loss, params), 0.02)
        assert_same(by_name(state.network), params)


def test_what_cannot_be_steered_is_no_news():
    """After learning where one number follows the action and another is noise, features follow the first."""
    bonus = ICM(learning_rate=5e-3, hidden=(16,), features=4)
    spec, draw = Spec(Box((2,)), Discrete(2), 1), np.random.default_rng(0)

    def batch(count):
        action = draw.integers(2, size=(count, 1))
        obs, noise = draw.normal(size=(2, count, 1, 2))
        after = np.stack([obs[..., 0] + 2 * action - 1, noise[..., 1]], -1)
        one = np.ones((count, 1))
        return random_batch(0, Discrete(2), count, 1)._replace(
            obs=np.float32(obs), action=action, next_obs=np.float32(after), weight=one, extras={}
        )

    learn, state = quickly(bonus.learn), jax.jit(lambda key: bonus.init(key, spec))(jax.random.key(0))
    for _ in range(300):
        state, metrics = learn(state, batch(64), jax.random.key(0))
    assert metrics["inverse_loss"] < 0.1
    seen = jax.vmap(state.network.features)(jnp.array([[0.0, 0], [1, 0], [0, 1]]))
    steered, noise = jnp.abs(seen[1:] - seen[0]).sum(-1)
    assert steered > 3 * noise


# --- the wrapper ------------------------------------------------------------------------------------------------------


def replayed(seed):
    batch = random_batch(seed, SPEC.action, 2, 9)
    return batch._replace(extras={"steps": np.full((2, 9), 50.0)})


@pytest.mark.parametrize("inner", [INNER, PPO(hidden=(4,), experience=Steps(7), epochs=1, minibatches=1)])
def test_the_bonus_joins_the_reward_that_any_algorithm_learns_from(inner):
    algorithm = Curious(inner, HashedCounts(actions=True), weight=0.7)
    state = jax.jit(lambda key: algorithm.init(key, SPEC))(jax.random.key(0))
    state = algorithm.observe(state, random_batch(5, SPEC.action))
    batch = replayed(5) if inner.experience.replays else random_batch(5, SPEC.action)
    if isinstance(inner, PPO):
        batch = batch._replace(extras={"log_prob": np.zeros_like(batch.reward)})
    bonus = np.asarray(algorithm.bonus.of(state.bonus, batch))
    by_hand = batch._replace(reward=batch.reward + 0.7 * bonus)
    key = jax.random.key(9)
    expected, metrics = quickly(inner.update)(state.inner, by_hand, jax.random.split(key)[0])
    after, found = quickly(algorithm.update)(state, batch, key)
    assert_same(by_name(after.inner), by_name(expected))
    assert np.asarray(found["bonus"]) == pytest.approx(mean(bonus, batch), rel=1e-5)
    assert set(found) == {*metrics, "bonus"}
    unpaid, _ = quickly(inner.update)(state.inner, batch, jax.random.split(key)[0])
    with pytest.raises(AssertionError):
        assert_same(by_name(unpaid), by_name(expected))


def test_the_inside_sees_what_the_outside_makes_of_it():
    """Normalised(Curious(...)): bonuses are about standardised observations; both count steps once."""
    algorithm = Normalised(Curious(INNER, RND(hidden=(4,), outputs=2)))
    state = jax.jit(lambda key: algorithm.init(key, SPEC))(jax.random.key(0))
    fresh = stretched(random_batch(1, Discrete(3)))
    state = quickly(algorithm.observe)(state, fresh)
    assert isinstance(state.inner, curious.State)
    assert float(state.moments[0].count) == float(state.inner.bonus.seen[0].count) == len(rows(fresh))
    after, _ = quickly(algorithm.update)(state, replayed(2), jax.random.key(0))
    assert_same(by_name(after.moments), by_name(state.moments))
    assert_same(by_name(after.inner.bonus.moments), by_name(state.inner.bonus.moments))


def test_untried_actions_come_first_while_learning():
    spec = Spec(Masked(Discrete(2), MultiBinary(3)), Discrete(3), 4)
    algorithm = Curious(INNER, HashedCounts(actions=True), untried_first=True)
    state, taken = jax.jit(lambda key: algorithm.init(key, spec))(jax.random.key(0)), Counter()
    obs = Masked(jnp.int32(1), jnp.array([True, False, True]))
    act = quickly(algorithm.act)
    for k in range(40):
        action = int(act(state, obs, jax.random.key(k)).action)
        taken[action] += 1
        if k == 9:  # until now nothing was counted: both that are legal come, by chance
            assert set(taken) == {0, 2}
            seen = Masked(np.ones((7, 4), int), np.broadcast_to(np.asarray(obs.legal), (7, 4, 3)))
            steps = random_batch(0, Discrete(3))._replace(obs=seen, next_obs=seen, action=np.zeros((7, 4), int))
            state = algorithm.observe(state, steps)
    assert taken[2] == 40 - taken[0]
    assert taken[0] < 10, "once 0 was tried, only 2 is left to try"
    both = state._replace(bonus=state.bonus._replace(counts=state.bonus.counts + 1))
    inner = quickly(algorithm.inner.act)
    for k in range(5):
        chosen = inner(state.inner, obs, jax.random.split(jax.random.key(k))[0]).action
        assert act(both, obs, jax.random.key(k)).action == chosen, "then the algorithm chooses"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Curious(PPO(), untried_first=True), "Curious.untried_first = True: PPO learns from its own choices"),
        (lambda: begin(Curious(INNER, RND(), untried_first=True)), "RND does not say what was never done"),
        (lambda: begin(Curious(INNER, untried_first=True)), "HashedCounts.actions = False"),
    ],
)
def test_what_cannot_be_is_said_at_once(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def begin(algorithm):
    return algorithm.init(jax.random.key(0), SPEC)
