"""An environment of your own: a dictionary to see, two choices at once to make, and some of them illegal.

    python examples/custom_environment.py

trains PPO and recurrent PPO in it, in well under a minute. The ten lines are `main`; the rest is the environment, as
Gymnasium wants it (https://gymnasium.farama.org/introduction/create_custom_env/), and a policy that knows nothing.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

import bellmax as bm

KEEP, TAKE, DELIVER = range(3)  # what the hands do
LEFT, STAY, RIGHT = range(3)  # and then the feet
CARRIED = 7


class Porter(gymnasium.Env):
    """A porter fetches parcels, one after the other, to the desk in the middle of a corridor of seven cells.

    A parcel waits in a cell other than the desk's and pays 1 when it is delivered; then the next one waits. An
    episode is cut short after 40 steps.

    An action is two choices: the hands, then the feet. `info["action_mask"]` says which are legal, those of the hands
    first: nobody takes a parcel that is not there or walks through a wall. To try it is an error, not a penalty.
    """

    def __init__(self) -> None:
        self.observation_space = spaces.Dict(
            {
                "place": spaces.Discrete(7),
                "parcel": spaces.Discrete(8),  # the cell where it waits, or CARRIED
                "time_left": spaces.Box(0.0, 1.0, (1,)),
            }
        )
        self.action_space = spaces.MultiDiscrete([3, 3])

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.place, self.parcel, self.time = 3, self._somewhere(), 0
        return self._seen(), {"action_mask": self.legal()}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        hands, feet = action
        if not (self.legal()[hands] and self.legal()[3 + feet]):
            raise ValueError(f"the action {hands}, {feet} is illegal in cell {self.place}")
        if hands == TAKE:
            self.parcel = CARRIED
        if hands == DELIVER:
            self.parcel = self._somewhere()
        self.place, self.time = self.place + int(feet) - 1, self.time + 1
        return self._seen(), float(hands == DELIVER), False, self.time == 40, {"action_mask": self.legal()}

    def legal(self) -> np.ndarray:
        """Which of the three choices of the hands, and of the three of the feet, are possible: int8 [6]."""
        take, deliver = self.parcel == self.place, self.parcel == CARRIED and self.place == 3
        return np.array([True, take, deliver, self.place > 0, True, self.place < 6], np.int8)

    def _somewhere(self) -> int:
        return int(self.np_random.choice([0, 1, 2, 4, 5, 6]))

    def _seen(self) -> dict[str, Any]:
        return {"place": self.place, "parcel": self.parcel, "time_left": np.float32([1 - self.time / 40])}


def score_at_random(episodes: int) -> float:
    """What legal actions drawn at random deliver in an episode."""
    env, total = Porter(), 0.0
    env.action_space.seed(0)
    for seed in range(episodes):
        mask, over = env.reset(seed=seed)[1]["action_mask"], False
        while not over:
            _, reward, _, over, info = env.step(env.action_space.sample((mask[:3], mask[3:])))
            total, mask = total + reward, info["action_mask"]
    return total / episodes


HYPERPARAMETERS = {"gamma": 0.95, "learning_rate": 3e-3, "experience": bm.Steps(40), "minibatches": 2}


def main() -> None:
    chance = score_at_random(100)
    for algorithm in ("ppo", "recurrent-ppo"):
        run = bm.train(algorithm, Porter, steps=20_000, num_envs=16, hyperparameters=HYPERPARAMETERS)
        print(f"{algorithm}: {run.evaluate(100).mean:.2f} parcels an episode; at random {chance:.2f}")


if __name__ == "__main__":
    main()
