"""Inputs and outputs: paths or handles, bytes or text, gzip or not, always as numbered lines with their true ends.

What goes in is told apart by its first bytes (gzip, byte order mark), not by its name alone. What goes out to a path
is written beside it and renamed when it is complete, so that a failure leaves nothing half-written.
"""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from transfuse.losses import Losses
from transfuse.text import ConfigError, DataError

__all__ = ["Source", "Writer", "natural", "open_output", "output_folder", "records_in", "suffix_of", "write_beside"]

_HEAD = 1 << 16
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
_GZIP_FAULTS = (EOFError, gzip.BadGzipFile, zlib.error)


def natural(path: Path) -> list[tuple[int, str]]:
    """A sorting key under which ``2.txt`` comes before ``10.txt``."""
    return [(int(piece), "") if piece.isdecimal() else (-1, piece) for piece in re.split(r"(\d+)", path.as_posix())]


def suffix_of(file: str) -> str:
    """The suffix of a file's name in small letters, ``.gz`` apart: ``.tsv`` of ``A.TSV.gz``, or nothing."""
    return Path(file.lower().removesuffix(".gz")).suffix


class _Bytes(io.RawIOBase):
    """The bytes of any handle; text is encoded as UTF-8."""

    def __init__(self, handle: IO[Any]) -> None:
        self._read: Callable[[int], str | bytes] = getattr(handle, "read1", handle.read)
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            piece = self._read(len(buffer))
            self._left = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else piece
        taken, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


class Source:
    """An input that is opened when something is first read from it.

    Args:
        origin: a path (a file or a folder) or an open handle of bytes or of text. Handles are not closed.
        encoding: a codec, or ``auto``: what the byte order mark says, else UTF-8.
        errors: ``strict`` raises on bytes that the encoding cannot hold, ``replace`` puts U+FFFD there and counts it.
        losses: collects what was replaced.
        stem: what documents without an id of their own are named after; by default the file name without suffixes.

    Raises:
        DataError: there is no such file.
        ConfigError: there is no such encoding.
    """

    def __init__(
        self,
        origin: str | Path | IO[Any],
        *,
        encoding: str = "auto",
        errors: str = "strict",
        losses: Losses | None = None,
        stem: str = "",
    ) -> None:
        self.path = Path(origin) if isinstance(origin, str | Path) else None
        self._handle = None if isinstance(origin, str | Path) else origin
        given = getattr(self._handle, "name", "<handle>")
        self.name = str(self.path) if self.path else given if isinstance(given, str) else "<handle>"
        self.stem = stem or Path(self.name.strip("<>").removesuffix(".gz")).stem or "document"
        self._encoding, self._errors = encoding, errors
        self._losses = Losses() if losses is None else losses
        self._stream: BinaryIO | None = None
        self._opened: list[IO[bytes]] = []
        if self.path and not self.path.exists():
            raise DataError("no such file or folder", path=self.name)
        if encoding != "auto":
            _check_codec(encoding)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        for handle in reversed(self._opened):
            handle.close()

    def error(self, message: str, line: int = 0) -> DataError:
        """A `DataError` that names this input."""
        return DataError(message, path=self.name, line=line)

    @property
    def named_encoding(self) -> str | None:
        """The codec that somebody named; None where it is to be found out, and broken bytes are an error."""
        return None if (self._encoding, self._errors) == ("auto", "strict") else self.encoding()

    def child(self, path: Path) -> Source:
        """A file of this folder, or beside this file, read in the same way.

        Its stem is its place in the folder without suffixes.
        """
        folder = self.path if self.path and self.path.is_dir() else path.parent
        stem = path.relative_to(folder)
        return Source(
            path,
            encoding=self._encoding,
            errors=self._errors,
            losses=self._losses,
            stem=stem.with_name(Path(stem.name.removesuffix(".gz")).stem).as_posix(),
        )

    @property
    def stream(self) -> BinaryIO:
        """The bytes, unpacked."""
        if self._stream is None:
            try:
                self._stream = self._open()
            except OSError as fault:
                raise self.error(f"cannot be read: {fault.strerror or fault}") from None
        return self._stream

    def _open(self) -> BinaryIO:
        if self.path:
            raw: io.BufferedReader[Any] = io.BufferedReader(io.FileIO(self.path), _HEAD)
        else:
            raw = io.BufferedReader(_Bytes(cast("IO[Any]", self._handle)), _HEAD)
        self._opened.append(raw)
        if raw.peek(2)[:2] == b"\x1f\x8b":
            raw = io.BufferedReader(gzip.GzipFile(fileobj=raw), _HEAD)  # type: ignore[arg-type, unused-ignore]
            self._opened.append(raw)
        return cast("BinaryIO", raw)

    @contextmanager
    def unpacking(self) -> Iterator[None]:
        """Round reads from `stream`: a gzip file that is cut off becomes a DataError."""
        try:
            yield
        except _GZIP_FAULTS:
            raise self.error("broken gzip: the file is cut off or altered", 1) from None

    def _peek(self) -> bytes:
        with self.unpacking():
            return cast("io.BufferedReader[Any]", self.stream).peek(_HEAD)[:_HEAD]

    def encoding(self) -> str:
        """The codec the text is in."""
        if self._encoding != "auto":
            return self._encoding
        start = self._peek()[:3]
        return next((codec for bom, codec in _BOMS.items() if start.startswith(bom)), "utf-8")

    def head(self) -> str:
        """The first characters (up to some ten thousand), without moving on; never raises on broken text."""
        return codecs.getincrementaldecoder(self.encoding())("replace").decode(self._peek())

    def lines(self) -> Iterator[tuple[int, str]]:
        r"""Numbered lines, from 1, without their end (``\n`` or ``\r\n``, and nothing else ends a line); streams.

        Raises:
            DataError: bytes that the encoding cannot hold, or a gzip file that is cut off.
        """
        number, codec = 0, self.encoding()
        wide = codecs.lookup(codec).name.startswith(("utf-16", "utf-32"))
        pieces: Iterable[str | bytes] = self.stream
        if wide:
            pieces = io.TextIOWrapper(self.stream, codec, self._errors, newline="\n")
        if codec == "utf-8-sig":
            self.stream.read(3)
            codec = "utf-8"
        try:
            for number, piece in enumerate(pieces, 1):
                line = piece if isinstance(piece, str) else self._decode(piece, codec, number)
                yield number, line.removesuffix("\n").removesuffix("\r")
        except _GZIP_FAULTS:
            raise self.error("broken gzip: the file is cut off or altered", number + 1) from None
        except UnicodeError as fault:
            raise self.error(f"not {codec}: {fault}; name the encoding", number + 1) from None
        finally:
            if isinstance(pieces, io.TextIOWrapper):
                with suppress(ValueError):
                    pieces.detach()

    def _decode(self, piece: bytes, codec: str, number: int) -> str:
        try:
            return piece.decode(codec)
        except UnicodeDecodeError as fault:
            self._replacing(fault, codec, number)
            return piece.decode(codec, self._errors)

    def _replacing(self, fault: UnicodeDecodeError, codec: str, number: int) -> None:
        """Count a line with bytes that are none of the codec's, or raise where they are not to be replaced."""
        if self._errors == "strict":
            raise self.error(
                f"byte {fault.object[fault.start]:#04x} is not {codec}: name the encoding with the format, as "
                "txt[encoding=latin-1], or read with errors=replace",
                number,
            ) from None
        self._losses.add("altered", f"bytes that are not {codec}", detail=repr(fault.object[:80]), line=number)

    def text(self) -> str:
        """The whole text with its line ends as they are.

        Raises:
            DataError: as `lines` does.
        """
        codec = self.encoding()
        with self.unpacking():
            raw = self.stream.read()
        try:
            return raw.decode(codec)
        except UnicodeDecodeError as fault:
            return self._decode(raw, codec, raw.count(b"\n", 0, fault.start) + 1)

    def pieces(self) -> Iterator[str]:
        """The text with its line ends as they are, in pieces of some ten thousand characters; streams.

        Raises:
            DataError: as `lines` does.
        """
        codec, number, raw = self.encoding(), 1, b" "
        decoder = codecs.getincrementaldecoder(codec)("strict")
        while raw:
            with self.unpacking():
                raw = self.stream.read(_HEAD)
            before = decoder.getstate()
            try:
                piece = decoder.decode(raw, not raw)
            except UnicodeDecodeError as fault:
                self._replacing(fault, codec, number + fault.object.count(b"\n", 0, fault.start))
                decoder = codecs.getincrementaldecoder(codec)(self._errors)
                decoder.setstate(before)
                piece = decoder.decode(raw, not raw)
            number += piece.count("\n")
            if piece:
                yield piece


def _check_codec(name: str) -> None:
    """Raises ConfigError where there is no such codec, or it is none of text, as ``hex``."""
    try:
        "".encode(name)
    except (LookupError, UnicodeError):
        raise ConfigError(f"unknown encoding {name!r}") from None


class Writer:
    """Takes text; a leading U+FEFF is doubled, since readers take a single one for the byte order mark."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write, self._begun = write, False

    def write(self, text: str) -> None:
        """Append text."""
        if text and not self._begun:
            self._begun = True
            text = "\ufeff" + text if text[0] == "\ufeff" else text
        self._write(text)


def records_in(text: str) -> list[dict[str, Any]]:
    """All whole records of a run's ``records.jsonl``; a kill may have cut one short."""
    found = []
    for line in text.split("\n"):
        with suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return [record for record in found if isinstance(record, dict) and "event" in record]


@contextmanager
def open_output(target: str | Path | IO[Any]) -> Iterator[Writer]:
    r"""Where text is written, as UTF-8 and with line ends as given.

    Args:
        target: a path (packed where it ends in ``.gz``; replaced when all is written), or an open handle of bytes or
            of text, which stays open.

    Raises:
        DataError: the path cannot be written, or the text holds half a surrogate pair.
    """
    if isinstance(target, str | Path):
        with write_beside(Path(target)) as part, part.open("wb") as raw, _packed(raw, Path(target)) as handle:
            yield from _encoded(handle, str(target))
    elif isinstance(target, io.TextIOBase) or isinstance(getattr(target, "encoding", None), str):
        yield Writer(target.write)
    else:
        yield from _encoded(target, "<handle>")


def _encoded(handle: IO[bytes], name: str) -> Iterator[Writer]:
    encoder = io.TextIOWrapper(handle, "utf-8", newline="\n")
    try:
        yield Writer(encoder.write)
        encoder.flush()
    except UnicodeEncodeError as fault:
        raise DataError(f"half a surrogate pair, {fault.object[fault.start]!r}, is no text", path=name) from None
    finally:
        with suppress(ValueError, UnicodeEncodeError):
            encoder.detach()


@contextmanager
def _packed(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    if path.suffix.lower() != ".gz":
        yield raw
    else:
        with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as handle:
            yield cast("IO[bytes]", handle)


@contextmanager
def write_beside(path: Path) -> Iterator[Path]:
    """A name beside a path, for a file or folder that gets the path's name when all went well, and is gone otherwise.

    What stood there before is replaced, a folder too; a link stays, and what it leads to is replaced. A device or a
    pipe is written into.

    Raises:
        DataError: it cannot be written.
    """
    place = path.resolve()
    if place == Path.cwd() or not place.name:
        raise DataError("is the folder that this runs in: name another", path=str(path))
    part, old = (place.with_name(f".{place.name}.{os.getpid()}.{end}") for end in ("part", "old"))
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            yield path
            return
        yield part
        if part.is_dir() and place.is_dir():
            place.rename(old)
        part.replace(place)
    except OSError as fault:
        raise DataError(f"cannot be written: {fault.strerror or fault}", path=str(path)) from None
    finally:
        for rest in (part, old):
            shutil.rmtree(rest, ignore_errors=True)
            with suppress(OSError):
                rest.unlink(missing_ok=True)


@contextmanager
def output_folder(path: str | Path) -> Iterator[Path]:
    """A new folder to fill, which gets its name when it is complete.

    Raises:
        DataError: there is a file of that name or a folder that is not empty, or it cannot be written.
    """
    path = Path(path)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise DataError("is there already: name another folder, or empty this one", path=str(path))
    with write_beside(path) as part:
        part.mkdir(parents=True)
        yield part
