"""Whether a run's data are still what they were: a finished run of other data is not taken for one of today's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from transfuse import corpora, formats, lexicons
from transfuse.data.task import Data
from transfuse.encoders.known import KNOWN
from transfuse.mirror import digest
from transfuse.text import ConfigError

__all__ = ["check_files", "check_unchanged", "own_files", "settings_in"]


def own_files(data: Data, method: Mapping[str, Any]) -> dict[str, str]:
    """The files of the user's own that a run reads beside annotated corpora, with their SHA-256.

    Args:
        data: what is learned from; raw text is of it.
        method: its settings as TOML holds them; they name word vectors, encoders, bundles and lists of names.
    """
    raw = (formats.parse_spec(spec)[2] for spec in data.raw if spec not in corpora.raw_names())
    return {name: _digest(Path(name)) for name in sorted({*raw, *_named(method)}) if Path(name).exists()}


def settings_in(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """All settings by their names, those of tables within it, too."""
    for key, value in table.items():
        yield key, value
        within: Iterable[Any] = value if isinstance(value, list) else [value]
        for each in within:
            if isinstance(each, Mapping):
                yield from settings_in(each)


def _digest(path: Path) -> str:
    """SHA-256 of a file or folder; of a bundle, or of a run folder with one, that of ``bundle.json`` with its seal."""
    sealed = (place for place in (path / "bundle" / "bundle.json", path / "bundle.json") if place.is_file())
    return digest(next(sealed, path))


def _named(method: Mapping[str, Any]) -> Iterator[str]:
    for key, value in settings_in(method):
        if key in {"bundle", "path"} and value:
            yield value
        if key == "gazetteers":
            yield from (spec.removeprefix("terms:") for spec in value if spec not in lexicons.names())
        if key in {"encoder", "transformer"} and (name := value.get("name")) and name not in KNOWN:
            yield name


def check_unchanged(before: Mapping[str, Any], now: Mapping[str, Any], place: Path) -> None:
    """Refuse to take a run for one on data that are other ones by now.

    Args:
        before: facts of an earlier run, as `transfuse.data.task.build_task` gives them, and its `own_files`.
        now: those of today.
        place: of the run, for the message.

    Raises:
        ConfigError: a corpus or a file has changed.
    """
    pairs = zip([before["target"], *before["sources"]], [now["target"], *now["sources"]], strict=True)
    for one, other in pairs:
        if one["sha256"] != other["sha256"]:
            raise _changed(one["name"], place)
    check_files(before.get("files", {}), place)


def check_files(before: Mapping[str, str], place: Path) -> None:
    """Refuse to take a run for one of today where a file that it read is another one by now; one that is gone is not.

    Args:
        before: as `own_files` gave them.
        place: of the run, for the message.

    Raises:
        ConfigError: a file has changed.
    """
    for name, sha256 in before.items():
        if Path(name).exists() and _digest(Path(name)) != sha256:
            raise _changed(name, place)


def _changed(what: str, place: Path) -> ConfigError:
    return ConfigError(f"{place}: {what} has changed since: choose another --out, or delete this one")
