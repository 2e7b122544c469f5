"""TOML to a recipe; `transfuse.experiments.running` makes a run of it.

``[data]`` what is learned from, ``[method]`` a method's name and its settings, ``[run]`` the seed, and for shipped
recipes ``[published]`` the printed number and its place. Nothing is interpolated, inherited or imported by path;
unknown keys are refused with their path, and there are no defaults outside the dataclasses.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from transfuse import methods
from transfuse.data.task import Data
from transfuse.ranges import SEEDS, check_ranges
from transfuse.settings import from_table, need_table, without_none
from transfuse.text import ConfigError, DataError

__all__ = [
    "SHIPPED",
    "Published",
    "Recipe",
    "find_recipe",
    "load_recipe",
    "make_recipe",
    "override",
    "read_table",
    "shipped_recipes",
]

SHIPPED = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class Published:
    """The number that a paper prints.

    Attributes:
        f1: in percent.
        place: paper, table and row.
        note: wherever the paper is silent, what we chose.
    """

    f1: float
    place: str
    note: str = ""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a run's numbers.

    Attributes:
        data: what is learned from.
        name: of the method.
        method: its settings.
        seed: decides every draw.
        published: the printed number, where there is one.
    """

    data: Data
    name: str
    method: methods.Method
    seed: int = 0
    published: Published | None = None

    def __post_init__(self) -> None:
        check_ranges(self, "run", seed=SEEDS)

    def to_dict(self) -> dict[str, Any]:
        """The resolved recipe as TOML holds it: every setting, none left to a default."""
        table = {
            "data": asdict(self.data),
            "method": methods.to_table(self.name, self.method),
            "run": {"seed": self.seed},
        }
        if self.published:
            table["published"] = asdict(self.published)
        plain: dict[str, Any] = json.loads(json.dumps(without_none(table)))
        return plain

    @property
    def hash(self) -> str:
        """Twelve characters that name the run's folder."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    @property
    def members(self) -> tuple[Recipe, ...]:
        """What makes each member of a fusion alone; nothing for another method."""
        return tuple(self.of(member) for member in getattr(self.method, "members", ()))

    def of(self, method: Mapping[str, Any]) -> Recipe:
        """The same with another method, given as ``[method]`` has it; without sources where that looks at none."""
        name, made = methods.make(method)
        alone = replace(self.data, sources=(), limit=0, disjoint=False)
        return Recipe(alone if name in methods.ALONE else self.data, name, made, self.seed)


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that is shipped, as ``ground/ncbi-disease``.

    Raises:
        DataError: there is none.
    """
    path, shipped = Path(name), SHIPPED / f"{name}.toml"
    if path.is_file():
        return path
    if shipped.is_file():
        return shipped
    known = [each.relative_to(SHIPPED).with_suffix("").as_posix() for each in SHIPPED.rglob("*.toml")]
    close = get_close_matches(name, known, 2)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    raise DataError(f"no such recipe{hint}", path=name)


def shipped_recipes() -> tuple[str, ...]:
    """The names of all recipes of single runs that are shipped, sorted."""
    found = (path for path in SHIPPED.rglob("*.toml") if "target" in read_table(path).get("data", {}))
    return tuple(sorted(path.relative_to(SHIPPED).with_suffix("").as_posix() for path in found))


def load_recipe(path: Path, *, changes: Iterable[str] = ()) -> Recipe:
    """Read a TOML file, with changes as `override` takes them.

    Raises:
        DataError: see `read_table`.
        ConfigError: an unknown key or a wrong value; with its path.
    """
    return make_recipe(override(read_table(path), changes))


def read_table(path: Path) -> dict[str, Any]:
    """What a TOML file holds.

    Raises:
        DataError: no such file, or no TOML; with its line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(f"cannot read the recipe: {error.strerror}", path=str(path)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"not TOML: {error}", path=str(path)) from error


def override(table: dict[str, Any], changes: Iterable[str]) -> dict[str, Any]:
    """Apply ``a.b=c`` to a table, the right side read as TOML, as JSON, or as a string where it is none of both.

    Raises:
        ConfigError: a change has no ``=``, or its path runs through a value.
    """
    for change in changes:
        path, equals, text = change.partition("=")
        if not equals:
            raise ConfigError(f"--set {change}: write it as a.b=c")
        value = _value(text)
        *parents, last = path.strip().split(".")
        place = table
        for parent in parents:
            place = place.setdefault(parent, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {change}: {parent} is a value, not a table")
        place[last] = value
    return table


def _value(text: str) -> Any:
    with suppress(tomllib.TOMLDecodeError, RecursionError):
        return tomllib.loads(f"x = {text}")["x"]
    with suppress(json.JSONDecodeError, RecursionError):
        return json.loads(text)
    return text


def make_recipe(table: Mapping[str, Any]) -> Recipe:
    """Validate a table and build what it says.

    Raises:
        ConfigError: an unknown key or a wrong value; with its path.
    """
    if "compare" in table:
        raise ConfigError("this is a comparison: it goes to `transfuse compare`, or by its name to `reproduce`")
    rest = dict(table)
    run = dict(need_table(rest.pop("run", {}), "run"))
    name, method = methods.make(rest.pop("method", {}))
    data = from_table(Data, rest.pop("data", {}), "data")
    published = rest.pop("published", None)
    seed = run.pop("seed", 0)
    strangers = [*rest, *(f"run.{key}" for key in run)]
    if strangers:
        raise ConfigError(f"unknown key {', '.join(strangers)}; a recipe has data, method, run.seed and published")
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise ConfigError(f"run.seed is a whole number, not {seed!r}")
    return Recipe(
        data,
        name,
        method,
        seed,
        None if published is None else from_table(Published, published, "published"),
    )
