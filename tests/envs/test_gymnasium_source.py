"""Where hosted environments come from, how they run, and what is said when something is wrong."""

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path

import cloudpickle
import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors import gymnasium as adaptor
from bellmax.envs.adaptors.gymnasium import EnvironmentFailed, HostedSource, InvalidEnvironment


class Simple(gym.Env):
    """Shows `size` zeros, slowly. Outside its action space, action 1 raises, 2 kills and 3 interrupts."""

    metadata = {"render_modes": ["rgb_array"]}

    def __init__(self, size=1, slow=0.0, trainer=0, render_mode=None):
        self.observation_space, self.action_space = gs.Box(-1, 1, (size,)), gs.Discrete(1)
        self.size, self.slow, self.trainer, self.render_mode = size, slow, trainer, render_mode

    def reset(self, *, seed=None, options=None):
        return np.zeros(self.size, np.float32), {}

    def step(self, action):
        time.sleep(self.slow)
        if action == 1:
            raise Unpicklable("it broke, 100%")
        if action == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == 3:  # Ctrl-C in the middle of a long step: the terminal tells everybody
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(self.trainer, signal.SIGINT)
            time.sleep(60)
        return np.zeros(self.size, np.float32), 0.0, False, False, {}

    def render(self):
        return np.full((2, 2, 3), self.size, np.uint8)


class Unpicklable(Exception):
    def __init__(self, text):
        Exception.__init__(self, text)
        self.lock = threading.Lock()


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
    monkeypatch.setattr(adaptor, "_cores", lambda: 2)
    slow = HostedSource(Simple, {"slow": 0.004})
    assert kind(HostedSource(Simple)) is SyncVectorEnv
    assert kind(slow) is AsyncVectorEnv
    assert kind(slow, num_envs=1) is SyncVectorEnv
    assert kind(HostedSource(Simple, vectorization="async"), num_envs=1) is AsyncVectorEnv
    here = threading.Lock()  # holds what cannot leave this process
    assert kind(HostedSource(lambda: (here, Simple(slow=0.004))[1])) is SyncVectorEnv
    monkeypatch.setattr(adaptor, "_cores", lambda: 1)
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


def test_failures_are_reported_with_place_and_cause():
    hosted = HostedSource(Simple).vector(3, seed=11)
    hosted.reset()
    hosted.step(np.array([0, 0, 0]))
    with pytest.raises(EnvironmentFailed) as caught:
        hosted.step(np.array([0, 0, 1]))
    message = str(caught.value)
    assert message.startswith(
        "Simple failed in step() (vector step 1, seed 11; copy 2 of 3, whose first reset had seed="
    )
    assert message.endswith("Unpicklable: it broke, 100%")
    assert isinstance(caught.value.__cause__, Unpicklable)
    assert 'raise Unpicklable("it broke, 100%")' in "".join(traceback.format_exception(caught.value))
    hosted.close()


def test_failures_in_reset():
    class Unready(Simple):
        def reset(self, *, seed=None, options=None):
            raise KeyError("no level")

    with pytest.raises(EnvironmentFailed, match=r"Unready failed in reset\(\) \(vector step 0, seed 1; copy 0 of 2"):
        HostedSource(Unready).vector(2, seed=1)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Gymnasium's own words on its dead processes
def test_failures_in_another_process():
    source = HostedSource(Simple, vectorization="async")
    hosted = source.vector(2, seed=0)
    hosted.reset()
    with pytest.raises(EnvironmentFailed) as caught:
        hosted.step(np.array([0, 1]))
    assert "copy 1 of 2" in str(caught.value)
    assert 'raise Unpicklable("it broke, 100%")' in str(caught.value)
    hosted.close()
    hosted = source.vector(2, seed=0)
    hosted.reset()
    with pytest.raises(EnvironmentFailed, match="one of its processes died"):
        hosted.step(np.array([0, 2]))
    processes = hosted._vector.processes
    hosted.close()  # and does not wait for those who will never answer
    assert not any(process.is_alive() for process in processes)


def test_interrupted_in_the_middle_of_a_step():
    hosted = HostedSource(Simple, {"trainer": os.getpid()}, "async").vector(2, seed=0)
    hosted.reset()
    processes = hosted._vector.processes
    with pytest.raises(KeyboardInterrupt):
        hosted.step(np.array([0, 3]))
    assert all(process.is_alive() for process in processes)  # whoever trains decides what happens to them
    hosted.close()  # at once: the step would have taken a minute
    assert not any(process.is_alive() for process in processes)


SCRIPT = """
import gymnasium as gym, numpy as np
from bellmax.envs.adaptors.gymnasium import HostedSource
print("once")
class Mine(gym.Env):
    observation_space, action_space = gym.spaces.Box(-1, 1, (1,)), gym.spaces.Discrete(2)
    def reset(self, *, seed=None, options=None):
        return np.zeros(1, np.float32), {}
    def step(self, action):
        return np.ones(1, np.float32), 2.0, False, False, {}
hosted = HostedSource(Mine, vectorization="async").vector(2, seed=0)
hosted.reset()
print(hosted.step(np.zeros(2)).reward.sum())
hosted.close()
"""


def test_a_script_needs_no_main_guard(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    source = str(Path(adaptor.__file__).parents[3])
    environment = {**os.environ, "PYTHONPATH": source}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, env=environment)
    assert done.stdout.split() == ["once", "4.0"], done.stderr


class Faulty(gym.Env):
    """Keeps the contract except where `faults` say otherwise."""

    def __init__(self, **faults):
        space = gs.Dict({"x": gs.Box(0, 1, (2,), np.float32), "n": gs.Discrete(3)})
        self.observation_space, self.action_space = faults.get("space", space), gs.Discrete(2)
        self.faults = faults

    def reset(self, *, seed=None, options=None):
        return self.faults.get("reset", (self._show(), {}))

    def _show(self):
        return self.faults.get("obs", {"x": np.zeros(2, np.float32), "n": 0})

    def step(self, action):
        rest = [self.faults.get(name, good) for name, good in (("reward", 1.0), ("flag", False))]
        return self.faults.get("step", (self._show(), *rest, False, {}))


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ({"reset": np.zeros(2)}, "reset returned an array of shape (2,): return (observation, info)"),
        ({"step": (0, 0, False, {})}, "step returned a tuple of 4: return (observation, reward, terminated, trunc"),
        ({"obs": np.zeros(2)}, "reset's observation has an array of shape (2,): observation_space declares ['n', 'x']"),
        ({"obs": {"x": np.zeros(2)}}, "reset's observation has the keys ['x']: observation_space declares ['n', 'x']"),
        ({"obs": {"x": np.zeros(3), "n": 0}}, "observation['x'] is an array of shape (3,): observation_space declares"),
        ({"obs": {"x": np.zeros(2), "n": 0.5}}, "observation['n'] has dtype float64: observation_space declares int64"),
        ({"obs": {"x": np.zeros(2), "n": 3}}, "observation['n'] is out of its bounds, 3 to 3"),
        ({"obs": {"x": np.array([0, np.nan]), "n": 0}}, "observation['x'] holds NaN"),
        ({"obs": {"x": [[0], [0, 0]], "n": 0}}, "observation['x'] is list"),
        ({"reward": np.zeros(1)}, "reward is an array of shape (1,): return one number"),
        ({"reward": np.inf}, "reward is inf: return a finite number"),
        ({"flag": 1}, "terminated is int 1: return True or False"),
        ({"space": None}, "has no observation_space"),
    ],
)
def test_check_says_what_is_wrong(faults, words):
    with pytest.raises(InvalidEnvironment) as caught:
        HostedSource(Faulty, faults).check()
    assert str(caught.value).startswith("Faulty")
    assert words in str(caught.value)


def test_check_passes_what_is_right_and_warns_of_bounds():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        HostedSource(Faulty).check()
        HostedSource(Faulty, {"obs": {"x": [0, 1.0], "n": np.int8(2)}}).check()  # a narrower number is no fault
        HostedSource("CartPole-v1").check()
    with pytest.warns(UserWarning, match=r"observation\['x'\] is out of its bounds, 0.0 to 2.0"):
        HostedSource(Faulty, {"obs": {"x": np.array([0.0, 2.0]), "n": 0}}).check()


def test_check_reports_what_the_environment_raises():
    class Breaks(Simple):
        def step(self, action):
            raise ZeroDivisionError("by zero")

    with pytest.raises(EnvironmentFailed, match=r"Breaks failed while it was checked .seed 0.: ZeroDivisionError"):
        HostedSource(Breaks).check()
