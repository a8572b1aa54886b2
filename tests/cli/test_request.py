"""From `train ALGORITHM ENV ...` to what `bellmax.train` is asked to do. Nothing is trained here."""

import pytest

import bellmax.cli.sweep
import bellmax.cli.train
from bellmax import recipes
from bellmax.algorithms.policy.a2c import A2C
from bellmax.algorithms.policy.ppo import PPO
from bellmax.catalogue import UnknownAlgorithm
from bellmax.cli.main import main
from bellmax.cli.options import seeds, setting
from bellmax.cli.request import understand
from bellmax.envs.names import UnknownEnvironment
from bellmax.envs.perturbed import perturbed
from bellmax.experience import Steps
from bellmax.maths.schedules import Linear
from bellmax.training import DEFAULT_ENVS, DEFAULT_STEPS, train

RECIPE = recipes.find("ppo", "CartPole-v1")


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What `bellmax.train` and `bellmax.sweep` were called with."""
    calls = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(bellmax.cli.train, "train", lambda **arguments: calls.append(arguments))
    monkeypatch.setattr(bellmax.cli.sweep, "sweep", lambda **arguments: calls.append(arguments) or [])
    return calls


def ask(words):
    return understand(words.split(), "train")


def test_without_a_recipe_everything_is_as_the_library_has_it():
    request = ask("a2c MountainCar-v0")
    assert request.algorithm == A2C()
    got = request.arguments
    assert (got["algorithm"], got["env"].name) == ("a2c", "MountainCar-v0")
    assert (got["steps"], got["num_envs"], got["seeds"]) == (DEFAULT_STEPS, DEFAULT_ENVS, 1)
    assert (got["normalise"], got["scale_rewards"], got["recipe"]) == (False, False, "auto")
    assert (got["run_folder"], got["track"], got["display"], got["name"]) == ("runs", ("tensorboard",), "auto", None)
    assert got["evaluate_every"] is got["checkpoint_every"] is got["log_every"] is None
    assert got["evaluation_episodes"] == 100


def test_a_recipe_gives_the_defaults():
    request = ask("ppo CartPole-v1")
    assert request.algorithm == RECIPE.algorithm != PPO()
    assert (request.arguments["steps"], request.arguments["num_envs"]) == (RECIPE.steps, RECIPE.num_envs)
    assert request.arguments["algorithm"] == "ppo", "by name, so that the run can tell its recipe"


def test_flags_make_the_environment_harder_and_keep_its_recipe():
    words = "--randomise half_length=0.25:1 --randomise force=5:15 --observation-noise 0.1 --observation-delay 1:2"
    request = ask(f"ppo bellmax:CartPole {words} --action-delay 3")
    ranges = {"half_length": (0.25, 1.0), "force": (5.0, 15.0)}
    assert request.env == perturbed(
        "bellmax:CartPole", ranges, observation_noise=0.1, action_delay=3, observation_delay=(1, 2)
    )
    assert request.algorithm == RECIPE.algorithm
    for flag, said in (
        ("--randomise half_lenght=1:2", "did you mean 'half_length'"),
        ("--randomise force=5", "write NAME=LOW:HIGH"),
        ("--action-delay x", "give steps"),
    ):
        with pytest.raises(ValueError, match=said):
            ask(f"ppo bellmax:CartPole {flag}")


def test_flags_change_the_recipe_and_nothing_else_of_it():
    request = ask("ppo CartPole-v1 --gamma 0.5 --num-envs 3")
    assert request.algorithm == RECIPE.algorithm.replace(gamma=0.5)
    assert (request.arguments["algorithm"], request.arguments["hyperparameters"]) == ("ppo", {"gamma": 0.5})
    assert (request.arguments["steps"], request.arguments["num_envs"]) == (RECIPE.steps, 3)


def test_recipe_none_is_the_paper():
    request = ask("ppo CartPole-v1 --recipe none")
    assert request.algorithm == PPO()
    assert (request.arguments["recipe"], request.arguments["steps"]) == ("none", DEFAULT_STEPS)


def test_every_option_arrives():
    words = "a2c MountainCar-v0 --steps 2M --num-envs 4 --seeds 3,7 --normalise --scale-rewards --evaluate-every 10k"
    words += " --evaluation-episodes 5 --log-every 1e3 --checkpoint-every 100_000 --run-folder none --name x"
    words += " --track tensorboard,wandb --json --overlap --data x.npz --frozen torso"
    got = ask(words).arguments
    assert got.pop("env").name == "MountainCar-v0"
    assert got == {
        "algorithm": "a2c",
        "steps": 2_000_000,
        "data": "x.npz",
        "start_from": None,
        "frozen": ("torso",),
        "num_envs": 4,
        "seeds": [3, 7],
        "recipe": "auto",
        "normalise": True,
        "scale_rewards": True,
        "evaluate_every": 10_000,
        "evaluation_episodes": 5,
        "log_every": 1000,
        "checkpoint_every": 100_000,
        "run_folder": None,
        "name": "x",
        "track": ("tensorboard", "wandb"),
        "display": "json",
        "overlap": True,
    }


def test_options_of_the_environment_arrive():
    env = ask("a2c bellmax:GridWorld --set size=4 --set slip=0.25").env
    assert (env.size, env.slip) == (4, 0.25)


@pytest.mark.parametrize(
    "words",
    [
        "a2c MountainCar-v0 --gamma 0.5",
        "--gamma 0.5 a2c MountainCar-v0",
        "MountainCar-v0 a2c --gamma 0.5",
        "A2C --gamma 0.5 MountainCar-v0",
    ],
)
def test_words_may_stand_in_any_order(words):
    request = ask(words)
    assert (request.algorithm, request.env.name) == (A2C(gamma=0.5), "MountainCar-v0")


def test_every_argument_is_one_that_the_front_door_knows():
    import inspect

    got, known = ask("a2c MountainCar-v0").arguments, inspect.signature(train).parameters
    assert set(got) <= set(known)


def test_an_unknown_algorithm_suggests_the_nearest():
    with pytest.raises(UnknownAlgorithm, match="did you mean ppo"):
        ask("pppo CartPole-v1")
    with pytest.raises(UnknownAlgorithm, match=r"which algorithm\?.*reinforce, a2c, ppo, recurrent-ppo"):
        ask("")


def test_an_unknown_environment_is_told_before_any_work(asked, capsys):
    with pytest.raises(UnknownEnvironment, match=r"did you mean CartPole-v1"):
        ask("ppo CartPole-v9")
    assert main(["train", "ppo", "CartPole-v9"]) == 1
    assert asked == []
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("error: no environment is called 'CartPole-v9': did you mean CartPole-v1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("ppo", "ENV"),
        ("ppo CartPole-v1 --gama 1", "--gamma FLOAT"),
        ("ppo CartPole-v1 --quiet --json", "exclude each other"),
        ("ppo CartPole-v1 --steps 0", "give at least 1"),
        ("ppo CartPole-v1 --recipe some", "auto"),
        ("ppo CartPole-v1 --seeds x", "--seeds x: give how many (5), or which"),
        ("ppo CartPole-v1 --set size", "--set size: write KEY=VALUE"),
    ],
)
def test_what_cannot_be_understood_is_told_and_nothing_is_trained(words, said, asked, capsys):
    assert main(["train", *words.split()]) in (1, 2)
    assert asked == []
    assert said in capsys.readouterr().err


def test_help_with_an_environment_shows_its_recipe(capsys):
    assert main(["train", "ppo", "CartPole-v1", "--help"]) == 0
    text = capsys.readouterr().out
    assert "Recipe: ppo on CartPole-v1" in text
    assert "(default: linear:0.001:0)" in text.replace("\n", " ")
    assert main(["train", "ppo", "--help"]) == 0
    text = capsys.readouterr().out
    assert "ENV" in text
    assert "(default: 0.00025)" in text
    assert "CartPole-v1" in text.split("positional")[0], "which environments have recipes"


def test_seeds_are_how_many_or_which():
    assert [seeds(text) for text in ("5", "3,7", "3,", "0,")] == [5, [3, 7], [3], [0]]
    for wrong in ("x", "", ",", "0", "1.5"):
        with pytest.raises(ValueError, match="give how many"):
            seeds(wrong)


def test_settings_are_values_where_they_look_like_values():
    texts = ["a=3", "b=0.5", "c=true", "d=None", "e=[1, 2]", "f=4x4", "g=", "h='7'", "i=a=b"]
    values = [3, 0.5, True, None, [1, 2], "4x4", "", "7", "a=b"]
    assert [setting(text) for text in texts] == list(zip("abcdefghi", values))
    for wrong in ("a", "=3", "a b=3"):
        with pytest.raises(ValueError, match="write KEY=VALUE"):
            setting(wrong)


def test_a_sweep_reads_its_values_as_flags_do(asked):
    words = "a2c MountainCar-v0 --gamma 0.9 --over learning-rate=1e-3,linear:0.01:0 --over experience.length=8,16"
    assert main(["sweep", *words.split(), "--over", "hidden=32,64 64", "--quiet"]) == 0
    (call,) = asked
    assert call["algorithm"] == A2C(gamma=0.9)
    assert call["over"] == {
        "learning_rate": [0.001, Linear(0.01, 0.0)],
        "experience": [Steps(8), Steps(16)],
        "hidden": [(32,), (64, 64)],
    }


@pytest.mark.parametrize(
    "over", [[], ["--over", "gamma"], ["--over", "gamma="], ["--over", "gama=1"], ["--over", "gamma=7"]]
)
def test_a_sweep_that_makes_no_sense_does_not_begin(over, asked, capsys):
    assert main(["sweep", "a2c", "CartPole-v1", *over]) in (1, 2)
    assert asked == []
    assert "gamma" in capsys.readouterr().err or over == []


@pytest.mark.parametrize("said", ["--experience replay", "--experience=Replay"])
def test_a_field_of_several_kinds_may_be_of_another(said):
    """What both kinds have stays as the recipe has it; what only the new one has can be set, too."""
    request = ask(f"iql Pendulum-v1 {said} --experience.capacity 30k --name=a=b")
    old = recipes.find("iql", "Pendulum-v1").algorithm.experience
    assert request.algorithm.experience == bellmax.Replay(capacity=30_000, batch=old.batch)
    assert request.options.name == "a=b", "other words are as they were"
    assert request.arguments["hyperparameters"] == {"experience": request.algorithm.experience}
    assert ask("iql Pendulum-v1").algorithm.experience == old, "the control"
    assert ask("q-learning bellmax:FrozenLake --exploration boltzmann").algorithm.exploration == bellmax.Boltzmann()


def test_a_kind_that_there_is_not_lists_those_that_there_are():
    for words in ("--experience steps", "--experience"):
        with pytest.raises(ValueError, match=r"--experience.*: choose from dataset, replay\."):
            ask(f"iql Pendulum-v1 {words}")
    with pytest.raises(SystemExit):
        ask("ppo CartPole-v1 --experience replay")  # it eats one kind
