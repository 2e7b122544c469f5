"""Variants: methods with settings, as the tables of a comparison name them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from transfuse import methods
from transfuse.data.augmentation import Augment
from transfuse.methods import ALONE, BASELINES, SOURCELESS
from transfuse.ranges import check_ranges
from transfuse.settings import from_table, holds, merge, need_table, without
from transfuse.text import ConfigError, TransfuseError, UnusedSettingError

__all__ = ["Variant", "hint", "make_variants"]


@dataclass(frozen=True)
class Variant:
    """A method with settings, under the name it is shown by.

    Attributes:
        name: in tables.
        method: the method's name.
        settings: all of them.
        sources: numbers, from 1, of those of a task's sources that it gets; all unless given.
        share: that it gets in every table, as for a ceiling; the table's unless given.
        augment: how altered copies of its labelled documents are made; as all others unless given.
        swept: which setting a sweep varies, as ``la-dtl.label_mmd``, and its value here.
    """

    name: str
    method: str
    settings: methods.Method
    sources: tuple[int, ...] | None = None
    share: float | None = None
    augment: Augment | None = None
    swept: tuple[str, Any] | None = None

    @property
    def alone(self) -> bool:
        """Whether it looks at no source: one of `ALONE`, or a fusion of nothing else."""
        return all(name in ALONE for name in self._trained())

    @property
    def sourceless(self) -> bool:
        """Whether it can learn without a source."""
        return all(name in SOURCELESS for name in self._trained())

    def _trained(self) -> list[str]:
        """Names of the methods that are trained: those of a fusion's members, or its own."""
        return [member["name"] for member in getattr(self.settings, "members", ())] or [self.method]


@dataclass(frozen=True)
class _Place:
    """What ``[methods.NAME]`` says beside the method's settings."""

    method: str
    sources: tuple[int, ...] | None = None
    share: float | None = None
    augment: Augment | None = None
    unites: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_ranges(self, share="[0, 1]")


def make_variants(names: Sequence[str], table: Mapping[str, Any]) -> tuple[Variant, ...]:
    """All variants of a comparison, `BASELINES` first.

    Args:
        names: as ``compare.methods`` has them.
        table: the whole comparison, as TOML holds it.

    Raises:
        ConfigError: an unknown key or a wrong value in ``[method]``, ``[methods]`` or ``[sweep]``; with its path.
    """
    common, own, sweeps = (need_table(table.get(key, {}), key) for key in ("method", "methods", "sweep"))
    if "name" in common:
        raise ConfigError("method.name: a comparison names its methods in compare.methods")
    asked = {name: _settings(name, own) for name in dict.fromkeys((*BASELINES, *names, *own))}
    for name in BASELINES:
        if asked[name][0] != _Place(name):
            raise ConfigError(
                f"methods.{name}: this name belongs to the method {name} as it is: give the variant another"
            )
    made: list[Variant] = []
    for name, (place, settings) in asked.items():
        if place.unites:
            settings |= {"members": _members(name, place, settings, made)}
        made.append(_variant(name, place, common, settings))
    for path, values in sweeps.items():
        made += _swept(path, values, common, asked)
    for key in common:
        if not any(key in {f.name for f in fields(methods.get(variant.method))} for variant in made):  # type: ignore[arg-type]
            raise ConfigError(f"unknown key method.{key}: no method of the comparison has it")
    return tuple(made)


def _settings(name: str, own: Mapping[str, Any]) -> tuple[_Place, dict[str, Any]]:
    """The method of a variant, what it is given, and its own settings."""
    if "." in name:
        raise ConfigError(f"methods.{name}: a name has no dot in it")
    settings = dict(need_table(own.get(name, {}), f"methods.{name}"))
    place = {f.name: settings.pop(f.name) for f in fields(_Place) if f.name in settings}
    return from_table(_Place, {"method": name, **place}, f"methods.{name}"), settings


def _members(name: str, place: _Place, settings: Mapping[str, Any], made: Sequence[Variant]) -> list[dict[str, Any]]:
    """What a fusion has for members that unites variants."""
    if "members" in settings:
        raise ConfigError(f"methods.{name}: name its members in unites or in members, not in both")
    known = {each.name: each for each in made}
    for other in place.unites:
        if other not in known:
            raise ConfigError(f"methods.{name}.unites: {other} is not compared before it{hint(other, list(known))}")
        if (known[other].sources, known[other].share, known[other].augment) != (None, None, None):
            raise ConfigError(f"methods.{name}.unites: {other} has sources, a share or altered copies of its own")
    return [methods.to_table(known[other].method, known[other].settings) for other in place.unites]


def _variant(
    name: str,
    place: _Place,
    common: Mapping[str, Any],
    settings: Mapping[str, Any],
    swept: tuple[str, Any] | None = None,
) -> Variant:
    if place.method in ALONE and place.sources:
        raise ConfigError(f"methods.{name}.sources: {place.method} looks at no source")
    known = {"preset", *(f.name for f in fields(methods.get(place.method)))}  # type: ignore[arg-type]
    shared = {key: value for key, value in common.items() if key in known}
    try:
        made = _made(place.method, shared, settings)
    except TransfuseError as error:
        raise ConfigError(f"methods.{name}: {error}") from error
    return Variant(name, place.method, made, place.sources, place.share, place.augment, swept)


def _made(method: str, shared: Mapping[str, Any], own: Mapping[str, Any]) -> methods.Method:
    """A method with what it shares with others, but for what would do nothing in it, and with settings of its own."""
    try:
        return methods.make({"name": method, **merge(shared, own)})[1]
    except UnusedSettingError as error:
        path = error.setting.split(".")
        if not holds(shared, path) or holds(own, path):
            raise
        return _made(method, without(shared, path), own)


def _swept(
    path: str, values: Any, common: Mapping[str, Any], asked: Mapping[str, tuple[_Place, dict[str, Any]]]
) -> Iterator[Variant]:
    """A variant for each value of a sweep."""
    name, _, setting = path.partition(".")
    if not setting or not isinstance(values, Sequence) or isinstance(values, str) or not values:
        raise ConfigError(f'sweep."{path}": write it as "METHOD.SETTING" = [VALUE, ...]')
    place, settings = asked.get(name, (_Place(name), {}))
    for value in values:
        changed: Any = value
        for part in reversed(setting.split(".")):
            changed = {part: changed}
        shown = value if isinstance(value, str) else json.dumps(value)
        yield _variant(f"{name} {setting}={shown}", place, merge(common, settings), changed, (path, value))


def hint(name: str, known: Sequence[str]) -> str:
    """What a message adds for a name that is not known: the closest that is, or all."""
    close = get_close_matches(name, known, 1)
    return f"; did you mean {close[0]}?" if close else f"; there are: {', '.join(known)}"
