"""What each reader makes of files that are not as they should be: one message with the file and the line, or the right reading."""

import base64
import gzip
import io
import json
import os
import re
import struct
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from scipy.io import wavfile

from autopeft.errors import InvalidInputError
from autopeft.tasks import load_files
from tests.tasks.test_other_families import png, wav

N = 9
TURNS = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
NO_TURNS = r"the column 'messages' must hold a list of messages"
NO_ANSWERS = r"the column 'answers' must hold answers as SQuAD has them, or a text"
NO_END = r"a conversation must end with an answer of the assistant"
NO_PLACE = r"an answer must stand in its text"
NO_CHOICE = r"the column 'answer' must name one of 2 choices by number .from 0., letter or text"
ROWS: dict[str, list[dict[str, Any]]] = {
    "prompts": [{"prompt": f"a{index}", "completion": f"b{index}"} for index in range(N)],
    "messages": [{"messages": TURNS}] * N,
    "texts": [{"text": f"a{index}"} for index in range(N)],
    "tags": [{"tokens": ["a", "b"], "tags": ["O", "B-x"]}] * N,
    "answers": [{"question": "q", "context": "a b c", "answers": {"text": ["b"], "answer_start": [2]}}] * N,
    "choices": [{"question": "q", "choices": ["a", "b"], "answer": index % 2} for index in range(N)],
    "labels": [{"text": f"a{index}", "labels": ["x", "y"][: 1 + index % 2]} for index in range(N)],
    "summaries": [{"document": f"a{index}", "summary": f"b{index}"} for index in range(N)],
    "pairs": [{"query": f"a{index}", "positive": f"b{index}"} for index in range(N)],
}
"""Good examples; a case is one more of them."""
LAST: list[tuple[str, Any, str | None]] = [
    ("prompts", '{"prompt": "a", "completion"', r"character 29: not valid JSON"),
    ("prompts", ["a", "b"], r"must be an object"),
    ("prompts", {"completion": ""}, r"the column 'completion' must not be empty .got ''"),
    ("prompts", {"completion": " \n"}, r"the column 'completion' must not be empty"),
    ("prompts", {"completion": None}, r"the text column 'completion' must hold text .got None"),
    ("prompts", {"completion": 7}, r"the text column 'completion' must hold text .got 7"),
    ("prompts", {"prompt": None}, r"the text column 'prompt' must hold text .got None"),
    ("prompts", '{"prompt": NaN, "completion": "x"}', r"the text column 'prompt' must hold text .got nan"),
    ("prompts", {"prompt": "x" * 100_000}, None),
    ("prompts", {"completion": "y" * 100_000}, None),
    ("messages", {"messages": []}, NO_TURNS),
    ("messages", {"messages": "hello"}, NO_TURNS),
    ("messages", {"messages": None}, NO_TURNS),
    ("messages", {"messages": [{"content": "a"}, TURNS[1]]}, NO_TURNS),
    ("messages", {"messages": [{"role": "user", "content": None}, TURNS[1]]}, NO_TURNS),
    ("messages", {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}]}, TURNS[1]]}, NO_TURNS),
    ("messages", {"messages": ["a", "b"]}, NO_TURNS),
    ("messages", {"messages": TURNS[:1]}, NO_END),
    (
        "messages",
        {"messages": [TURNS[0], {"role": "assistant", "content": " "}]},
        r"a conversation must end with an answer of the assistant",
    ),
    ("messages", {"messages": [{"role": "", "content": "a"}, TURNS[1]]}, r"a message's role must be one such as assistant.*got ''"),
    ("messages", {"messages": [{"role": "User", "content": "a"}, TURNS[1]]}, r"a message's role must be one such as .*got 'User'"),
    ("messages", {"messages": [{"role": 1, "content": "a"}, TURNS[1]]}, NO_TURNS),
    ("messages", {"messages": TURNS[0]}, NO_TURNS),
    ("messages", {"messages": [TURNS[0], {"role": "assistant", "content": None, "tool_calls": []}]}, NO_TURNS),
    ("messages", {"messages": [{"from": " ", "value": "a"}, TURNS[1]]}, r"a message's from must be one such as"),
    ("messages", {"messages": [{"from": "human", "value": "a"}, {"from": "bing", "value": "b"}]}, None),
    ("messages", {"messages": [TURNS[0], {"role": "assistant", "content": "x" * 100_000}]}, None),
    ("messages", {"messages": [{"role": "user", "content": "\ud800"}, TURNS[1]]}, r"text must be Unicode .got '.ud800'"),
    ("texts", {"text": ""}, r"the column 'text' must not be empty"),
    ("texts", {"text": 3.5}, r"the text column 'text' must hold text .got 3.5"),
    ("tags", {"tags": ["O"]}, r"there must be a tag for each word.*got '2 words, 1 tags'"),
    ("tags", {"tokens": [], "tags": []}, r"there must be a tag for each word, and at least one word"),
    ("tags", {"tokens": ["a", 1]}, r"the column 'tokens' must hold lists of words .got 1"),
    ("tags", {"tokens": ["a", None]}, r"the column 'tokens' must hold lists of words .got None"),
    ("tags", {"tokens": "a b"}, r"the column 'tokens' must hold lists of words .got 'a b'.*in JSON Lines or Parquet"),
    ("tags", {"tags": "OO"}, r"the column 'tags' must hold lists of tags .got 'OO'"),
    ("tags", {"tags": None}, r"the column 'tags' must hold lists of tags .got None"),
    ("tags", {"tags": ["O", None]}, r"the lists in column 'tags' must hold names .got None"),
    ("tags", {"tags": ["O", " "]}, r"the lists in column 'tags' must hold names .got ' '"),
    ("tags", {"tags": ["O", ["B-x"]]}, r"the lists in column 'tags' must hold names .got \['B-x'\]"),
    ("tags", {"tokens": ["x" * 100_000, "b"]}, None),
    (
        "answers",
        {"answers": {"text": ["b"], "answer_start": [1]}},
        r"an answer must stand in its text, at the character that answer_start says",
    ),
    ("answers", {"answers": {"text": ["c"], "answer_start": [-1]}}, NO_PLACE),
    ("answers", {"answers": {"text": ["b", "c"], "answer_start": [2]}}, r"there must be an answer_start for each answer, or none"),
    ("answers", {"answers": {"text": ["b"], "answer_start": ["two"]}}, r"answer_start must be the number of a character .got 'two'"),
    ("answers", {"answers": {"text": ["b"], "answer_start": [True]}}, r"answer_start must be the number of a character .got True"),
    ("answers", {"answers": {"text": ["b"], "answer_start": ["2"]}}, None),
    ("answers", {"answers": {"text": ["b"], "answer_start": None}}, None),
    ("answers", {"answers": {"text": "b", "answer_start": 2}}, NO_ANSWERS),
    ("answers", {"answers": {"text": [7], "answer_start": [2]}}, NO_ANSWERS),
    ("answers", {"answers": ["b"]}, NO_ANSWERS),
    ("answers", {"answers": None}, NO_ANSWERS),
    ("answers", {"answers": 5}, NO_ANSWERS),
    ("answers", {"context": ""}, NO_PLACE),
    ("answers", {"question": None}, r"the text column 'question' must hold text .got None"),
    ("answers", {"context": "x" * 100_000 + " b", "answers": {"text": ["b"], "answer_start": [100_001]}}, None),
    ("choices", {"answer": 2}, NO_CHOICE),
    ("choices", {"answer": -1}, NO_CHOICE),
    ("choices", {"answer": None}, NO_CHOICE),
    ("choices", {"answer": [0]}, NO_CHOICE),
    ("choices", {"answer": True}, NO_CHOICE),
    ("choices", {"answer": "²"}, NO_CHOICE),
    ("choices", {"answer": "c"}, NO_CHOICE),
    ("choices", {"answer": "9" * 400}, NO_CHOICE),
    ("answers", {"answers": {"text": ["b"], "answer_start": ["9" * 400]}}, r"answer_start must be the number of a character"),
    ("choices", {"answer": "B"}, None),
    ("choices", {"choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answer": "A"}, None),
    ("choices", {"choices": {"label": ["A"]}}, r"the column 'choices' must hold lists of choices"),
    ("choices", {"choices": "a"}, r"the column 'choices' must hold lists of choices .got 'a'"),
    ("choices", {"choices": []}, r"the column 'choices' must hold lists of choices .got \[\]"),
    ("choices", {"choices": ["a", None]}, r"the column 'choices' must hold lists of choices"),
    ("choices", {"choices": [1, 2]}, r"the column 'choices' must hold lists of choices"),
    ("choices", {"question": None}, r"the text column 'question' must hold text"),
    ("labels", {"labels": None}, r"the label column 'labels' must hold a list, or names with ; or . between them .got None"),
    ("labels", {"labels": 3}, r"the label column 'labels' must hold a list"),
    ("labels", {"labels": {"x": 1}}, r"the label column 'labels' must hold a list"),
    ("labels", {"labels": ["x", None]}, r"the lists in column 'labels' must hold names .got None"),
    ("labels", {"labels": [["x"]]}, r"the lists in column 'labels' must hold names"),
    ("labels", {"labels": ["x", ""]}, r"the lists in column 'labels' must hold names .got ''"),
    ("labels", {"labels": "['x', 'y']"}, r"the label column 'labels' holds a list written as text .*Write a and b as a;b"),
    ("labels", {"labels": []}, None),
    ("labels", {"labels": "x; y"}, None),
    ("labels", {"text": None}, r"the text column 'text' must hold text .got None"),
    ("summaries", {"summary": " "}, r"the column 'summary' must not be empty"),
    ("summaries", {"document": None}, r"the text column 'document' must hold text"),
    ("summaries", {"summary": ["b"]}, r"the text column 'summary' must hold text .got \['b'\]"),
    ("pairs", {"positive": None}, r"the text column 'positive' must hold text"),
    ("pairs", {"query": 1}, r"the text column 'query' must hold text .got 1"),
]


@pytest.mark.parametrize(("kind", "row", "message"), LAST, ids=[f"{kind}-{str(row)[:40]}" for kind, row, _ in LAST])
def test_a_row_that_is_not_as_the_others_are(kind: str, row: Any, message: str | None, tmp_path: Path) -> None:
    rows = ROWS[kind]
    last = row if isinstance(row, str) else json.dumps(rows[0] | row if isinstance(row, dict) else row)
    (tmp_path / "t.jsonl").write_text("\n".join([*map(json.dumps, rows), last]) + "\n", encoding="utf-8")
    if message is None:
        assert len(load_files(tmp_path / "t.jsonl").train) == N - 1  # of ten, one each is cut for validation and test
        return
    with pytest.raises(InvalidInputError, match=rf"^.*t\.jsonl, line {N + 1}[:,] {message}"):
        load_files(tmp_path / "t.jsonl")


@pytest.mark.parametrize("kind", ["prompts", "messages", "tags", "answers", "choices", "labels"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_an_encoding_is_recognised_whatever_the_kind(kind: str, encoding: str, tmp_path: Path) -> None:
    rows = [row | {"remark": "größer"} for row in ROWS[kind]]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (tmp_path / "t.jsonl").write_bytes("\r\n".join(lines).encode(encoding))
    assert len(load_files(tmp_path / "t.jsonl").train) == N - 2


@pytest.mark.parametrize("kind", ["prompts", "summaries", "pairs"])
def test_semicolons_and_nested_keys(kind: str, tmp_path: Path) -> None:
    rows, (first, second) = ROWS[kind], ROWS[kind][0]
    (tmp_path / "t.csv").write_text("\n".join([f"{first};{second}", *(f"{row[first]};{row[second]}" for row in rows)]))
    assert load_files(tmp_path / "t.csv").task.target_column == second
    (tmp_path / "t.jsonl").write_text("\n".join(json.dumps({"data": row}) for row in rows))
    kinds = {"prompts": "causal_lm", "summaries": "seq2seq", "pairs": "embedding"}
    data = load_files(tmp_path / "t.jsonl", text=f"data.{first}", label=f"data.{second}", kind=kinds[kind])
    assert data.task.input_columns == (f"data.{first}",)
    with pytest.raises(InvalidInputError, match=rf"which columns to read .*got 'data, data\.{first}, data\.{second}'"):
        load_files(tmp_path / "t.jsonl")


CSV = "text,label\n" + "".join(f"a{index},{'xy'[index % 2]}\n" for index in range(N))
LINES = "".join(json.dumps({"text": f"a{index}", "label": "xy"[index % 2]}) + "\n" for index in range(N))
LIST = f"[{LINES.strip().replace(chr(10), ',')}]"
TEXT_FILES: dict[str, tuple[str, str | bytes, str | None]] = {
    "CSV: a zero byte": (".csv", f"{CSV}a\0b,x\n", r"line 11: a text must not hold zero bytes"),
    "CSV: UTF-16 that doesn't say so": (".csv", CSV.encode("utf-16-le"), r"line 1: a text must not hold zero bytes"),
    "CSV: names with spaces": (".csv", CSV.replace("text,label", " text , label"), None),
    "CSV: names in quotes": (".csv", CSV.replace("text,label", '"text","label"'), None),
    "CSV: no name": (".csv", CSV.replace("text,label", ","), r"line 1: the header must name every column once"),
    "CSV: names alike but for spaces": (".csv", CSV.replace("text,label", "text, text"), r"line 1: the header must name every column once"),
    "CSV: line ends of old Macs": (".csv", CSV.replace("\n", "\r"), None),
    "CSV: quotes inside": (".csv", f'{CSV}a "b" c,x\n', None),
    "CSV: text behind quotes": (".csv", f'{CSV}"a"b,x\n', r"line 11: not a valid row"),
    "CSV: JSON": (".csv", LINES, r"which columns to read"),
    "CSV: a workbook": (".csv", b"PK\x03\x04" + bytes(range(1, 256)) * 3, r"is no text but an Excel workbook or another zip archive"),
    "CSV: a PDF": (".csv", b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\n", r"is no text but a PDF"),
    "lines: compressed": (".jsonl", gzip.compress(LINES.encode()), r"is no text but compressed by gzip.*Unpack it"),
    "CSV: conversations": (".csv", "messages,id\n" + f'"{TURNS}",1\n' * N, r"line 2: the column 'messages' holds lists written as text"),
    "CSV: messages beside texts": (".csv", CSV.replace("\n", ",hello\n").replace("label,hello", "label,messages"), None),
    "TSV: a cell too many": (".tsv", CSV.replace(",", "\t") + "a\tb\tx\n", r"line 11: a row must have 2 cells"),
    "TSV: spaces for tabs": (".tsv", CSV.replace(",", "    "), r"which columns to read"),
    "TSV: a tab at the end": (".tsv", CSV.replace(",", "\t").replace("\n", "\t\n"), None),
    "lines: null": (".jsonl", f"{LINES}null\n", r"line 10: must be an object"),
    "lines: quotes of Python": (".jsonl", f"{LINES}{{'text': 'a', 'label': 'x'}}\n", r"line 10, character 2: not valid JSON"),
    "lines: two objects": (".jsonl", LINES.replace("}\n{", "}{", 1), r"line 1, character 29: not valid JSON.*one object a line"),
    "lines: commas between": (".jsonl", LINES.replace("}\n", "},\n"), r"line 1, character 29: not valid JSON.*one object a line"),
    "lines: a list": (".jsonl", LIST.replace("},", "},\n"), r"line 1, character \d+: not valid JSON.*one object a line"),
    "lines: over several": (".jsonl", json.dumps({"text": "a"}, indent=1), r"line 1, character 2: not valid JSON.*one object a line"),
    "lines: a comment": (".jsonl", f"{LINES}// end\n", r"line 10, character 1: not valid JSON"),
    "lines: a tab in a text": (".jsonl", f'{LINES}{{"text": "a\tb", "label": "x"}}\n', r"line 10, character 12: not valid JSON"),
    "lines: a long number": (".jsonl", f'{LINES}{{"text": "a", "label": {"9" * 5000}}}\n', r"line 10: not valid JSON"),
    "lines: half a pair": (".jsonl", f'{LINES}{{"text": "\\ud83d", "label": "x"}}\n', r"line 10: text must be Unicode"),
    "lines: a whole pair": (".jsonl", f'{LINES}{{"text": "\\ud83d\\ude00", "label": "x"}}\n', None),
    "lines: nothing": (".jsonl", f"{LINES}{{}}\n", r"line 10: the label in column 'label' is missing"),
    "JSON: cut off": (".json", LIST[:-10], r"line 1, character \d+: not valid JSON"),
    "JSON: columns": (".json", json.dumps({"text": [f"a{row}" for row in range(N)], "label": ["xy"[row % 2] for row in range(N)]}), None),
    "JSON: columns by row": (
        ".json",
        json.dumps({"text": {row: f"a{row}" for row in range(N)}, "label": {row: "xy"[row % 2] for row in range(N)}}),
        None,
    ),
    "JSON: columns of other lengths": (
        ".json",
        json.dumps({"text": ["a"] * N, "label": ["x"] * 3}),
        r"columns .* must be of one length .got \[3, 9\]",
    ),
    "JSON: a conversation": (".json", json.dumps({"messages": [{"role": "user", "content": "a"}] * 2}), r"line 1: "),
    "JSON: data beside another list": (".json", f'{{"data": {LIST}, "licences": ["a", "b"]}}', None),
    "JSON: data": (".json", f'{{"data": {LIST}}}', None),
    "JSON: lists": (".json", json.dumps([["a", "x"]] * N), r"row 1: must be an object"),
    "JSON: numbers": (".json", "[1, 2]", r"row 1: must be an object"),
    "JSON: a text": (".json", '"abc"', r"line 1: must be an object"),
    "JSON: something behind": (".json", f"{LIST}\n[]", r"line 2, character 1: not valid JSON"),
    "JSON: a split": (".json", f'{{"train": {LIST}}}', r"which columns to read .*got 'train'"),
    "JSON: byte order mark": (".json", f"\ufeff{LIST}", None),
    "JSON: Latin-1": (".json", LIST.replace("a1", "é").encode("latin-1"), None),
}


@pytest.mark.parametrize(("suffix", "content", "message"), TEXT_FILES.values(), ids=TEXT_FILES)
def test_text_files(suffix: str, content: str | bytes, message: str | None, tmp_path: Path) -> None:
    (tmp_path / f"t{suffix}").write_bytes(content.encode() if isinstance(content, str) else content)
    if message is None:
        assert load_files(tmp_path / f"t{suffix}").task.labels == ("x", "y")
        return
    with pytest.raises(InvalidInputError, match=rf"t\{suffix}.*{message}"):
        load_files(tmp_path / f"t{suffix}")


def test_what_is_no_file_is_called_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to("gone.csv")
    for name, what in {"pipe": "is a pipe or a device", "link": "is a link that leads to nothing", "gone": "does not exist"}.items():
        with pytest.raises(InvalidInputError, match=f"the data file {what}"):
            load_files(tmp_path / f"{name}.csv")


TEXTS, LABELS = [f"a{index}" for index in range(N)], ["xy"[index % 2] for index in range(N)]
PARQUET: dict[str, tuple[dict[str, Any], str | None]] = {
    "no text": ({"text": [*TEXTS[1:], None], "label": LABELS}, r"row 9: the text column 'text' must hold text .got None"),
    "no label": ({"text": TEXTS, "label": [*LABELS[1:], None]}, r"row 9: the label in column 'label' is missing"),
    "no labels": ({"text": TEXTS, "label": pa.nulls(N)}, r"row 1: the label in column 'label' is missing, as in 9 of 9 rows"),
    "numbers": ({"text": list(range(N)), "label": LABELS}, r"row 1: the text column 'text' must hold text .got 0"),
    "bytes": ({"text": [b"a"] * N, "label": LABELS}, r"row 1: the text column 'text' must hold text .got b'a'"),
    "lists": ({"text": [["a"]] * N, "label": LABELS}, r"row 1: the text column 'text' must hold text .got \['a'\]"),
    "structures": ({"text": [{"a": "b"}] * N, "label": LABELS}, r"row 1: the text column 'text' must hold text"),
    "dates": ({"text": TEXTS, "label": [date(2020, 1, 1 + index % 2) for index in range(N)]}, r"row 1: the label .* a name or a number"),
    "NaN": ({"text": TEXTS, "label": [*map(float, range(N - 1)), float("nan")]}, r"row 9: the label in column 'label' is missing"),
    "no rows": ({"text": pa.array([], pa.string()), "label": pa.array([], pa.string())}, r"has no rows"),
    "no columns": ({}, r"has no rows"),
    "nested": ({"in": [{"text": text} for text in TEXTS], "label": LABELS}, r"which columns to read .*got 'in, label, in\.text'"),
    "categories": ({"text": pa.array(TEXTS).dictionary_encode(), "label": pa.array(LABELS).dictionary_encode()}, None),
    "long texts": ({"text": ["z" * 100_000, *TEXTS[1:]], "label": LABELS}, None),
}


@pytest.mark.parametrize(("columns", "message"), PARQUET.values(), ids=PARQUET)
def test_parquet(columns: dict[str, Any], message: str | None, tmp_path: Path) -> None:
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    if message is None:
        assert load_files(tmp_path / "t.parquet").task.labels == ("x", "y")
        return
    with pytest.raises(InvalidInputError, match=rf"t\.parquet.*{message}"):
        load_files(tmp_path / "t.parquet")


def test_damaged_parquet(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.Table.from_arrays([pa.array(TEXTS), pa.array(LABELS)], names=["text", "text"]), file)
    with pytest.raises(InvalidInputError, match=r"t\.parquet must name every column once .got \['text', 'text'\]"):
        load_files(file)
    pq.write_table(pa.table({"text": TEXTS, "label": LABELS}), file)
    whole = file.read_bytes()
    for content in (whole[:-30], whole[:20] + b"\xff" * 20 + whole[40:], b"PAR1", whole.replace(b"a0", b"\xff\xfe")):
        file.write_bytes(content)
        with pytest.raises(InvalidInputError, match=r"t\.parquet is not valid Parquet"):
            load_files(file)


SENTENCES = "a O\nb B-x\n\n" * 6
CONLL: dict[str, tuple[bytes, str | None]] = {
    "one field": (f"{SENTENCES}lonely\n".encode(), r"line 19: a line must hold a word and a tag .got 'lonely'"),
    "no tag": ((SENTENCES.replace(" ", "\t") + "a\t\n").encode(), r"line 19: a line must hold a word and a tag"),
    "no word": ((SENTENCES.replace(" ", "\t") + "\tO\n").encode(), r"line 19: a line must hold a word and a tag"),
    "blank lines": (b"\n\n \n", r"t\.conll has no rows"),
    "one tag": (b"a O\n\n" * 9, r"the column 'tags' must hold 2 to 1,000 different tags"),
    "bytes": (bytes(range(256)) * 4, r"line 2: the text must be UTF-8"),
    "half of UTF-16": (b"\xff\xfe" + SENTENCES.encode("utf-16-le")[:-1], r"not the UTF-16 that its first bytes promise"),
    "trailing tabs": (SENTENCES.replace(" ", "\t").replace("\n", "\t\n").encode(), None),
    "line ends of Windows": (SENTENCES.replace("\n", "\r\n").encode(), None),
    "byte order mark": (SENTENCES.encode("utf-8-sig"), None),
    "UTF-16": (SENTENCES.encode("utf-16"), None),
    "Latin-1": (SENTENCES.replace("a", "é").encode("latin-1"), None),
    "start of a document": (f"-DOCSTART- -X- O\n\n{SENTENCES}".encode(), None),
    "comments": (f"# text = a b\n{SENTENCES}".encode(), None),
    "a long word": (SENTENCES.replace("a", "x" * 100_000).encode(), None),
}


@pytest.mark.parametrize(("content", "message"), CONLL.values(), ids=CONLL)
def test_words_and_tags_in_columns(content: bytes, message: str | None, tmp_path: Path) -> None:
    (tmp_path / "t.conll").write_bytes(content)
    if message is None:
        data = load_files(tmp_path / "t.conll")
        assert (data.task.labels, len(data.train)) == (("O", "B-x"), 4)
        return
    with pytest.raises(InvalidInputError, match=message):
        load_files(tmp_path / "t.conll")


SQUAD: dict[str, tuple[Any, str]] = {
    "no questions": ({"data": [{"paragraphs": [{"context": "a"}]}]}, "must have paragraphs with context and qas"),
    "no paragraphs": ({"data": [{"paragraphs": None}]}, "must have paragraphs with context and qas"),
    "nothing": ({"version": "1.1", "data": []}, "has no rows"),
    "no answers": ({"data": [{"paragraphs": [{"context": "a", "qas": [{"question": "q"}]}]}]}, "paragraphs with context and qas"),
    "articles are texts": ({"data": ["a"]}, "row 1: must be an object"),
}


@pytest.mark.parametrize(("content", "message"), SQUAD.values(), ids=SQUAD)
def test_articles_that_are_not_squad_s(content: Any, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps(content))
    with pytest.raises(InvalidInputError, match=rf"t\.json.*{message}"):
        load_files(tmp_path / "t.json")


def test_where_an_answer_starts_is_a_number_in_csv_too(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("question,context,answer,answer_start\n" + "q,a b c,b,2\n" * N + "q,a b c,b,x\n")
    with pytest.raises(InvalidInputError, match=r"t\.csv, line 11: answer_start must be the number of a character .got 'x'"):
        load_files(tmp_path / "t.csv")


def bomb() -> bytes:
    file = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(file, "PNG")
    return file.getvalue()


def not_numbers() -> bytes:
    file = io.BytesIO()
    wavfile.write(file, 8000, np.full(100, np.nan, dtype=np.float32))
    return file.getvalue()


def of_24_bits() -> bytes:
    form = struct.pack("<IHHIIHH", 16, 1, 1, 8000, 24_000, 3, 24)
    return b"RIFF" + struct.pack("<I", 66) + b"WAVEfmt " + form + b"data" + struct.pack("<I", 30) + bytes(30)


def with_a_foreign_part() -> bytes:
    data = wav(8000, 440.0)
    return data[:36] + b"bext" + struct.pack("<I", 4) + bytes(4) + data[36:]


def without_a_rate() -> bytes:
    data = wav(8000, 440.0)
    return data[:24] + struct.pack("<I", 0) + data[28:]


MEDIA = [("image", ".png", "an image"), ("audio", ".wav", "a recording")]
FILES: dict[str, tuple[str, Callable[[], bytes], str | None]] = {
    "image: cut off": (".png", lambda: png(0, 100)[:70], "an image can't be read"),
    "image: header alone": (".png", lambda: png(0, 100)[:20], "an image can't be read"),
    "image: a text": (".png", lambda: b"hello", "an image can't be read: the file is none .got b'hello'"),
    "image: empty": (".png", lambda: b"", "an image must not be an empty file"),
    "image: too large": (".png", bomb, "an image can't be read: Image size"),
    "image: a recording": (".png", lambda: wav(8000, 440.0), "an image can't be read: the file is none"),
    "sound: cut off": (".wav", lambda: wav(8000, 440.0)[:100], "a recording can't be read: Reached EOF"),
    "sound: half a header": (".wav", lambda: wav(8000, 440.0)[:20], "a recording can't be read"),
    "sound: MP3": (".wav", lambda: b"ID3\x03" + bytes(200), "a recording can't be read.*Save it as WAV"),
    "sound: empty": (".wav", lambda: b"", "a recording must not be an empty file"),
    "sound: no sample": (".wav", lambda: wav(8000, 440.0, 0.0), "a recording must have a sample"),
    "sound: not numbers": (".wav", not_numbers, "a recording's samples must be finite numbers"),
    "sound: no rate": (".wav", without_a_rate, "a recording can't be read"),
    "sound: an image": (".wav", lambda: png(0, 100), "a recording can't be read"),
    "sound: 24 bits": (".wav", of_24_bits, None),
    "sound: a part that is none": (".wav", with_a_foreign_part, None),
}


def good_files(folder: Path, suffix: str) -> Iterator[Path]:
    for index in range(N):
        path = folder / ("x", "y")[index % 2] / f"{index}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(suffix, index))
        yield path


@pytest.mark.parametrize(("suffix", "content", "message"), FILES.values(), ids=FILES)
def test_images_and_sounds(suffix: str, content: Callable[[], bytes], message: str | None, tmp_path: Path) -> None:
    list(good_files(tmp_path / "own", suffix))
    (tmp_path / "own" / "x" / f"bad{suffix}").write_bytes(content())
    if message is None:
        assert len(load_files(tmp_path / "own").train) == N - 1
        return
    with pytest.raises(InvalidInputError, match=rf"own, file 6.*{message}"):
        load_files(tmp_path / "own")


def test_a_text_in_place_of_a_path() -> None:
    with pytest.raises(InvalidInputError, match=r"the data file can't be read: File name too long .got 'text,label.*characters"):
        load_files("text,label\n" + "a,b\n" * 1000)


def test_what_isn_t_read_in_a_folder_is_said(tmp_path: Path) -> None:
    paths = list(good_files(tmp_path / "own", ".png"))
    for name in ("a.svg", "b.wav", ".hidden.png"):
        (tmp_path / "own/x" / name).write_bytes(b"a")
    (tmp_path / "own/y/gone.png").symlink_to("nowhere.png")
    (tmp_path / "own/y/folder.png").mkdir()
    (tmp_path / "own/.cache").mkdir()
    (tmp_path / "own/.cache/c.png").write_bytes(paths[0].read_bytes())
    data = load_files(tmp_path / "own")
    assert data.task.labels == ("x", "y")
    assert len(data.train) == N - 2
    (note,) = [note for note in data.notes if "left out" in note]
    assert re.search(r"own: 4 of 13 files are left out, x/a\.svg among them; files in \.png, .* are read$", note)


@pytest.mark.parametrize("suffix", [".mp3", ".flac", ".txt"])
def test_a_folder_of_other_files(suffix: str, tmp_path: Path) -> None:
    for name in "xy":
        (tmp_path / "own" / name).mkdir(parents=True)
        (tmp_path / "own" / name / f"a{suffix}").write_bytes(b"a")
    with pytest.raises(InvalidInputError, match=r"a folder without a folder of images or recordings for each class.*recordings in \.wav"):
        load_files(tmp_path / "own")


@pytest.mark.parametrize("cell", ["own/x/none.png", "", "own", "http://localhost/a.png", "t.csv"])
@pytest.mark.parametrize(("column", "suffix", "what"), MEDIA)
def test_a_path_of_no_file(cell: str, column: str, suffix: str, what: str, tmp_path: Path) -> None:
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name}" for path in good_files(tmp_path / "own", suffix)]
    (tmp_path / "t.csv").write_text("\n".join([f"{column},label", *lines, f"{cell},x"]))
    with pytest.raises(InvalidInputError, match=rf"t\.csv, line {N + 2}[:,] .*{what}"):
        load_files(tmp_path / "t.csv")


OTHER = {".png": ".wav", ".wav": ".png"}
NOT_CONTENT = "must hold a path or the content of"
CELLS: dict[str, tuple[Callable[[str], Any], str | None]] = {
    "bytes as the hub has them": (lambda suffix: {"bytes": content(suffix, 0), "path": None}, None),
    "bytes beside a path that is gone": (lambda suffix: {"bytes": content(suffix, 0), "path": f"gone{suffix}"}, None),
    "cut off": (lambda suffix: {"bytes": content(suffix, 0)[:70], "path": None}, "row 10: {what} can't be read"),
    "no bytes": (lambda suffix: {"bytes": b"", "path": None}, f"row 10: the column .* {NOT_CONTENT} {{what}}"),
    "nothing in it": (lambda suffix: {"bytes": None, "path": None}, f"row 10: the column .* {NOT_CONTENT} {{what}}"),
    "nothing": (lambda suffix: None, f"row 10: the column .* {NOT_CONTENT} {{what}} .got None"),
    "a path to nowhere": (lambda suffix: {"bytes": None, "path": "no.file"}, "row 10: {what} can't be read: No such file"),
    "a text": (lambda suffix: {"bytes": b"hello", "path": None}, "row 10: {what} can't be read"),
    "another medium": (lambda suffix: {"bytes": content(OTHER[suffix], 0), "path": None}, "row 10: {what} can't be read"),
}
COLUMNS_OF_FILES: dict[str, tuple[Callable[[list[bytes]], Any], str | None]] = {
    "bare bytes": (lambda files: files, None),
    "large binary": (lambda files: pa.array(files, pa.large_binary()), None),
    "encoded by a dictionary": (lambda files: pa.array(files).dictionary_encode(), None),
    "base64": (lambda files: [base64.b64encode(one).decode() for one in files], "row 1: {what} can't be read: .*base64"),
    "numbers": (lambda files: list(range(len(files))), f"row 1: the column .* {NOT_CONTENT} {{what}} .got 0"),
    "lists": (lambda files: [[one] for one in files], f"row 1: the column .* {NOT_CONTENT} {{what}}"),
    "samples": (lambda files: [[[0, 1], [1, 0]] for _ in files], f"row 1: the column .* {NOT_CONTENT} {{what}}"),
    "other names": (lambda files: [{"data": one} for one in files], f"row 1: the column .* {NOT_CONTENT} {{what}}"),
}


def content(suffix: str, index: int) -> bytes:
    return png(index, 100) if suffix == ".png" else wav(8000, 200.0 + index, 0.05)


@pytest.mark.parametrize(("column", "suffix", "what"), MEDIA)
@pytest.mark.parametrize(("cell", "message"), CELLS.values(), ids=CELLS)
def test_a_cell_of_parquet_with_files(
    cell: Callable[[str], Any], message: str | None, column: str, suffix: str, what: str, tmp_path: Path
) -> None:
    cells = [{"bytes": content(suffix, index), "path": None} for index in range(N)]
    read_files(tmp_path, column, [*cells, cell(suffix)], [*LABELS, "y"], None if message is None else message.format(what=what))


@pytest.mark.parametrize(("column", "suffix", "what"), MEDIA)
@pytest.mark.parametrize(("cells", "message"), COLUMNS_OF_FILES.values(), ids=COLUMNS_OF_FILES)
def test_a_column_of_parquet_with_files(
    cells: Callable[[list[bytes]], Any], message: str | None, column: str, suffix: str, what: str, tmp_path: Path
) -> None:
    files = [content(suffix, index) for index in range(N)]
    read_files(tmp_path, column, cells(files), LABELS, None if message is None else message.format(what=what))


def read_files(folder: Path, column: str, cells: Any, labels: list[str], message: str | None) -> None:
    pq.write_table(pa.table({column: cells, "label": labels}), folder / "t.parquet")
    if message is None:
        assert load_files(folder / "t.parquet").task.kind == f"{column}_classification"
        return
    with pytest.raises(InvalidInputError, match=rf"t\.parquet, {message}"):
        load_files(folder / "t.parquet")


PATHS: dict[str, tuple[Callable[[str], str], str | None]] = {
    "byte order mark": (lambda text: f"\ufeff{text}", None),
    "semicolons": (lambda text: text.replace(",", ";"), None),
    "line ends of Windows": (lambda text: text.replace("\n", "\r\n"), None),
    "points before": (lambda text: text.replace("own/", "./own/"), None),
    "whole paths": (lambda text: text.replace("own/", f"{Path.cwd()}/own/"), None),
    "quotes": (lambda text: re.sub(r"^(own[^,]*)", r'"\1"', text, flags=re.MULTILINE), None),
    "a column more": (lambda text: text.replace("\n", ",1\n").replace("label,1", "label,id"), None),
    "no header": (lambda text: text.split("\n", 1)[1], "which columns to read"),
    "no label": (lambda text: f"{text}own/x/0{{suffix}},\n", "line 11: the label in column 'label' is missing"),
    "a cell too few": (lambda text: f"{text}own/x/0{{suffix}}\n", "line 11: a row must have 2 cells"),
    "backslashes": (lambda text: f"{text}own\\x\\0{{suffix}},x\n", "line 11: {what} can't be read: No such file"),
    "a long path": (lambda text: f"{text}{'x' * 100_000},x\n", "line 11: {what} can't be read: File name too long"),
    "an open quote": (lambda text: f'{text}"own/x/0{{suffix}},x\n', "line 11: not a valid row"),
    "one class": (lambda text: text.replace(",y", ",x"), "the label column 'label' must hold two or more classes"),
}


@pytest.mark.parametrize(("column", "suffix", "what"), MEDIA)
@pytest.mark.parametrize(("change", "message"), PATHS.values(), ids=PATHS)
def test_a_table_of_paths(
    change: Callable[[str], str], message: str | None, column: str, suffix: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [f"{path.relative_to(tmp_path)},{path.parent.name}\n" for path in good_files(tmp_path / "own", suffix)]
    (tmp_path / "t.csv").write_text(change("".join([f"{column},label\n", *lines])).replace("{suffix}", suffix), encoding="utf-8")
    if message is None:
        assert load_files(tmp_path / "t.csv").task.kind == f"{column}_classification"
        return
    with pytest.raises(InvalidInputError, match=rf"t\.csv.* {message.format(what=what)}"):
        load_files(tmp_path / "t.csv")


@pytest.mark.parametrize(("transcript", "message"), [("", "must not be empty"), ("  ", "must not be empty"), ("x" * 100_000, None)])
def test_transcripts(transcript: str, message: str | None, tmp_path: Path) -> None:
    lines = [f"{path.relative_to(tmp_path)},a {path.stem}" for path in good_files(tmp_path / "own", ".wav")]
    (tmp_path / "t.csv").write_text("\n".join(["audio,text", *lines, f"own/x/0.wav,{transcript}"]))
    if message is None:
        assert load_files(tmp_path / "t.csv").task.kind == "speech_to_text"
        return
    with pytest.raises(InvalidInputError, match=rf"t\.csv, line {N + 2}: the column 'text' {message}"):
        load_files(tmp_path / "t.csv")
