"""What MBPO learns from few steps: `python -m benchmarks.mbpo [--seeds N] [--steps N]`

MBPO with its recipe for Pendulum, and SAC, its learner, alone with as many real steps and its own recipe. Scores are
those of 20 greedy episodes, every 500 steps; at the end one mean a seed.

The models are asked about the steps in the replay buffer that were held out, on which they never trained: the mean
log-density that the elites give together to where a step leads and what it pays, less that of one normal with the mean
and deviation of all steps that were trained on, in nats a step. Disagreement is asked about the same steps, and
about the same with observations three times as far from the mean.

Seconds are of the processor, with one thread: others used the machine. What the peak allows counts the products
of matrices of an update and nothing else, at the speed of one product of 256 x 256 after the other in the same process.
"""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import bellmax as bm
from bellmax.compilation import use_cache
from bellmax.core import Transition
from bellmax.drivers import evaluate, ingraph
from bellmax.envs.pendulum import Pendulum
from bellmax.maths.distributions import Normal
from bellmax.maths.statistics import weighted_mean
from bellmax.models.ensemble import changes, log_likelihood, uncertainty
from bellmax.recipes import find

RESULTS = Path("docs/results/mbpo")
ENV, EVERY, EPISODES = Pendulum(), 500, 20


def train(algorithm: Any, seed: int, steps: int) -> tuple[Any, list[float]]:
    """A run of so many steps, and its scores every `EVERY` of them."""
    run, scores = jax.jit(ingraph.start, static_argnums=3)(algorithm, ENV, jax.random.key(seed), 1), []
    for _ in range(steps // EVERY):
        run, _ = ingraph.advance(algorithm, ENV, run, jnp.int32(EVERY), jnp.int32(10**9))
        key = jax.random.fold_in(jax.random.key(seed), 1)
        scores.append(evaluate.ingraph(algorithm, ENV, run.state, key, episodes=EPISODES).mean)
    return run, [round(float(score), 1) for score in scores]


@jax.jit
def foreseen(algorithm: Any, state: Any, steps: Transition) -> dict[str, jax.Array]:
    """How well the elites foresee steps [n] that were held out, as `weight` says, and how far they disagree."""
    best = algorithm.models.best(state)
    constant = Normal(best.targets.mean, 0.5 * jnp.log(best.targets.variance)).log_prob(changes(steps))
    far = steps.obs + 2 * (steps.obs - best.inputs.mean[: steps.obs.shape[-1]])
    found = {
        "constant": constant,
        "models": log_likelihood(best, steps),
        "disagreement": uncertainty(best, steps.obs, steps.action),
        "far off": uncertainty(best, far, steps.action),
    }
    nats = jnp.where(steps.weight > 0, found["models"] - found["constant"], jnp.nan)
    further = {"median": jnp.nanmedian(nats), "worst": jnp.nanmin(nats), "below 0": (nats < 0).sum()}
    return {name: weighted_mean(x, steps.weight) for name, x in found.items()} | further


def held_out(run: Any) -> Transition:
    """The steps of the replay buffer with a weight of 1 where they were held out."""
    steps = jax.tree.map(lambda x: x[:, 0], run.buffer.steps)
    return steps._replace(weight=steps.weight * steps.extras["held_out"])


def learning(seeds: int, steps: int) -> list[dict[str, Any]]:
    """MBPO and its control, and what the models of MBPO know."""
    rows = []
    for name in ("mbpo", "sac"):
        recipe, began = find(name, "Pendulum-v1"), time.process_time()
        curves, facts = [], []
        for seed in range(seeds):
            run, curve = train(recipe.algorithm, seed, steps)  # type: ignore[union-attr]
            curves.append(curve)
            if name == "mbpo":
                facts.append(foreseen(recipe.algorithm, run.state.models, held_out(run)))  # type: ignore[union-attr]
            print(name, seed, curve, {k: float(x) for k, x in facts[-1].items()} if facts else "", flush=True)
        scores = [curve[-1] for curve in curves]
        first = [next((EVERY * (i + 1) for i, x in enumerate(curve) if x >= -200), None) for curve in curves]
        row = {"what": name, "steps": steps, "scores": scores, "mean": round(float(np.mean(scores)), 1)}
        row |= {"first above -200": first, "curves": curves}
        row |= {"seconds": round(time.process_time() - began, 1)}
        if name == "mbpo":
            met = all(x is not None and x <= 4000 for x in first) and min(scores) >= -200
            row |= {"wanted": "every seed >= -200 within 4,000 steps", "met": met}
            rows += [row, *known(facts)]
        else:
            rows.append(row)
    return rows


def known(facts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines on nats over a constant, and disagreement."""
    found = [{name: float(x) for name, x in one.items()} for one in facts]
    nats = [round(one["models"] - one["constant"], 2) for one in found]
    rise = [round(one["far off"] / one["disagreement"], 1) for one in found]
    foresight = {"what": "nats a step over a constant normal", "scores": nats, "mean": round(float(np.mean(nats)), 2)}
    medians = [round(one["median"], 2) for one in found]
    middle = {"what": "the same, of the median step", "scores": medians, "mean": round(float(np.mean(medians)), 2)}
    worse = [int(one["below 0"]) for one in found]
    lost = {"what": "held-out steps that the constant foresees better", "scores": worse, "mean": float(np.mean(worse))}
    apart = {"what": "disagreement far off / held out", "scores": rise, "mean": round(float(np.mean(rise)), 1)}
    return [
        foresight | {"wanted": "every seed >= 2", "met": min(nats) >= 2},
        middle,
        lost,
        apart | {"wanted": "every seed > 1", "met": min(rise) > 1},
    ]


# --- speed ------------------------------------------------------------------------------------------------------------

SAC = bm.SAC(experience=bm.Replay(2_000, batch=256, start=256, updates=20))
WIDE = bm.MBPO(SAC, models=bm.Ensemble(members=7, elites=5), model_start=0, rollouts=400, kept=40_000)


def flops(algorithm: bm.MBPO) -> dict[str, float]:
    """Of the products of matrices in one update, by what they are for."""
    sac, models, seen, done = algorithm.learner, algorithm.models, 3, 1
    batch = sac.experience.batch  # type: ignore[attr-defined]
    through = lambda sizes: sum(2 * a * b for a, b in itertools.pairwise(sizes))
    actor = through((seen, *sac.hidden, 2 * done))  # type: ignore[attr-defined]
    critic = through((seen + done, *sac.hidden, 1))  # type: ignore[attr-defined]
    member = through((seen + done, *models.hidden, 2 * (seen + 1) + 1))
    # SAC: target (actor, 2 critics), 2 critics forwards and back (3 times forwards), actor so, 2 critics there and back
    learner = batch * (actor + 2 * critic + 6 * critic + 3 * actor + 4 * critic)
    imagined = algorithm.rollouts * algorithm.rollout * (actor + models.elites * member)
    rounds = sac.experience.updates  # type: ignore[attr-defined]
    return {
        "SAC": learner,
        "models": 3 * batch * models.members * member / algorithm.model_every,
        "imagining": imagined / rounds,
    }


def timed(call: Any, *args: Any, least: float = 1.0) -> float:
    """Seconds of the processor that a call takes, over at least so many."""
    jax.block_until_ready(call(*args))
    began, count = time.process_time(), 0
    while time.process_time() - began < least:
        jax.block_until_ready(call(*args))
        count += 1
    return (time.process_time() - began) / count


def speed(repeats: int = 3) -> list[dict[str, Any]]:
    """Updates a second beside what the peak allows, and where the time goes."""
    run = jax.jit(ingraph.start, static_argnums=3)(WIDE, ENV, jax.random.key(0), 1)
    run, _ = ingraph.advance(WIDE, ENV, run, jnp.int32(255), jnp.int32(10**9))
    fresh, key = jax.jit(ingraph.last_batch)(WIDE, ENV, run)
    state, buffer = run.state, run.buffer

    def updates(state: Any, buffer: Any, key: jax.Array) -> Any:
        from bellmax.drivers.learn import learn

        return learn(WIDE, state, buffer, fresh, key)[0]

    square = jnp.ones((256, 256)) / 256
    product = jax.jit(lambda x: jax.lax.fori_loop(0, 200, lambda _, y: y @ x, x))
    real = jax.tree.map(lambda x: x[0], WIDE.experience.sample(buffer, fresh, key))
    parts = {
        "peak": (product, square),
        "update": (jax.jit(updates), state, buffer, key),
        "SAC": (
            jax.jit(lambda s, b, k: SAC.update(s, b, k)[0]),
            state.learner,
            jax.tree.map(lambda x: x[None], real),
            key,
        ),
        "models": (
            jax.jit(lambda s, b, k: WIDE.models.learn(s, b, b.extras["held_out"], k)[0]),
            state.models,
            real,
            key,
        ),
        "imagining": (jax.jit(lambda s, b, k: WIDE.branch(s.learner, s.models, s.imagined, b, k)), state, real, key),
    }
    taken = {name: min(timed(*call) for _ in range(repeats)) for name, call in parts.items()}
    peak, rounds = 200 * 2 * 256**3 / taken["peak"], SAC.experience.updates
    taken["update"] /= rounds
    taken["imagining"] /= rounds
    needed = flops(WIDE)
    rows = []
    for name, seconds in taken.items():
        if name == "peak":
            continue
        work = sum(needed.values()) if name == "update" else needed[name]
        row = {"what": f"an update, 7 x (200, 200, 200, 200), batch 256: {name if name != 'update' else 'all of it'}"}
        share = round(work / peak / seconds, 2)
        row |= {"per second": round(1 / seconds, 1), "GFLOP": round(work / 1e9, 3), "share of the peak": share}
        rows.append(row | ({"wanted": ">= 0.6", "met": share >= 0.6} if name == "update" else {}))
    rows.append({"what": "256 x 256 products", "GFLOP/s": round(peak / 1e9, 1)})
    return rows


def main() -> None:
    """Measure, print, and write the table unless it is a rehearsal."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--only", choices=["learning", "speed"])
    asked = parser.parse_args()
    use_cache()
    table: list[dict[str, Any]] = []
    if asked.only != "speed":
        table += learning(asked.seeds, asked.steps)
    if asked.only != "learning":
        table += speed()
    for row in table:
        print(row, flush=True)
    keep(table, asked.seeds, asked.only)


def keep(table: list[dict[str, Any]], seeds: int, only: str | None) -> None:
    """Write the table to docs/results, a part under a name of its own."""
    from bellmax.report import write_result

    notes = [" ".join(part.split()) for part in __doc__.split("\n\n")[1:]]
    columns = {name: heading for name, heading in COLUMNS.items() if any(name in line for line in table)}
    where = RESULTS if only is None else RESULTS.with_name(f"mbpo_{only}")
    command = f"python -m benchmarks.mbpo{f' --only {only}' if only else ''}"
    write_result(
        where, "Model-based policy optimisation", table, columns, notes, seeds=list(range(seeds)), command=command
    )


COLUMNS = {
    "what": "what",
    "steps": "steps",
    "scores": "figure, a seed each",
    "mean": "mean",
    "first above -200": "first evaluation >= -200",
    "per second": "per second",
    "GFLOP": "GFLOP of products",
    "share of the peak": "share of the peak",
    "GFLOP/s": "GFLOP/s",
    "seconds": "seconds of the processor",
    "wanted": "wanted",
    "met": "met",
}

if __name__ == "__main__":
    main()
