"""Fitting a simulator: against ordinary least squares by hand, the true values, and what cannot be told apart."""

import gymnasium as gym
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bellmax as bm
from bellmax.envs import Acrobot, CartPole, MountainCar, Pendulum
from bellmax.envs.parameters import UnknownParameter
from bellmax.reality.fitting import Indistinct
from bellmax.reality.recording import Log, log_of

TRUTH = CartPole(half_length=0.7, pole_mass=0.2, force=8.0)
NAMES = ("half_length", "pole_mass", "force")


class Pushed(bm.Env):
    """x' = x + gain * action; `idle` does nothing, `drag` only ever acts with `gain`. Ends after 5 steps."""

    gain: float = 1.0
    idle: float = 1.0
    drag: float = 1.0

    @property
    def spec(self):
        return bm.Spec(bm.Box((1,)), bm.Box((1,), -1.0, 1.0))

    def reset(self, key):
        return (jnp.float32(0), jnp.int32(0)), jnp.zeros(1)

    def step(self, env_state, action, key):
        x, time = env_state[0] + self.gain / self.drag * action[0], env_state[1] + 1
        return (x, time), bm.Outcome(x[None], jnp.float32(0), jnp.float32(1), time >= 5)

    def state_of(self, obs):
        return obs[0], jnp.int32(0)


class HostedPushed(gym.Env):
    """The same on the host."""

    observation_space = gym.spaces.Box(-np.inf, np.inf, (1,), np.float32)
    action_space = gym.spaces.Box(-1, 1, (1,), np.float32)

    def __init__(self):
        self.gain, self.state = 1.0, np.zeros(1)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self.time = np.zeros(1), 0
        return np.float32(self.state), {}

    def step(self, action):
        self.state, self.time = self.state + self.gain * action, self.time + 1
        return np.float32(self.state), 0.0, False, self.time == 5, {}


def pushed_log(gain=2.5, noise=0.3, rows=400):
    rng = np.random.default_rng(0)
    obs, action = rng.normal(size=(rows, 1)), rng.uniform(-1, 1, (rows, 1))
    return Log(
        np.float32(obs), np.float32(action), np.float32(obs + gain * action + noise * rng.normal(size=(rows, 1)))
    )


@pytest.mark.parametrize(("env", "method"), [(Pushed(), "gradient"), (Pushed(), "cma"), (HostedPushed, "auto")])
def test_it_is_ordinary_least_squares_where_that_is_known(env, method):
    """gain = sum u dx / sum u^2; its standard error is sigma / sqrt(sum u^2), sigma that of what is left over."""
    log = pushed_log()
    change = (log.next_obs - log.obs)[:, 0]
    gain = (log.action[:, 0] @ change) / (log.action[:, 0] @ log.action[:, 0])
    left = change - gain * log.action[:, 0]
    found = bm.identify(env, log, ["gain"], method=method, predictions=200)
    np.testing.assert_allclose(found.values["gain"], gain, rtol=1e-3)
    np.testing.assert_allclose(found.residuals[:, 0], left, atol=1e-2)
    wanted = np.sqrt(np.square(left).mean() / np.square(log.action).sum())
    np.testing.assert_allclose(found.errors["gain"], wanted, rtol=1e-2)
    np.testing.assert_allclose(found.rms, [0.3], rtol=0.1)
    assert found.before == {"gain": 1.0}
    assert found.method == ("cma" if method == "auto" else method)


@pytest.mark.parametrize("seed", range(2))
def test_three_parameters_of_cart_pole_within_five_per_cent(seed):
    log = bm.record(bm.NoisyObservations(TRUTH, noise=0.002), 2000, seed=seed)
    found = bm.identify(CartPole(), log, NAMES)
    for name, value in found.values.items():
        off = value - getattr(TRUTH, name)
        assert abs(off) < 0.05 * getattr(TRUTH, name)
        assert abs(off) < 3.5 * found.errors[name], "standard errors are true"
    assert found.env == CartPole(**found.values)
    before = np.sqrt(np.square(found.residuals_before).mean(0))
    assert (found.rms < before / 10)[1::2].all(), "of velocities: Euler's positions know nothing of the physics"
    np.testing.assert_allclose(found.rms, 0.002 * 2**0.5, rtol=0.1)  # the noise of two observations is left


def test_evolution_finds_what_gradients_find():
    log = bm.record(bm.NoisyObservations(TRUTH, noise=0.002), 500)
    gradient, evolution = (bm.identify(CartPole(), log, NAMES, method=method) for method in ("gradient", "cma"))
    for name in NAMES:
        np.testing.assert_allclose(evolution.values[name], gradient.values[name], rtol=5e-3)
        np.testing.assert_allclose(evolution.errors[name], gradient.errors[name], rtol=5e-2)
    assert evolution.predictions > 10 * gradient.predictions


def test_what_cannot_be_told_apart_is_said():
    """Pendulum's motion knows gravity / length and mass * length^2 alone: of the three, two can be found."""
    truth = Pendulum(mass=1.3, length=0.8)
    log = bm.record(truth, 500)
    with pytest.raises(Indistinct, match="mass, length, gravity apart"):
        bm.identify(Pendulum(), log, ["mass", "length", "gravity"])
    found = bm.identify(Pendulum(), log, ["mass", "length"]).values
    np.testing.assert_allclose([found["mass"], found["length"]], [1.3, 0.8], rtol=1e-3)
    with pytest.raises(Indistinct, match="says nothing of idle"):
        bm.identify(Pushed(), pushed_log(), ["gain", "idle"])
    with pytest.raises(Indistinct, match="gain, drag apart"):
        bm.identify(Pushed(), pushed_log(), ["gain", "drag"])


def test_on_the_host_by_its_attributes():
    truth = {"length": (0.7, 0.7), "force_mag": (8.0, 8.0)}
    log = bm.record(bm.perturbed("CartPole-v1", truth), 60)
    found = bm.identify("CartPole-v1", log, ["length", "force_mag"], predictions=400)
    np.testing.assert_allclose([found.values["length"], found.values["force_mag"]], [0.7, 8.0], rtol=0.01)
    with found.env.one() as env:
        env.reset(seed=0)
        assert env.unwrapped.length == found.values["length"]


def test_noise_and_delays_are_kept_and_what_was_drawn_is_not():
    env = bm.perturbed(CartPole(), {"force": (5.0, 15.0)}, observation_noise=0.1)
    found = bm.identify(env, bm.record(TRUTH, 200), ["force"], method="gradient")
    assert found.env == bm.NoisyObservations(CartPole(force=found.values["force"]), noise=0.1)


def test_the_report_says_what_was_found():
    report = bm.identify(Pushed(), pushed_log(), ["gain"]).report()
    assert report.splitlines()[2].split()[:2] == ["gain", "1.00"]
    assert report.splitlines()[-1].startswith("root mean squares, 400 transitions; gradient, ")


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"names": ["gian"]}, UnknownParameter, "did you mean 'gain'"),
        ({"names": []}, ValueError, "at least one parameter"),
        ({"method": "newton"}, ValueError, "choose 'auto', 'gradient' or 'cma'"),
        ({"env": HostedPushed, "method": "gradient"}, ValueError, "no gradients"),
        ({"env": Pushed(gain=0.0)}, ValueError, "begin with one"),
        ({"log": {"obs": 1}}, ValueError, "no action"),
        ({"log": Log(np.zeros((3, 1)), np.zeros(2), np.zeros((3, 1)))}, ValueError, "obs and next_obs must be"),
        ({"env": "MountainCarContinuous-v0", "names": ["power"]}, ValueError, "no state that is like"),
        ({"log": pushed_log()._replace(next_obs=np.full((400, 1), np.nan))}, ValueError, "not finite"),
    ],
)
def test_errors_say_what_to_change(changes, kind, words):
    with pytest.raises(kind, match=words):
        bm.identify(**{"env": Pushed(), "log": pushed_log(), "names": ["gain"]} | changes)


@pytest.mark.parametrize("env", [CartPole(), MountainCar(), Pendulum(), Acrobot()], ids=lambda env: type(env).__name__)
def test_the_state_of_an_observation_goes_on_as_the_world_did(env):
    log = bm.record(env, 60)
    after = jax.vmap(lambda obs, action: env.step(env.state_of(obs), action, jax.random.key(0))[1].obs)
    np.testing.assert_allclose(after(log.obs, log.action), log.next_obs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("env", [Pushed(gain=2.0), HostedPushed])
def test_a_log_has_true_successors(env):
    log = bm.record(env, 23, seed=1)
    np.testing.assert_allclose(
        log.next_obs, log.obs + (2.0 if isinstance(env, bm.Env) else 1.0) * log.action, rtol=1e-5
    )
    assert (log.obs[::5] == 0).all(), "episodes have 5 steps"
    assert (log.obs[1:5] == log.next_obs[:4]).all()
    assert np.ptp(log.action) > 1
    steady = bm.record(env, 6, policy=lambda obs: np.float32([0.5]))
    assert (steady.action == 0.5).all()


def test_a_transition_is_a_log():
    rows = pushed_log()
    ones = np.ones(400)
    transition = bm.Transition(rows.obs, rows.action, ones, ones, ones < 0, rows.next_obs, {}, ones)
    np.testing.assert_array_equal(log_of(transition).next_obs, rows.next_obs)
