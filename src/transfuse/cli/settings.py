"""``transfuse methods``: the methods, and every setting that they have."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Annotated, Any

import typer

from transfuse.cli.console import epilog, print_json, say, show_table
from transfuse.cli.options import AsJSON

__all__ = ["methods", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(epilog=epilog("transfuse methods", "transfuse methods retrain"))(methods)


def methods(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Show all settings of this one.")] = "",
    as_json: AsJSON = False,
) -> None:
    """List the methods with their presets; with a name, all settings and their defaults."""
    from transfuse import methods as registry

    if not name:
        found = [(n, registry.describe(n), list(registry.presets(n))) for n in registry.names()]
        if as_json:
            print_json([{"name": n, "about": about, "presets": presets} for n, about, presets in found])
            return
        columns = [("method", "left"), ("what it does", "left"), ("presets", "left")]
        show_table("", columns, [(n, about, ", ".join(p) or "-") for n, about, p in found], fold=["what it does"])
        return
    kind = registry.get(name)
    settings = list(_settings(kind()))
    if as_json:
        values = [{"setting": path, "default": value, "about": about} for path, value, about in settings]
        print_json({"name": name, "about": registry.describe(name), "settings": values})
        return
    say(registry.describe(name))
    columns = [("setting", "left"), ("default", "left"), ("what it is", "left")]
    show_table(
        "", columns, [(path, _toml(value), about) for path, value, about in settings], fold=["default", "what it is"]
    )
    say(f"Change one with --set method.{settings[0][0]}={_toml(settings[0][1])}")
    for preset in registry.presets(name):
        say(f"Settings of their own: --preset {preset}")


def _settings(value: Any, path: str = "") -> Iterator[tuple[str, Any, str]]:
    """Each setting of a dataclass and those below it, with its default and what the docstring says of it."""
    about = {key: text for kind in reversed(type(value).__mro__) for key, text in _attributes(kind).items()}
    for field in fields(value):
        inner = getattr(value, field.name)
        if is_dataclass(inner):
            yield from _settings(inner, f"{path}{field.name}.")
        else:
            yield path + field.name, inner, about.get(field.name, "")


def _attributes(kind: type) -> dict[str, str]:
    """The entries under ``Attributes:`` of a docstring."""
    text = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", text, re.MULTILINE)
    return {name: " ".join(about.replace("``", "").split()) for name, about in found}


def _toml(value: Any) -> str:
    return "-" if value is None else json.dumps(value)
