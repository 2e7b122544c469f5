"""One file a transfer method; the file's name with hyphens is how it is called.

A method is a frozen dataclass, named as its file in CamelCase, whose fields are its whole configuration.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
from dataclasses import MISSING, asdict, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

from transfuse.run import Run
from transfuse.settings import from_table, merge, need_table, without_none
from transfuse.text import ConfigError, Tagger, Task

__all__ = ["ALONE", "BASELINES", "SOURCELESS", "Method", "describe", "get", "make", "names", "presets", "to_table"]


BASELINES = ("target-only", "crfsuite")
"""In every comparison."""

ALONE = (*BASELINES, "fine-tune")
"""They look at no source and get none, so that tasks with the same target share their cells."""

SOURCELESS = (*ALONE, "self-training", "fusion")
"""What can learn without a source; of a fusion, its members say."""


class Method(Protocol):
    """What every file in here holds."""

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn the task within a run folder; killed and called again, it goes on and ends in the same tagger."""
        ...


def names() -> tuple[str, ...]:
    """All methods, sorted."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def get(name: str) -> type[Method]:
    """The dataclass of a method. Raises ConfigError for a name that no file has."""
    module = _import(name)
    found: type[Method] = getattr(module, "".join(part.capitalize() for part in name.split("-")))
    return found


def presets(name: str) -> dict[str, Method]:
    """Named settings that a method ships, as those of the paper it comes from."""
    return dict(getattr(_import(name), "PRESETS", {}))


def make(table: Any, path: str = "method") -> tuple[str, Method]:
    """A method's name, and the method, from its ``name``, a ``preset`` or none, and settings; target-only unless named.

    Args:
        table: as TOML holds it.
        path: of the table, for messages.

    Raises:
        ConfigError: no such method or preset, an unknown key, or a wrong value; with its path.
    """
    settings = dict(need_table(table, path))
    name = settings.pop("name", "target-only")
    kind = get(name)
    if (preset := settings.pop("preset", None)) is not None:
        known = presets(name)
        if not isinstance(preset, str) or preset not in known:
            there = ", ".join(known) or "none"
            raise ConfigError(f"{path}.preset: {name} has no preset {preset!r}; there are: {there}")
        settings = merge(asdict(known[preset]), settings)  # type: ignore[call-overload]
    return name, from_table(kind, merge(_tables(kind), settings), path)


def _tables(kind: type[Method]) -> dict[str, Any]:
    """What a method has for its settings that are tables: who changes one value of a table changes no other."""
    settings = fields(kind)  # type: ignore[arg-type]
    made: dict[str, Any] = {f.name: f.default_factory() for f in settings if f.default_factory is not MISSING}
    return {name: asdict(value) for name, value in made.items() if is_dataclass(type(value))}


def to_table(name: str, method: Method) -> dict[str, Any]:
    """What `make` makes it of, with every setting; what is None is left out."""
    table: dict[str, Any] = without_none({"name": name, **asdict(method)})  # type: ignore[call-overload]
    return table


def describe(name: str) -> str:
    """The first line of a method's file, without importing it."""
    path = Path(__path__[0]) / f"{name.replace('-', '_')}.py"
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def _import(name: str) -> Any:
    if name not in names():
        close = get_close_matches(str(name), names(), 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise ConfigError(f"unknown method {name!r}; {hint}there are: {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
