"""Tables as TOML holds them to dataclasses: unknown keys are refused with their path, and nothing is coerced."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, TypeVar, cast, get_args, get_type_hints

from pydantic import TypeAdapter, ValidationError

from transfuse.text import ConfigError

__all__ = ["from_table", "holds", "merge", "need_table", "without", "without_none"]

_KINDS = ("bilstm", "transformer", "int")
"""What the validation puts into the path of a setting where settings are of several kinds."""

T = TypeVar("T")


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A table with the values of another put in its place, table by table."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        if not isinstance(old, Mapping) or not isinstance(value, Mapping):
            merged[key] = value
        elif key == "encoder" and _kind(value, _kind(old)) != _kind(old):
            merged[key] = value  # settings of one kind of encoder mean nothing to another
        else:
            merged[key] = merge(old, value)
    return merged


def holds(table: Mapping[str, Any], path: Sequence[str]) -> bool:
    """Whether a table has a value at a path."""
    value = table.get(path[0])
    return path[0] in table and (len(path) == 1 or (isinstance(value, Mapping) and holds(value, path[1:])))


def without(table: Mapping[str, Any], path: Sequence[str]) -> dict[str, Any]:
    """A table without what it has at a path."""
    key, *rest = path
    if rest:
        return {**table, key: without(table[key], rest)}
    return {name: value for name, value in table.items() if name != key}


def _kind(table: Mapping[str, Any], default: Any = "bilstm") -> Any:
    return table.get("kind", default)


def need_table(value: Any, path: str) -> Mapping[str, Any]:
    """The value, if it is a table. Raises ConfigError, naming its path, if not."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path} is a table, not {value!r}")
    return value


def from_table(kind: type[T], table: Any, path: str) -> T:
    """A dataclass from a table, unknown keys refused with their path, nothing coerced.

    Args:
        kind: the dataclass.
        table: as TOML gives it.
        path: of the table, for messages.

    Raises:
        ConfigError: an unknown key or a wrong value; with its path.
    """
    _refuse_strangers(kind, need_table(table, path), path)
    try:
        text = json.dumps(table)
    except TypeError:
        raise ConfigError(f"{path}: a date or a time is no setting") from None
    try:
        return TypeAdapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join([path, *(str(part) for part in first["loc"] if part not in _KINDS)])
        given = "" if first["type"] == "missing" else f", not {first['input']!r}"
        raise ConfigError(f"{where}: {first['msg']}{given}") from error


def _refuse_strangers(kind: type[Any], table: Mapping[str, Any], path: str) -> None:
    known = {f.name for f in fields(kind)}
    types = get_type_hints(kind)
    for key, value in table.items():
        if key not in known:
            close = get_close_matches(key, known, 1)
            hint = f"; did you mean {path}.{close[0]}?" if close else f"; there are: {', '.join(sorted(known))}"
            raise ConfigError(f"unknown key {path}.{key}{hint}")
        if isinstance(value, Mapping):
            kinds = [kind for kind in get_args(types[key]) or [types[key]] if is_dataclass(kind)]
            if kinds:
                _refuse_strangers(_of_kind(kinds, value, f"{path}.{key}"), value, f"{path}.{key}")


def _of_kind(kinds: Sequence[Any], table: Mapping[str, Any], path: str) -> type[Any]:
    """Which of some dataclasses a table is for, by its ``kind``; the first where it names none."""
    if len(kinds) == 1:
        return cast(type[Any], kinds[0])
    known = {kind.kind: kind for kind in kinds}
    name = table.get("kind", kinds[0].kind)
    if name not in known:
        raise ConfigError(f"{path}.kind: there are {' and '.join(known)}, not {name!r}")
    return cast(type[Any], known[name])


def without_none(value: Any) -> Any:
    """Tables and lists without what is None: TOML has no word for it, and what was left out has no part in a hash."""
    if isinstance(value, Mapping):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_none(item) for item in value]
    return value
