"""Runs made up for the tests."""

from types import SimpleNamespace

from bellmax.runs import RunFolder

KIND = "bellmax.algorithms.policy.ppo:PPO"


def rows_of(scores, every=1000, episodes=10, speed=500.0):
    """`scores[seed]` a list of scores, one a row."""
    return [
        {
            "seed": seed,
            "step": every * (i + 1),
            "score": score,
            "length": None,
            "episodes": 0 if score is None else episodes,
        }
        | {"time": every * (i + 1) * len(scores) / speed, "steps_per_second": speed, "kl": 0.25}
        for seed, row in scores.items()
        for i, score in enumerate(row)
    ]


def evaluations_of(means, every=1000):
    return [
        {"seed": seed, "step": every * (i + 1), "mean": mean, "greedy": True, "scores": [mean], "episodes": 100}
        for seed, row in means.items()
        for i, mean in enumerate(row)
    ]


def config(name="CartPole-v1", kind=KIND, **fields):
    algorithm = {
        "kind": kind,
        "learning_rate": 2.5e-4,
        "experience": {"kind": "bellmax.experience:Steps", "length": 128},
    }
    return {"algorithm": algorithm | fields, "environment": {"name": name, "options": {}}, "num_envs": 8}


def run(scores, means=None, config=config(), folder=None):  # noqa: B008
    """What `bellmax.train` returns, as far as reports look."""
    evaluations = evaluations_of(means or {})
    return SimpleNamespace(metrics=rows_of(scores), evaluations=evaluations, config=config, folder=folder)


def folder(root, name, scores, means=None, config=config()):  # noqa: B008
    made = RunFolder.create(root, name, stamp=False)
    made.write_config(config)
    for row in rows_of(scores):
        made.append(row)
    for row in evaluations_of(means or {}):
        made.append_evaluation(row)
    return made
