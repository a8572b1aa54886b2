"""The final answer in a text, exactly as it was asked for, or None.

Strict on purpose: an answer that is found in spite of its form rewards the wrong form.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Literal

Extraction = Literal["whole", "tags", "boxed", "hashes", "number"]

_NUMBER = re.compile(r"(?<![\w.])-?[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?!\w|\.[0-9])")
_BOX = "\\boxed{"


def whole(text: str) -> str | None:
    """The text itself; None if it is empty."""
    return text or None


def tagged(text: str) -> str | None:
    """What stands in <answer>...</answer>, without the white space around it.

    There must be exactly one pair of tags, something in it, and nothing but white space behind it.
    """
    if text.count("<answer>") != 1 or text.count("</answer>") != 1:
        return None
    inside, closed, behind = text.partition("<answer>")[2].partition("</answer>")
    return inside.strip() or None if closed and not behind.strip() else None


def boxed(text: str) -> str | None:
    r"""What stands in \boxed{...}, of which there must be exactly one; braces in it must be balanced."""
    if text.count(_BOX) != 1:
        return None
    inside, depth = text.partition(_BOX)[2], 1
    for place, character in enumerate(inside):
        depth += {"{": 1, "}": -1}.get(character, 0)
        if depth == 0:
            return inside[:place].strip() or None
    return None


def after_hashes(text: str) -> str | None:
    """What stands behind ####, of which there must be exactly one, in the last line (Cobbe et al., 2021)."""
    if text.count("####") != 1:
        return None
    answer = text.partition("####")[2].strip()
    return None if not answer or "\n" in answer else answer


def last_number(text: str) -> str | None:
    """The last number, as "-1234.5": without the commas that divide thousands."""
    found = _NUMBER.findall(text)
    return found[-1].replace(",", "") if found else None


EXTRACTIONS: dict[Extraction, Callable[[str], str | None]] = {
    "whole": whole,
    "tags": tagged,
    "boxed": boxed,
    "hashes": after_hashes,
    "number": last_number,
}
WAYS: dict[Extraction, tuple[str, str]] = {  # what stands before and behind an answer that is given in this way
    "whole": ("", ""),
    "tags": ("<answer>", "</answer>"),
    "boxed": (_BOX, "}"),
    "hashes": ("#### ", ""),
    "number": ("", ""),
}
