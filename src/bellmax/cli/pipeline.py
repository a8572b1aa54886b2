"""`bellmax pipeline TASK`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import Positional, arg

from bellmax.alignment.pipeline import frontier, pipeline
from bellmax.cli.flags import Flag, parse
from bellmax.cli.options import _said


@dataclass(frozen=True)
class Pipeline:
    """SFT, a reward model and PPO, one after the other, on a built-in task; then a table of before and after."""

    task: Annotated[str, Positional, arg(metavar="TASK", help="copy, reverse, sort or addition")] = "reverse"
    model: str = "tiny"  # what SFT begins with: tiny, a small model from nothing, or a folder
    sft_steps: Annotated[int | None, _said("the recipe's")] = None  # updates of SFT
    reward_steps: Annotated[int | None, _said("the recipe's")] = None  # updates of the reward model
    ppo_steps: Annotated[int | None, _said("the recipe's")] = None  # updates of PPO
    seed: int = 0
    run_folder: str = "runs"  # where the three runs' folders are made
    plot: Annotated[str | None, _said("not drawn")] = None  # draw the frontier of reward and KL, to a PNG
    quiet: Flag = False  # print the table alone


def main(words: list[str]) -> None:
    """Train all three, and print the table and some answers."""
    asked = parse(Pipeline, words, "pipeline")
    made = pipeline(
        asked.task,
        model=asked.model,
        sft_steps=asked.sft_steps,
        reward_steps=asked.reward_steps,
        ppo_steps=asked.ppo_steps,
        seed=asked.seed,
        run_folder=asked.run_folder,
        display="quiet" if asked.quiet else "auto",
    )
    names = list(made.table[0])
    widths = [max(len(name), 13) for name in names]
    print("\n" + "  ".join(name.rjust(width) for name, width in zip(names, widths)))
    for row in made.table:
        cells = [value if isinstance(value, str) else f"{value:.3f}" for value in row.values()]
        print("  ".join(cell.rjust(width) for cell, width in zip(cells, widths)))
    for sample in made.samples:
        print(f"\n{sample['prompt']}\n  before  {sample['before']}\n  after   {sample['after']}")
    if asked.plot:
        print(f"\ndrew {frontier(made.ppo, asked.plot)}")
