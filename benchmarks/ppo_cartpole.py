"""PPO on CartPole beside Rejax and Stable-Baselines3: `python -m benchmarks.ppo_cartpole`.

Parts: speed (running steps a second, in the graph and hosted), scores (greedy return after training), solve (steps
until CartPole-v1 is solved), seeds (32 together against one), startup. `--only PART...` and `--quick` print their
rows and write nothing: only the whole table goes to docs/results.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

from benchmarks import ours, process, report
from benchmarks.peers import REJAX, SB3, Peer, ask, fastest, interpreter
from benchmarks.process import Answer, alone, interleave, measure, say, wall
from benchmarks.report import Row, Target
from benchmarks.settings import CARTPOLE_PPO, SOLVED

TITLE = "PPO on CartPole, the Stable-Baselines3 zoo's settings"
IN_GRAPH = {"CartPole in the graph": "bellmax:CartPole", "gymnax's CartPole-v1": "gymnax:CartPole-v1"}
HOSTED = {"Gymnasium's CartPole-v1, hosted": "CartPole-v1"}
COMPILING = "Rejax, all cores"  # running may be faster on one, compiling is not
QUANTITIES = {"running": ("steps_per_second", "steps/s"), "greedy return": ("greedy_return", "")}
NOTES = (
    "the settings are benchmarks/settings.py's; every figure is from a process of its own, contestants in turn",
    "steps a second are environment steps over the time a training run spends collecting and learning, after one run "
    "(for Stable-Baselines3: a short one) in the same process; compile time is apart, without a persistent cache, and "
    "so is making networks and environments",
    "a peer runs with the thread setting that was the fastest in a trial just before",
    "Rejax does not anneal the clip range; its evaluations inside the run are taken out",
    "steps to solve are counted to the first evaluation that reached it, one every 1,024 steps",
)


class Plan(NamedTuple):
    """How much is measured."""

    steps: int = CARTPOLE_PPO["steps"]
    repeats: int = 3
    score_seeds: int = 10
    solve_seeds: int = 20
    together: int = 32
    trial_steps: int = 20_480  # to find a peer's fastest threads

    def job(self, **more: Any) -> Answer:
        return CARTPOLE_PPO | {"steps": self.steps, "episodes": 0} | more


QUICK = Plan(steps=10_240, repeats=1, score_seeds=2, solve_seeds=2, together=4, trial_steps=2_560)
Answers = dict[str, list[Answer]]
Measured = tuple[list[Row], Answers]
Contestant = Callable[[int], Answer]


def speed(plan: Plan) -> Measured:
    """All contestants in turn, so that they share the same minutes."""
    envs = IN_GRAPH | HOSTED
    contestants: dict[str, Contestant] = {what: ours_on(plan, env, episodes=100) for what, env in envs.items()}
    contestants[REJAX.title] = peer_contestant(plan, REJAX, "rejax_ppo", {})
    short = plan.job(env="CartPole-v1", steps=plan.trial_steps)
    contestants[COMPILING] = lambda seed: ask(REJAX, "rejax_ppo", short | {"seed": seed}, "all cores")
    contestants[SB3.title] = peer_contestant(plan, SB3, "sb3_ppo", {"warm_up": 2_048})
    answers = interleave(contestants, plan.repeats)
    rows = []
    for what in IN_GRAPH:
        rows.append(beside(answers, what, REJAX, "running", Target("ratio", ">=", 1.5)))
        rows.append(beside(answers, what, SB3, "running", Target("ratio", ">=", 12)))
        rows.append(beside(answers, what, REJAX, "greedy return"))
        mine, theirs = (figures(answers[name], "compile_seconds") for name in (what, COMPILING))
        rows.append(Row(f"{what}: compiling", mine, "s", theirs, COMPILING))
    for what in HOSTED:
        rows.append(beside(answers, what, SB3, "running", Target("ratio", ">=", 5)))
        rows.append(beside(answers, what, SB3, "greedy return"))
    return rows, answers


def beside(answers: Answers, what: str, peer: Peer, name: str, target: Target | None = None) -> Row:
    """The row of one quantity, with the peer's thread setting beside its name."""
    field, unit = QUANTITIES[name]
    title = f"{peer.title}, {answers[peer.title][0]['variant']}"
    mine, theirs = (figures(answers[who], field) for who in (what, peer.title))
    return Row(f"{what}: {name}", mine, unit, theirs, title, target)


def peer_contestant(plan: Plan, peer: Peer, script: str, extra: Answer) -> Contestant:
    """The peer with the threads that a short trial found the fastest."""
    job = plan.job(env="CartPole-v1", **extra)
    variant = fastest(peer, script, job | {"steps": plan.trial_steps, "seed": 0})
    return lambda seed: ask(peer, script, job | {"seed": seed, "episodes": 100}, variant)


def ours_on(plan: Plan, env: str, count: int = 1, **more: Any) -> Contestant:
    """bellmax's speed with `count` runs at once, numbered from the repeat's seed."""
    job = plan.job(what="speed", env=env, **more)
    return lambda seed: measure_ours(job | {"seeds": list(range(seed, seed + count))})


def measure_ours(job: Answer, limit: float = 1200) -> Answer:
    return measure(ours.COMMAND, job, ours.COLD, limit=limit)


def scores(plan: Plan) -> Measured:
    """Does what was timed also learn?"""
    rows, answers = [], {}
    for what, env in IN_GRAPH.items():
        job = plan.job(what="scores", env=env, seeds=list(range(plan.score_seeds)), episodes=100)
        found = measure_ours(job)
        answers[f"scores, {what}"] = [found]
        good = sum(score >= SOLVED for score in found["greedy_returns"])
        target = Target("bellmax", ">=", 9)
        rows.append(Row(f"{what}: seeds of {plan.score_seeds} with a greedy return >= 475", [good], target=target))
        rows.append(Row(f"{what}: greedy return after {plan.steps:,} steps", found["greedy_returns"]))
    return rows, answers


def solve(plan: Plan) -> Measured:
    """Steps until the greedy mean of 100 episodes is 475, a seed that never gets there counting as infinity."""
    seeds = list(range(plan.solve_seeds))
    job = plan.job(what="solve", env="bellmax:CartPole", seeds=seeds, episodes=100)
    found = measure_ours(job | {"evaluate_every": 1_024, "threshold": SOLVED})
    steps = [float("inf") if step is None else float(step) for step in found["steps_to_solve"]]
    what = f"steps to solve CartPole-v1, {plan.solve_seeds} seeds"
    return [Row(what, steps, "steps", target=Target("bellmax", "<=", 30_000))], {"steps to solve": [found]}


def seeds(plan: Plan) -> Measured:
    """Many seeds together against one alone, all their steps counted."""
    together = f"{plan.together} seeds together"
    contestants = {
        "one seed": ours_on(plan, "bellmax:CartPole"),
        together: ours_on(plan, "bellmax:CartPole", plan.together),
    }
    answers = interleave(contestants, plan.repeats)
    many, one = (figures(answers[name], "steps_per_second") for name in (together, "one seed"))
    return [Row(f"{together}: running", many, "steps/s", one, "one seed", Target("ratio", ">=", 1.8))], answers


def startup(plan: Plan) -> Measured:
    """From the shell's prompt, the second time: the first, not counted, fills the caches."""
    with tempfile.TemporaryDirectory() as folder:
        commands = {
            "`import bellmax`": ours.IMPORT,
            "`bellmax --help`": ours.HELP,
            "`bellmax train ppo CartPole-v1`, one round and exit": [*ours.FIRST_UPDATE, f"{folder}/{{seed}}"],
            f"importing {SB3.title}": [str(interpreter(SB3)), "-c", "import stable_baselines3"],
        }
        answers = interleave({name: shell(command) for name, command in commands.items()}, 1 + plan.repeats)
    answers = {name: found[1:] for name, found in answers.items()}
    *bellmax, peer = answers
    rows = [
        Row(name, figures(answers[name], "seconds"), "s", target=Target("bellmax", "<=", most))
        for name, most in zip(bellmax, (1.5, 1.0, 5.0))
    ]
    rows[0] = rows[0]._replace(peer=figures(answers[peer], "seconds"), peer_title=peer)
    return rows, answers


def shell(command: list[str]) -> Contestant:
    return lambda seed: wall([word.replace("{seed}", str(seed)) for word in command])


def figures(answers: list[Answer], name: str) -> list[float]:
    return [answer[name] for answer in answers]


PARTS = {part.__name__: part for part in (speed, scores, solve, seeds, startup)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="measure these parts alone")
    parser.add_argument("--quick", action="store_true", help="a rehearsal: few steps and seeds, no waiting for quiet")
    chosen = parser.parse_args()
    plan = QUICK if chosen.quick else Plan()
    process.patience = process.Patience(0, 1) if chosen.quick else process.Patience()
    rows: list[Row] = []
    answers: dict[str, Any] = {}
    with alone():
        for name in chosen.only:
            say(f"{name}:")
            more, found = PARTS[name](plan)
            rows += more
            answers |= {f"{name}: {what}": of for what, of in found.items()}
    say("")
    conclude(rows, answers, plan, whole=not chosen.quick and set(chosen.only) == set(PARTS))


def conclude(rows: list[Row], answers: dict[str, Any], plan: Plan, *, whole: bool) -> None:
    """Print the table; a whole one is also written."""
    command = " ".join(["python -m benchmarks.ppo_cartpole", *sys.argv[1:]])
    used = (
        f"speed and seeds-together {plan.repeats} repeats from seed 0, scores 0 to {plan.score_seeds - 1}, "
        f"steps to solve 0 to {plan.solve_seeds - 1}"
    )
    known = report.facts(command, used, [answer for of in answers.values() for answer in of], NOTES)
    text = report.markdown(TITLE, rows, known)
    print(text)
    if whole:
        for path in report.write("ppo_cartpole", text, rows, known, answers):
            say(f"wrote {path.relative_to(report.ROOT)}")


if __name__ == "__main__":
    main()
