"""SAC and DQN beside Stable-Baselines3, SBX and Rejax: `python -m benchmarks.replay`.

Parts: sac (Pendulum-v1, one update a step), dqn (CartPole-v1 in the graph and hosted), pixels (DQN on 8 games of Pong),
solve (steps until CartPole-v1 is solved, with the recipes). Each has a table of its own, docs/results/replay_PART.md;
`--only PART...` measures some of them, `--quick` prints its rows and writes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import process, report
from benchmarks.ours import COLD, PYTHON
from benchmarks.peers import REJAX, SB3, Peer, ask, fastest
from benchmarks.process import Answer, alone, interleave, measure, say
from benchmarks.report import Row, Target
from benchmarks.settings import CARTPOLE_DQN, CARTPOLE_DQN_ZOO, PENDULUM_SAC, PONG_DQN, SAC_PRODUCTS, SOLVED

TITLE = "Replay: SAC and DQN, speed and steps to solve"
COMMAND = [*PYTHON, "-m", "benchmarks.ours_replay"]
SBX = Peer("SBX", "sbx", {"all cores": {"JAX_PLATFORMS": "cpu"}})
PRODUCT = 2 * 256**3 * SAC_PRODUCTS / 1e9  # GFLOP of the large products in one update of SAC
NOTES = (
    "the settings are benchmarks/settings.py's; every figure is from a process of its own, contestants in turn",
    "steps a second are environment steps over the time of stepping and learning, one environment; the steps before "
    "the first update, compiling and making networks come before the clock",
    "the peak is that of 256 x 256 products one after the other by XLA; what it allows counts the 16 such products of "
    "an update and nothing else",
    "Rejax's networks have two layers of 64 whatever one asks for, as here; it clips gradients element by element",
    "steps to solve are counted to the first greedy evaluation of 100 episodes that reached 475",
    "eight games in ALE's vector environment take 3 ms a step; the products of an update on 32 pictures (2.4 GFLOP) "
    "and of acting four times take 25 ms at the peak, in 32 steps: 3 times Stable-Baselines3 would be above it",
    "discrete SAC with a temperature of 0.3 and rates that fall to 0, which did best on seeds 0 to 3, left 10 of 20 "
    "seeds unsolved; the recipe keeps a temperature of 3",
)
Answers = dict[str, list[Answer]]
Measured = tuple[list[Row], Answers]
Contestant = Callable[[int], Answer]


class Plan(NamedTuple):
    """How much is measured."""

    repeats: int = 3
    solve_seeds: int = 20
    part: float = 1.0  # of the steps that are timed


QUICK = Plan(repeats=1, solve_seeds=2, part=0.1)


def sac(plan: Plan) -> Measured:
    """One environment, one update a step, batch 256, 256-256."""
    graph, hosted, behind = "SAC in the graph", "SAC hosted", "SAC hosted, overlapped"
    contestants = {
        graph: mine(plan, PENDULUM_SAC, "bellmax:Pendulum"),
        hosted: mine(plan, PENDULUM_SAC, "Pendulum-v1"),
        behind: mine(plan, PENDULUM_SAC, "Pendulum-v1", overlap=True),
        SB3.title: theirs(plan, SB3, PENDULUM_SAC, "Pendulum-v1"),
        SBX.title: theirs(plan, SBX, PENDULUM_SAC, "Pendulum-v1"),
        "peak": lambda seed: measure(COMMAND, {"what": "peak", "seed": seed}, COLD, limit=60),
    }
    answers = interleave(contestants, plan.repeats)
    allowed = [answer["gigaflops"] / PRODUCT for answer in answers["peak"]]
    rows = [Row("256 x 256 products", [answer["gigaflops"] for answer in answers["peak"]], "GFLOP/s")]
    for what in (graph, hosted, behind):
        goals = (Target("ratio", ">=", 3), Target("ratio", ">=", 1.3), Target("ratio", ">=", 0.6))
        three, more, share = goals if what == hosted else (None, None, None)
        rows.append(row(answers, what, SB3, three))
        rows.append(row(answers, what, SBX, more))
        rows.append(Row(what, speeds(answers[what]), "steps/s", allowed, "what the peak allows", share))
    return rows, answers


def dqn(plan: Plan) -> Measured:
    """In the graph beside Rejax, hosted with the zoo's settings beside Stable-Baselines3."""
    graph, hosted = "DQN in the graph, an update a step", "DQN hosted, the zoo's settings"
    contestants = {
        graph: mine(plan, CARTPOLE_DQN, "bellmax:CartPole"),
        REJAX.title: theirs(plan, REJAX, CARTPOLE_DQN, "CartPole-v1", "rejax_dqn"),
        hosted: mine(plan, CARTPOLE_DQN_ZOO, "CartPole-v1"),
        SB3.title: theirs(plan, SB3, CARTPOLE_DQN_ZOO, "CartPole-v1"),
    }
    answers = interleave(contestants, plan.repeats)
    beside_rejax = row(answers, graph, REJAX, Target("ratio", ">=", 1.5))
    return [beside_rejax, row(answers, hosted, SB3, Target("ratio", ">=", 5))], answers


def pixels(plan: Plan) -> Measured:
    """Eight games of Pong: play, store, sample, and an update every 4 steps of all of them."""
    game, name = "PongNoFrameskip-v4", "DQN on pixels, 8 games"
    contestants = {
        name: mine(plan, PONG_DQN, game),
        f"{name}, overlapped": mine(plan, PONG_DQN, game, overlap=True),
        SB3.title: theirs(plan, SB3, PONG_DQN, game),
    }
    answers = interleave(contestants, plan.repeats)
    overlapped = row(answers, f"{name}, overlapped", SB3, None)
    return [row(answers, name, SB3, Target("ratio", ">=", 3)), overlapped], answers


def solve(plan: Plan) -> Measured:
    """Steps until the greedy mean of 100 episodes is 475, a seed that never gets there counting as infinity."""
    rows, answers = [], {}
    for name, most in {"dqn": 10_000, "discrete-sac": 5_000}.items():
        job = {"what": "solve", "algorithm": name, "env": "bellmax:CartPole", "steps": 15_000, "episodes": 100}
        seeds = list(range(plan.solve_seeds))
        process.patience = process.Patience(0, 1)  # others change how long it takes, not how many steps
        found = measure(COMMAND, job | {"seeds": seeds, "evaluate_every": 250, "threshold": SOLVED}, COLD, limit=1800)
        steps = [float("inf") if step is None else float(step) for step in found["steps_to_solve"]]
        what = f"{name}: steps to solve CartPole-v1, {plan.solve_seeds} seeds"
        rows.append(Row(what, steps, "steps", target=Target("bellmax", "<=", most)))
        answers[name] = [found]
    return rows, answers


def mine(plan: Plan, settings: Answer, env: str, **more: Any) -> Contestant:
    job = settings | {"what": "speed", "env": env, "steps": int(settings["steps"] * plan.part)} | more
    return lambda seed: measure(COMMAND, job | {"seed": seed}, COLD, limit=600)


def theirs(plan: Plan, peer: Peer, settings: Answer, env: str, script: str = "sb3_replay") -> Contestant:
    """The peer with the threads that a short trial found the fastest."""
    job = settings | {"env": env, "library": peer.name, "steps": int(settings["steps"] * plan.part)}
    variant = next(iter(peer.variants))
    if len(peer.variants) > 1:
        variant = fastest(peer, script, job | {"steps": job["steps"] // 4, "seed": 0})
    return lambda seed: ask(peer, script, job | {"seed": seed}, variant)


def row(answers: Answers, what: str, peer: Peer, target: Target | None) -> Row:
    title = f"{peer.title}, {answers[peer.title][0]['variant']}"
    return Row(what, speeds(answers[what]), "steps/s", speeds(answers[peer.title]), title, target)


def speeds(answers: list[Answer]) -> list[float]:
    return [answer["steps_per_second"] for answer in answers]


PARTS = {part.__name__: part for part in (sac, dqn, pixels, solve)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts alone")
    parser.add_argument("--quick", action="store_true", help="a rehearsal: few steps and seeds, no waiting for quiet")
    chosen = parser.parse_args()
    plan = QUICK if chosen.quick else Plan()
    process.patience = process.Patience(0, 1) if chosen.quick else process.Patience()
    with alone():
        for name in chosen.only:
            say(f"{name}:")
            rows, answers = PARTS[name](plan)
            used = f"speed {plan.repeats} repeats from seed 0, steps to solve 0 to {plan.solve_seeds - 1}"
            command = f"python -m benchmarks.replay --only {name}"
            known = report.facts(command, used, [answer for of in answers.values() for answer in of], NOTES)
            text = report.markdown(f"{TITLE}: {name}", rows, known)
            print(text)
            if not chosen.quick:
                for path in report.write(f"replay_{name}", text, rows, known, answers):
                    say(f"wrote {path.relative_to(report.ROOT)}")


if __name__ == "__main__":
    main()
