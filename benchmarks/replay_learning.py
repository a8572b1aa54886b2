"""Does what learns from replay learn what was published? `python -m benchmarks.replay_learning [ROW ...]`

The protocol is that of `benchmarks.learning`. Without names, the rows that two cores train in minutes; the others are
there by name, for a machine that has the time or a GPU: `python -m benchmarks.replay_learning sac-halfcheetah`.
"""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.learning import Row, Table, main

SHORT = {
    "dqn-cartpole": Row("dqn", "bellmax:CartPole", "500 at 50k (SB3 zoo)", 475),
    "c51-cartpole": Row("c51", "bellmax:CartPole", "491 +- 10 at 500k (CleanRL)", 460, seeds=5),
    "qr-dqn-cartpole": Row("qr-dqn", "bellmax:CartPole", "500 (SB3 zoo)", 450, seeds=5),
    "pqn-cartpole": Row("pqn", "bellmax:CartPole", "495 +- 7 at 500k (CleanRL)", 475, seeds=5),
    "sac-pendulum": Row("sac", "bellmax:Pendulum", "-157 at 20k (SB3 zoo)", -170, seeds=5),
    "td3-pendulum": Row("td3", "bellmax:Pendulum", "-152 at 20k (SB3 zoo)", -200, seeds=5),
    "ddpg-pendulum": Row("ddpg", "bellmax:Pendulum", "-152 at 20k (SB3 zoo)", -200, seeds=5),
}
LONG = {
    "dqn-acrobot": Row("dqn", "bellmax:Acrobot", "-72 at 100k (SB3 zoo)", -100, seeds=5),
    "dqn-lunarlander": Row("dqn", "LunarLander-v3", "266 at 300k, double with priorities", 200, seeds=5),
    "dqn-breakout": Row("dqn", "gymnax:Breakout-MinAtar", "about 9 at 1M", 7.5, seeds=3),
    "sac-halfcheetah": Row("sac", "HalfCheetah-v4", "6156 at 100k", 5605, seeds=5, steps=100_000),
    "sac-hopper": Row("sac", "Hopper-v4", "1103 at 100k", 831, seeds=5, steps=100_000),
    "crossq-halfcheetah": Row("crossq", "HalfCheetah-v4", "8112 at 100k", 7300, seeds=3, steps=100_000),
    "pqn-pong": Row("pqn", "PongNoFrameskip-v4", "20.4 at 10M", 18, seeds=1, steps=5_000_000),
    "qr-dqn-pong": Row("qr-dqn", "ALE/Pong-v5", "11.7 +- 2.0 at 1.25M", 5, seeds=1, steps=1_250_000),
}
TABLE = Table("Replay: what it learns", SHORT | LONG, "replay_learning", "benchmarks.replay_learning", ())

if __name__ == "__main__":
    np.seterr(all="ignore")
    main(sys.argv[1:] or list(SHORT), TABLE)
