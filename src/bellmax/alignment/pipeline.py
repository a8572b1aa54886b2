"""SFT, a reward model and PPO, one after the other, on a built-in task: the whole of RLHF in minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bellmax.alignment.engine import prompts_of
from bellmax.alignment.front import align
from bellmax.alignment.run import AlignmentRun
from bellmax.language.best_of import kl_of_best
from bellmax.language.sources import Writing
from bellmax.language.tasks import find_task

MANY = 16  # answers that best-of-n chooses from


class Pipeline(NamedTuple):
    """Three runs, and what came of them."""

    sft: AlignmentRun
    reward: AlignmentRun
    ppo: AlignmentRun
    table: list[dict[str, Any]]  # a row for each policy: "policy", "kl", "reward model", "right"
    samples: list[dict[str, Any]]  # prompts, and what each policy answers


def pipeline(
    task: str,
    *,
    model: Any = "tiny",
    sft_steps: int | None = None,
    reward_steps: int | None = None,
    ppo_steps: int | None = None,
    prompts: int = 128,
    seed: int = 0,
    run_folder: str | Path | None = "runs",
    display: str = "auto",
    settings: dict[str, Any] | None = None,
) -> Pipeline:
    """Train all three on a built-in task -> the runs, and a table of before and after on held-out prompts.

    PPO is paid by the reward model alone; how many answers are right is only watched. Steps that are left out are those
    of the recipes; `settings` has a learner instead of a name for any of "sft", "reward" and "ppo-lm". ValueError for
    what is no task.
    """
    gold, chosen = find_task(task), settings or {}
    options: dict[str, Any] = {"seed": seed, "run_folder": run_folder, "display": display}
    sft = align(chosen.get("sft", "sft"), model, task, steps=sft_steps, **options)
    reward = align(chosen.get("reward", "reward"), sft, task, steps=reward_steps, **options)
    rewards = {"reward model": reward, "right": (gold.reward, 0.0)}
    learner = chosen.get("ppo-lm", "ppo-lm")
    ppo = align(learner, sft, task, reward=rewards, critic=reward, steps=ppo_steps, **options)
    return Pipeline(sft, reward, ppo, *_compared(sft, ppo, prompts))


def _compared(sft: AlignmentRun, ppo: AlignmentRun, count: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Held-out prompts answered by the policy before, by its best of many, and by the policy after."""
    materials, experience = ppo.plan.materials, ppo.algorithm.experience
    assert materials.rewards is not None
    held_out = prompts_of(ppo.plan, list(materials.held_out)[:count])
    repeated = [prompt for prompt in held_out for _ in range(MANY)]
    writing = Writing(experience, ppo.tokeniser, held_out, materials.rewards, ppo.seeds[0])
    before, judged_before = writing.judged(sft.model, repeated, experience.sampling)
    after, judged_after = writing.judged(ppo.model, held_out, experience.sampling)
    best = np.asarray(judged_before.total).reshape(-1, MANY).argmax(1) + MANY * np.arange(len(held_out))
    kl = [row["kl"] for row in ppo.metrics][-1]
    table = [
        _row("before (SFT)", 0.0, judged_before, slice(None)),
        _row(f"best of {MANY}", float(kl_of_best(MANY)), judged_before, best),
        _row("after (PPO)", kl, judged_after, slice(None)),
    ]
    samples = [
        {"prompt": prompt.text, "before": before.texts[MANY * i], "after": after.texts[i]}
        for i, prompt in enumerate(held_out[:5])
    ]
    return table, samples


def _row(policy: str, kl: float, judged: Any, chosen: Any) -> dict[str, Any]:
    means = {name: float(np.asarray(values)[chosen].mean()) for name, values in judged.parts.items()}
    return {"policy": policy, "kl": kl} | means


def frontier(ppo: AlignmentRun, path: str | Path) -> Path:
    """Draw what the reward model thinks, and how many answers are right, over sqrt(KL) while PPO trained."""
    import matplotlib

    from bellmax.report.canvas import STYLE, look_of, new_figure, save

    distance = np.sqrt(np.maximum([row["kl"] for row in ppo.metrics], 0))
    with matplotlib.rc_context(STYLE):
        figure = new_figure(on_screen=False)
        axes = figure.add_subplot()
        for place, (name, label) in enumerate((("reward/reward model", "reward model"), ("gold/right", "right"))):
            colour = look_of(place)["color"]
            axes.plot(distance, [row[name] for row in ppo.metrics], "o", markersize=4, color=colour, label=label)
        axes.set_xlabel("square root of the KL from where PPO began (nats an answer)")
        axes.set_ylabel("mean over answers")
        axes.legend(frameon=False)
        return save(figure, Path(path))
