"""Text to tokens and back, by the `tokenizers` library; tokenisers in folders as Hugging Face has them."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

try:
    import tokenizers
    from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers
except ImportError as error:
    raise ImportError(f'Language models need tokenizers ({error}): pip install "bellmax[language]"') from error

from bellmax.language.chat import Chat

PAD, END = "<pad>", "<end>"


@dataclasses.dataclass(frozen=True, eq=False)
class Tokeniser:
    """The rules by which text is cut into tokens, and the tokens that mean something special."""

    rules: tokenizers.Tokenizer
    end: int  # the token that is put behind an answer
    stops: tuple[int, ...] = ()  # tokens that end an answer when the model writes them; `end` is always one
    begin: int | None = None  # the token that stands before plain text, where the model wants one
    pad: int | None = None  # for other programs; here `segments` say what is padding
    template: str | None = None  # how messages become text
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)  # the rest of tokenizer_config.json
    now: datetime.datetime | None = None  # the present to templates that write the date; None: whenever they are used

    def __post_init__(self) -> None:
        object.__setattr__(self, "stops", tuple(dict.fromkeys((self.end, *self.stops))))
        self.rules.no_padding()  # tokenizer.json may ask for them
        self.rules.no_truncation()

    @property
    def vocabulary(self) -> int:
        """One more than the largest token. A model's may be larger: some are rounded up."""
        return max(self.rules.get_vocab(with_added_tokens=True).values()) + 1

    @property
    def config(self) -> dict[str, Any]:
        """What a model's config.json and generation_config.json say of special tokens."""
        ids = {"bos_token_id": self.begin, "pad_token_id": self.pad}
        stops = list(self.stops) if len(self.stops) > 1 else self.end
        return {"eos_token_id": stops} | {name: token for name, token in ids.items() if token is not None}

    @functools.cached_property
    def chat(self) -> Chat | None:
        """The chat template; None if there is none. ValueError if it is not one."""
        begin, end = _content(self.settings.get("bos_token")), self.rules.id_to_token(self.end)
        return None if self.template is None else Chat(self.template, begin, end, self.now)

    def encode(self, text: str, *, begin: bool = False) -> list[int]:
        """The tokens of a text, none added; with `begin`, behind the begin token, where the model wants one.

        Special tokens that are written out in the text are found. ValueError if it has characters without a token.
        """
        try:
            ids = self.rules.encode(text, add_special_tokens=False).ids
        except Exception as error:  # the library has no kinds of them
            unknown = sorted({c for c in text if self.rules.token_to_id(c) is None})
            raise ValueError(f"the tokeniser has no token for {unknown} of {text[:60]!r} ({error}).") from error
        return [self.begin, *ids] if begin and self.begin is not None and ids[:1] != [self.begin] else ids

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        """The text of tokens; special tokens are left out unless asked for."""
        return self.rules.decode([int(token) for token in ids], skip_special_tokens=not special)

    @classmethod
    def characters(cls, alphabet: str) -> Tokeniser:
        """A token for each character of the alphabet, and two special ones: <pad> is 0, <end> is 1."""
        if not alphabet or len(set(alphabet)) < len(alphabet):
            raise ValueError(f"alphabet = {alphabet!r}: give at least one character, and none of them twice.")
        tokens = {token: number for number, token in enumerate([PAD, END, *alphabet])}
        rules = tokenizers.Tokenizer(models.WordLevel(tokens))
        rules.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        rules.decoder = decoders.Fuse()
        rules.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in (PAD, END)])
        return cls(rules, end=tokens[END], pad=tokens[PAD])

    @classmethod
    def read(cls, folder: str | Path) -> Tokeniser:
        """The tokeniser in a folder. FileNotFoundError or ValueError says what is missing or wrong in which file."""
        folder = Path(folder)
        if not (folder / "tokenizer.json").is_file():
            raise FileNotFoundError(f"{folder / 'tokenizer.json'}: there is no such file; a tokeniser is read from it.")
        try:
            rules = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        except Exception as error:  # the library has no kinds of them
            raise ValueError(f"{folder / 'tokenizer.json'}: it is not a tokeniser: {error}") from error
        settings = _json(folder / "special_tokens_map.json") | _json(folder / "tokenizer_config.json")
        text = {name: _content(settings.get(f"{name}_token")) for name in ("bos", "eos", "pad")}
        named = {name: None if said is None else rules.token_to_id(said) for name, said in text.items()}
        if text["eos"] is not None and named["eos"] is None:
            raise ValueError(f"{folder}: its eos_token {text['eos']!r} is not among the tokens of tokenizer.json.")
        stops = _stops(folder)
        end = named["eos"] if named["eos"] is not None else next(iter(stops), None)
        if end is None:
            raise ValueError(f"{folder / 'tokenizer_config.json'}: it has no eos_token, the token that ends an answer.")
        begin = _begin(rules, named["bos"])
        return cls(rules, end, stops, begin, named["pad"], _template(folder, settings), settings)

    def write(self, folder: str | Path) -> Path:
        """Write a folder that transformers and vLLM load: the rules, what is special, the template, and the stops."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.rules.save(str(folder / "tokenizer.json"))
        special = {"eos_token": self.rules.id_to_token(self.end)}
        if self.pad is not None:
            special["pad_token"] = self.rules.id_to_token(self.pad)
        kind = {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False}
        said = kind | {name: x for name, x in self.settings.items() if name != "chat_template"} | special
        template = {} if self.template is None else {"chat_template": self.template}
        _write_json(folder / "tokenizer_config.json", said | template)
        (folder / "chat_template.jinja").unlink(missing_ok=True)  # it would hide the other
        _write_json(folder / "generation_config.json", _json(folder / "generation_config.json") | self.config)
        return folder


def _json(path: Path) -> dict[str, Any]:
    """What a file says, {} if there is none."""
    if not path.is_file():
        return {}
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: it is not JSON: {error}") from error
    if not isinstance(said, dict):
        raise ValueError(f"{path}: it must hold an object, and holds a {type(said).__name__}.")
    return said


def _write_json(path: Path, said: dict[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _content(said: Any) -> str | None:
    """A special token, written as text or as {"content": text, ...}."""
    return said.get("content") if isinstance(said, dict) else said


def _stops(folder: Path) -> tuple[int, ...]:
    """What ends an answer, as generation_config.json says, or else config.json."""
    for name in ("generation_config.json", "config.json"):
        said = _json(folder / name).get("eos_token_id")
        if said is not None:
            return tuple(said) if isinstance(said, list) else (said,)
    return ()


def _begin(rules: tokenizers.Tokenizer, token: int | None) -> int | None:
    """`token` if tokenizer.json puts it before plain text; as in `transformers`, settings have no say in it."""
    return token if token is not None and rules.encode("", add_special_tokens=True).ids[:1] == [token] else None


def _template(folder: Path, settings: dict[str, Any]) -> str | None:
    """The chat template: a file of its own hides that of tokenizer_config.json, which may name several."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text(encoding="utf-8")
    said = settings.get("chat_template")
    if isinstance(said, list):
        said = {each["name"]: each["template"] for each in said}
    return said.get("default") if isinstance(said, dict) else said
