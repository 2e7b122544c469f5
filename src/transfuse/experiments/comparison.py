"""What is compared: variants of methods over tasks, shares and seeds, as cells, each of which is a recipe.

``[compare]`` tasks, methods, shares, seeds, baseline and choices; ``[data]`` and ``[method]`` what all of them have in
common; ``[methods.NAME]`` what one has for itself, with ``method``, ``sources``, ``share`` and ``augment`` as in
`Variant`, and for a fusion ``unites``, names of variants whose methods are its members; ``[sweep]`` one setting through
several values; ``[published]`` printed numbers. As in recipes, unknown keys are refused with their path and nothing is
coerced.

A common setting goes to every method that has it: ``[method.training]`` reaches the networks and not CRFsuite,
``[method.kernel]`` what adds an MMD to the loss. One that
no compared method has is refused. A method's own settings go before common ones, and these before a preset's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path
from typing import Any

from transfuse.data.folding import Fold
from transfuse.data.task import Data
from transfuse.experiments.recipe import Recipe, override, read_table
from transfuse.experiments.variants import Variant, hint, make_variants
from transfuse.methods import BASELINES
from transfuse.ranges import SEEDS, check_ranges
from transfuse.settings import from_table, need_table
from transfuse.text import ConfigError

__all__ = [
    "Cell",
    "Comparison",
    "Printed",
    "Transfer",
    "load_comparison",
    "make_comparison",
]


_TABLES = ("compare", "data", "method", "methods", "sweep", "published")


@dataclass(frozen=True)
class Transfer:
    """A task: to a target from sources, named as in `transfuse.data.task.Data`.

    Attributes:
        target: what to learn.
        sources: what to transfer from, in order.
        labels: a label map of its own; that of ``[data]`` unless given.
        fold: the part of the target that is held out for testing; its own test split unless given.
        ceiling: share of the labels that methods without sources (`ALONE`) keep in a table where nobody else has any.
        published: printed F1 of variants on this task, in percent; their place stands in `Printed`.
    """

    target: str
    sources: tuple[str, ...] = ()
    labels: str = ""
    fold: Fold | None = None
    ceiling: float = 1.0
    published: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_ranges(self, "compare.tasks", ceiling="(0, 1]")

    @property
    def name(self) -> str:
        """As ``ncbi-disease from bc5cdr-disease``."""
        target = f"{self.target}, fold {self.fold.number} of {self.fold.of}" if self.fold else self.target
        return f"{target} from {' and '.join(self.sources)}" if self.sources else target


@dataclass(frozen=True)
class Printed:
    """Numbers that a paper prints.

    Attributes:
        place: paper, table, and row or column.
        f1: by variant, in percent: of the task, or of the mean over tasks where there are several.
        error_reduction: by variant, in percent: mean over tasks of the share of errors that went.
        share: at which share of the target; None where only one is compared.
        note: wherever the paper is silent, what we chose.
    """

    place: str
    f1: dict[str, float] = field(default_factory=dict)
    error_reduction: dict[str, float] = field(default_factory=dict)
    share: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """One run of a comparison. Cells of different tasks may have the same recipe, and then are one run.

    Attributes:
        task: what is learned.
        variant: by what.
        share: of the table that it stands in; the recipe's own may be another, as a ceiling's is.
        recipe: of the run.
    """

    task: Transfer
    variant: Variant
    share: float
    recipe: Recipe

    @property
    def seed(self) -> int:
        """Decides every draw."""
        return self.recipe.seed


@dataclass(frozen=True)
class Comparison:
    """Variants of methods over tasks, shares and seeds.

    Attributes:
        tasks: at least one.
        variants: `BASELINES` first.
        shares: of the target's training documents that keep their labels, ascending. Where none do, methods without
            sources (`ALONE`) keep all of them: what they then show is the ceiling.
        baseline: name of the variant that the others are tested against.
        seeds: in the order in which they are run.
        data: what all cells have in common; its target, sources and share mean nothing.
        published: printed numbers, where there are some.
        choices: further rows, each the best of some variants on dev; see `transfuse.experiments.choices`.
        table: what it was made of, as TOML holds it.
    """

    tasks: tuple[Transfer, ...]
    variants: tuple[Variant, ...]
    shares: tuple[float, ...]
    seeds: tuple[int, ...]
    data: Data
    published: Printed | None = None
    baseline: str = BASELINES[0]
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    table: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, values in (("tasks", [t.name for t in self.tasks]), ("shares", self.shares), ("seeds", self.seeds)):
            if not values:
                raise ConfigError(f"compare.{name} is empty: there is nothing to compare")
            if doubled := [value for value in values if list(values).count(value) > 1]:
                raise ConfigError(f"compare.{name} names {doubled[0]} twice")
        check_ranges(self, "compare", shares="[0, 1]", seeds=SEEDS)
        names = [variant.name for variant in self.variants]
        if self.baseline not in names:
            raise ConfigError(f"compare.baseline: {self.baseline} is not compared{hint(self.baseline, names)}")
        for task, variant in product(self.tasks, self.variants):
            if any(not 1 <= number <= len(task.sources) for number in variant.sources or ()):
                have = f"{task.name} has {len(task.sources)}"
                raise ConfigError(f"methods.{variant.name}.sources are numbers of a task's sources, from 1: {have}")
            if not task.sources and not variant.sourceless:
                raise ConfigError(f"{variant.name}: {task.name} has no source to transfer from: name one")
        self._check_choices(names)
        self._check_published()

    def _check_choices(self, names: Sequence[str]) -> None:
        for name, among in self.choices.items():
            if name in names:
                raise ConfigError(f"compare.choices.{name}: a variant has this name: give the choice another")
            if strangers := [each for each in among if each not in names]:
                raise ConfigError(f"compare.choices.{name}: {strangers[0]} is not compared{hint(strangers[0], names)}")
            if len(set(among)) < 2:
                raise ConfigError(f"compare.choices.{name}: name at least two variants to choose among")

    def _check_published(self) -> None:
        names = [*(variant.name for variant in self.variants), *self.choices]
        printed = [self.published.f1, self.published.error_reduction] if self.published else []
        tables = [*(task.published for task in self.tasks), *printed]
        for name in (name for table in tables for name in table):
            if name not in names:
                raise ConfigError(f"published: {name} is not compared{hint(name, names)}")
        if any(tables) and self.published is None:
            raise ConfigError("published.place is missing: where are the tasks' published numbers printed?")
        if self.published and self.published.share not in (
            self.shares if len(self.shares) > 1 else (None, *self.shares)
        ):
            raise ConfigError("published.share names the share, one of compare.shares, that the numbers are for")

    @property
    def title(self) -> str:
        """What is compared, in a line."""
        tasks = self.tasks[0].name if len(self.tasks) == 1 else f"{len(self.tasks)} tasks"
        return f"{len(self.variants)} methods on {tasks}"

    def published_f1(self, task: str | None, variant: str, share: float) -> float | None:
        """The printed F1 as a fraction: of a task by its name, or of the mean over tasks.

        A number without a task is the only task's where there is one.
        """
        if self.published is None or self.published.share not in (None, share):
            return None
        found = next((t.published.get(variant) for t in self.tasks if t.name == task), None)
        if found is None and (task is None or len(self.tasks) == 1):
            found = self.published.f1.get(variant)
        return None if found is None else found / 100

    def cells(self) -> Iterator[Cell]:
        """All cells by seed, task, share and variant: the first seed fills the table, shared sources come together."""
        for seed in self.seeds:
            for task in self.tasks:
                for share in self.shares:
                    for variant in self.variants:
                        yield self.cell(task, variant, share=share, seed=seed)

    def cell(self, task: Transfer, variant: Variant, *, share: float, seed: int) -> Cell:
        """One of them."""
        own = share if variant.share is None else variant.share
        labels = task.labels or self.data.labels
        augment = variant.augment or self.data.augment
        data = replace(self.data, target=task.target, labels=labels, fold=task.fold, augment=augment)
        if variant.alone:
            data = replace(data, share=own or task.ceiling, limit=0, disjoint=False)
        else:
            numbers = variant.sources or range(1, len(task.sources) + 1)
            data = replace(data, share=own, sources=tuple(task.sources[number - 1] for number in numbers))
        return Cell(task, variant, share, Recipe(data, variant.method, variant.settings, seed))


def load_comparison(path: Path, *, changes: Iterable[str] = ()) -> Comparison:
    """Read a TOML file, with changes as `transfuse.experiments.recipe.override` takes them.

    Raises:
        DataError: no such file, or no TOML; with its line.
        ConfigError: an unknown key or a wrong value; with its path.
    """
    return make_comparison(override(read_table(path), changes))


def make_comparison(table: Mapping[str, Any]) -> Comparison:
    """Validate a table and build what it says.

    Raises:
        ConfigError: an unknown key or a wrong value; with its path.
    """
    if "compare" not in table:
        raise ConfigError("there is no [compare] in it: the recipe of a single run goes to `transfuse run`")
    _refuse(table, _TABLES)
    plan = from_table(_Plan, _without(table["compare"], "tasks"), "compare")
    tasks = table["compare"].get("tasks", [])
    if not isinstance(tasks, Sequence) or isinstance(tasks, str):
        raise ConfigError(f"compare.tasks is a list of tables, not {tasks!r}")
    common = need_table(table.get("data", {}), "data")
    for key in ("target", "sources", "share", "fold"):
        if key in common:
            raise ConfigError(f"data.{key}: a comparison names it in compare.{'shares' if key == 'share' else 'tasks'}")
    published = table.get("published")
    transfers = tuple(from_table(Transfer, task, f"compare.tasks[{i}]") for i, task in enumerate(tasks))
    variants = make_variants(plan.methods, table)
    return Comparison(
        transfers,
        tuple(_with_each_source(variants, transfers)) if plan.each_source else variants,
        tuple(sorted(plan.shares)),
        plan.seeds,
        from_table(Data, {"target": "", **common}, "data"),
        None if published is None else from_table(Printed, published, "published"),
        plan.baseline,
        plan.choices,
        dict(table),
    )


def _with_each_source(variants: Sequence[Variant], tasks: Sequence[Transfer]) -> Iterator[Variant]:
    """Behind each variant that gets all sources the same with each of them alone."""
    numbers = {len(task.sources) for task in tasks}
    if len(numbers) != 1 or min(numbers) < 2:
        line = "give every task two sources or more, and all equally many, or leave it out"
        raise ConfigError(f"compare.each_source: {line}")
    divided = [not (variant.alone or variant.sources or variant.swept) for variant in variants]
    if not any(divided):
        raise ConfigError(
            "compare.each_source: no method of the comparison learns from all sources: name one, as retrain"
        )
    for variant, each in zip(variants, divided, strict=True):
        yield variant
        if not each:
            continue
        for number, names in enumerate(zip(*(task.sources for task in tasks), strict=True), 1):
            source = f"from {names[0]}" if len(set(names)) == 1 else f"from source {number}"
            yield replace(variant, name=f"{variant.name} {source}", sources=(number,))


@dataclass(frozen=True)
class _Plan:
    """``[compare]`` without its tasks."""

    methods: tuple[str, ...] = ()
    shares: tuple[float, ...] = (1.0,)
    seeds: tuple[int, ...] = (0,)
    baseline: str = BASELINES[0]
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    each_source: bool = False


def _without(table: Any, key: str) -> Any:
    return {name: value for name, value in table.items() if name != key} if isinstance(table, Mapping) else table


def _refuse(table: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown key {key}{hint(key, known)}")
