"""What a tagger that is trained further had learned from before, and whether that holds what it is now scored on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from transfuse import bundle, corpora
from transfuse.data.overlap import without_overlap
from transfuse.experiments.unchanged import settings_in
from transfuse.mirror import at_hand
from transfuse.text import Corpus, TransfuseError

__all__ = ["lineage_of"]


def lineage_of(method: Mapping[str, Any], facts: Mapping[str, Any], target: Corpus) -> dict[str, Any]:
    """Further facts of a run whose method begins with trained taggers; none of any other.

    Args:
        method: its settings as TOML holds them.
        facts: of the run, as `transfuse.data.task.build_task` gives them.
        target: with the splits that are scored.

    Returns:
        ``before``, the corpora that the taggers learned from, each with its ``role`` and what is known of it, also of
        those that such a tagger was made from in turn; and ``doubts``, a line for each that may be leaking.

    Raises:
        BundleError, ConfigError, DataError: there is no sound bundle.
    """
    places = [place for key, place in settings_in(method) if key == "bundle" and place]
    if not places:
        return {}
    before: list[dict[str, Any]] = []
    doubts: list[str] = []
    for place in places:
        learned = _learned(bundle.describe(bundle.locate(Path(place)))["facts"])
        before += (each for each in learned if each not in before)
        doubts += _doubts(learned, facts, target) if learned else [f"what {place} learned from is not known{_MAY}"]
    return {"before": before, "doubts": list(dict.fromkeys(doubts))}


_MAY = ": it may hold parts of the target's dev or test"


def _learned(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if target := facts.get("target"):
        fold = {"fold": facts["fold"]} if "fold" in facts else {}
        found.append({"role": "target", **target, **fold})
    return [*found, *({"role": "source", **each} for each in facts.get("sources", ())), *facts.get("before", ())]


def _doubts(learned: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], target: Corpus) -> Iterator[str]:
    for part in learned:
        name = part["name"]
        if part["sha256"] == facts["target"]["sha256"]:
            if facts["share"] < 1:
                yield f"the tagger learned from {name} before: labels that a share of it hides may be known to it"
        elif (shared := _shared(name, target)) is None:
            other = ", divided otherwise or another corpus of that name" if name == target.name else ""
            yield f"the tagger learned from {name} before{other}{_MAY}"
        elif shared:
            yield f"the tagger learned from {name}, of which {shared:,} documents stand in the target's dev or test"


def _shared(name: str, target: Corpus) -> int | None:
    """How many training documents of a published corpus the target's dev or test has; None where it is not at hand."""
    try:
        if name not in corpora.names() or not at_hand((about := corpora.info(name)).archive, about.sha256):
            return None
        learned = corpora.load(name)
    except TransfuseError:
        return None
    return sum(without_overlap(replace(learned, splits={"train": learned.train}), target)[1].values())
