"""Bundles inside a bundle: taggers out of which another is made, each kept whole with its card and its facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transfuse import bundle
from transfuse.mirror import digest
from transfuse.text import BundleError, Tagger

__all__ = ["Part", "load_part", "read_part", "save_part"]


@dataclass(frozen=True)
class Part:
    """A tagger out of which another is made.

    Attributes:
        name: as the user called it.
        tagger: of a kind that can be saved.
        card: its model card.
        facts: what its bundle says of it.
    """

    name: str
    tagger: Tagger
    card: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def targets(self) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
        """SHA-256 of the corpora that it, or what it is made of, was trained for, and the fold that each is, if any."""
        if target := self.facts.get("target"):
            yield target["sha256"], self.facts.get("fold")
        for each in self.facts.get("before", ()):
            if each["role"] == "target":
                yield each["sha256"], each.get("fold")
        for inner in (*getattr(self.tagger, "members", ()), getattr(self.tagger, "member", None)):
            if isinstance(inner, Part):
                yield from inner.targets


def read_part(place: Path) -> Part:
    """A bundle, or a run folder with one. Raises what `transfuse.bundle.locate` and `transfuse.bundle.load` do."""
    return _read(str(place), bundle.locate(place))


def _read(name: str, folder: Path) -> Part:
    tagger = bundle.load(folder)
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8") if card.is_file() else ""
    return Part(name, tagger, text, bundle.describe(folder).get("facts", {}))


def save_part(part: Part, folder: Path) -> dict[str, Any]:
    """Write a part as a bundle of its own; the bundle around it keeps what is returned, and `load_part` asks for it."""
    bundle.save(part.tagger, folder, card=part.card, facts=part.facts)
    return {"name": part.name, "sha256": digest(folder / "bundle.json")}


def load_part(folder: Path, config: Mapping[str, Any]) -> Part:
    """Read what `save_part` wrote.

    Args:
        folder: it was written into.
        config: what `save_part` returned.

    Raises:
        BundleError: it is no such bundle, or was altered.
    """
    if folder.is_symlink() or not (folder / "bundle.json").is_file():
        raise BundleError(f"{folder}: a part of the bundle is missing or is no plain folder")
    if digest(folder / "bundle.json") != config["sha256"]:
        raise BundleError(f"{folder / 'bundle.json'}: altered since the bundle around it was written")
    return _read(config["name"], folder)
