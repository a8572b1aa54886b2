"""What is said and done when the user's environment raises, dies or is interrupted."""

import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces as gs

from bellmax.envs.adaptors import gymnasium as adaptor
from bellmax.envs.adaptors.gymnasium import EnvironmentFailed, HostedSource


class Unpicklable(Exception):
    def __init__(self, text):
        Exception.__init__(self, text)
        self.lock = threading.Lock()


class Fragile(gym.Env):
    """Action 1 raises, 2 kills its process and 3 is Ctrl-C in the middle of a long step."""

    def __init__(self, trainer=0):
        self.observation_space, self.action_space, self.trainer = gs.Discrete(1), gs.Discrete(4), trainer

    def reset(self, *, seed=None, options=None):
        return 0, {}

    def step(self, action):
        if action == 1:
            raise Unpicklable("it broke, 100%")
        if action == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if action == 3:  # the terminal tells every process
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(self.trainer, signal.SIGINT)
            time.sleep(60)
        return 0, 0.0, False, False, {}


def test_failures_are_reported_with_place_and_cause():
    hosted = HostedSource(Fragile).vector(3, seed=11)
    hosted.reset()
    hosted.step(np.array([0, 0, 0]))
    with pytest.raises(EnvironmentFailed) as caught:
        hosted.step(np.array([0, 0, 1]))
    message = str(caught.value)
    assert message.startswith(
        "Fragile failed in step() (vector step 1, seed 11; copy 2 of 3, whose first reset had seed="
    )
    assert message.endswith("Unpicklable: it broke, 100%")
    assert isinstance(caught.value.__cause__, Unpicklable)
    assert 'raise Unpicklable("it broke, 100%")' in "".join(traceback.format_exception(caught.value))
    hosted.close()


def test_failures_in_reset():
    class Unready(Fragile):
        def reset(self, *, seed=None, options=None):
            raise KeyError("no level")

    with pytest.raises(EnvironmentFailed, match=r"Unready failed in reset\(\) \(vector step 0, seed 1; copy 0 of 2"):
        HostedSource(Unready).vector(2, seed=1)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Gymnasium's own words on its dead processes
def test_failures_in_another_process():
    source = HostedSource(Fragile, vectorization="async")
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


@pytest.fixture
def hears_ctrl_c():
    """A shell that runs the tests in the background has them ignore Ctrl-C; this test is about hearing it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_interrupted_in_the_middle_of_a_step():
    hosted = HostedSource(Fragile, {"trainer": os.getpid()}, "async").vector(2, seed=0)
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
