"""Share encoder and CRF; each corpus sees the shared units and a block of its own (Peng & Dredze 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.nn.domain import DomainHead, Mask
from transfuse.nn.head import Head
from transfuse.ranges import check_ranges
from transfuse.run import Run
from transfuse.text import Tagger, Task
from transfuse.transfer.together import Paired, fit_together, share_head, start

__all__ = ["DomainMask"]


@dataclass(frozen=True)
class DomainMask(Paired):
    """Settings.

    Attributes:
        shared: share of the hidden units that all corpora see; the rest is split evenly. By default a third, as where
            the paper splits three ways for two domains.
    """

    shared: float = 1 / 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, shared="(0, 1)")

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn sources and target together."""
        self.architecture.need_words("domain-mask")
        begun = start(task, self, run=run)
        width, device = begun.encoding.encoder.width, begun.encoding.encoder.device
        domains = 1 + len(begun.sources)

        def wrap(head: Head, number: int) -> DomainHead:
            return DomainHead(head, Mask(width, shared=self.shared, domains=domains, number=number).to(device))

        return fit_together(share_head(begun, run=run, wrap=wrap), self, run=run)
