"""The algorithms by name, without importing any of them."""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bellmax.core import Algorithm

ALGORITHMS = {
    "epsilon-greedy": "bellmax.algorithms.bandits.epsilon_greedy:EpsilonGreedyBandit",
    "ucb": "bellmax.algorithms.bandits.ucb:UCB",
    "ucb-tuned": "bellmax.algorithms.bandits.ucb_tuned:UCBTuned",
    "kl-ucb": "bellmax.algorithms.bandits.kl_ucb:KLUCB",
    "thompson": "bellmax.algorithms.bandits.thompson:ThompsonSampling",
    "gaussian-thompson": "bellmax.algorithms.bandits.gaussian_thompson:GaussianThompson",
    "gradient-bandit": "bellmax.algorithms.bandits.gradient_bandit:GradientBandit",
    "exp3": "bellmax.algorithms.bandits.exp3:EXP3",
    "linucb": "bellmax.algorithms.bandits.linucb:LinUCB",
    "linear-thompson": "bellmax.algorithms.bandits.linear_thompson:LinearThompson",
    "mc-prediction": "bellmax.algorithms.tabular.mc_prediction:MCPrediction",
    "off-policy-mc-prediction": "bellmax.algorithms.tabular.off_policy_mc_prediction:OffPolicyMCPrediction",
    "td": "bellmax.algorithms.tabular.td_prediction:TDPrediction",
    "n-step-td": "bellmax.algorithms.tabular.n_step_td:NStepTD",
    "td-lambda": "bellmax.algorithms.tabular.td_lambda:TDLambda",
    "lambda-return": "bellmax.algorithms.tabular.lambda_return:LambdaReturn",
    "batch-prediction": "bellmax.algorithms.tabular.batch_prediction:BatchPrediction",
    "mc-control": "bellmax.algorithms.tabular.mc_control:MCControl",
    "off-policy-mc-control": "bellmax.algorithms.tabular.off_policy_mc_control:OffPolicyMCControl",
    "q-learning": "bellmax.algorithms.tabular.q_learning:QLearning",
    "sarsa": "bellmax.algorithms.tabular.sarsa:SARSA",
    "expected-sarsa": "bellmax.algorithms.tabular.expected_sarsa:ExpectedSARSA",
    "double-q-learning": "bellmax.algorithms.tabular.double_q_learning:DoubleQLearning",
    "n-step-sarsa": "bellmax.algorithms.tabular.n_step_sarsa:NStepSARSA",
    "sarsa-lambda": "bellmax.algorithms.tabular.sarsa_lambda:SARSALambda",
    "watkins-q-lambda": "bellmax.algorithms.tabular.watkins_q_lambda:WatkinsQLambda",
    "dyna-q": "bellmax.algorithms.tabular.dyna_q:DynaQ",
    "dyna-q-plus": "bellmax.algorithms.tabular.dyna_q_plus:DynaQPlus",
    "prioritised-sweeping": "bellmax.algorithms.tabular.prioritised_sweeping:PrioritisedSweeping",
    "tile-sarsa": "bellmax.algorithms.tabular.tile_sarsa:TileSARSA",
    "reinforce": "bellmax.algorithms.policy.reinforce:REINFORCE",
    "a2c": "bellmax.algorithms.policy.a2c:A2C",
    "ppo": "bellmax.algorithms.policy.ppo:PPO",
    "recurrent-ppo": "bellmax.algorithms.policy.recurrent_ppo:RecurrentPPO",
    "dqn": "bellmax.algorithms.value.dqn:DQN",
    "sac": "bellmax.algorithms.control.sac:SAC",
    "pqn": "bellmax.algorithms.value.pqn:PQN",
    "c51": "bellmax.algorithms.value.c51:C51",
    "qr-dqn": "bellmax.algorithms.value.qr_dqn:QRDQN",
    "iqn": "bellmax.algorithms.value.iqn:IQN",
    "noisy-dqn": "bellmax.algorithms.value.noisy_dqn:NoisyDQN",
    "rainbow": "bellmax.algorithms.value.rainbow:Rainbow",
    "r2d2": "bellmax.algorithms.value.r2d2:R2D2",
    "discrete-sac": "bellmax.algorithms.value.discrete_sac:DiscreteSAC",
    "ddpg": "bellmax.algorithms.control.ddpg:DDPG",
    "td3": "bellmax.algorithms.control.td3:TD3",
    "redq": "bellmax.algorithms.control.redq:REDQ",
    "droq": "bellmax.algorithms.control.droq:DroQ",
    "crossq": "bellmax.algorithms.control.crossq:CrossQ",
    "bc": "bellmax.algorithms.offline.bc:BC",
    "td3-bc": "bellmax.algorithms.offline.td3_bc:TD3BC",
    "cql": "bellmax.algorithms.offline.cql:CQL",
    "discrete-cql": "bellmax.algorithms.offline.discrete_cql:DiscreteCQL",
    "iql": "bellmax.algorithms.offline.iql:IQL",
    "decision-transformer": "bellmax.algorithms.sequences.decision_transformer:DecisionTransformer",
    "alphazero": "bellmax.algorithms.planning.alphazero:AlphaZero",
    "dreamer-v3": "bellmax.algorithms.models.dreamer_v3:DreamerV3",
    "world-models": "bellmax.algorithms.models.world_models:WorldModels",
    "mbpo": "bellmax.algorithms.models.mbpo:MBPO",
    "muzero": "bellmax.algorithms.planning.muzero:MuZero",
}

ALSO_CALLED = {"dt": "decision-transformer"}

SUMMARIES = {
    "epsilon-greedy": "Best arm so far, sometimes any; optimistic starts too (Sutton & Barto, 2018)",
    "ucb": "Upper confidence bounds (Auer et al., 2002)",
    "ucb-tuned": "Upper confidence bounds that look at the variance (Auer et al., 2002)",
    "kl-ucb": "Upper confidence bounds for coins, optimal in the long run (Garivier & Cappe, 2011)",
    "thompson": "Thompson sampling of coins (Thompson, 1933)",
    "gaussian-thompson": "Thompson sampling of normal rewards (Agrawal & Goyal, 2013)",
    "gradient-bandit": "Stochastic gradient ascent on preferences (Sutton & Barto, 2018)",
    "exp3": "Exponential weights against an adversary (Auer et al., 2002)",
    "linucb": "Upper confidence bounds on linear contexts (Li et al., 2010)",
    "linear-thompson": "Thompson sampling on linear contexts (Agrawal & Goyal, 2013)",
    "mc-prediction": "Values of a policy from whole episodes, first or every visit (Sutton & Barto, 2018)",
    "off-policy-mc-prediction": "Values of one policy from another's episodes (Precup et al., 2000)",
    "td": "TD(0): values of a policy, a step at a time (Sutton, 1988)",
    "n-step-td": "Values of a policy from n-step returns (Sutton & Barto, 2018)",
    "td-lambda": "Values by eligibility traces: accumulating, replacing, dutch (Sutton, 1988)",
    "lambda-return": "Values from lambda-returns, off line (Watkins, 1989)",
    "batch-prediction": "Batch TD and batch Monte Carlo: sweeps over all that was seen (Sutton, 1988)",
    "mc-control": "Monte Carlo control, epsilon-soft or with exploring starts (Sutton & Barto, 2018)",
    "off-policy-mc-control": "Monte Carlo control off policy (Sutton & Barto, 2018)",
    "q-learning": "One-step off-policy control (Watkins & Dayan, 1992)",
    "sarsa": "One-step on-policy control (Rummery & Niranjan, 1994)",
    "expected-sarsa": "SARSA with the next action's expectation (van Seijen et al., 2009)",
    "double-q-learning": "Q-learning without maximisation bias (van Hasselt, 2010)",
    "n-step-sarsa": "SARSA on n-step returns (Sutton & Barto, 2018)",
    "sarsa-lambda": "SARSA with eligibility traces (Rummery, 1995)",
    "watkins-q-lambda": "Q-learning with traces that end at exploring actions (Watkins, 1989)",
    "dyna-q": "Q-learning that also learns from a remembered model (Sutton, 1990)",
    "dyna-q-plus": "Dyna-Q that goes and looks again (Sutton, 1990)",
    "prioritised-sweeping": "Planning where values change most (Moore & Atkeson, 1993)",
    "tile-sarsa": "SARSA(lambda) on tile coding, for a few continuous numbers (Sutton & Barto, 2018)",
    "reinforce": "Monte Carlo policy gradient, with or without a baseline (Williams, 1992)",
    "a2c": "Advantage actor-critic, synchronous (Mnih et al., 2016)",
    "ppo": "Proximal policy optimisation, clipped (Schulman et al., 2017)",
    "recurrent-ppo": "PPO with a GRU or LSTM, for what cannot be seen at once (Schulman et al., 2017)",
    "dqn": "Deep Q-learning; double, dueling, n-step and prioritised as options (Mnih et al., 2015)",
    "sac": "Soft actor-critic with a learned temperature (Haarnoja et al., 2018)",
    "pqn": "Q-learning without replay or target, on lambda-returns (Gallici et al., 2025)",
    "c51": "Deep Q-learning of the return's distribution on 51 atoms (Bellemare et al., 2017)",
    "qr-dqn": "Deep Q-learning of the return's quantiles (Dabney et al., 2018)",
    "iqn": "Deep Q-learning of any quantile that is asked for (Dabney et al., 2018)",
    "noisy-dqn": "Deep Q-learning that explores by noise in its weights (Fortunato et al., 2018)",
    "rainbow": "Six improvements of deep Q-learning together (Hessel et al., 2018)",
    "r2d2": "Deep Q-learning with a memory, from replayed sequences (Kapturowski et al., 2019)",
    "discrete-sac": "Soft actor-critic for choices (Christodoulou, 2019)",
    "ddpg": "Deterministic policy gradient with a critic (Lillicrap et al., 2016)",
    "td3": "DDPG with twin critics, delayed and smoothed (Fujimoto et al., 2018)",
    "redq": "SAC with ten critics and twenty updates a step (Chen et al., 2021)",
    "droq": "SAC with dropout critics and twenty updates a step (Hiraoka et al., 2022)",
    "crossq": "SAC without target networks, by batch normalisation (Bhatt et al., 2024)",
    "bc": "Behaviour cloning: what was done, from logged data (Pomerleau, 1991)",
    "td3-bc": "TD3 from logged data that stays near what was done (Fujimoto & Gu, 2021)",
    "cql": "SAC from logged data that mistrusts what was not done (Kumar et al., 2020)",
    "discrete-cql": "Deep Q-learning from logged data that mistrusts what was not chosen (Kumar et al., 2020)",
    "decision-transformer": "Actions for the return that is asked for, from logged data (Chen et al., 2021)",
    "iql": "Values of the best actions in logged data, without asking for others (Kostrikov et al., 2022)",
    "alphazero": "Search with the rules, learned from games against itself (Silver et al., 2018)",
    "dreamer-v3": "An actor and a critic that learn in a learned world alone (Hafner et al., 2023)",
    "world-models": "See, remember and foresee; a controller found in the dream (Ha & Schmidhuber, 2018)",
    "mbpo": "SAC on short rollouts in learned models of the world (Janner et al., 2019)",
    "muzero": "Search in a learned model, for games and for one player alone (Schrittwieser et al., 2020)",
}

LANGUAGE = {
    "sft": "bellmax.algorithms.language.sft:SFT",
    "reward": "bellmax.algorithms.language.reward_model:RewardModel",
    "process-reward": "bellmax.algorithms.language.process_reward_model:ProcessRewardModel",
    "ppo-lm": "bellmax.algorithms.language.ppo_lm:PPOLM",
    "rloo": "bellmax.algorithms.language.rloo:RLOO",
    "grpo": "bellmax.algorithms.language.grpo:GRPO",
    "gspo": "bellmax.algorithms.language.gspo:GSPO",
    "dpo": "bellmax.algorithms.language.dpo:DPO",
    "orpo": "bellmax.algorithms.language.orpo:ORPO",
    "simpo": "bellmax.algorithms.language.simpo:SimPO",
    "kto": "bellmax.algorithms.language.kto:KTO",
}
LANGUAGE_SUMMARIES = {
    "sft": "Supervised fine-tuning of a language model (Ouyang et al., 2022)",
    "reward": "Reward model from pairs of answers (Ouyang et al., 2022)",
    "process-reward": "Reward model of single steps (Lightman et al., 2023)",
    "ppo-lm": "PPO on text with a critic and a KL penalty (Ouyang et al., 2022)",
    "rloo": "REINFORCE on text against the other answers (Ahmadian et al., 2024)",
    "grpo": "PPO on text against the group's mean; DAPO and Dr. GRPO as options (Shao et al., 2024)",
    "gspo": "GRPO with one ratio for a whole answer (Zheng et al., 2025)",
    "dpo": "Preferences without a reward model; conservative and IPO as options (Rafailov et al., 2023)",
    "orpo": "Fine-tuning and preferences at once, by odds (Hong et al., 2024)",
    "simpo": "Preferences by mean log-probabilities, no reference (Meng et al., 2024)",
    "kto": "Answers called good or bad, without pairs (Ethayarajh et al., 2024)",
}

# What an algorithm is put around in its paper: no algorithm knows another.
PARTS: dict[str, dict[str, Any]] = {
    "mbpo": {
        "learner": {
            "kind": "bellmax.algorithms.control.sac:SAC",
            "experience": {
                "kind": "bellmax.experience.replay:Replay",
                "capacity": 1_000_000,
                "batch": 256,
                "start": 5_000,
                "updates": 20,
            },
        }
    },
}


class UnknownAlgorithm(ValueError):
    """No algorithm has this name; the message suggests the nearest ones."""


def algorithm_class(name: str) -> type[Algorithm]:
    """The class called `name` on the command line ("ppo") or in Python ("PPO")."""
    return _class(name, ALGORITHMS)


def as_published(kind: Any) -> Any:
    """A dataclass of hyperparameters as its paper has it: with its defaults, around what the paper puts it around."""
    from bellmax.encode import from_plain

    return kind(**{name: from_plain(part) for name, part in PARTS.get(algorithm_name(kind), {}).items()})


def language_class(name: str) -> Any:
    """The learner of language models called `name` on the command line ("ppo-lm") or in Python ("PPOLM")."""
    return _class(name, LANGUAGE)


def _class(name: str, names: dict[str, str]) -> Any:
    wanted = _plain(ALSO_CALLED.get(name.lower(), name))
    for known, reference in names.items():
        module, title = reference.split(":")
        if wanted in (_plain(known), _plain(title)):
            return getattr(_module(known, module), title)
    near = difflib.get_close_matches(wanted, [_plain(known) for known in names], 2, 0.5)
    meant = [known for known in names if _plain(known) in near] or list(names)
    raise UnknownAlgorithm(f"There is no algorithm {name!r}: did you mean {' or '.join(meant)}?")


def _module(name: str, module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != "mctx":
            raise
        raise ModuleNotFoundError(f'{name} needs mctx, which is not installed: pip install "bellmax[games]"') from error


def algorithm_name(kind: type[Any]) -> str:
    """What the class is called on the command line; its own name if it is not ours."""
    reference, names = f"{kind.__module__}:{kind.__qualname__}", ALGORITHMS | LANGUAGE
    return next((name for name, known in names.items() if known == reference), kind.__name__)


def _plain(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")
