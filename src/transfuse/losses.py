"""The loss report: what a reader, writer or label map dropped, joined, snapped or altered, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["ACTIONS", "RENAMED", "Loss", "Losses"]

ACTIONS = ("dropped", "joined", "snapped", "altered", "skipped")
"""dropped: a mention is gone; joined: pieces became one span; snapped: a boundary moved; altered: text, label or
type was changed to fit; skipped: something that is no mention (an event, a relation, a comment) was passed over."""


RENAMED = "label "
"""How the reason begins where a label map gave a mention another label: one for every mention that it speaks of."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One thing that did not come through unchanged.

    Attributes:
        action: one of `ACTIONS`.
        reason: why, in a few words that are the same for every loss of the kind, so that they can be counted.
        document: id of the document, where there is one.
        detail: the mention, the line, the label: whatever lets a person find it.
        line: line number in the file, from 1; 0 where lines have no meaning.
    """

    action: str
    reason: str
    document: str = ""
    detail: str = ""
    line: int = 0


class Losses:
    """Collects losses while something streams; counts them by action and reason."""

    def __init__(self) -> None:
        self._items: list[Loss] = []

    def add(self, action: str, reason: str, *, document: str = "", detail: str = "", line: int = 0) -> None:
        """Note one loss. Raises ValueError for an action that is not in `ACTIONS`."""
        if action not in ACTIONS:
            raise ValueError(f"unknown action {action!r}")
        self._items.append(Loss(action, reason, document, detail, line))

    def __iter__(self) -> Iterator[Loss]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def counts(self) -> dict[str, int]:
        """How many, by ``"action: reason"``, most frequent first."""
        return dict(Counter(f"{loss.action}: {loss.reason}" for loss in self._items).most_common())

    def but_renamed(self) -> Losses:
        """All but mentions that have another label, or a mask, because a label map says so."""
        found = Losses()
        found._items = [
            each for each in self._items if (each.action, each.reason[: len(RENAMED)]) != ("altered", RENAMED)
        ]
        return found

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON holds it: ``{"counts": {...}, "items": [...]}``."""
        return {"counts": self.counts, "items": [asdict(loss) for loss in self._items]}
