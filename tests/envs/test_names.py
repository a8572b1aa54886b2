"""Finding environments by name, and what is said when there is none of that name."""

import subprocess
import sys
import types

import gymnasium as gym
import pytest

import bellmax.envs
from bellmax.envs import WORLDS, names
from bellmax.envs.adaptors import MissingDependency
from bellmax.envs.adaptors.gymnasium import HostedSource
from bellmax.envs.names import UnknownEnvironment, find, known, nearest


class Library:
    """What stands for bellmax.envs.adaptors.gymnax, so that these tests need no Gymnax."""

    named = staticmethod(lambda name, options: (name, options))
    names = staticmethod(lambda: ["CartPole-v1", "Asterix-MinAtar"])


@pytest.fixture(autouse=True)
def gymnax(monkeypatch):
    module = types.ModuleType("bellmax.envs.adaptors.gymnax")
    vars(module).update(named=Library.named, names=Library.names)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(bellmax.envs.adaptors, "gymnax", module, raising=False)
    return module


def test_gymnasium_ids():
    source = find("CartPole-v1", max_episode_steps=7, vectorization="sync")
    assert isinstance(source, HostedSource)
    assert (source.made, source.kwargs, source.vectorization) == ("CartPole-v1", {"max_episode_steps": 7}, "sync")
    assert find(source.reference, **source.kwargs).made == "CartPole-v1"


def test_worlds_in_the_graph():
    world = find("bellmax:GridWorld")
    assert world == WORLDS["GridWorld"]()
    assert find(world) is world
    assert find(type(world)) == world
    with pytest.raises(TypeError, match="GridWorld is already made and takes no size"):
        find(world, size=3)


def test_arguments_reach_the_constructor():
    assert find("bellmax:GridWorld", slip=0.25) == WORLDS["GridWorld"](slip=0.25)
    assert find("bellmax:GridWorld", slip=0.25) != WORLDS["GridWorld"](slip=0.5)
    assert find("gymnax:CartPole-v1", max_steps_in_episode=9) == ("CartPole-v1", {"max_steps_in_episode": 9})


MODULE = """
import gymnasium
from bellmax.core import Env

class Maze(gymnasium.Env):
    observation_space = action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        return 0, {}

    def __init__(self, size=1):
        self.size = size

def make_maze(size=1):
    return Maze(size)

class Pole(Env):
    height: int = 1

pole = Pole()
gymnasium.register("MyMaze-v0", Maze)
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module of the user's own in the working directory, which is not on the path."""
    (tmp_path / "my_mazes.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "my_mazes"
    sys.modules.pop("my_mazes", None)
    gym.registry.pop("MyMaze-v0", None)


def test_things_in_modules(mine):
    source = find(f"{mine}:Maze", size=3)
    module = sys.modules[mine]
    assert source.made is module.Maze
    assert source.reference == f"{mine}:Maze"
    assert source.vector(2, seed=0)._vector.envs[0].unwrapped.size == 3
    assert find(f"{mine}:make_maze").made is module.make_maze
    assert find(f"{mine}:pole") is module.pole
    assert find(f"{mine}:Pole", height=2) == module.pole.replace(height=2)
    assert find(f"{mine}:MyMaze-v0").made == f"{mine}:MyMaze-v0"


def test_a_slip_in_the_name_of_a_thing_in_a_module(mine):
    with pytest.raises(UnknownEnvironment, match="did you mean my_mazes:Maze"):
        find(f"{mine}:Mase")


def test_objects_classes_and_vectors():
    env, vector = gym.make("CartPole-v1"), gym.vector.SyncVectorEnv([lambda: gym.make("CartPole-v1")])
    for made in (env, vector, lambda: gym.make("CartPole-v1"), type(env.unwrapped)):
        assert find(made).made is made
    source = find(env)
    assert find(source) is source
    with pytest.raises(TypeError, match="is no environment"):
        find(7)


@pytest.mark.parametrize(
    ("name", "suggestions"),
    [
        ("CartPole-v3", "CartPole-v1, gymnax:CartPole-v1 or bellmax:CartPole"),
        ("cartpole-V1", "CartPole-v1, "),
        ("CartPol", "CartPole-v1, "),
        ("LunarLander-v2", "LunarLander-v3 "),
        ("HalfChetah-v5", "HalfCheetah-v5"),
        ("HalfCheetah", "HalfCheetah-v5"),  # the newest of them
        ("gymnax:cartpole", "gymnax:CartPole-v1, "),
        ("gymnax:Asterix", "gymnax:Asterix-MinAtar"),
        ("gymnx:CartPole-v1", "CartPole-v1, "),
        ("bellmax:gridworld", "bellmax:GridWorld"),
        ("bellmax:Cliff", "bellmax:CliffWalking, "),
    ],
)
def test_suggestions(name, suggestions):
    with pytest.raises(UnknownEnvironment) as caught:
        find(name)
    assert isinstance(caught.value, ValueError)
    message = str(caught.value)
    assert message.startswith(f"no environment is called {name!r}")
    assert f"did you mean {suggestions.split(', ')[0].strip()}" in message
    assert all(word in message for word in suggestions.replace(" or ", ", ").split(", ") if word)


def test_nothing_like_it():
    assert nearest("Xyzzy") == []
    with pytest.raises(UnknownEnvironment, match="no environment is called 'Xyzzy': `bellmax envs` lists them all"):
        find("Xyzzy")
    with pytest.raises(UnknownEnvironment, match="there is no module 'no_such_module' here or installed"):
        find("no_such_module:Thing")


def test_a_module_that_breaks_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "broken_mazes.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(ZeroDivisionError):
        find("broken_mazes:Maze")


@pytest.mark.parametrize(
    ("name", "module", "line"),
    [
        ("LunarLander-v3", "Box2D", 'pip install "bellmax[box2d]"'),
        ("Hopper-v5", "mujoco", 'pip install "bellmax[mujoco]"'),
        ("ALE/Pong-v5", "ale_py", 'pip install "bellmax[atari]"'),
        ("PongNoFrameskip-v4", "ale_py", 'pip install "bellmax[atari]"'),
        ("MiniGrid-Empty-5x5-v0", "minigrid", 'pip install "bellmax[minigrid]"'),
        ("FetchReach-v4", "gymnasium_robotics", 'pip install "bellmax[robotics]"'),
    ],
)
def test_missing_packages(name, module, line, monkeypatch):
    installed = names._installed
    monkeypatch.setattr(names, "_installed", lambda asked: asked != module and installed(asked))
    gone = [identity for identity in gym.registry if identity == name and "gymnasium.envs" not in str(gym.spec(name))]
    for identity in gone:
        monkeypatch.delitem(gym.registry, identity)
    with pytest.raises(MissingDependency) as caught:
        find(name)
    assert str(caught.value) == f"{name} needs {module}, which is not installed: {line}"


@pytest.mark.parametrize("library", ["brax", "navix", "pgx"])
def test_missing_worlds_in_the_graph(library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)  # an import of it fails
    with pytest.raises(MissingDependency, match=rf'pip install "bellmax\[{names.LIBRARIES[library]}\]"'):
        find(f"{library}:ant")


@pytest.mark.parametrize(("version", "fails"), [("3.11.0", False), ("3.12.0", True), ("4.0.0", True)])
def test_robots_need_an_older_mujoco(version, fails, monkeypatch):
    gym.register("FetchNothing-v4", "gymnasium.envs.classic_control:CartPoleEnv")
    monkeypatch.setattr(names, "_installed", lambda asked: True)
    monkeypatch.setattr(names.importlib.metadata, "version", lambda package: version)
    try:
        if not fails:
            assert find("FetchNothing-v4").made == "FetchNothing-v4"
            return
        with pytest.raises(MissingDependency) as caught:
            find("FetchNothing-v4")
    finally:
        gym.registry.pop("FetchNothing-v4")
    said = f"FetchNothing-v4 needs a MuJoCo before 3.12, and {version} is installed: "
    assert str(caught.value) == said + 'pip install "bellmax[robotics]"'


def test_missing_gymnax(gymnax):
    def missing():
        raise ModuleNotFoundError("No module named 'gymnax'")

    gymnax.names = missing
    with pytest.raises(MissingDependency, match=r'gymnax:CartPole-v1 needs gymnax .*pip install "bellmax\[gymnax\]"'):
        find("gymnax:CartPole-v1")
    assert "gymnax" not in known()
    with pytest.raises(UnknownEnvironment, match="CartPole-v1"):
        find("CartPole-v3")


def test_everything_known_can_be_found():
    every = known()
    assert {"bellmax", "gymnasium", "gymnax"} <= set(every) <= {"bellmax", "gymnasium", *names.LIBRARIES}
    assert "bellmax:GridWorld" in every["bellmax"]
    assert "CartPole-v1" in every["gymnasium"]
    assert every["gymnax"] == ["gymnax:Asterix-MinAtar", "gymnax:CartPole-v1"]
    for name in every["bellmax"] + every["gymnax"] + ["CartPole-v1", "Blackjack-v1"]:
        assert find(name) is not None


def test_importing_names_leaves_gymnasium_alone():
    code = "import sys, bellmax.envs.names; print('gymnasium' in sys.modules, 'gymnax' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "False"], done.stderr
