"""GRPO, SFT and sampling beside TRL and transformers: `python -m benchmarks.language`.

The same Llama of 4 layers, 128 wide (one token a character), from the same folder; 64 answers of 32 new tokens each.
Writes docs/results/language.md; `--quick` prints its rows and writes nothing.
"""

from __future__ import annotations

import argparse
import random
import string
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import process, report
from benchmarks.ours import COLD, PYTHON
from benchmarks.peers import Peer, ask, fastest
from benchmarks.process import Answer, alone, interleave, measure, say
from benchmarks.report import Row, Target
from benchmarks.settings import LANGUAGE

COMMAND = [*PYTHON, "-m", "benchmarks.ours_language"]
TRL = Peer(
    "TRL",
    "trl",
    {
        "1 torch thread": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        "2 torch threads": {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    },
)
TARGETS = {"grpo": 3.0, "generate": 2.0, "sft": 1.5}
TITLES = {"grpo": "GRPO, an update", "generate": "sampling", "sft": "SFT, an update"}
UNITS = {"grpo": "updates/s", "generate": "tokens/s", "sft": "updates/s"}
NOTES = (
    "the settings are LANGUAGE in benchmarks/settings.py; every figure is from a process of its own, in turn",
    "three updates (or calls) come before the clock, and with them compiling; each update is logged",
    "TRL writes at least 32 tokens; here a row may end earlier, one in a hundred tokens ends it, and the batch goes on",
    "peak memory is the most that the process ever held, imports and compiler and all",
)


def folder(alphabet: str = string.printable) -> str:
    """A model with new weights, a token for each of these characters, as both read it."""
    import jax

    from bellmax import ModelConfig, Tokeniser, Transformer
    from bellmax.language.folder import write_model

    tokeniser = Tokeniser.characters(alphabet)
    model = Transformer(jax.random.key(0), ModelConfig(tokeniser.vocabulary, width=128, layers=4, heads=4))
    path = Path(tempfile.mkdtemp()) / "model"
    tokeniser.write(path)
    return str(write_model(path, model, extra=tokeniser.config))


def rows(what: str) -> list[dict[str, str]]:
    """Texts drawn by chance: prompts of 16 characters; for SFT, 127 characters and the end."""
    draw = random.Random(0)
    written = lambda count: "".join(draw.choices(string.ascii_lowercase + " ", k=count))
    if what == "sft":
        return [{"text": written(LANGUAGE["sft"]["length"] - 1)} for _ in range(512)]
    return [{"prompt": written(16)} for _ in range(512)]


def contestant(job: Answer, variant: str | None) -> Callable[[int], Answer]:
    if variant is None:
        return lambda seed: measure(COMMAND, job | {"seed": seed}, COLD, limit=600)
    return lambda seed: ask(TRL, "trl_language", job | {"seed": seed}, variant)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(LANGUAGE), default=list(LANGUAGE))
    parser.add_argument("--quick", action="store_true", help="one repeat, no waiting for quiet, nothing written")
    chosen = parser.parse_args()
    repeats = 1 if chosen.quick else 3
    process.patience = process.Patience(0, 1) if chosen.quick else process.Patience()
    table, answers, where = [], {}, folder()
    with alone():
        for what in chosen.only:
            job = LANGUAGE[what] | {"what": what, "folder": where, "rows": rows(what)}
            say(f"{what}:")
            variant = fastest(TRL, "trl_language", job | {"seed": 0})
            found = interleave({"bellmax": contestant(job, None), "TRL": contestant(job, variant)}, repeats)
            answers |= {f"{what}, {name}": several for name, several in found.items()}
            ours, theirs = ([each["steps_per_second"] for each in found[name]] for name in ("bellmax", "TRL"))
            target = Target("ratio", ">=", TARGETS[what])
            table.append(Row(TITLES[what], ours, UNITS[what], theirs, f"TRL, {variant}", target))
            ours, theirs = ([each["peak_bytes"] / 1e9 for each in found[name]] for name in ("bellmax", "TRL"))
            table.append(Row(f"{TITLES[what]}: peak memory", ours, "GB", theirs, "TRL"))
    known = report.facts(
        "python -m benchmarks.language",
        f"{repeats} repeats from seed 0",
        [x for of in answers.values() for x in of],
        NOTES,
    )
    text = report.markdown("Language models: speed and memory beside TRL", table, known)
    print(text)
    if not chosen.quick:
        for path in report.write("language", text, table, known, answers):
            say(f"wrote {path.relative_to(report.ROOT)}")


if __name__ == "__main__":
    main()
