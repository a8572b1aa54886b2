"""Peak memory of SFT with many symbols and long texts, beside TRL: `python -m benchmarks.language_memory`.

A vocabulary of 49,152 and texts of 1,024 tokens, three updates of 8 texts by the Llama of `benchmarks.language`. TRL's
default holds the logits of a whole batch, [8, 1024, 49152], more than once; here log-probabilities are worked out in
pieces, and logits never stand side by side. How much memory a process takes does not depend on what else the machine
does: nothing waits for quiet.
Writes docs/results/language_memory.md.
"""

from __future__ import annotations

import random

from benchmarks import process, report
from benchmarks.language import COMMAND, TRL, folder
from benchmarks.ours import COLD
from benchmarks.peers import ask
from benchmarks.process import alone, measure, say
from benchmarks.report import Row, Target
from benchmarks.settings import LANGUAGE_MEMORY as JOB

FIRST = 0x4E00  # from here on Unicode has so many letters in a row
SURROGATES = range(0xD800, 0xE000)  # which no text may hold
NOTES = (
    "the settings are LANGUAGE_MEMORY in benchmarks/settings.py; every figure is from a process of its own",
    "peak memory is the most that the process ever held, imports and compiler and all",
    "speed is shown for completeness: the cores were not quiet",
)


def alphabet() -> str:
    """As many characters as make the vocabulary, with its two special tokens."""
    numbers = (number for number in range(FIRST, 0x20000) if number not in SURROGATES)
    return "".join(chr(number) for number, _ in zip(numbers, range(JOB["vocabulary"] - 2)))


def main() -> None:
    symbols, draw = alphabet(), random.Random(0)
    texts = [
        {"text": "".join(draw.choices(symbols, k=JOB["length"] - 1))} for _ in range(16)
    ]  # a process takes no more words
    process.patience = process.Patience(0, 1)
    with alone():
        job = JOB | {"folder": folder(symbols), "rows": texts, "seed": 0}
        ours = measure(COMMAND, job, COLD, limit=900)
        say(f"bellmax: {ours['peak_bytes'] / 1e9:.2f} GB")
        theirs = ask(TRL, "trl_language", job, "2 torch threads", limit=1800)
    peaks = ([ours["peak_bytes"] / 1e9], [theirs["peak_bytes"] / 1e9])
    speeds = ([ours["steps_per_second"]], [theirs["steps_per_second"]])
    table = [
        Row("SFT, 8 texts of 1,024 tokens: peak memory", peaks[0], "GB", peaks[1], "TRL", Target("ratio", "<=", 0.5)),
        Row("SFT, an update", speeds[0], "updates/s", speeds[1], "TRL"),
    ]
    known = report.facts("python -m benchmarks.language_memory", "1 repeat from seed 0", [ours, theirs], NOTES)
    text = report.markdown("Language models: memory at a large vocabulary, beside TRL", table, known)
    print(text)
    for path in report.write("language_memory", text, table, known, {"bellmax": [ours], "TRL": [theirs]}):
        say(f"wrote {path.relative_to(report.ROOT)}")


if __name__ == "__main__":
    main()
