"""Physics drawn for each episode, noise and delays: in the graph by hand, and the same on the host."""

from __future__ import annotations

import json

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.drivers import places
from bellmax.encode import from_plain, to_plain
from bellmax.envs import BitFlipping, CartPole, Pendulum
from bellmax.envs.adaptors.gymnasium import HostedSource
from bellmax.envs.parameters import UnknownParameter, parameters, with_parameters
from bellmax.envs.perturbed import nominal
from bellmax.exactness import model_of
from bellmax.plan import Plan, planned
from bellmax.spaces import Masked, Privileged
from bellmax.training import source_name

RANGES = {"half_length": (0.25, 1.0), "force": (5.0, 15.0)}
KEY = jax.random.key(0)


class Counter(bm.Env):
    """Shows how many steps were taken and the last action it got; ends after `limit`."""

    limit: int = 8
    step_size: float = 1.0

    @property
    def spec(self):
        return bm.Spec(bm.Box((2,), 0.0, 100.0), bm.Box((1,), 1.0, 9.0))

    def reset(self, key):
        return jnp.float32(0), jnp.zeros(2)

    def step(self, env_state, action, key):
        now = env_state + self.step_size
        obs = jnp.stack([now, action[0]])
        return now, bm.Outcome(obs, action[0], jnp.float32(1), now >= self.limit)


class HostedCounter(gym.Env):
    """The same on the host; it hands out one buffer again and again."""

    observation_space = gym.spaces.Box(0.0, 100.0, (2,), np.float32)
    action_space = gym.spaces.Box(1.0, 9.0, (1,), np.float32)

    def __init__(self):
        self.step_size, self._obs = 1.0, np.zeros(2, np.float32)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._obs[:] = 0
        return self._obs, {}

    def step(self, action):
        self._obs[:] = self._obs[0] + self.step_size, action[0]
        return self._obs, float(action[0]), False, bool(self._obs[0] >= 8), {}


def drawn_of(env, count, key=KEY):
    """What `count` episodes drew, by name."""
    return jax.vmap(env.reset)(jax.random.split(key, count))[0].drawn


def test_parameters_are_the_fields_that_jax_sees_through_wrappers_included():
    env = bm.Delayed(bm.NoisyObservations(Pendulum(), noise=0.5), actions=1)
    assert parameters(env) == {"gravity": 10.0, "mass": 1.0, "length": 1.0, "time_step": 0.05, "noise": 0.5}
    changed = with_parameters(env, {"mass": 2.0, "noise": 0.1})
    assert (changed.inner.inner.mass, changed.inner.noise, env.inner.noise) == (2.0, 0.1, 0.5)


def test_draws_are_even_between_the_ends_and_independent():
    drawn = drawn_of(bm.Randomised(CartPole(), RANGES), 4000)
    for name, (low, high) in RANGES.items():
        share = (np.sort(np.asarray(drawn[name])) - low) / (high - low)
        assert share.min() >= 0
        assert share.max() <= 1
        assert np.abs(share - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / 4000**0.5  # Kolmogorov, 1 %
    assert abs(np.corrcoef(drawn["force"], drawn["half_length"])[0, 1]) < 0.05


def test_what_is_drawn_stays_for_the_episode_and_is_what_acts():
    env = bm.Randomised(CartPole(), RANGES)
    env_state, _ = env.reset(KEY)
    plain = CartPole(**{name: float(x) for name, x in env_state.drawn.items()})
    inner = env_state.inner
    for action in (1, 0, 0, 1):
        env_state, outcome = env.step(env_state, jnp.int32(action), KEY)
        inner, wanted = plain.step(inner, jnp.int32(action), KEY)
        np.testing.assert_allclose(outcome.obs, wanted.obs, rtol=1e-6)
    unchanged = CartPole().step(env.reset(KEY)[0].inner, jnp.int32(1), KEY)[1]
    assert np.abs(unchanged.obs - env.step(env.reset(KEY)[0], jnp.int32(1), KEY)[1].obs).max() > 1e-3, "a control"


def test_environments_and_episodes_differ_and_keys_reproduce():
    env = bm.Randomised(CartPole(), RANGES)
    first, again, other = (drawn_of(env, 8, jax.random.key(seed))["force"] for seed in (1, 1, 2))
    assert len(np.unique(first)) == 8
    np.testing.assert_array_equal(first, again)
    assert not np.isin(first, other).any()
    place = places.reset(bm.PPO(), env, None, KEY, 3)
    ended = jnp.array([True, False, True])
    after = places.restart(bm.PPO(), env, None, place, ended, KEY, jnp.int32(5))
    kept = after.env_state.drawn["force"] == place.env_state.drawn["force"]
    np.testing.assert_array_equal(kept, ~ended)


def test_noise_has_its_deviation_and_leaves_the_physics_alone():
    env = bm.NoisyObservations(CartPole(), noise=(0.0, 0.1, 0.2, 0.4))
    assert env.spec.obs == bm.Box((4,))
    states, obs = jax.vmap(env.reset)(jax.random.split(KEY, 4000))
    noise = np.asarray(obs - states.inner.motion)
    np.testing.assert_allclose(noise.std(0), [0, 0.1, 0.2, 0.4], rtol=0.05)
    assert np.abs(noise.mean(0)).max() < 0.02
    env_state, _ = env.reset(KEY)
    after, outcome = env.step(env_state, jnp.int32(1), KEY)
    np.testing.assert_array_equal(after.inner.motion, CartPole().step(env_state.inner, jnp.int32(1), KEY)[0].motion)
    assert outcome.obs[0] == after.inner.motion[0]


@pytest.mark.parametrize(("actions", "observations"), [(0, 0), (2, 0), (0, 3), (1, 2)])
def test_delays_are_exact(actions, observations):
    """By hand: at step t the action of t - k acts (the least, 1, before there is one); what is seen is of t - l."""
    chosen = np.arange(2, 8, dtype=np.float32)
    acts = np.concatenate([np.ones(actions), chosen])[: len(chosen)]
    happened = [(0.0, 0.0), *((t + 1.0, acts[t]) for t in range(len(chosen)))]
    wanted = [happened[max(t + 1 - observations, 0)] for t in range(len(chosen))]
    env = bm.Delayed(Counter(), actions, observations)
    env_state, _ = env.reset(KEY)
    hosted = bm.perturbed(HostedCounter, action_delay=actions, observation_delay=observations).vector(1, 0)
    for t, action in enumerate(chosen):
        env_state, outcome = env.step(env_state, jnp.array([action]), KEY)
        arrival = hosted.step(np.array([[action]], np.float32))
        for obs, reward in ((outcome.obs, outcome.reward), (arrival.next_obs[0], arrival.reward[0])):
            np.testing.assert_array_equal(obs, np.float32(wanted[t]))
            assert reward == acts[t], "rewards are not late"


def test_delays_drawn_for_each_episode_are_even():
    late, old = jax.vmap(bm.Delayed(Counter(), (1, 3), (0, 1)).reset)(jax.random.split(KEY, 3000))[0].late
    assert np.abs(np.bincount(late, minlength=4) / 3000 - [0, 1 / 3, 1 / 3, 1 / 3]).max() < 0.04
    assert np.abs(np.bincount(old) / 3000 - [0.5, 0.5]).max() < 0.04


def test_masks_are_neither_late_nor_noisy_nor_privileged():
    class Picky(Counter):
        @property
        def spec(self):
            return bm.Spec(Masked(bm.Box((2,)), bm.MultiBinary(2)), bm.Discrete(2))

        def reset(self, key):
            return jnp.float32(0), Masked(jnp.zeros(2), jnp.array([True, False]))

        def step(self, env_state, action, key):
            obs = Masked(jnp.full(2, env_state + 1), jnp.array([False, True]))
            return env_state + 1, bm.Outcome(obs, jnp.float32(0), jnp.float32(1), jnp.bool_(False))

    env = bm.perturbed(Picky(), {"step_size": (1, 2)}, observation_noise=0.01, observation_delay=1, privileged=True)
    env_state, _ = env.reset(KEY)
    obs = env.step(env_state, jnp.int32(0), KEY)[1].obs
    assert isinstance(obs, Masked)
    assert isinstance(obs.obs, Privileged)
    assert isinstance(env.spec.obs.obs, Privileged)
    np.testing.assert_array_equal(obs.legal, [False, True])
    assert np.abs(obs.obs.obs).max() < 0.1, "the observation is that of the reset"


def test_critics_see_what_is_privileged_and_policies_do_not():
    env = bm.Randomised(CartPole(), RANGES, privileged=True)
    ppo = bm.PPO(hidden=(8,))
    state = ppo.init(KEY, env.spec)
    _, obs = env.reset(KEY)
    drawn = drawn_of(env, 1)
    assert set(drawn) == set(RANGES)
    other = obs._replace(extra=obs.extra + 0.5)
    assert state.network.value(obs) != state.network.value(other)
    for shown in (other, obs.obs):  # the real world has nothing privileged
        np.testing.assert_array_equal(state.network.policy(obs).logits, state.network.policy(shown).logits)
    low = env.replace(ranges={"force": (5.0, 15.0), "half_length": (0.3, 0.3)}).reset(KEY)
    np.testing.assert_allclose(low[1].extra, [(float(low[0].drawn["force"]) - 10) / 5, 0], rtol=1e-5)


def test_wrappers_are_written_as_plain_data_and_come_back():
    env = bm.perturbed("bellmax:CartPole", RANGES, observation_noise=0.1, action_delay=(0, 2), observation_delay=1)
    assert from_plain(to_plain(env)) == env
    assert nominal(env) == bm.Delayed(bm.NoisyObservations(CartPole(), 0.1), (0, 2), 1)


def test_a_run_that_stops_goes_on_bit_for_bit_and_plays_where_nothing_is_privileged(tmp_path):
    late = {"action_delay": (0, 2), "observation_delay": (0, 1)}
    env = bm.perturbed(CartPole(), RANGES, observation_noise=0.1, privileged=True, **late)
    options = {"num_envs": 2, "display": "quiet", "track": (), "recipe": "none", "normalise": True}
    a2c = bm.A2C(hidden=(4,), experience=bm.Steps(8))
    whole = bm.train(a2c, env, steps=128, run_folder=None, **options)
    half = bm.train(a2c, env, steps=64, run_folder=tmp_path, **options)
    resumed = bm.resume(half.folder.path, steps=128, display="quiet")
    key = lambda x: jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x
    for ours, theirs in zip(jax.tree.leaves(whole.tree), jax.tree.leaves(resumed.tree)):
        np.testing.assert_array_equal(key(ours), key(theirs))
    loaded = bm.load(half.folder.path)
    assert (loaded.plan.env, loaded.spec) == (env, half.spec)
    assert len(loaded.evaluate(3, env=CartPole()).scores) == 3
    assert (half.plan.env_name, source_name(env)) == ("bellmax:CartPole", "CartPole"), "recipes know it"


@pytest.mark.parametrize(
    ("ranges", "kind", "words"),
    [
        ({"half_lenght": (1, 2)}, UnknownParameter, "did you mean 'half_length'"),
        ({"max_steps": (1, 2)}, UnknownParameter, "has no parameter 'max_steps'"),
        ({"force": (3, 2)}, ValueError, "lowest first"),
        ({"force": 3}, ValueError, "lowest and the highest"),
        ({"force": (-1, 2)}, ValueError, "CartPole.force = -1.0: it must be greater than 0"),
    ],
)
def test_errors_say_what_to_change(ranges, kind, words):
    with pytest.raises(kind, match=words):
        bm.Randomised(CartPole(), ranges)


def test_the_front_refuses_what_cannot_be():
    with pytest.raises(UnknownParameter, match="did you mean 'length'"):
        bm.perturbed("CartPole-v1", {"lenght": (0.25, 1.0)})
    with pytest.raises(UnknownParameter, match="total_mass"):
        bm.perturbed("CartPole-v1", {"total_mass": (1, 2)})  # computed from two others
    with pytest.raises(ValueError, match="privileged"):
        bm.perturbed("CartPole-v1", {"length": (0.25, 1.0)}, privileged=True)
    with pytest.raises(ValueError, match="observation_noise"):
        bm.perturbed("CartPole-v1", observation_noise=-1.0)
    with pytest.raises(ValueError, match="noise"):
        bm.perturbed(CartPole(), observation_noise=-1.0)
    with pytest.raises(ValueError, match="action_delay"):
        bm.perturbed(BitFlipping(), action_delay=(3, 1))
    with pytest.raises(TypeError, match="ready vector"):
        bm.perturbed(gym.make_vec("CartPole-v1", 2), {"length": (0.25, 1.0)})


def test_what_has_no_model_is_not_solved():
    with pytest.raises(ValueError, match="has no model"):
        model_of(bm.perturbed("FrozenLake-v1", action_delay=1), 0.9)
    assert model_of(bm.shaped("FrozenLake-v1", float), 0.9).states == 16, "shaping changes no policy"


def copies_of(hosted):
    return list(hosted._vector.envs)


def test_hosted_physics_are_drawn_for_each_episode_and_by_the_seed():
    source = bm.perturbed("CartPole-v1", {"length": (0.25, 1.0)})

    def lengths(seed, episodes=150):
        hosted, found = source.vector(4, seed), []
        for _ in range(episodes):
            hosted.reset()
            found.append([env.unwrapped.length for env in copies_of(hosted)])
            hosted.step(np.ones(4, np.int32))
            assert found[-1] == [env.unwrapped.length for env in copies_of(hosted)], "constant within an episode"
        hosted.close()
        return np.array(found)

    first = lengths(3)
    assert len(np.unique(first)) == first.size
    share = (np.sort(first.ravel()) - 0.25) / 0.75
    assert np.abs(share - (np.arange(600) + 0.5) / 600).max() < 1.63 / 600**0.5
    np.testing.assert_array_equal(first[:5], lengths(3, 5))
    assert not np.isin(first, lengths(4, 5)).any()


def test_hosted_and_in_graph_have_the_same_physics():
    """Gymnasium's CartPole computes two masses in its constructor: they follow what is drawn."""
    names = {"length": "half_length", "masspole": "pole_mass", "force_mag": "force", "gravity": "gravity"}
    values = {"length": 0.9, "masspole": 0.3, "force_mag": 7.0, "gravity": 11.0}
    hosted = bm.perturbed("CartPole-v1", {name: (x, x) for name, x in values.items()}).vector(1, 0)
    env = CartPole(**{names[name]: x for name, x in values.items()})
    env_state = env.reset(KEY)[0]._replace(motion=jnp.asarray(hosted.reset()[0]))
    for action in (1, 1, 0, 1, 0, 0):
        env_state, outcome = env.step(env_state, jnp.int32(action), KEY)
        np.testing.assert_allclose(hosted.step(np.array([action])).next_obs[0], outcome.obs, rtol=1e-4, atol=1e-6)
    hosted.close()


def test_hosted_noise_has_its_deviation():
    hosted = bm.perturbed("CartPole-v1", observation_noise=(0.0, 0.1, 0.2, 0.4)).vector(2, 0)
    rows = []
    for _ in range(1000):
        obs = hosted.reset()
        rows += [obs[i] - np.float32(env.unwrapped.state) for i, env in enumerate(copies_of(hosted))]
    np.testing.assert_allclose(np.std(rows, 0), [0, 0.1, 0.2, 0.4], rtol=0.08, atol=1e-6)
    hosted.close()


def test_a_hosted_run_remembers_what_it_is_trained_in():
    env = bm.perturbed("CartPole-v1", {"length": (0.25, 1.0)}, observation_noise=0.01, action_delay=(0, 1))
    config = Plan(bm.PPO(), env, steps=1, num_envs=1, seeds=(0,), log_every=1, checkpoint_every=1).config(
        bm.Spec(bm.Box((4,)), bm.Discrete(2))
    )
    assert planned(json.loads(json.dumps(config))).env.around == env.around
    assert nominal(env).around == env.around[:2]


def test_fields_of_a_mujoco_model_are_factors():
    pytest.importorskip("mujoco")
    source = bm.perturbed(
        "Hopper-v5", {"body_mass[torso]": (0.5, 0.5), "opt.gravity": (2.0, 2.0), "dof_damping[leg_joint]": (3, 3)}
    )
    plain, changed = (s.vector(1, 0) for s in (HostedSource("Hopper-v5"), source))
    before, after = (copies_of(hosted)[0].unwrapped.model for hosted in (plain, changed))
    for _ in range(2):  # factors of what the model had, however often
        changed.reset()
    np.testing.assert_allclose(after.body("torso").mass, before.body("torso").mass / 2)
    np.testing.assert_allclose(after.body("leg").mass, before.body("leg").mass)
    np.testing.assert_allclose(after.opt.gravity, 2 * before.opt.gravity)
    np.testing.assert_allclose(after.joint("leg_joint").damping, 3 * before.joint("leg_joint").damping)
    np.testing.assert_allclose(after.joint("foot_joint").damping, before.joint("foot_joint").damping)
    with pytest.raises(UnknownParameter, match=r"did you mean 'body_mass\[torso\]'"):
        bm.perturbed("Hopper-v5", {"body_mass[torse]": (1, 1)})
    plain.close()
    changed.close()
