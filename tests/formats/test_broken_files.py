"""Broken files: the place and the reason are told in one line, and nothing half-written stays."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import pytest

from transfuse.cli import main
from transfuse.formats import names, read, write
from transfuse.text import ConfigError, DataError, Document, Entity

GOOD = b'{"id": "a", "text": "ab"}\n'

BROKEN: list[tuple[str, str, bytes, int, str]] = [
    ("conll", "one column", b"the O\ngene\n", 2, "one column only"),
    ("conll[column=2]", "no such column", b"the x O\ngene y B-X\nof O\n", 3, "no column 2"),
    ("conll", "empty tag", b"the\tO\ngene\t\n", 2, "the tag is empty"),
    ("conll", "token of a mention is empty", b"the\tO\n\tB-X\n", 2, "token of a mention is empty"),
    ("conll", "foreign tag", b"the\tO\n\ngene\tQ-X\n", 3, "Q-X"),
    ("conll", "broken bytes", b"the\tO\ng\xff\tO\n", 2, "byte 0xff is not utf-8"),
    ("conll", "half a UTF-16 character", "a O\n".encode("utf-16") + b"\x00", 2, "not utf-16"),
    ("pubtator", "mention before text", b"1\t0\t2\tab\tX\n", 1, "without a text"),
    ("pubtator", "other document", b"1|t|ab\n2\t0\t2\tab\tX\n", 2, "stands in the block of 1"),
    ("pubtator", "abstract without title", b"1|t|ab\n2|a|ab\n", 2, "without its title"),
    ("pubtator", "two abstracts", b"1|t|ab\n1|a|x\n1|a|y\n", 3, "second abstract"),
    ("pubtator", "offset is no number", b"1|t|ab\n1\t0\tx\tab\tX\n", 2, "not id, start, end"),
    ("pubtator", "behind the text", b"1|t|ab\n1|a|\n1\t7\t9\tab\tX\n", 3, "outside its text"),
    ("pubtator", "ends before it starts", b"1|t|ab\n1\t2\t1\tab\tX\n", 2, "not behind its start"),
    ("bioc-xml", "not closed", b"<collection>\n<document>\n<id>1</id>\n</collection>\n", 4, "not well-formed XML"),
    ("bioc-xml", "empty", b"", 1, "not well-formed XML"),
    ("bioc-xml", "other XML", b'<?xml version="1.0"?>\n<html>\n</html>\n', 2, "<collection> is"),
    (
        "bioc-xml",
        "no offset",
        b"<collection>\n<document><id>1</id>\n<passage>\n<text>ab</text></passage></document></collection>",
        3,
        "offset of a <passage>",
    ),
    (
        "bioc-xml",
        "no label",
        (
            b"<collection><document><passage><offset>0</offset><text>ab</text>\n<annotation>\n"
            b'<location offset="0" length="1"/></annotation></passage></document></collection>'
        ),
        2,
        "without the infon 'type'",
    ),
    (
        "bioc-xml",
        "entity",
        (
            b'<!DOCTYPE collection [<!ENTITY x SYSTEM "file:///etc/hostname">]>\n<collection><document><passage>\n'
            b"<offset>0</offset><text>&x;</text></passage></document></collection>"
        ),
        2,
        "entity",
    ),
    ("bioc-json", "no JSON", b'{"documents": [\n{"id": "1",}]}', 2, "not JSON"),
    ("bioc-json", "no passages", b'{"documents": [\n\n{"id": "1"}]}', 3, 'lacks "passages"'),
    ("bioc-json", "cut off", b'{"documents": [\n{"id": "1", "passages": []}\n', 3, "missing at the end"),
    (
        "bioc-json",
        "length is text",
        (
            b'{"documents": [{"id": "1", "passages": [{"offset": 0, "text": "ab", "annotations": '
            b'[{"infons": {"type": "X"}, "locations": [{"offset": 0, "length": "x"}]}]}]}]}'
        ),
        1,
        '"length" of a location is a whole number',
    ),
    ("pubannotation", "no text", b'[\n{"denotations": []}]', 2, 'lacks "text"'),
    ("pubannotation", "no span", b'{"text": "ab",\n"denotations": [{"obj": "X"}]}', 1, "a span is a JSON object"),
    (
        "pubannotation",
        "outside",
        b'\n{"text": "ab", "denotations": [{"obj": "X", "span": {"begin": 1, "end": 9}}]}',
        2,
        "outside its text",
    ),
    (
        "doccano",
        "two of three",
        b'{"text": "ab", "label": []}\n{"text": "ab", "label": [[0, 1]]}\n',
        2,
        "[start, end, name]",
    ),
    ("doccano", "outside", b'{"text": "ab", "label": [[0, 3, "X"]]}\n', 1, "outside its text"),
    ("doccano", "no label", b'{"text": "a", "entities": [{"start_offset": 0, "end_offset": 1}]}\n', 1, 'lacks "label"'),
    ("prodigy", "no start", b'{"text": "ab", "spans": [{"end": 1, "label": "X"}]}\n', 1, 'a span lacks "start"'),
    ("prodigy", "no label", b'{"text": "ab", "spans": [{"start": 0, "end": 1}]}\n', 1, 'a span lacks "label"'),
    ("prodigy", "answer", b'{"text": "ab", "spans": [], "answer": 1}\n', 1, '"answer" of a document is a string'),
    ("label-studio", "cut off", b'[\n{"id": 1, "data": {"text": "a"}, "annotations": []}\n', 3, "missing at the end"),
    ("label-studio", "no text", b'[\n{"id": 1, "data": {"note": "a"}, "annotations": []}]', 2, 'lacks "text"'),
    (
        "label-studio",
        "labels are a number",
        b'[{"text": "ab",\n"label": [{"start": 0, "end": 1, "labels": [3]}], "annotation_id": 1}]',
        1,
        '"labels" are strings, not 3',
    ),
    ("jsonl", "no JSON", GOOD + b"{'id': 1}\n", 2, "not JSON at character 2"),
    ("jsonl", "an array", GOOD + b"\n[1]\n", 3, "not [1]"),
    ("jsonl", "no text", GOOD + b'{"id": "b"}\n', 2, 'lacks "text"'),
    ("jsonl", "text is a number", GOOD + b'{"text": 3}\n', 2, '"text" of a document is a string, not 3'),
    (
        "jsonl",
        "outside",
        GOOD + b'{"text": "ab", "entities": [{"start": 0, "end": 3, "label": "X"}]}\n',
        2,
        "outside its text of 2 characters",
    ),
    ("jsonl", "empty", b'{"text": "ab", "entities": [{"start": 1, "end": 1, "label": "X"}]}\n', 1, "from 1 to 1"),
    ("jsonl", "score", b'{"text": "a", "entities": [{"start": 0, "end": 1, "label": "X", "score": 2}]}', 1, "score"),
    ("jsonl", "bool", b'{"text": "ab", "entities": [{"start": true, "end": 2, "label": "X"}]}', 1, "not true"),
    ("jsonl", "label", b'{"text": "a", "entities": [{"start": 0, "end": 1, "label": ""}]}', 1, "no label"),
    ("jsonl", "unknown", b'{"text": "ab", "unknown": [[0, 9]]}\n', 1, "unknown range [0, 9)"),
    ("jsonl", "half a pair", GOOD + b'{"text": "a\\ud83d"}\n', 2, "half a surrogate pair"),
    ("jsonl", "deep", b'{"text": ' + b"[" * 100_000 + b"\n", 1, "nested too deeply"),
    ("cluener", "one offset", b'{"text": "ab", "label": {"X": {"ab": [[0]]}}}\n', 1, "[first, last]"),
    ("cluener", "no table", b'{"text": "ab", "label": {"X": [[0, 1]]}}\n', 1, "label 'X' is a JSON object"),
    (
        "ccks",
        "exclusive",
        b'{"originalText": "a", "entities": [{"start_pos": 0, "end_pos": 1, "label_type": "X"}]}',
        1,
        "end=exclusive",
    ),
    (
        "ccks",
        "no label",
        b'{"originalText": "a", "entities": [{"start_pos": 0, "end_pos": 0}]}',
        1,
        'lacks "label_type"',
    ),
    ("conll", "foreign tag in a sentence", b"a\tO\n\nthe\tO\n\tO\ngene\tB-\n", 5, "'B-' is no BIO tag"),
    ("jsonl", "half a pair as id", GOOD + b'{"id": "\\ud83d", "text": "a"}\n', 2, "half a surrogate pair"),
    (
        "jsonl",
        "half a pair as label",
        GOOD + b'{"text": "a", "entities": [{"start": 0, "end": 1, "label": "\\ud83d"}]}\n',
        2,
        "half a surrogate pair",
    ),
    ("jsonl", "id is a list", GOOD + b'{"id": [1], "text": "a"}\n', 2, '"id" of a document is a string'),
    ("jsonl", "huge number", GOOD + b'{"text": "a", "x": ' + b"1" * 5000 + b"}\n", 2, "too many digits"),
    ("bioc-json", "huge number", b'\n{"id": ' + b"1" * 5000 + b', "passages": []}\n', 2, "too many digits"),
    (
        "jsonl",
        "two signs",
        b'{"text": "a", "entities": [{"start": "--1", "end": 1, "label": "X"}]}\n',
        1,
        '"start" of an entity is a whole number',
    ),
    (
        "bioc-json",
        "far away",
        b'{"id": "1", "passages": [{"offset": 4000000000, "text": "a"}]}',
        1,
        "a passage at offset 4000000000",
    ),
    (
        "bioc-xml",
        "far away",
        b"<collection>\n<document><passage><offset>4000000000</offset><text>a</text></passage></document></collection>",
        2,
        "a passage at offset 4000000000",
    ),
    ("pubtator", "huge number", b"1|t|ab\n1\t0\t" + b"9" * 5000 + b"\tab\tX\n", 2, "not id, start, end"),
    ("txt", "broken bytes", b"one\ntwo\n\xe9t\xe9\n", 3, "byte 0xe9"),
    ("txt", "cut off gzip", gzip.compress(b"some text" * 99, mtime=0)[:-9], 1, "broken gzip"),
    ("jsonl", "cut off gzip", gzip.compress(GOOD, mtime=0)[:-9], 1, "broken gzip"),
    ("bioc-xml", "cut off gzip", gzip.compress(b"<collection>" * 99, mtime=0)[:-9], 1, "broken gzip"),
]


@pytest.mark.parametrize(("format", "what", "content", "line", "message"), BROKEN, ids=lambda value: str(value)[:30])
def test_a_broken_file_is_told_with_its_line(
    format: str, what: str, content: bytes, line: int, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        write(read(path, format), tmp_path / "out.jsonl.gz", "jsonl")
    assert str(caught.value).startswith(f"{path}:{line}: ")
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("format", "what", "content", "line", "message"), BROKEN, ids=[f"{r[0]}: {r[1]}" for r in BROKEN]
)
def test_the_command_line_says_so_and_leaves_with_status_2(
    format: str, what: str, content: bytes, line: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "broken"
    path.write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        main(["convert", str(path), str(tmp_path / "out.jsonl"), "--from", format])
    said = capsys.readouterr()
    assert caught.value.code == 2
    assert said.err.startswith(f"error: {path}:{line}: ") and message in said.err and said.err.count("\n") == 1
    assert said.out == "" and list(tmp_path.iterdir()) == [path]


def test_every_format_is_broken_twice() -> None:
    counts = {name: sum(row[0].partition("[")[0] == name for row in BROKEN) for name in names()}
    assert {name for name, count in counts.items() if count < 2} == {"brat"}


@pytest.mark.parametrize(
    ("annotations", "line", "message"),
    [
        ("T1\tX 0 2\tab\nT2 X 0 2 ab\n", 2, "not T1, label"),
        ("T1\tX 0 2;\tab\n", 1, "not T1, label"),
        ("Z1\tX 0 2\tab\n", 1, "'Z' opens no annotation"),
        ("T1\tX 2 2\tab\n", 1, "ends where it starts"),
        ("\nT1\tX 4 9\tab\n", 2, "outside its text of 4 characters"),
    ],
)
def test_a_broken_annotation_file_is_told_with_its_line(
    annotations: str, line: int, message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("abcd")
    (folder / "a.ann").write_text(annotations)
    with pytest.raises(DataError) as caught:
        write(read(folder), tmp_path / "out", "brat")
    assert str(caught.value).startswith(f"{folder / 'a.ann'}:{line}: ") and message in str(caught.value)
    assert list(tmp_path.iterdir()) == [folder]


def test_annotations_without_a_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.ann").write_text("T1\tX 0 2\tab\n")
    with pytest.raises(DataError, match=r"a\.ann: the text a\.txt is not beside it"):
        list(read(tmp_path))


def test_what_was_there_stays_when_writing_fails(tmp_path: Path) -> None:
    path, good = tmp_path / "out.jsonl", [Document("a", "b")]
    write(good, path, "jsonl")

    def broken() -> object:
        yield Document("c", "d")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(broken(), path, "jsonl")  # type: ignore[arg-type]
    assert list(read(path)) == good and list(tmp_path.iterdir()) == [path]


def test_half_a_surrogate_pair_is_not_written(tmp_path: Path) -> None:
    for format in ("jsonl", "conll", "pubtator", "bioc-json", "brat"):
        with pytest.raises(DataError):
            write([Document("a", "b\ud83dc")], tmp_path / "out", format)
        assert not list(tmp_path.iterdir())


def test_half_a_surrogate_pair_in_a_handle_of_text_is_not_read() -> None:
    with pytest.raises(DataError, match=r"^<handle>:2: "):
        list(read(io.StringIO('\n{"text": "a\ud83d"}'), "jsonl"))


def test_plain_text_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot hold entities"):
        write([Document("a", "b", (Entity(0, 1, "X"),))], tmp_path / "out.txt", "txt")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_empty_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    with pytest.raises(DataError, match="is there already"):
        write([Document("a", "b")], tmp_path, "brat")
    assert (tmp_path / "precious").read_text() == "x"


@pytest.mark.parametrize("target", ["missing/out.jsonl", "missing/out"])
def test_a_path_that_cannot_be_written_is_told(target: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"out(\.jsonl)?: cannot be written: "):
        write([], tmp_path / target, "jsonl")


def test_a_file_that_is_missing_is_told_before_anything_is_read() -> None:
    with pytest.raises(DataError, match="nowhere: no such file"):
        read("nowhere", "jsonl")
