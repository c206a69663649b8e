"""What each reader makes of files that are not as they should be: one message with the file and the line, or the right reading."""

import gzip
import json
import os
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from autopeft.errors import InvalidInputError
from autopeft.tasks import load_files

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


def test_a_text_in_place_of_a_path() -> None:
    with pytest.raises(InvalidInputError, match=r"the data file can't be read: File name too long .got 'text,label.*characters"):
        load_files("text,label\n" + "a,b\n" * 1000)
