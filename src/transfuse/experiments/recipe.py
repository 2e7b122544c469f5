"""TOML to a recipe, and a recipe to a finished run.

``[data]`` what is learned from, ``[method]`` a method's name and its settings, ``[run]`` the seed, and for shipped
recipes ``[published]`` the printed number and its place. Nothing is interpolated, inherited or imported by path;
unknown keys are refused with their path, and there are no defaults outside the dataclasses.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from transfuse import bundle, formats, methods
from transfuse.data.augmentation import augmented
from transfuse.data.task import Data, build_task, find_splits
from transfuse.experiments.card import model_card
from transfuse.experiments.ranking import tag_and_rank
from transfuse.experiments.unchanged import check_files, check_unchanged, own_files
from transfuse.losses import Losses
from transfuse.ranges import SEEDS, check_ranges
from transfuse.run import Run, environment
from transfuse.scoring.analysis import set_analysis
from transfuse.scoring.score import score
from transfuse.settings import from_table, need_table, without_none
from transfuse.team import team
from transfuse.text import ConfigError, DataError, Tagger, Task

__all__ = [
    "SHIPPED",
    "Published",
    "Recipe",
    "check_place",
    "find_recipe",
    "load_recipe",
    "make_recipe",
    "override",
    "read_scores",
    "read_table",
    "run_recipe",
    "shipped_recipes",
]

SHIPPED = Path(__file__).parents[1] / "recipes"

Watch = Callable[[str, float], None]
"""Told a line of text and the share of the work that is done."""


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
        return Recipe(alone if name in methods.BASELINES else self.data, name, made, self.seed)


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


def run_recipe(
    recipe: Recipe,
    folder: Path,
    *,
    device: str = "cpu",
    watch: Watch | None = None,
    checkpoint_seconds: float = 30.0,
    runs: Path | None = None,
) -> dict[str, Any]:
    """Do what a recipe says, or go on where it was killed; a finished run is not run again.

    Args:
        recipe: what to do.
        folder: of the run. It is made, or must hold the same recipe.
        device: torch device; several processes (`transfuse.team`) have one each.
        watch: called with a line of text and the share done.
        checkpoint_seconds: see `transfuse.run.Run`.
        runs: folder of runs by the hashes of their recipes. A fusion takes from there the members that are finished.

    Returns:
        The content of ``scores.json``; nothing in a process that does not lead.

    Raises:
        ConfigError: the folder holds another recipe's run, or one on data that have changed since, or files that are of
            no run.
        DataError: a corpus cannot be read.
    """
    device = team().device or device
    if not team().leads:
        _follow(recipe, device)
        return {}
    resolved = tomli_w.dumps(recipe.to_dict())
    _check_folder(folder, resolved)
    done = team().same((folder / "done").exists())
    if done and not recipe.data.paths:
        for before in Run(folder).records("data")[-1:]:
            check_files(before.get("files", {}), folder)
        return read_scores(folder)
    check_place(folder, recipe.data)
    losses = Losses()
    task, facts = build_task(recipe.data, seed=recipe.seed, losses=losses)  # first: its mistakes leave no folder behind
    fresh = not folder.exists()
    finished = partial(_finished, recipe, runs, facts)
    run = Run(folder, recipe.seed, device, checkpoint_seconds, watch, finished)
    for before in run.records("data")[-1:]:
        check_unchanged(before, facts, folder)
    if done:
        return read_scores(folder)
    run.list_losses("reading", losses.but_renamed())
    with _alone(folder):
        return _perform(recipe, run, task, facts, fresh=fresh)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other process works on the folder meanwhile; ConfigError where one does."""
    lock = FileLock(folder / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ConfigError(f"{folder} is worked on by another process: wait for it, or choose another --out") from None
    try:
        yield
    finally:
        lock.release()


def _perform(recipe: Recipe, run: Run, task: Task, facts: dict[str, Any], *, fresh: bool) -> dict[str, Any]:
    """Train and score, and leave everything in the run's folder; a fresh one goes where a mistake is found late."""
    folder = run.folder
    run.write("recipe.toml", tomli_w.dumps(recipe.to_dict()))
    run.write_json("environment.json", environment(run.device))
    facts["files"] = own_files(recipe.data, recipe.to_dict()["method"])
    run.record("data", **facts)
    try:
        tagger = recipe.method.fit(_with_copies(task, recipe, run), run=run)
    except Exception:
        if fresh and not any(folder.rglob("checkpoint")):  # what took long is not thrown away for a mistake found late
            shutil.rmtree(folder)
        raise
    scores = _score(tagger, task, run)
    trained = run.records("trained")
    selection = str(trained[-1].get("selection", "")) if trained else ""
    facts |= {"method": recipe.name, "seed": recipe.seed, "selection": selection, "scores": scores}
    bundle.save(tagger, folder / "bundle", card=model_card(recipe.to_dict(), facts), facts=facts)
    run.write_json("scores.json", scores)
    run.finish()
    return scores


def _check_folder(folder: Path, resolved: str) -> None:
    """Refuse a folder that is neither empty nor of a run of this recipe."""
    known = folder / "recipe.toml"
    if known.exists() and known.read_text(encoding="utf-8") != resolved:
        raise ConfigError(f"{folder} holds the run of another recipe: choose another --out, or delete it")
    if not known.exists() and folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{folder} holds files and no run: choose another --out")


def _finished(recipe: Recipe, runs: Path | None, facts: dict[str, Any], method: Mapping[str, Any]) -> Path | None:
    """The run, finished and with its tagger, of another method on a recipe's data."""
    other = recipe.of(method)
    if runs is None or other.hash == recipe.hash:
        return None
    place = runs / other.hash
    if not (place / "done").exists() or not (place / "bundle").is_dir():
        return None
    read = facts if other.data.sources else {**facts, "sources": []}
    check_unchanged(Run(place).records("data")[-1], read, place)
    return place


def check_place(folder: Path, data: Data) -> None:
    """Refuse to write into a folder that is read whole as a corpus, where a run's files would be taken for documents.

    Args:
        folder: of runs.
        data: what they learn from.

    Raises:
        ConfigError: the folder is one of these, or lies in one.
    """
    place = folder.resolve()
    for path in (Path(formats.parse_spec(spec)[2]).resolve() for spec in data.paths):
        if path.is_dir() and path in (place, *place.parents) and not find_splits(path):
            raise ConfigError(f"{folder} lies in {path}, all of which is read: choose another --out")


def _follow(recipe: Recipe, device: str) -> None:
    """The part of a process that does not lead: the same work, in a folder that it takes away again."""
    if team().same(False):
        return
    task, _ = build_task(recipe.data, seed=recipe.seed)
    with tempfile.TemporaryDirectory(prefix="transfuse-") as folder:
        run = Run(Path(folder), recipe.seed, device)
        recipe.method.fit(_with_copies(task, recipe, run), run=run)


def _with_copies(task: Task, recipe: Recipe, run: Run) -> Task:
    """The task with altered copies among the target's training documents, where the recipe asks for some."""
    if not recipe.data.augment:
        return task
    copies = augmented(task.target.train, recipe.data.augment, seed=recipe.seed)
    run.record("augmented", documents=len(copies), mentions=sum(len(copy.entities) for copy in copies))
    return replace(task, target=task.target.with_split("train", (*task.target.train, *copies)))


def _score(tagger: Tagger, task: Task, run: Run) -> dict[str, Any]:
    """All kinds of scores on dev and, once, on test; what was found is kept as ``dev.jsonl`` and ``test.jsonl``."""
    target, scores = task.target, {}
    place = run.folder / "predictions"
    for name, documents in {"dev": target.dev, "test": target.test}.items():
        if documents:
            found, auc = tag_and_rank(tagger, documents) if name == "test" else (tuple(tagger.tag(documents)), {})
            scores[name] = score(documents, found, target.labels).to_dict()
            place.mkdir(exist_ok=True)
            formats.write(found, place / f"{name}.jsonl", "jsonl")
            if auc:
                run.record("auc", classes=auc)
    if target.test:
        learned = (document for corpus in (target, *task.sources) for document in corpus.train)
        run.record("sets", regions=set_analysis(learned, target.test, found).regions)
    return scores


def read_scores(folder: Path) -> dict[str, Any]:
    """The scores of a finished run; raises DataError where they are gone or altered."""
    try:
        scores: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"not a sound run folder, scores.json: {error}; delete it to run again", path=str(folder)
        ) from None
    return scores
