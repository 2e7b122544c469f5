"""Published corpora by name: one file each, found by being there.

A file declares ``CORPORA``, the variants of one corpus, or ``TEXTS``, collections without annotation. The split lists
of HUNER are not among them: they hold identifiers alone.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from transfuse.losses import Losses
from transfuse.published import Published, Raw
from transfuse.text import ConfigError, Corpus, Document

__all__ = ["info", "load", "names", "raw", "raw_info", "raw_names"]

T = TypeVar("T")


def names() -> tuple[str, ...]:
    """All registered corpora, sorted."""
    return tuple(sorted(_registered("CORPORA")))


def info(name: str) -> Published:
    """The facts on a corpus. Raises ConfigError for a name that nobody registered."""
    published = _find(name, _registered("CORPORA"))
    assert isinstance(published, Published)
    return published


def load(name: str, *, canonical: bool = False, losses: Losses | None = None) -> Corpus:
    """Read a published corpus, fetching it first where it is not in the cache.

    Args:
        name: one of `names`.
        canonical: give types the names that all corpora share (``Disease``, ``Gene``, ...) instead of their own.
        losses: collects what did not come through unchanged.

    Raises:
        ConfigError: nobody registered the name, or ``TRANSFUSE_MIRROR`` names no folder.
        DataError: its files cannot be had, or are not the ones that were published.
    """
    published = info(name)
    corpus = published.load(losses)
    return published.common.apply_corpus(corpus, counts=losses) if canonical else corpus


def raw_names() -> tuple[str, ...]:
    """All registered collections of texts without annotation, sorted."""
    return tuple(sorted(_registered("TEXTS")))


def raw_info(name: str) -> Raw:
    """The facts on a collection. Raises ConfigError for a name that nobody registered."""
    found = _find(name, _registered("TEXTS"))
    assert isinstance(found, Raw)
    return found


def raw(name: str) -> Iterator[Document]:
    """Documents of a collection without annotation, one after another. Raises as `load` does."""
    return raw_info(name).stream()


@functools.cache
def _registered(kind: str) -> Mapping[str, Published | Raw]:
    found: dict[str, Published | Raw] = {}
    for module in pkgutil.iter_modules(__path__):
        for each in getattr(importlib.import_module(f"{__name__}.{module.name}"), kind, ()):
            if each.name in found:
                raise ValueError(f"{each.name} is registered twice")
            found[each.name] = each
    return found


def _find(name: str, registered: Mapping[str, T]) -> T:
    if name in registered:
        return registered[name]
    if Path(name).exists():
        hint = ", which is a path: 'transfuse corpora check' looks into one"
    elif near := get_close_matches(name, registered, n=3):
        hint = f"; did you mean {', '.join(near)}?"
    else:
        hint = "; 'transfuse corpora list' shows all"
    raise ConfigError(f"no corpus is called {name!r}{hint}")
