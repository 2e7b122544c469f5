"""The model card: what a tagger was trained on, how it was chosen, and what it scored, for a person to read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["model_card"]


def model_card(recipe: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Markdown from a resolved recipe and the facts of its run.

    Args:
        recipe: what `transfuse.experiments.recipe.Recipe.to_dict` gives.
        facts: what `transfuse.data.task.build_task` found, with ``method``, ``seed``, ``selection`` and ``scores``.
    """
    target = facts["target"]
    removed = sum(sum(source["removed"].values()) for source in facts["sources"])
    lines = [
        f"# Tagger for {', '.join(target['labels'])}",
        "",
        f"Method `{facts['method']}`, seed {facts['seed']}; chosen by: {facts['selection'] or 'nothing to choose'}.",
        "The test split chose nothing and was scored once.",
        "",
        "## Data",
        "",
        "| role | corpus | documents | SHA-256 |",
        "| --- | --- | --- | --- |",
        _row("target", target),
        *(_row("source", source) for source in facts["sources"]),
        "",
        f"Labelled training documents of the target: {facts['labelled']} (share {facts['share']:g}).",
        f"Taken out of the sources since they stand in the target's dev or test split: {removed}.",
        *_before(facts),
        "",
        "## Scores",
        "",
        "| split | kind | precision | recall | F1 |",
        "| --- | --- | ---: | ---: | ---: |",
    ]
    for split, kinds in facts["scores"].items():
        for kind, table in kinds.items():
            micro = table["micro"]
            cells = " | ".join(f"{100 * micro[name]:.2f}" for name in ("precision", "recall", "f1"))
            lines.append(f"| {split} | {kind} | {cells} |")
    lines += ["", "## Limits", "", "It knows the text genre and the guideline of its target corpus, and nothing else."]
    lines += ["", "The whole configuration is in `bundle.json`; the licences of the corpora apply.", ""]
    return "\n".join(lines)


def _before(facts: Mapping[str, Any]) -> list[str]:
    """What a tagger that was trained further had learned from, and what is doubted for that."""
    if "before" not in facts:
        return []
    learned = [f"{each['name']} (`{each['sha256'][:16]}`)" for each in facts["before"]]
    doubts = [f"Note: {doubt}." for doubt in facts["doubts"]]
    return [f"Before, it was a tagger that had learned from {', '.join(learned) or 'nobody knows what'}.", *doubts]


def _row(role: str, corpus: Mapping[str, Any]) -> str:
    splits = ", ".join(f"{name} {count}" for name, count in corpus["documents"].items())
    return f"| {role} | {corpus['name']} | {splits} | `{corpus['sha256'][:16]}` |"
