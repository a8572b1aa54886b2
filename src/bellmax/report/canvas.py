"""What all figures share: colours, fonts, a window where there is one, and writing a file. Cheap to import."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bellmax.runs.disk import explained, make_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito, 2008: told apart by colour-blind readers too; their yellow is too pale for a line
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES: tuple[Any, ...] = ("-", (0, (7, 1, 1, 1)), (0, (7, 1, 1, 1, 1, 1)))  # once the colours are used up
STYLE: dict[Any, Any] = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True}
GREY = "0.4"
_FORMATS = (".png", ".svg", ".pdf", ".jpg")


def look_of(place: int) -> dict[str, Any]:
    """The colour and dashes of the line number `place`, no two alike among the first 21."""
    return {"color": PALETTE[place % len(PALETTE)], "linestyle": LINES[place // len(PALETTE) % len(LINES)]}


def new_figure(on_screen: bool, size: tuple[float, float] = (8, 5)) -> Figure:
    """A figure of pyplot's where there is a window to show it in; otherwise one that needs no display."""
    from matplotlib.figure import Figure

    look: dict[str, Any] = {"figsize": size, "layout": "constrained"}
    if on_screen:
        from matplotlib import pyplot
        from matplotlib.backends.registry import BackendFilter, backend_registry

        if pyplot.get_backend().lower() in backend_registry.list_builtin(BackendFilter.INTERACTIVE):
            with contextlib.suppress(ImportError):  # a display was asked for where there is none
                return pyplot.figure(**look)
    return Figure(**look)


def save(figure: Figure, path: Path, trim: bool = False) -> Path:
    """Write the figure at 150 dots per inch -> the path, with .png added if it is no suffix of a picture.

    trim    let the paper grow or shrink to what is drawn; the layout forgets the label of a colour bar
    """
    path = path if path.suffix in _FORMATS else path.with_name(path.name + ".png")
    make_folder(path.parent, parents=True)
    with explained(path):
        figure.savefig(path, dpi=150, bbox_inches="tight" if trim else None)
    return path
