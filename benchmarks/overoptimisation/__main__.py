"""Reward hacking made visible: `python -m benchmarks.overoptimisation [best-of-n] [ppo]`

A gold reward is known; reward models of three sizes learn from the same of its preferences, and are optimised by
best-of-n and by PPO. Each part writes docs/results/overoptimisation_PART.json; of what is there, the table and the
figure are made. `--quick` rehearses in a minute or two, prints, and writes nothing.
"""

from __future__ import annotations

import argparse
import json
import sys

from bellmax.compilation import use_cache
from benchmarks.overoptimisation import best_of_n, page, ppo
from benchmarks.overoptimisation.models import Effort

PARTS = {"best-of-n": best_of_n.part, "ppo": ppo.part}
SEEDS = {"best-of-n": (0, 1, 2), "ppo": (0,)}
QUICK = Effort(examples=2048, shown=60, pairs=2048, steps=60, pool=64, updates=10)


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="both, if none is named")
    parser.add_argument("--quick", action="store_true", help="rehearse, and write nothing")
    asked = parser.parse_args(words)
    use_cache()
    found = {}
    for name in asked.parts or PARTS:
        found[name] = PARTS[name](QUICK if asked.quick else Effort(), SEEDS[name][:1] if asked.quick else SEEDS[name])
        if not asked.quick:
            page.keep(name, found[name])
    if asked.quick:
        print(json.dumps(page.rows(found), indent=1))
    else:
        page.write()


if __name__ == "__main__":
    main(sys.argv[1:])
