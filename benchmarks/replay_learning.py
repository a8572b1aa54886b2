"""Does what learns from replay learn what was published? `python -m benchmarks.replay_learning [ROW ...]`

The protocol is that of `benchmarks.learning`. Without names, the rows that two cores train in minutes; the others are
there by name, for a machine that has the time or a GPU: `python -m benchmarks.replay_learning sac-halfcheetah`.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

import bellmax as bm
from bellmax.envs.bit_flipping import BitFlipping
from bellmax.envs.deep_sea import DeepSea
from benchmarks.learning import Row, Table, main

GOALS = bm.DQN(
    hidden=(256,),
    learning_rate=2e-3,
    target_every=100,
    gamma=0.98,
    exploration=bm.EpsilonGreedy(0.2),
    experience=bm.Hindsight(100_000, batch=32, start=200, k=5, reward=bm.Equal(terminates=True)),
)
SEA = bm.DQN(
    hidden=(64,),
    learning_rate=2e-3,
    target_every=20,
    exploration=bm.EpsilonGreedy(0.0),
    experience=bm.Replay(20_000, batch=32, length=4, updates=8, start=64),
)
COUNTS = bm.HashedCounts(actions=True, cells=4096)


def bits(size: int, steps: int, hindsight: bool) -> Row:
    """Flip bits until they equal a goal: the share of greedy episodes that do."""
    control = GOALS.replace(experience=GOALS.experience.replace(k=0.0))
    title = f"dqn on {size} bits to flip, {'HER' if hindsight else 'no HER'}"
    algorithm, least = (GOALS, 0.9) if hindsight else (control, 0.5)
    world = BitFlipping(size)
    return Row(
        algorithm, world, "> .9 (HER paper)", least, what=title, success=-size, steps=steps, control=not hindsight
    )


def sea(size: int, bonus: bool) -> Row:
    """Right as often as the sea is deep: the share of greedy episodes that find the treasure."""
    title = f"dqn on a sea {size} deep, {'a bonus of counts' if bonus else 'epsilon .1'}"
    plain = SEA.replace(exploration=bm.EpsilonGreedy(0.1))
    algorithm = bm.Curious(SEA, COUNTS, weight=0.1, untried_first=True) if bonus else plain
    world, said = DeepSea(size), "found within 2^size episodes (bsuite)"
    return Row(
        algorithm,
        world,
        said,
        0.9 if bonus else 0.1,
        5,
        what=title,
        success=0.5,
        steps=1_000 * size,
        control=not bonus,
    )


def early(algorithm: str, above: str = "early-sac", **hyperparameters: Any) -> Row:
    """The first steps on HalfCheetah, 5,000 of them by chance: what is learned from the next 5,000."""
    return Row(
        algorithm,
        "HalfCheetah-v4",
        "above SAC's own curve",
        0,
        seeds=3,
        steps=10_000,
        what=f"{algorithm} on HalfCheetah-v4, its start",
        hyperparameters=hyperparameters,
        above=above,
    )


SHORT = {
    "dqn-cartpole": Row("dqn", "bellmax:CartPole", "500 at 50k (SB3 zoo)", 475),
    "c51-cartpole": Row("c51", "bellmax:CartPole", "491 +- 10 at 500k (CleanRL)", 460, seeds=5),
    "qr-dqn-cartpole": Row("qr-dqn", "bellmax:CartPole", "500 (SB3 zoo)", 450, seeds=5),
    "pqn-cartpole": Row("pqn", "bellmax:CartPole", "495 +- 7 at 500k (CleanRL)", 475, seeds=5),
    "sac-pendulum": Row("sac", "bellmax:Pendulum", "-157 at 20k (SB3 zoo)", -170, seeds=5),
    "td3-pendulum": Row("td3", "bellmax:Pendulum", "-152 at 20k (SB3 zoo)", -200, seeds=5),
    "ddpg-pendulum": Row("ddpg", "bellmax:Pendulum", "-152 at 20k (SB3 zoo)", -200, seeds=5),
    "bits-10": bits(10, 8_000, True),
    "bits-10-control": bits(10, 8_000, False),
    "bits-25": bits(25, 100_000, True),
    "bits-25-control": bits(25, 100_000, False),
    "sea-10": sea(10, True),
    "sea-14": sea(14, True),
    "sea-20": sea(20, True),
    "sea-20-control": sea(20, False),
}
LONG = {
    "dqn-acrobot": Row("dqn", "bellmax:Acrobot", "-72 at 100k (SB3 zoo)", -100, seeds=5),
    "dqn-lunarlander": Row("dqn", "LunarLander-v3", "266 at 300k, double with priorities", 200, seeds=5),
    "dqn-breakout": Row("dqn", "gymnax:Breakout-MinAtar", "about 9 at 1M", 7.5, seeds=3),
    "dqn-breakout-control": Row(
        "dqn",
        "gymnax:Breakout-MinAtar",
        "4.2 at 5M, without replay",
        5,
        seeds=3,
        what="dqn on Breakout-MinAtar, no replay",
        hyperparameters={"experience": bm.Replay(4, batch=1)},
        control=True,
    ),
    "sac-fetchreach": Row("sac", "FetchReach-v4", "-1.7 at 20k (SB3 zoo)", -3.5, seeds=5),
    "sac-fetchreach-control": Row(
        "sac",
        "FetchReach-v4",
        "no HER",
        -40,
        seeds=3,
        what="sac on FetchReach-v4, no HER",
        control=True,
        hyperparameters={"experience": bm.Hindsight(100_000, batch=256, k=0.0, start=1_000)},
    ),
    "sac-halfcheetah": Row("sac", "HalfCheetah-v4", "6156 at 100k", 5605, seeds=5, steps=100_000),
    "sac-hopper": Row("sac", "Hopper-v4", "1103 at 100k", 831, seeds=5, steps=100_000),
    "early-sac": early("sac", above="")._replace(published="-200 here, exploring", least=1_000, control=True),
    "early-droq": early("droq"),
    "early-crossq": early("crossq"),
    "early-redq": early("redq"),
    "crossq-halfcheetah": Row("crossq", "HalfCheetah-v4", "8112 at 100k", 7300, seeds=3, steps=100_000),
    "pqn-pong": Row("pqn", "PongNoFrameskip-v4", "20.4 at 10M", 18, seeds=1, steps=5_000_000),
    "qr-dqn-pong": Row("qr-dqn", "ALE/Pong-v5", "11.7 +- 2.0 at 1.25M", 5, seeds=1, steps=1_250_000),
}
NOTES = (
    "On bits and on seas the score is the share of greedy episodes that reach the goal; training is their return.",
    "Scores do not depend on what else the machine does, so these rows ran beside other work.",
    "LunarLander was broken off once and gone on with; by then seeds 0 to 3 had finished.",
    "The starts on HalfCheetah ran beside other work; DroQ's was broken off and gone on with.",
    "Without hindsight one of three seeds of FetchReach learns all the same, perhaps since its goals are near enough "
    "for an actor that is paid for its entropy. The bound comes from results with other settings.",
)
TABLE = Table("Replay: what it learns", SHORT | LONG, "replay_learning", "benchmarks.replay_learning", NOTES)

if __name__ == "__main__":
    np.seterr(all="ignore")
    main(sys.argv[1:] or list(SHORT), TABLE)
