"""Reinforcement learning from the bandit to the language model, on JAX.

    import bellmax as bm
    run = bm.train("ppo", "CartPole-v1")
    run.evaluate().mean

Names are imported when they are first used, so that `import bellmax` and `bellmax --help` take no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from bellmax.compilation import fuse_small_loops
from bellmax.public import WHERE

if TYPE_CHECKING:
    from bellmax.algorithms.bandits.epsilon_greedy import EpsilonGreedyBandit
    from bellmax.algorithms.bandits.exp3 import EXP3
    from bellmax.algorithms.bandits.gaussian_thompson import GaussianThompson
    from bellmax.algorithms.bandits.gradient_bandit import GradientBandit
    from bellmax.algorithms.bandits.kl_ucb import KLUCB
    from bellmax.algorithms.bandits.linear_thompson import LinearThompson
    from bellmax.algorithms.bandits.linucb import LinUCB
    from bellmax.algorithms.bandits.thompson import ThompsonSampling
    from bellmax.algorithms.bandits.ucb import UCB
    from bellmax.algorithms.bandits.ucb_tuned import UCBTuned
    from bellmax.algorithms.control.crossq import CrossQ
    from bellmax.algorithms.control.ddpg import DDPG
    from bellmax.algorithms.control.droq import DroQ
    from bellmax.algorithms.control.redq import REDQ
    from bellmax.algorithms.control.sac import SAC
    from bellmax.algorithms.control.td3 import TD3
    from bellmax.algorithms.language.dpo import DPO
    from bellmax.algorithms.language.grpo import GRPO
    from bellmax.algorithms.language.gspo import GSPO
    from bellmax.algorithms.language.kto import KTO
    from bellmax.algorithms.language.orpo import ORPO
    from bellmax.algorithms.language.ppo_lm import PPOLM
    from bellmax.algorithms.language.process_reward_model import ProcessRewardModel
    from bellmax.algorithms.language.reward_model import RewardModel
    from bellmax.algorithms.language.rloo import RLOO
    from bellmax.algorithms.language.sft import SFT
    from bellmax.algorithms.language.simpo import SimPO
    from bellmax.algorithms.models.dreamer_v3 import DreamerV3
    from bellmax.algorithms.models.mbpo import MBPO
    from bellmax.algorithms.models.world_models import WorldModels
    from bellmax.algorithms.offline.bc import BC
    from bellmax.algorithms.offline.cql import CQL
    from bellmax.algorithms.offline.discrete_cql import DiscreteCQL
    from bellmax.algorithms.offline.iql import IQL
    from bellmax.algorithms.offline.td3_bc import TD3BC
    from bellmax.algorithms.planning.alphazero import AlphaZero
    from bellmax.algorithms.planning.mcts import MCTS
    from bellmax.algorithms.planning.muzero import MuZero
    from bellmax.algorithms.policy.a2c import A2C
    from bellmax.algorithms.policy.ppo import PPO
    from bellmax.algorithms.policy.recurrent_ppo import RecurrentPPO
    from bellmax.algorithms.policy.reinforce import REINFORCE
    from bellmax.algorithms.sequences.decision_transformer import DecisionTransformer
    from bellmax.algorithms.tabular.batch_prediction import BatchPrediction
    from bellmax.algorithms.tabular.double_q_learning import DoubleQLearning
    from bellmax.algorithms.tabular.dyna_q import DynaQ
    from bellmax.algorithms.tabular.dyna_q_plus import DynaQPlus
    from bellmax.algorithms.tabular.expected_sarsa import ExpectedSARSA
    from bellmax.algorithms.tabular.lambda_return import LambdaReturn
    from bellmax.algorithms.tabular.mc_control import MCControl
    from bellmax.algorithms.tabular.mc_prediction import MCPrediction
    from bellmax.algorithms.tabular.n_step_sarsa import NStepSARSA
    from bellmax.algorithms.tabular.n_step_td import NStepTD
    from bellmax.algorithms.tabular.off_policy_mc_control import OffPolicyMCControl
    from bellmax.algorithms.tabular.off_policy_mc_prediction import OffPolicyMCPrediction
    from bellmax.algorithms.tabular.prioritised_sweeping import PrioritisedSweeping
    from bellmax.algorithms.tabular.q_learning import QLearning
    from bellmax.algorithms.tabular.sarsa import SARSA
    from bellmax.algorithms.tabular.sarsa_lambda import SARSALambda
    from bellmax.algorithms.tabular.td_lambda import TDLambda
    from bellmax.algorithms.tabular.td_prediction import TDPrediction
    from bellmax.algorithms.tabular.tile_sarsa import TileSARSA
    from bellmax.algorithms.tabular.watkins_q_lambda import WatkinsQLambda
    from bellmax.algorithms.value.c51 import C51
    from bellmax.algorithms.value.discrete_sac import DiscreteSAC
    from bellmax.algorithms.value.dqn import DQN
    from bellmax.algorithms.value.iqn import IQN
    from bellmax.algorithms.value.noisy_dqn import NoisyDQN
    from bellmax.algorithms.value.pqn import PQN
    from bellmax.algorithms.value.qr_dqn import QRDQN
    from bellmax.algorithms.value.r2d2 import R2D2
    from bellmax.algorithms.value.rainbow import Rainbow
    from bellmax.algorithms.wrappers.curious import Curious
    from bellmax.algorithms.wrappers.normalised import Normalised
    from bellmax.algorithms.wrappers.partly_frozen import PartlyFrozen
    from bellmax.algorithms.wrappers.scaled_rewards import ScaledRewards
    from bellmax.alignment.choosing import best_of, judged_pairs
    from bellmax.alignment.front import align
    from bellmax.alignment.run import AlignmentRun
    from bellmax.bonuses.hashed_counts import HashedCounts
    from bellmax.bonuses.icm import ICM
    from bellmax.bonuses.rnd import RND
    from bellmax.contest.front import Arena, arena
    from bellmax.contest.players import Player
    from bellmax.core import Algorithm, Decision, Env, Outcome, Spec, Transition
    from bellmax.data.collecting import collect
    from bellmax.data.fitted_q import fitted_q
    from bellmax.dreaming import dream
    from bellmax.envs.perturbed import perturbed, shaped
    from bellmax.envs.with_simulator import WithSimulator
    from bellmax.envs.wrappers import AutomaticallyRandomised, Delayed, NoisyObservations, Randomised, Shaped
    from bellmax.experience import (
        Dataset,
        Episodes,
        Equal,
        Hindsight,
        Prioritised,
        PrioritisedSequences,
        Replay,
        Sequences,
        Steps,
        WithinDistance,
    )
    from bellmax.foreseeing import foresee
    from bellmax.language.config import ModelConfig
    from bellmax.language.experience import Completions, Examples, Preferences
    from bellmax.language.rewards import Rewards
    from bellmax.language.sampler import Sampling
    from bellmax.language.tokeniser import Tokeniser
    from bellmax.language.transformer import Transformer
    from bellmax.loading import load
    from bellmax.maths.exploration import Boltzmann, CountBonus, EpsilonGreedy, UpperConfidence
    from bellmax.maths.noise import GaussianNoise, OrnsteinUhlenbeck
    from bellmax.maths.schedules import Linear
    from bellmax.mdp.model import MDP
    from bellmax.mdp.world import World
    from bellmax.models.ensemble import Ensemble
    from bellmax.reality.identification import identify
    from bellmax.reality.recording import record
    from bellmax.reality.sensitivity import sensitivity
    from bellmax.run import Run
    from bellmax.spaces import Box, Discrete, Masked, MultiBinary, MultiDiscrete, Privileged, Simulated
    from bellmax.sweeping import sweep
    from bellmax.training import resume, train

__version__ = "0.1.0"

fuse_small_loops()  # before JAX computes anything

_MODULES = {name: module for module, names in WHERE.items() for name in names}

__all__ = sorted(_MODULES)  # the imports above say the same to type checkers; a test compares the two


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"bellmax has no {name!r}; it has {', '.join(__all__)}.")
    value = getattr(importlib.import_module(f"bellmax.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
