"""A folder that turns back into a tagger: JSON, safetensors, a vocabulary and a model card; never a pickle.

``bundle.json`` holds the format's version, the kind of tagger, its settings, size and SHA-256 of every other file, and
a seal, which is the SHA-256 of all that: it tells a slip of a disk or an editor, not a forger.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, cast

from transfuse.files import write_beside
from transfuse.text import BundleError, ConfigError, DataError, Tagger

__all__ = ["VERSION", "check_output", "describe", "load", "locate", "save"]

VERSION = 2
"""Of the folder's format. Another version is refused, never guessed at."""

_KINDS = {
    "neural": ("transfuse.taggers.neural", "NeuralTagger"),
    "vote": ("transfuse.ensembles.votes", "VoteTagger"),
    "crfsuite": ("transfuse.taggers.linear", "LinearTagger"),
    "mapped": ("transfuse.maps.mapped", "MappedTagger"),
    "gazetteer": ("transfuse.gazetteer", "Gazetteer"),
    "fusion": ("transfuse.ensembles.fusion", "FusedTagger"),
    "calibrated": ("transfuse.ensembles.calibrated", "CalibratedTagger"),
}


class _Kind(Tagger, Protocol):
    """A tagger that can be saved."""

    kind: str

    def save(self, folder: Path) -> dict[str, Any]: ...

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> Self: ...


def check_output(folder: Path) -> None:
    """Raises ConfigError where a bundle would take the place of what is none, or of that of a run: nobody meant it."""
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not (folder / "bundle.json").is_file():
        raise ConfigError(f"{folder} is there and is no bundle: name another output")
    if (folder.parent / "done").is_file() and (folder.parent / "recipe.toml").is_file():
        raise ConfigError(f"{folder} lies in the folder of a finished run: name another output")


def save(tagger: Tagger, folder: Path, *, card: str = "", facts: Mapping[str, Any] | None = None) -> None:
    """Write a tagger; the folder appears whole or not at all, and replaces one that was there.

    Args:
        tagger: of a kind that can be saved.
        folder: the bundle.
        card: the model card, Markdown.
        facts: what else to keep, as data, method, scores.

    Raises:
        BundleError: the tagger is of a kind that cannot be saved.
        ConfigError: see `check_output`.
    """
    check_output(folder)
    if getattr(tagger, "kind", None) not in _KINDS:
        raise BundleError(f"a {type(tagger).__name__} cannot be saved as a bundle")
    kind = cast(_Kind, tagger)
    with write_beside(folder) as fresh:
        fresh.mkdir(parents=True)
        config = kind.save(fresh)
        (fresh / "README.md").write_text(card, encoding="utf-8")
        # what lies in a folder is a bundle of its own, and whoever put it there keeps its seal
        files = {path.name: _facts(path) for path in sorted(fresh.iterdir()) if path.is_file()}
        data = {
            "version": VERSION,
            "kind": kind.kind,
            "labels": list(tagger.labels),
            "facts": dict(facts or {}),
            "config": config,
            "files": files,
        }
        data["seal"] = _seal(json.loads(json.dumps(data)))  # as it will be read
        (fresh / "bundle.json").write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load(folder: Path) -> Tagger:
    """Turn a bundle back into a tagger.

    Raises:
        BundleError: it is no bundle, of another version, of an unknown kind, names a file outside itself, or a file was
            altered.
    """
    data = describe(folder)
    for name, facts in data["files"].items():
        if name != Path(name).name or name in {"", ".", "..", "bundle.json"}:
            raise BundleError(f"{folder}: unsafe file name {name!r} in bundle.json")
        path = folder / name
        if path.is_symlink() or not path.is_file():
            raise BundleError(f"{folder}: {name} is missing or is no plain file")
        if _facts(path) != facts:
            raise BundleError(f"{path}: altered since the bundle was written: its SHA-256 is not the recorded one")
    if data["kind"] not in _KINDS:
        raise BundleError(f"{folder}: unknown kind of tagger {data['kind']!r}; known: {', '.join(_KINDS)}")
    module, name = _KINDS[data["kind"]]
    kind: type[_Kind] = getattr(importlib.import_module(module), name)
    return kind.load(folder, data["config"])


def locate(place: Path) -> Path:
    """The bundle that a user named, by itself or by the run folder that it lies in.

    Raises:
        DataError: there is no such folder.
        ConfigError: the run is not finished.
    """
    folder = place / "bundle" if (place / "bundle").is_dir() else place
    if not folder.is_dir():
        raise DataError("no such run or bundle", path=str(place))
    if folder == place and (place / "recipe.toml").exists():
        raise ConfigError(f"{place}: the run is not finished: give its command again")
    return folder


def describe(folder: Path) -> dict[str, Any]:
    """The content of ``bundle.json``, its form and version checked, its files not yet."""
    path = folder / "bundle.json"
    if not path.is_file():
        raise BundleError(f"{folder}: not a bundle: there is no bundle.json in it")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        version = data["version"]
        if version != VERSION:
            raise BundleError(f"{folder}: bundle format {version!r}; this version of transfuse reads {VERSION}")
        if not isinstance(data["files"], dict) or not isinstance(data["config"], dict):
            raise TypeError("files and config are tables")
        seal = data["seal"]
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"{path}: malformed: {error}") from error
    if seal != _seal(data):
        raise BundleError(f"{path}: altered since the bundle was written: its content does not fit its seal")
    return cast(dict[str, Any], data)


def _seal(data: Mapping[str, Any]) -> str:
    content = {key: value for key, value in data.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
