"""Chat templates: messages to text, by the jinja2 program that comes with a model.

A template is somebody else's code. It runs in a sandbox that reaches no files, no modules and nothing inside Python,
and changes nothing that it is given. What it may use is what `transformers` lets it use.
"""

from __future__ import annotations

import datetime
import functools
import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

try:
    from jinja2 import TemplateError, nodes
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment
    from jinja2.utils import Namespace
except ImportError as error:
    raise ImportError(f'Chat templates need jinja2 ({error}): pip install "bellmax[language]"') from error

Message = Mapping[str, Any]  # {"role": "user", "content": "..."}, and what else the template knows

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


class Piece(NamedTuple):
    """A part of a conversation's text."""

    text: str
    learned: bool  # is it the assistant's?


class Chat:
    """A template, and the texts that it calls `bos_token` and `eos_token`; None where the model has none.

    `now` is what the template takes for the present: some write the date. None: the clock's.
    """

    def __init__(
        self, template: str, begin: str | None = None, end: str | None = None, now: datetime.datetime | None = None
    ):
        self.template, self.now = template, now
        self.special = {name: text for name, text in (("bos_token", begin), ("eos_token", end)) if text is not None}
        self._program = self._guarded(lambda: _environment(now).from_string(template))

    def render(self, messages: Sequence[Message], *, generate: bool = False, **variables: Any) -> str:
        """The conversation as the model reads it; with `generate`, up to where the assistant begins to write.

        `variables` are what else the template knows (`tools`, `enable_thinking`, ...). ValueError says what the
        template complains about, or what it tried and may not.
        """
        given = {"tools": None, "documents": None} | self.special | variables
        return self._guarded(
            lambda: self._program.render(messages=list(messages), add_generation_prompt=generate, **given)
        )

    def pieces(self, messages: Sequence[Message], *, first: int = 0, **variables: Any) -> list[list[Piece]]:
        """The conversation cut into what is read and what is learned: the assistant's turns from number `first` on.

        What comes before a turn is the text that the assistant would be shown in order to write it. There is one list,
        unless the template writes earlier turns anew once the conversation goes on (Qwen3 leaves out their thoughts):
        then there is one list for each turn, so that each is learned behind what will stand before it.
        """
        turns = []
        for number in (n for n, message in enumerate(messages) if n >= first and message["role"] == "assistant"):
            before = self.render(messages[:number], generate=True, **variables)
            after = self.render(messages[: number + 1], **variables)
            if not after.startswith(before):
                raise ValueError(
                    "the chat template writes something else before a turn than it shows to who writes the turn; "
                    "give prompt and completion as text."
                )
            turns.append((before, after))
        if any(not later[0].startswith(turn[1]) for turn, later in pairwise(turns)):
            return [[Piece(before, False), Piece(after[len(before) :], True)] for before, after in turns]
        pieces, seen = [], 0
        for before, after in turns:
            pieces += [Piece(before[seen:], False), Piece(after[len(before) :], True)]
            seen = len(after)
        return [pieces] if pieces else []

    def _guarded(self, run: Any) -> Any:
        """run(), with one kind of error."""
        try:
            return run()
        except SecurityError as error:
            raise ValueError(f"the chat template is refused: {error}") from error
        except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"the chat template fails: {error}") from error


class _Generation(Extension):
    """{% generation %} marks the assistant's words for others; here it is as if it were not there."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Names(Namespace):
    """A namespace that holds no names beginning with an underscore: some lead out of the sandbox."""

    def __init__(*arguments: Any, **names: Any) -> None:  # so that a name may be "self"
        itself, *rest = arguments
        given = dict(*rest, **names)
        for name in given:
            _check_name(name)
        Namespace.__init__(itself, given)

    def __setitem__(self, name: str, value: Any) -> None:
        _check_name(name)
        Namespace.__setitem__(self, name, value)


def _check_name(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace holds no name that begins with an underscore, such as {name!r}.")


def _raise(message: str) -> None:
    raise TemplateError(message)


class _Dict:
    """Makes dicts; the class itself stays outside the sandbox."""

    def __call__(self, *arguments: Any, **names: Any) -> dict[Any, Any]:
        return dict(*arguments, **names)

    def fromkeys(self, *arguments: Any) -> dict[Any, Any]:
        return dict.fromkeys(*arguments)


def _to_json(
    x: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """As `transformers` has it; jinja2's own would write < as an escape for HTML."""
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


@functools.cache
def _environment(now: datetime.datetime | None) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals |= {
        "raise_exception": _raise,
        "strftime_now": lambda form: (now or datetime.datetime.now()).strftime(form),
        "dict": _Dict(),
        "namespace": _Names,
    }
    return environment
