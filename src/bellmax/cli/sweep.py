"""`bellmax sweep ALGORITHM ENV --over learning_rate=1e-4,3e-4`."""

from __future__ import annotations

from typing import Annotated, Any

from tyro.conf import UseAppendAction, arg

from bellmax.cli.find_run import explain_interrupt
from bellmax.cli.request import understand
from bellmax.sweeping import sweep

_OVER: Any = Annotated[
    tuple[str, ...],
    UseAppendAction,
    arg(metavar="FLAG=A,B,..", help="a hyperparameter and its values; several make every combination"),
]


def main(words: list[str]) -> None:
    """Train every combination, and put them side by side."""
    from bellmax.report import compare

    extra = [("over", _OVER, ())]
    request = understand(words, "sweep", extra)
    if not request.parsed.over:
        raise ValueError("what should be swept? Give --over FLAG=A,B,.., such as --over learning_rate=1e-4,3e-4.")
    over: dict[str, list[Any]] = {}
    for text in request.parsed.over:
        flag, equals, values = text.partition("=")
        if not equals or not values:
            raise ValueError(f"--over {text}: write FLAG=A,B,.., such as --over learning_rate=1e-4,3e-4.")
        field = flag.lstrip("-").replace("-", "_").partition(".")[0]
        for value in values.split(","):
            changed = understand([*words, f"--{flag.lstrip('-')}", *value.split()], "sweep", extra)
            over.setdefault(field, []).append(getattr(changed.algorithm, field))
    arguments = request.arguments | {"algorithm": request.algorithm}
    with explain_interrupt(request.options.run_folder):
        runs: list[Any] = sweep(over=over, **arguments)
    if arguments["display"] == "auto":
        print(compare(runs))
