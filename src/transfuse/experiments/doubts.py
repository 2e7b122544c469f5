"""Why the scores of a run may not be what they seem, with the cause where it is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from transfuse.data.checks import doubts
from transfuse.data.splits import own_splits
from transfuse.data.task import recorded_target
from transfuse.reporting.results import Finished
from transfuse.text import Corpus

__all__ = ["doubts_of"]


def doubts_of(run: Finished) -> Iterator[str]:
    """A line for each: what the tagger knew before, drawn splits, labels never predicted, what `doubts` finds.

    Raises:
        DataError: the target cannot be read again.
    """
    yield from run.data.get("doubts", ())
    data = run.recipe["data"]
    target = recorded_target(data)
    if "fold" not in data:
        yield from _drawn(target, own_splits(data["target"]))
    learned = Counter(e.label for d in target.sample(data["share"], seed=run.seed).train for e in d.entities)
    for split, kinds in run.scores.items():
        for label, found in kinds["strict"]["types"].items():
            if found["gold"] and not found["predicted"]:
                yield f"{split}: {label} is never predicted, of {found['gold']:,}; {learned[label]:,} were learned from"
    for finding in doubts(target):
        if finding.split != "train":
            yield f"{target.name} {finding.split}: {finding.kind}: {finding.count:,} ({'; '.join(finding.detail)})"


def _drawn(target: Corpus, own: set[str]) -> Iterator[str]:
    for split in ("dev", "test"):
        if split not in own:
            drawn = "its dev split was taken, and another drawn" if split == "test" and "dev" in own else "it was drawn"
            yield f"{target.name} has no {split} split: {drawn} from train ({len(target.splits[split]):,} in it)"
