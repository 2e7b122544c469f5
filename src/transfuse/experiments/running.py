"""A recipe to a finished run: data, training, scores on dev and once on test, and the bundle, all in one folder."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock, Timeout

from transfuse import bundle, formats
from transfuse.data.augmentation import augmented
from transfuse.data.splits import find_splits
from transfuse.data.task import Data, build_task
from transfuse.experiments.card import model_card
from transfuse.experiments.lineage import lineage_of
from transfuse.experiments.ranking import tag_and_rank
from transfuse.experiments.recipe import Recipe
from transfuse.experiments.unchanged import check_files, check_unchanged, own_files
from transfuse.losses import Losses
from transfuse.run import Run, environment
from transfuse.scoring.analysis import set_analysis
from transfuse.scoring.score import score
from transfuse.team import team
from transfuse.text import ConfigError, DataError, Tagger, Task

__all__ = ["check_place", "read_scores", "run_recipe"]

Watch = Callable[[str, float], None]
"""Told a line of text and the share of the work that is done."""


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
    facts |= lineage_of(recipe.to_dict()["method"], facts, task.target)
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
