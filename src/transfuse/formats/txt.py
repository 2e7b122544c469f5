"""Plain text, for reading: one document a file, or one a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from transfuse.files import Source, Writer
from transfuse.losses import Losses
from transfuse.text import ConfigError, Document

__all__ = ["KEEPS", "SUFFIXES", "read", "sniff", "write"]

SUFFIXES = (".txt", ".text")
KEEPS: frozenset[str] = frozenset()


def sniff(head: str) -> bool:
    """Never: any text is plain text, so that the suffix has to say so."""
    return False


def read(source: Source, *, losses: Losses, per: Literal["file", "line"] = "file") -> Iterator[Document]:
    """Documents without entities.

    Args:
        source: the file.
        losses: nothing is lost.
        per: what a document is; by ``line``, empty lines are passed over, and the text streams.
    """
    if per == "file":
        yield Document(source.stem, source.text())
        return
    number = 0
    for _, line in source.lines():
        if line and not line.isspace():
            number += 1
            yield Document(f"{source.stem}/{number}", line)


def write(documents: Iterable[Document], out: Writer, *, losses: Losses) -> None:
    """Refuse.

    Raises:
        ConfigError: always.
    """
    raise ConfigError("plain text cannot hold entities: choose another format to write, as jsonl or conll")
