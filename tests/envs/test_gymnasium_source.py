"""Where hosted environments come from, how they run, and how they are passed on."""

import pickle
import threading
import time

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors import gymnasium as adaptor
from bellmax.envs.adaptors.gymnasium import HostedSource


class Simple(gym.Env):
    """Shows `size` zeros; a step takes `slow` seconds."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, size=1, slow=0.0, render_mode=None):
        self.observation_space, self.action_space = gs.Box(-1, 1, (size,)), gs.Discrete(1)
        self.size, self.slow, self.render_mode = size, slow, render_mode

    def reset(self, *, seed=None, options=None):
        return np.zeros(self.size, np.float32), {}

    def step(self, action):
        if self.slow:
            time.sleep(self.slow)
        return np.zeros(self.size, np.float32), 0.0, False, False, {}

    def render(self):
        return np.full((2, 2, 3), self.size, np.uint8)


class Holding(Simple):
    """An environment that cannot be copied."""

    def __init__(self):
        Simple.__init__(self)
        self.lock = threading.Lock()


def factory(size=1):
    return Simple(size)


def kind(source, num_envs=2):
    hosted = source.vector(num_envs, seed=0)
    hosted.close()
    return type(hosted._vector)


@pytest.mark.parametrize("made", [Simple, factory, lambda size: Simple(size)])
def test_classes_and_factories_take_arguments(made):
    hosted = HostedSource(made, {"size": 5}).vector(3, seed=0)
    assert hosted.reset().shape == (3, 5)


def test_an_id_registered_in_this_process_alone():
    gym.register("OnlyHere-v0", Simple, kwargs={"size": 2})
    try:
        hosted = HostedSource("OnlyHere-v0", {"size": 4}, "async").vector(2, seed=0)
    finally:
        gym.registry.pop("OnlyHere-v0")
    assert hosted.reset().shape == (2, 4)
    hosted.close()


def test_an_object_is_made_again_from_its_spec_with_its_wrappers():
    env = gym.wrappers.FlattenObservation(gym.wrappers.TimeLimit(gym.make("CartPole-v1"), 2))
    hosted = HostedSource(env).vector(2, seed=0)
    hosted.reset()
    assert not hosted.step(np.array([0, 0])).last.any()
    assert hosted.step(np.array([0, 0])).last.all()
    assert all(copy.unwrapped is not env.unwrapped for copy in hosted._vector.envs)
    hosted.close()
    env.reset()  # it is not closed, nor has anybody stepped it


def test_an_object_without_spec_is_copied():
    env = Simple(3)
    env.extra = [1]
    hosted = HostedSource(env).vector(2, seed=0)
    held = [copy.unwrapped for copy in hosted._vector.envs]
    assert len({id(env), *map(id, held)}) == 3
    assert all(copy.extra == [1] and copy.extra is not env.extra for copy in held)


def test_an_object_that_cannot_be_copied_is_used_once():
    source = HostedSource(Holding())
    with pytest.raises(TypeError, match=r"Holding is an object that cannot be copied .*pass its class, or a function"):
        source.vector(2, seed=0)
    hosted = source.vector(1, seed=0)
    assert hosted._vector.envs[0].unwrapped is source.made
    with pytest.raises(RuntimeError, match="already in use"):
        source.vector(1, seed=0)
    hosted.close()
    source.vector(1, seed=0)


def test_a_ready_vector_is_lent_and_given_back():
    vector = SyncVectorEnv([Simple] * 2, autoreset_mode=AutoresetMode.SAME_STEP)
    source = HostedSource(vector)
    with pytest.raises(ValueError, match="holds 2 environments: num_envs = 3"):
        source.vector(3, seed=0)
    hosted = source.vector(2, seed=0)
    with pytest.raises(RuntimeError, match="SyncVectorEnv is one object and already in use"):
        source.vector(2, seed=0)
    hosted.close()
    assert not vector.closed
    source.vector(2, seed=0)  # dropped without being closed, which gives it back as well
    source.vector(2, seed=0)


def test_what_is_no_environment():
    class Old:
        def reset(self):
            return 0

    for wrong in (Old, 3, None):
        with pytest.raises(TypeError, match=r"is no environment: pass a Gymnasium id, a gymnasium\.Env class"):
            HostedSource(wrong)
    with pytest.raises(TypeError, match=r"Old, not a gymnasium\.Env: derive your class from gymnasium\.Env"):
        HostedSource(lambda: Old()).vector(1, seed=0)
    with pytest.raises(TypeError, match=r"Simple is already made and takes no size: pass its class"):
        HostedSource(Simple(), {"size": 2})
    with pytest.raises(ValueError, match="vectorization = 'fast': choose 'auto', 'sync' or 'async'"):
        HostedSource(Simple, vectorization="fast")
    with pytest.raises(ValueError, match="num_envs = 0 and seed = 0"):
        HostedSource(Simple).vector(0, seed=0)


def test_auto_uses_processes_for_slow_environments_only(monkeypatch):
    monkeypatch.setattr(adaptor, "cores", lambda: 2)
    monkeypatch.setattr(adaptor, "SLOW", 0.02)  # far from both, whatever else the machine is doing
    slow = HostedSource(Simple, {"slow": 0.05})
    assert kind(HostedSource(Simple)) is SyncVectorEnv
    assert kind(slow) is AsyncVectorEnv
    assert kind(slow, num_envs=1) is SyncVectorEnv
    assert kind(HostedSource(Simple, vectorization="async"), num_envs=1) is AsyncVectorEnv
    here = threading.Lock()  # holds what cannot leave this process
    assert kind(HostedSource(lambda: (here, Simple(slow=0.05))[1])) is SyncVectorEnv
    monkeypatch.setattr(adaptor, "cores", lambda: 1)
    assert kind(slow) is SyncVectorEnv


def test_names_and_references():
    def local():
        return Simple()

    assert (HostedSource("CartPole-v1").name, HostedSource("CartPole-v1").reference) == ("CartPole-v1",) * 2
    assert (HostedSource(Simple).name, HostedSource(Simple).reference) == ("Simple", f"{__name__}:Simple")
    assert HostedSource(factory).reference == f"{__name__}:factory"
    assert (HostedSource(local).name, HostedSource(local).reference) == ("local", None)
    assert HostedSource(lambda: Simple()).reference is None
    assert (HostedSource(Simple()).name, HostedSource(Simple()).reference) == ("Simple", None)
    assert HostedSource(gym.make("CartPole-v1")).reference == "CartPole-v1"
    assert HostedSource(gym.make("CartPole-v1", max_episode_steps=7)).reference is None  # the id alone is another
    vector = SyncVectorEnv([Simple])
    assert (HostedSource(vector).name, HostedSource(vector).reference) == ("SyncVectorEnv", None)


def test_sources_travel():
    for source in (HostedSource(lambda: Simple(4)), HostedSource(Simple(4)), HostedSource(Simple, {"size": 4}, "sync")):
        again = pickle.loads(cloudpickle.dumps(source))
        assert (again.vectorization, again.kwargs) == (source.vectorization, source.kwargs)
        assert again.vector(2, seed=0).reset().shape == (2, 4)
    vector = AsyncVectorEnv([Simple], context="forkserver")
    with pytest.raises(TypeError, match="cannot be sent to another process: pass the id, class or factory"):
        cloudpickle.dumps(HostedSource(vector))
    vector.close()


def test_pictures():
    hosted = HostedSource(Simple, {"size": 7}).vector(2, seed=0, render_mode="rgb_array")
    assert [frame.mean() for frame in hosted.render()] == [7, 7]
    assert HostedSource(Simple).vector(1, seed=0).render() is None
    with pytest.raises(TypeError, match="factory takes no render_mode: give its constructor one"):
        HostedSource(factory).vector(1, seed=0, render_mode="rgb_array")
    with pytest.raises(ValueError, match="Simple was made with render_mode=None, not 'rgb_array'"):
        HostedSource(Simple()).vector(1, seed=0, render_mode="rgb_array")


def test_a_missing_package():
    def needy():
        raise ModuleNotFoundError("No module named 'engine'", name="engine")

    with pytest.raises(
        MissingDependency, match="needy needs a package that is not installed: No module named 'engine'"
    ):
        HostedSource(needy).vector(1, seed=0)
