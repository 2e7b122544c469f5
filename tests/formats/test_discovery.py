"""Formats are found by looking, told apart by their content, and take paths and handles of any kind."""

from __future__ import annotations

import gzip
import importlib
import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from transfuse.formats import by_suffix, detect, names, options, parse_spec, read, write
from transfuse.losses import Losses
from transfuse.text import ConfigError, DataError, Document, Entity

FOUND = [Document("a", "BRCA1 binds β-actin .", (Entity(0, 5, "Gene"),)), Document("b", "No gene here .")]
WRITABLE = [name for name in names() if name != "txt"]
IN_A_FILE = [name for name in WRITABLE if name != "brat"]


def _module(name: str) -> Any:
    return importlib.import_module(f"transfuse.formats.{name.replace('-', '_')}")


def _same(found: Any, format: str) -> bool:
    wanted = FOUND
    if format == "conll":
        wanted = [Document("", "BRCA 1 binds β - actin .", (Entity(0, 6, "Gene"),)), FOUND[1]]
    return [(d.text, d.entities) for d in found] == [(d.text, d.entities) for d in wanted]


def test_the_names_are_the_files() -> None:
    assert names() == (
        *("bioc-json", "bioc-xml", "brat", "ccks", "cluener", "conll", "doccano", "jsonl", "label-studio", "prodigy"),
        *("pubannotation", "pubtator", "txt"),
    )


@pytest.mark.parametrize("name", names())
def test_every_format_keeps_the_contract(name: str) -> None:
    module = _module(name)
    extra = {"claims"} if hasattr(module, "claims") else set()
    assert {"KEEPS", "SUFFIXES", "read", "sniff", "write"} | extra <= set(module.__all__)
    assert module.__all__ == sorted(module.__all__)
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in module.SUFFIXES)
    assert not module.KEEPS - {"score", "unknown"}
    assert options(name)["encoding"] == "auto" and "losses" not in options(name, "write")


@pytest.mark.parametrize("name", WRITABLE)
def test_every_format_is_detected_whatever_its_suffix(name: str, tmp_path: Path) -> None:
    for suffix in _module(name).SUFFIXES if name != "brat" else ("",):
        path = tmp_path / f"file{suffix}"
        write(FOUND, path, name)
        assert detect(path) == name and _same(read(path), name)
    if name != "brat":
        other = tmp_path / "file.unknown"
        path.rename(other)
        assert detect(other) == name


def test_the_suffix_decides_where_the_content_says_nothing(tmp_path: Path) -> None:
    for file, format in (("a.txt", "txt"), ("a.jsonl", "jsonl"), ("a.xml", "bioc-xml"), ("a.conll.gz", "conll")):
        (tmp_path / file).write_text("no format begins so")
        assert detect(tmp_path / file) == format


def test_a_file_like_none_of_the_formats_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"\x00\xff\xfe")
    with pytest.raises(DataError, match=r"a\.bin: cannot tell the format: name one of bioc-json, "):
        detect(tmp_path / "a.bin")
    with pytest.raises(DataError, match="no such file"):
        detect(tmp_path / "b")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        DataError, match=r"holds no file of a known format: name it, as conll:.*; there are: bioc-json, "
    ):
        detect(tmp_path / "empty")


@pytest.mark.parametrize("name", IN_A_FILE)
@pytest.mark.parametrize("kind", ["bytes", "text", "gzip", "path", "gzip path"])
def test_paths_and_handles_of_any_kind(name: str, kind: str, tmp_path: Path) -> None:
    handle: Any
    if "path" in kind:
        handle = tmp_path / ("file.gz" if "gzip" in kind else "file")
        write(FOUND, str(handle), name)
        assert (handle.read_bytes()[:2] == b"\x1f\x8b") == ("gzip" in kind)
    else:
        handle = io.StringIO() if kind == "text" else io.BytesIO()
        write(FOUND, handle, name)
        assert not handle.closed
        handle.seek(0)
        handle = io.BytesIO(gzip.compress(handle.read())) if kind == "gzip" else handle
    assert _same(read(handle, "auto"), name)
    assert "path" in kind or not handle.closed


@pytest.mark.parametrize("name", IN_A_FILE)
def test_a_folder_of_files_is_read_in_natural_order(name: str, tmp_path: Path) -> None:
    suffix = _module(name).SUFFIXES[0]
    for number in (10, 9):
        write(FOUND[:1] if number == 9 else FOUND[1:], tmp_path / f"{number}{suffix}", name)
    (tmp_path / "read.me").write_text("not this")
    assert detect(tmp_path) == name and _same(read(tmp_path), name)


def test_endings_may_be_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "A.JSONL.GZ"
    write(FOUND, path, by_suffix(path.name)[0])
    assert path.read_bytes()[:2] == b"\x1f\x8b" and detect(path) == "jsonl" and list(read(path)) == FOUND


@pytest.mark.parametrize("name", WRITABLE)
def test_writing_is_the_same_twice(name: str, tmp_path: Path) -> None:
    for target in ("a.gz", "b.gz"):
        write(FOUND, tmp_path / target, name)
    assert all(path.read_bytes()[4:8] == bytes(4) for path in tmp_path.glob("*.gz") if path.is_file())
    first, second = (sorted((tmp_path / target).rglob("*")) or [tmp_path / target] for target in ("a.gz", "b.gz"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


@pytest.mark.parametrize("name", WRITABLE)
def test_what_a_format_has_no_place_for_is_counted(name: str, tmp_path: Path) -> None:
    losses = Losses()
    write([Document("a", "ab cd", (Entity(0, 2, "X", 0.5),), ((3, 5),))], tmp_path / "out", name, losses=losses)
    counted = {loss.reason.partition(" ")[0] for loss in losses if "no place" in loss.reason}
    assert counted == {"scores", "unknown"} - {"scores" if kept == "score" else kept for kept in _module(name).KEEPS}


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("conll:a/b.tsv", ("conll", {}, "a/b.tsv")),
        ("conll[scheme=IOB1,column=3]:a:b", ("conll", {"scheme": "IOB1", "column": 3}, "a:b")),
        ('conll[separator=",",positions=true,column=none,joiner=" ]"]:x', None),
        ("bioc-xml:x", ("bioc-xml", {}, "x")),
        ("auto[encoding=gb18030]:x", ("auto", {"encoding": "gb18030"}, "x")),
        ("jsonl[]:x", ("jsonl", {}, "x")),
        ("ncbi-disease", ("auto", {}, "ncbi-disease")),
        ("a/b.tsv", ("auto", {}, "a/b.tsv")),
    ],
)
def test_specifications(spec: str, parsed: Any) -> None:
    several = {"separator": ",", "positions": True, "column": None, "joiner": " ]"}
    assert parse_spec(spec) == (parsed or ("conll", several, "x"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("conl:x", "unknown format 'conl': choose one of bioc-json"),
        ("conll[scheme]:x", "cannot read the options"),
        ("conll[=3]:x", "cannot read the options"),
    ],
)
def test_specifications_that_cannot_be_read(spec: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("[", r"\[")):
        parse_spec(spec)


def test_a_path_that_exists_wins_over_its_reading_as_a_specification(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("conll:x").write_text("a O\n")
    assert parse_spec("conll:x") == ("auto", {}, "conll:x")


@pytest.mark.parametrize(
    ("format", "given", "message"),
    [
        ("conll", {"colum": 3}, "has no option 'colum' to read with: choose one of column, docstart"),
        ("conll", {"column": "x"}, "option column of format conll is a whole number or none, not 'x'"),
        ("conll", {"scheme": "BOI"}, "scheme of format conll is auto or BIO or "),
        ("conll", {"positions": 1}, "is true or false, not 1"),
        ("ccks", {"end": None}, "is exclusive or inclusive, not None"),
        ("jsonl", {"errors": "ignore"}, "is strict or replace, not 'ignore'"),
        ("jsonl", {"encoding": "utf-9"}, "unknown encoding 'utf-9'"),
        ("jsonl[x=1]", {}, "has no option 'x'"),
        ("jsonll", {}, "unknown format 'jsonll'"),
    ],
)
def test_options_are_checked_before_anything_is_read(format: str, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read(io.StringIO(""), format, **given)


def test_options_are_checked_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no option 'encoding' to write with"):
        write([], tmp_path / "x", "jsonl", encoding="utf-8")
    assert not list(tmp_path.iterdir())


def test_a_format_may_carry_its_options() -> None:
    assert next(read(io.StringIO("a x B-X\n"), "conll[column=2]")).entities == (Entity(0, 1, "X"),)
    assert next(read(io.StringIO("é"), "txt[per=line]")).text == "é"


MEMORY = """
import io, resource, sys
from transfuse.formats import read, write
from transfuse.text import Document, Entity

class Endless(io.RawIOBase):
    def __init__(self, start, block, end):
        self.blocks = iter([start] + [block] * 40 + [end])
    def readable(self):
        return True
    def readinto(self, buffer):
        raise AssertionError("read1 is there")
    def read1(self, size):
        return next(self.blocks, b"")

handle = io.BytesIO()
name, length = sys.argv[1], int(sys.argv[2])
documents = [Document(f"{n}", f"gene {n:06} binds " * length, (Entity(0, 4, "X"),)) for n in range(500)]
write(documents, handle, name)
text = handle.getvalue()
begin, end, between = 0, len(text), b""
if name == "bioc-xml":
    begin, end = text.index(b"<document>"), text.index(b"</collection>")
if name in ("bioc-json", "label-studio", "pubannotation"):
    begin, end, between = text.index(b"[\\n") + 2, text.rindex(b"\\n]"), b","
    text = text.replace(b"\\n", b" ")  # no line is ever at its end
endless = Endless(text[:begin] + text[begin:end], between + text[begin:end], text[end:])
peaks = []
for number, document in enumerate(read(endless, name)):
    if number in (1000, 15000):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
assert number > 15000
print(peaks[1] - peaks[0])
"""


@pytest.mark.parametrize(
    "name", ["conll", "pubtator", "jsonl", "bioc-xml", "bioc-json", "label-studio", "pubannotation"]
)
def test_reading_takes_memory_for_a_document_and_not_for_the_file(name: str) -> None:
    """Many megabytes more of input, less than four more of memory: ids are remembered, texts are not."""
    length = "10" if name == "conll" else "50"
    ran = subprocess.run([sys.executable, "-c", MEMORY, name, length], capture_output=True, text=True, check=True)
    assert int(ran.stdout) < 4_000


def test_looking_for_formats_imports_no_heavy_library() -> None:
    code = "import sys, transfuse.formats as f; f.names(); f.options('bioc-xml'); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"bioc", "lxml", "numpy", "torch"} & set(loaded)


@pytest.mark.parametrize(("line", "message"), [("broken", r":4: "), ("fever\tX-Disease", r":4: ")])
def test_a_broken_file_is_no_other_format(line: str, message: str, tmp_path: Path) -> None:
    lines = [*("No\tO", "sign\tO", "of\tO"), line, *("severe\tB-Problem", "asthma\tI-Problem", ".\tO", "")]
    path = tmp_path / "train.txt"
    path.write_text("\n".join(lines) + "\n")
    assert detect(path) == "conll"
    with pytest.raises(DataError, match=message):
        list(read(path))
    path.write_text("He has it so\nand so B-movies\nare what he likes O\nbest of all\n")
    assert detect(path) == "txt"


def test_a_folder_says_which_files_it_passes_over_and_keeps_ids_apart(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl", "c.tsv"):
        (tmp_path / name).write_text('{"id": "1", "text": "fever"}\n')
    losses = Losses()
    assert [document.id for document in read(tmp_path, losses=losses)] == ["1", "1#2"]
    assert losses.counts == {"altered: document id is there twice": 1, "skipped: file of another format": 1}


def test_files_of_a_folder_are_told_by_their_content_where_none_has_the_suffix(tmp_path: Path) -> None:
    note = "{}|t|Severe asthma\n{}|a|None else.\n{}\t7\t13\tasthma\tDisease\n\n"
    (tmp_path / "corpus.txt").write_text(note.format(1, 1, 1))
    (tmp_path / "more.txt").write_text(note.format(2, 2, 2))
    (tmp_path / "README.txt").write_text("Two notes.\n")
    losses = Losses()
    for format in ("auto", "pubtator"):
        assert [d.id for d in read(tmp_path, format, losses=losses if format == "auto" else None)] == ["1", "2"]
    assert losses.counts == {"skipped: file of another format": 1}
    (tmp_path / "more.txt").rename(tmp_path / "more.part")  # a suffix of no format: as it stands for whoever names one
    assert [d.id for d in read(tmp_path, "pubtator")] == ["1", "2"]
    with pytest.raises(DataError, match=r"holds no file that ends in \.xml, and none of another name that is bioc-xml"):
        list(read(tmp_path, "bioc-xml"))


def test_mentions_without_their_texts_are_no_plain_text(tmp_path: Path) -> None:
    path = tmp_path / "found.txt"
    path.write_text("1\t7\t13\tasthma\tDisease\tMESH:D001249\n")
    assert detect(path) == "pubtator"
    with pytest.raises(DataError, match=r"found.txt:1: a mention without a text"):
        list(read(path))


BIOC = (
    b"<collection><document><id>1</id><passage><offset>0</offset><text>caf\xe9 asthma</text>"
    b'<annotation id="1"><infon key="type">Disease</infon><location offset="5" length="6"/>'
    b"<text>asthma</text></annotation></passage></document></collection>"
)


@pytest.mark.parametrize(
    ("format", "name", "raw"),
    [
        ("brat", "1.ann", b"T1\tDisease 5 11\tasthma\n"),
        (
            "bioc-xml",
            "1.xml",
            BIOC,
        ),
    ],
)
def test_an_encoding_that_is_named_is_that_of_the_text(format: str, name: str, raw: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(raw)
    (tmp_path / "1.txt").write_bytes(b"caf\xe9 asthma")
    with pytest.raises(DataError):
        list(read(tmp_path / name, format))
    [document] = read(tmp_path / name, f"{format}[encoding=latin-1]")
    assert document.text == "café asthma" and document.entities == (Entity(5, 11, "Disease"),)
    losses = Losses()
    [document] = read(tmp_path / name, f"{format}[errors=replace]", losses=losses)
    assert document.text == "caf\ufffd asthma"
    assert losses.counts == {"altered: bytes that are not utf-8": 1}


@pytest.mark.parametrize("codec", ["1252", "u16"])
def test_an_encoding_goes_by_any_of_its_names(codec: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("café\nfever\n".encode(codec))
    found = read(tmp_path / "a.txt", f"txt[per=line,encoding={codec}]")
    assert [document.text for document in found] == ["café", "fever"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("encoding=hex", "unknown encoding 'hex'"),
        ("encoding=none-such", "unknown encoding 'none-such'"),
        ("errors=5", "option errors of format conll is strict or replace, not 5"),
        ("separator=", "option separator of format conll is empty"),
    ],
)
def test_options_that_mean_nothing(options: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("fever\tO\n")
    with pytest.raises(ConfigError, match=message):
        read(tmp_path / "a.tsv", f"conll[{options}]")
