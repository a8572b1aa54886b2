"""`bellmax COMMAND ...`: find the command, carry it out, and say in one line what went wrong.

Nothing heavy is imported here, so that `bellmax --help` answers at once.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from types import TracebackType

COMMANDS = {
    "train": "train an algorithm in an environment",
    "resume": "go on with a run that stopped",
    "evaluate": "play whole episodes with a trained policy, and say how good it is",
    "collect": "let a trained policy play, and write every step into a file",
    "dream": "find controllers for world-models in the dream that they have learned",
    "sensitivity": "play with a trained policy where the physics are others, over a grid",
    "watch": "see a trained policy play, on the screen or in an MP4 or GIF",
    "play": "play a game against a run, or against tree search",
    "plot": "draw learning curves",
    "compare": "put runs side by side in a table",
    "runs": "list the runs",
    "envs": "list the environments",
    "algorithms": "list the algorithms and their papers",
    "export": "write a trained policy as StableHLO and ONNX files",
    "sweep": "train once for every setting of some hyperparameters",
    "solve": "solve an environment exactly, if all that can happen in it is known",
    "bandit": "play many bandit problems at once, and count the regret",
    "sft": "train a language model on examples",
    "reward": "train a reward model on pairs of answers",
    "process-reward": "train a reward model of single steps",
    "ppo-lm": "train a language model on rewards, with PPO",
    "rloo": "train a language model on rewards, with REINFORCE",
    "grpo": "train a language model on rewards, with GRPO",
    "gspo": "train a language model on rewards, with GSPO",
    "dpo": "train a language model on pairs of answers, with DPO",
    "orpo": "train a language model on pairs of answers, with ORPO",
    "simpo": "train a language model on pairs of answers, with SimPO",
    "kto": "train a language model on answers called good or bad, with KTO",
    "generate": "have a language model answer",
    "label": "have a judge compare a language model's answers, in pairs",
    "pipeline": "SFT, a reward model and PPO on a built-in task, in minutes",
}
LEARNERS = ("sft", "reward", "process-reward", "ppo-lm", "rloo", "grpo", "gspo", "dpo", "orpo", "simpo", "kto")

EXAMPLES = (
    ("bellmax train ppo CartPole-v1", "train, with settings known to work"),
    ("bellmax train ppo CartPole-v1 --help", "every setting, and what it is"),
    ("bellmax watch latest", "see it play"),
    ("bellmax solve FrozenLake-v1", "the best there is, exactly"),
    ("bellmax bandit ucb thompson", "two bandit algorithms side by side"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command line -> the exit code: 0, 1 for an error, 2 for a misuse, 130 after Ctrl-C."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words or os.environ.get("BELLMAX_DEBUG", "") not in ("", "0")
    words = [word for word in words if word != "--debug"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if words[0] in ("-V", "--version"):
        from importlib.metadata import version

        print(f"bellmax {version('bellmax')}")
        return 0
    if words[0] not in COMMANDS:
        near = difflib.get_close_matches(words[0], COMMANDS, 1, 0.5)
        hint = f"did you mean `bellmax {near[0]}`?" if near else "`bellmax --help` lists the commands."
        say_error(f"there is no command {words[0]!r}: {hint}")
        return 2
    return _carry_out(words[0], words[1:], debug)


def _carry_out(command: str, words: list[str], debug: bool) -> int:
    try:
        if command in LEARNERS:
            code = importlib.import_module("bellmax.cli.align").main(words, command) or 0
        else:
            code = importlib.import_module(f"bellmax.cli.{command}").main(words) or 0
        sys.stdout.flush()  # here, where a reader that has gone can be forgiven
        return code
    except SystemExit as leaving:  # the parser has said what was wrong, or shown its help
        return leaving.code if isinstance(leaving.code, int) else 0 if leaving.code is None else 1
    except KeyboardInterrupt as interrupt:
        _give_terminal_back()
        if debug:
            traceback.print_exc()
        say(str(interrupt) or "interrupted", "33")
        return 130
    except BrokenPipeError:  # as in `bellmax envs | head`: nobody is reading any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        _give_terminal_back()
        if debug or not is_explained(error):
            traceback.print_exc()
        say_error(in_a_line(error))
        return 1


def is_explained(error: BaseException) -> bool:
    """Does the message say it all? It does where bellmax itself raised, and for files that cannot be had.

    What broke inside an environment or another library needs its traceback.
    """
    trace: TracebackType | None = error.__traceback__
    place = ""
    while trace is not None:
        place, trace = trace.tb_frame.f_globals.get("__name__", ""), trace.tb_next
    raised_here = place.split(".")[0] == "bellmax" and isinstance(
        error, ValueError | TypeError | ImportError | RuntimeError
    )
    ours = type(error).__module__.split(".")[0] == "bellmax"
    return ours or raised_here or isinstance(error, OSError)


def in_a_line(error: BaseException) -> str:
    """What an error says; of one that is not ours, its kind too, and no more than the first line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if is_explained(error):
        notes = [note for note in getattr(error, "__notes__", ()) if "JAX has removed its internal frames" not in note]
        return " ".join([*lines, *notes]) or type(error).__name__
    return ": ".join([type(error).__name__, *lines[:1]])


def overview() -> str:
    """What `bellmax --help` says."""
    width = max(map(len, COMMANDS))
    broad = max(len(example) for example, _ in EXAMPLES)
    lines = [
        "Reinforcement learning from the bandit to the language model.",
        "",
        _bold("usage: bellmax COMMAND ..."),
        "",
    ]
    lines += [f"  {_bold(name.ljust(width))}  {summary}" for name, summary in COMMANDS.items()]
    lines += ["", "For example:", ""]
    lines += [f"  {example.ljust(broad)}   {meaning}" for example, meaning in EXAMPLES]
    lines += ["", "`bellmax COMMAND --help` tells more. --debug, or BELLMAX_DEBUG=1, shows where an error came from."]
    return "\n".join(lines)


def say_error(text: str) -> None:
    """One red line on standard error."""
    say(f"error: {text}", "31")


def say(text: str, colour: str) -> None:
    """One line on standard error, coloured on a terminal."""
    print(_coloured(text, colour, sys.stderr), file=sys.stderr)


def _bold(text: str) -> str:
    return _coloured(text, "1", sys.stdout)


def _coloured(text: str, code: str, stream: object) -> str:
    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb" or not getattr(stream, "isatty", bool)()
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"


def _give_terminal_back() -> None:
    """A live display that an error left on the terminal ends, before anything else is written there."""
    if "bellmax.display.live" in sys.modules:
        sys.modules["bellmax.display.live"].close_all()


if __name__ == "__main__":
    sys.exit(main())
