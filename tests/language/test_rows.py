import json
import sys
from types import ModuleType

import pytest

from bellmax.language.rows import Row, place_of, read_rows

USER, HELLO, OTHER = (
    {"role": role, "content": content}
    for role, content in (("user", "hi"), ("assistant", "hello"), ("assistant", "what"))
)


def lines(path, *rows):
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def one(kind, **columns):
    """What becomes of a good row; what is said of a bad one."""
    try:
        (row,) = read_rows([columns], kind)
    except ValueError as error:
        return str(error)
    return dict(row)


# Files


def test_lines_know_their_place_and_keep_other_columns(tmp_path):
    path = lines(tmp_path / "data.jsonl", {"prompt": "1+1=", "answer": 2}, "", {"prompt": "ä", "answer": None})
    rows = read_rows(path, "prompts")
    assert rows == [{"prompt": "1+1=", "answer": 2}, {"prompt": "ä", "answer": None}]
    assert [place_of(row, 1) for row in rows] == [f"{path} line 1", f"{path} line 3"]
    assert read_rows(str(path), "prompts") == rows


def test_a_list_in_a_file_or_a_record_a_line(tmp_path):
    rows = [{"prompt": "a"}, {"prompt": "b"}]
    (tmp_path / "list.json").write_text("\ufeff\n" + json.dumps(rows, indent=2), encoding="utf-8")
    assert read_rows(tmp_path / "list.json", "prompts") == rows
    assert place_of(read_rows(tmp_path / "list.json", "prompts")[1], 1) == f"{tmp_path / 'list.json'} row 2"
    assert read_rows(lines(tmp_path / "lines.json", *rows), "prompts") == rows


def test_the_first_bad_row_is_named_and_all_are_counted(tmp_path):
    path = lines(tmp_path / "data.jsonl", {"prompt": "a"}, "", '{"prompt": ', "7", {"answer": 3}, {"prompt": "b"})
    with pytest.raises(ValueError) as error:
        read_rows(path, "prompts")
    assert str(error.value).startswith(f"{path} line 3: it is not JSON: Expecting value")
    assert str(error.value).endswith("(3 of 5 rows cannot be used as prompts.)")


def test_text_that_is_not_utf8_is_a_bad_row(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"prompt": "a"}\n{"prompt": "\xff"}\n')
    with pytest.raises(ValueError, match="line 2: it is not JSON: 'utf-8' codec"):
        read_rows(path, "prompts")


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.jsonl: there is no such file"):
        read_rows(tmp_path / "gone.jsonl", "prompts")
    with pytest.raises(ValueError, match=r"data.csv: give a file that ends in \.jsonl, \.json, \.parquet"):
        read_rows(tmp_path / "data.csv", "prompts")
    (tmp_path / "bad.json").write_text("[1, ")
    with pytest.raises(ValueError, match=r"bad\.json: it is not JSON"):
        read_rows(tmp_path / "bad.json", "prompts")
    (tmp_path / "empty.jsonl").write_text("\n")
    with pytest.raises(ValueError, match=r"empty\.jsonl: there is not one row"):
        read_rows(tmp_path / "empty.jsonl", "prompts")
    with pytest.raises(ValueError, match="kind = 'pairs'"):
        read_rows([{"prompt": "a"}], "pairs")
    with pytest.raises(ValueError, match="rows: give a path or a list of dicts, not a dict"):
        read_rows({"prompt": "a"}, "prompts")


def test_parquet_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "data.parquet").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r"data\.parquet: to read Parquet, pip install pyarrow"):
        read_rows(tmp_path / "data.parquet", "prompts")


def test_parquet(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "data.parquet"
    rows = [{"messages": [USER, HELLO | {"name": "x"}], "n": 1}, {"messages": [USER, OTHER], "n": 2}]
    parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    assert read_rows(path, "examples") == rows  # the first row's user has no name: None
    assert place_of(read_rows(path, "examples")[1], 1) == f"{path} row 2"
    path.write_bytes(b"PAR1 not at all")
    with pytest.raises(ValueError, match=r"data\.parquet: it cannot be read as Parquet"):
        read_rows(path, "examples")


def test_parquet_is_read_in_batches(tmp_path, monkeypatch):
    """The same without pyarrow: a stand-in that has what is used of it."""
    pyarrow, parquet = ModuleType("pyarrow"), ModuleType("pyarrow.parquet")

    class Batch:
        def __init__(self, rows):
            self.to_pylist = lambda: rows

    class ParquetFile:
        def __init__(self, path):
            self.iter_batches = lambda: [Batch([{"prompt": "a"}, {"prompt": "b"}]), Batch([{"prompt": None}])]

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

    pyarrow.ArrowException, pyarrow.parquet, parquet.ParquetFile = OSError, parquet, ParquetFile
    monkeypatch.setitem(sys.modules, "pyarrow", pyarrow)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", parquet)
    (tmp_path / "data.parquet").write_bytes(b"")
    with pytest.raises(ValueError, match=r"data.parquet row 3: it has no 'prompt'; it has no columns. \(1 of 3 rows"):
        read_rows(tmp_path / "data.parquet", "prompts")


# Conventions


def test_examples():
    assert one("examples", messages=[USER, HELLO], n=1) == {"messages": [USER, HELLO], "n": 1}
    assert one("examples", prompt="a", completion="b") == {"prompt": "a", "completion": "b"}
    assert one("examples", prompt=[USER], completion=[HELLO]) == {"prompt": [USER], "completion": [HELLO]}
    assert one("examples", prompt=[USER], completion="hello") == {"prompt": [USER], "completion": [HELLO]}
    assert one("examples", text="abc") == {"text": "abc", "prompt": "", "completion": "abc"}
    assert one("examples", prompt="hi", messages=[USER, HELLO])["messages"] == [USER, HELLO]  # messages say it all


def test_what_messages_leave_out_is_left_out():
    call = {"role": "assistant", "content": None, "tool_calls": [{"name": "f"}], "name": None}
    found = one("examples", messages=[USER | {"tool_calls": None}, call])
    assert found == {"messages": [USER, {"role": "assistant", "tool_calls": [{"name": "f"}], "content": ""}]}


def test_preferences():
    assert one("preferences", prompt="a", chosen="b", rejected="c") == {
        "prompt": "a",
        "chosen": "b",
        "rejected": "c",
        "margin": 0.0,
    }
    assert one("preferences", prompt="a", chosen="b", rejected="c", margin=2)["margin"] == 2.0
    both = one("preferences", prompt=[USER], chosen=[HELLO], rejected="what")
    assert both == {"prompt": [USER], "chosen": [HELLO], "rejected": [OTHER], "margin": 0.0}


def test_conversations_share_a_prefix_that_is_the_prompt():
    more = {"role": "user", "content": "more"}
    row = {"chosen": [USER, HELLO, more, OTHER], "rejected": [USER, HELLO, more, HELLO, more, OTHER]}
    expected = {"prompt": [USER, HELLO, more], "chosen": [OTHER], "rejected": [HELLO, more, OTHER], "margin": 0.0}
    assert one("preferences", **row) == expected
    assert one("preferences", prompt="hi", **row) == expected  # as UltraFeedback has it: the prompt is a column, too
    assert one("preferences", prompt=None, **row) == expected


def test_texts_share_a_prefix_of_whole_words():
    talk = "\n\nHuman: hi\n\nAssistant:"
    found = one("preferences", chosen=f"{talk} The cat", rejected=f"{talk} The car")
    assert (found["prompt"], found["chosen"], found["rejected"]) == (f"{talk} The", " cat", " car")
    found = one("preferences", chosen=f"{talk} yes", rejected=f"{talk} no")
    assert (found["prompt"], found["chosen"], found["rejected"]) == (talk, " yes", " no")
    found = one("preferences", chosen="Q\nyes", rejected="Q\nno")
    assert (found["prompt"], found["chosen"], found["rejected"]) == ("Q\n", "yes", "no")


def test_labelled_steps_and_prompts():
    assert one("labelled", prompt="a", completion="b", label=1) == {"prompt": "a", "completion": "b", "label": True}
    assert one("labelled", prompt=[USER], completion="what", label=False)["completion"] == [OTHER]
    found = one("steps", prompt="a", completions=["b", "c"], labels=[True, 0])
    assert found == {"prompt": "a", "completions": ["b", "c"], "labels": [True, False]}
    assert one("prompts", prompt=[USER], answer=[1], other=None) == {"prompt": [USER], "answer": [1], "other": None}


@pytest.mark.parametrize(
    ("kind", "columns", "said"),
    [
        ("prompts", {"question": "a"}, "row 1: it has no 'prompt'; it has question."),
        ("prompts", {"prompt": 3}, "prompt: give text or a list of messages, not an int"),
        ("prompts", {"prompt": []}, "prompt: give text or a list of messages, not an empty list"),
        ("prompts", {"prompt": ["hi"]}, "prompt, message 1: give role and content, not a str"),
        ("prompts", {"prompt": [USER, {"content": "x"}]}, "prompt, message 2: its role must be text"),
        ("prompts", {"prompt": [{"role": "user", "content": [1]}]}, "its content must be text; it is a list"),
        ("examples", {"prompt": "a", "chosen": "b"}, "it has no 'completion'; it has prompt, chosen."),
        ("examples", {"messages": [USER]}, "no turn of the assistant"),
        ("examples", {"prompt": "a", "completion": [HELLO]}, "its prompt is text and its completion is messages"),
        ("examples", {"prompt": [USER], "completion": [USER]}, "its completion begins with the user"),
        ("preferences", {"chosen": [USER, HELLO], "rejected": [USER, HELLO]}, "do not begin alike and go on"),
        ("preferences", {"chosen": [USER, HELLO], "rejected": [USER]}, "do not begin alike and go on"),
        ("preferences", {"chosen": [USER], "rejected": [HELLO]}, "do not begin alike"),
        ("preferences", {"chosen": "abc", "rejected": "abd"}, "do not begin alike"),
        ("preferences", {"chosen": "a b", "rejected": "a"}, "do not begin alike"),
        ("preferences", {"prompt": "a", "chosen": "b"}, "it has no 'rejected'; it has prompt, chosen."),
        ("preferences", {"prompt": "a", "chosen": "b", "rejected": "c", "margin": "big"}, "margin = 'big'"),
        ("preferences", {"prompt": "a", "chosen": "b", "rejected": "c", "margin": float("nan")}, "margin = nan"),
        ("labelled", {"prompt": "a", "completion": "b"}, "it has no 'label'"),
        ("labelled", {"prompt": "a", "completion": "b", "label": "true"}, "label: give true or false, not 'true'"),
        ("labelled", {"prompt": "a", "completion": "b", "label": 0.5}, "label: give true or false, not 0.5"),
        ("steps", {"prompt": "a", "completions": "b", "labels": [True]}, "completions: give a list of steps"),
        ("steps", {"prompt": "a", "completions": ["b", ""], "labels": [True, True]}, "each a text that is not empty"),
        ("steps", {"prompt": "a", "completions": ["b", "c"], "labels": [True]}, "one for each of the 2 completions"),
        ("steps", {"prompt": "a", "completions": ["b"], "labels": [None]}, "labels: give true or false, not None"),
    ],
)
def test_bad_rows_are_refused_with_a_reason(kind, columns, said):
    assert said in one(kind, **columns)


def test_rows_are_dicts_and_what_is_read_again_stays_the_same():
    texts, talks = {"prompt": "a", "chosen": "b", "rejected": "c"}, {"chosen": [USER, HELLO], "rejected": [USER, OTHER]}
    rows = read_rows([texts, talks], "preferences")
    assert read_rows(json.loads(json.dumps(rows)), "preferences") == rows
    assert place_of(Row({}, "there"), 3) == "there"
    assert place_of({}, 3) == "row 3"
