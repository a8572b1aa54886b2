"""Every algorithm, small, on each kind of action it takes. A new one is added here and gets every contract test."""

from __future__ import annotations

from typing import Any, NamedTuple

import bellmax as bm
from bellmax import A2C, PPO, REINFORCE, Episodes, Normalised, RecurrentPPO, ScaledRewards, Steps
from bellmax.core import Algorithm, Env
from bellmax.envs import BernoulliBandit, ContextualBandit, FrozenLake, GaussianBandit, MountainCar, PixelCartPole
from bellmax.envs.probes import Combination, Forbidden, MatchingReward, Target


class Case(NamedTuple):
    name: str
    algorithm: Algorithm
    env: Env
    num_envs: int = 4


SMALL: dict[str, Any] = {"hidden": (8,)}
PPO_SMALL: dict[str, Any] = SMALL | {"experience": Steps(6), "epochs": 2, "minibatches": 2}
ALGORITHMS = {
    "ppo": PPO(**PPO_SMALL),
    "ppo-clip-value-shared": PPO(**PPO_SMALL, clip_value=True, shared=True),
    "a2c": A2C(**SMALL, experience=Steps(6)),
    "reinforce": REINFORCE(**SMALL, experience=Episodes(6)),
    "recurrent-ppo": RecurrentPPO(**PPO_SMALL, memory_size=8),
    "normalised-scaled-ppo": Normalised(ScaledRewards(PPO(**PPO_SMALL))),
}
CASES = [Case(name, algorithm, MatchingReward()) for name, algorithm in ALGORITHMS.items()]

# Tables: where rewards are frequent, so that whatever is learned shows after a round or two.
LAKE = FrozenLake(max_steps=6)
WHOLE = {"experience": Episodes(6)}
TABLES: dict[str, Algorithm] = {
    "q-learning": bm.QLearning(initial=0.5),
    "q-learning-boltzmann": bm.QLearning(initial=0.5, exploration=bm.Boltzmann(0.5), decay=0.5),
    "sarsa": bm.SARSA(initial=0.5),
    "expected-sarsa": bm.ExpectedSARSA(initial=0.5, exploration=bm.UpperConfidence()),
    "double-q-learning": bm.DoubleQLearning(initial=0.5),
    "n-step-sarsa": bm.NStepSARSA(initial=0.5, n=2),
    "sarsa-lambda": bm.SARSALambda(initial=0.5),
    "watkins-q-lambda": bm.WatkinsQLambda(initial=0.5, exploration=bm.CountBonus()),
    "mc-control": bm.MCControl(**WHOLE, exploring_starts=True),
    "off-policy-mc-control": bm.OffPolicyMCControl(**WHOLE),
    "dyna-q": bm.DynaQ(initial=0.5, planning_steps=2),
    "dyna-q-plus": bm.DynaQPlus(initial=0.5, planning_steps=2),
    "prioritised-sweeping": bm.PrioritisedSweeping(initial=0.5, planning_steps=2),
    "td": bm.TDPrediction(initial=0.5),
    "n-step-td": bm.NStepTD(initial=0.5, n=2),
    "td-lambda": bm.TDLambda(initial=0.5),
    "mc-prediction": bm.MCPrediction(**WHOLE),
    "off-policy-mc-prediction": bm.OffPolicyMCPrediction(**WHOLE),
    "lambda-return": bm.LambdaReturn(**WHOLE, initial=0.5),
    "batch-prediction": bm.BatchPrediction(**WHOLE, initial=0.5, capacity=100, most_sweeps=50),
}
BANDITS: dict[str, Algorithm] = {
    "epsilon-greedy": bm.EpsilonGreedyBandit(),
    "ucb": bm.UCB(),
    "ucb-tuned": bm.UCBTuned(),
    "gaussian-thompson": bm.GaussianThompson(),
    "gradient-bandit": bm.GradientBandit(),
}
COINS: dict[str, Algorithm] = {"kl-ucb": bm.KLUCB(), "thompson": bm.ThompsonSampling(), "exp3": bm.EXP3()}
CONTEXTS: dict[str, Algorithm] = {"linucb": bm.LinUCB(), "linear-thompson": bm.LinearThompson()}
CASES += [Case(name, algorithm, LAKE) for name, algorithm in TABLES.items()]
CASES += [Case("tile-sarsa", bm.TileSARSA(tilings=2, tiles=3), MountainCar(max_steps=6))]
CASES += [Case(name, algorithm, GaussianBandit(arms=4)) for name, algorithm in BANDITS.items()]
CASES += [Case(name, algorithm, BernoulliBandit(arms=4)) for name, algorithm in COINS.items()]
CASES += [Case(name, algorithm, ContextualBandit()) for name, algorithm in CONTEXTS.items()]

# From replay: windows of two steps, so that folding them is in every test.
REPLAY = bm.Replay(64, batch=8, n=2, length=2, start=8)
RANKED = bm.Prioritised(64, batch=8, n=2, length=2, start=8, beta=0.5)
SEQUENCES = bm.Sequences(64, batch=4, window=3, burn_in=1, length=2, start=16)
RANKED_SEQUENCES = bm.PrioritisedSequences(64, batch=4, window=3, burn_in=1, length=2, start=16)
EPSILON = {"exploration": bm.EpsilonGreedy(0.3)}
CHOOSING: dict[str, Algorithm] = {
    "dqn": bm.DQN(**SMALL, **EPSILON, experience=REPLAY, target_every=2),
    "dqn-plain-dueling-prioritised": bm.DQN(**SMALL, **EPSILON, experience=RANKED, double=False, dueling=True),
    "normalised-dqn": Normalised(bm.DQN(**SMALL, **EPSILON, experience=REPLAY)),
    "q-learning-replay": bm.QLearning(experience=REPLAY),
    "pqn": bm.PQN(**SMALL, **EPSILON, experience=Steps(6), epochs=2, minibatches=2),
    "c51": bm.C51(**SMALL, **EPSILON, experience=REPLAY, atoms=5, v_min=-2.0, v_max=2.0),
    "qr-dqn": bm.QRDQN(**SMALL, **EPSILON, experience=REPLAY, quantiles=5),
    "iqn": bm.IQN(**SMALL, **EPSILON, experience=REPLAY, samples=4, target_samples=4, choice_samples=4, cosines=4),
    "noisy-dqn": bm.NoisyDQN(**SMALL, experience=REPLAY),
    "rainbow": bm.Rainbow(**SMALL, experience=RANKED, atoms=5, v_min=-2.0, v_max=2.0),
    "r2d2": bm.R2D2(**SMALL, **EPSILON, experience=SEQUENCES, memory_size=4, n=2),
    "r2d2-prioritised": bm.R2D2(**SMALL, **EPSILON, experience=RANKED_SEQUENCES, memory_size=4, n=2),
    "discrete-sac": bm.DiscreteSAC(**SMALL, experience=REPLAY),
    "curious-dqn": bm.Curious(bm.DQN(**SMALL, **EPSILON, experience=REPLAY), bonus=bm.HashedCounts()),
}
MOVING: dict[str, Algorithm] = {
    "sac": bm.SAC(**SMALL, experience=RANKED),
    "ddpg": bm.DDPG(**SMALL, experience=REPLAY, noise=bm.OrnsteinUhlenbeck()),
    "td3": bm.TD3(**SMALL, experience=REPLAY),
    "redq": bm.REDQ(**SMALL, experience=REPLAY, critics=3),
    "droq": bm.DroQ(**SMALL, experience=REPLAY),
    "crossq": bm.CrossQ(**SMALL, critic_hidden=(8,), experience=REPLAY),
}
CASES += [
    Case(name, algorithm, LAKE if name.startswith("q-") else MatchingReward()) for name, algorithm in CHOOSING.items()
]
CASES += [Case(name, algorithm, Target()) for name, algorithm in MOVING.items()]
CASES += [Case("dqn-masked", CHOOSING["dqn"], Forbidden())]

# With the rules of its environment, which is small: what is compiled is the search.
ZERO = bm.AlphaZero(**SMALL, rules=Forbidden(), experience=REPLAY, simulations=2, search="gumbel")
CASES += [Case("alphazero", ZERO, bm.WithSimulator(Forbidden()))]

# A world that is learned: LaProp with an epsilon, or its first step would be as long in rounding errors as in slopes.
DREAMING = bm.Sequences(64, batch=2, window=3, burn_in=0, length=2, start=16)
DREAMER = bm.DreamerV3(experience=DREAMING, imagination=2, learning_rate=1e-4, epsilon=1e-3)
CASES += [Case("dreamer-v3", DREAMER, MatchingReward())]
# Around a learner, with models of the world that imagine from the first update on.
DREAMS = {"rollouts": 4, "kept": 16, "model_start": 0}
STEERING = bm.DDPG(**SMALL, experience=bm.Replay(64, batch=8, length=2, start=8), noise=bm.OrnsteinUhlenbeck())
CASES += [Case("mbpo", bm.MBPO(STEERING, models=bm.Ensemble(members=3, elites=2, hidden=(8,)), **DREAMS), Target())]
# From pictures.
LOOKS = bm.Sequences(64, batch=4, window=3, burn_in=0, length=2, start=16)
SEES = bm.WorldModels(experience=LOOKS, latent=2, hidden=4, memory_size=3, mixtures=2)
CASES += [Case("world-models", SEES, PixelCartPole(size=10))]
STRETCHES = bm.PrioritisedSequences(64, batch=4, window=4, burn_in=0, length=2, start=16)
MODEL = bm.MuZero(
    **SMALL, experience=STRETCHES, latent=4, unroll=2, n=2, simulations=2, reanalysed=1, atoms=5, limit=2.0
)
CASES += [Case("muzero", MODEL, MatchingReward())]

# Each kind of action and observation, on the algorithms that treat them differently.
KINDS: dict[str, Env] = {"box": Target(), "multi-discrete": Combination(), "masked": Forbidden()}
LSTM = Normalised(RecurrentPPO(**PPO_SMALL, memory_size=8, cell="lstm"))
KIND_CASES = [
    Case(f"{name}-{kind}", algorithm, env)
    for kind, env in KINDS.items()
    for name, algorithm in {"ppo": ALGORITHMS["normalised-scaled-ppo"], "recurrent-ppo-lstm": LSTM}.items()
]

# From logged steps.
LOGGED = {"experience": bm.Dataset(batch=8, n=2)}
CLONING: dict[str, Algorithm] = {"bc": bm.BC(**SMALL, **LOGGED), "iql": bm.IQL(**SMALL, **LOGGED)}
STAYING: dict[str, Algorithm] = CLONING | {
    "td3-bc": bm.TD3BC(**SMALL, **LOGGED),
    "cql": bm.CQL(**SMALL, **LOGGED, samples=2),
}
CONSERVATIVE = bm.DiscreteCQL(**SMALL, **LOGGED, target_every=1, target_rate=0.5)
READING = bm.DecisionTransformer(
    experience=bm.Dataset(batch=8, n=2, pad="before"), width=4, layers=1, longest=4, warmup=2, learning_rate=0.01
)
STAYING |= {"decision-transformer": READING}
OFFLINE = [Case(f"{name}-choices", algorithm, MatchingReward()) for name, algorithm in CLONING.items()]
OFFLINE += [Case("discrete-cql-masked", CONSERVATIVE, Forbidden())]
OFFLINE += [Case("decision-transformer-masked", READING, Forbidden())]
OFFLINE += [Case(name, algorithm, Target()) for name, algorithm in STAYING.items() if name != "bc"]
