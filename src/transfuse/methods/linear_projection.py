"""Share encoder and CRF; each corpus has a linear map of its own between them (Peng & Dredze 2017)."""

from __future__ import annotations

from dataclasses import dataclass

from transfuse.nn.domain import DomainHead, LinearMap
from transfuse.nn.head import Head
from transfuse.run import Run
from transfuse.text import Tagger, Task
from transfuse.transfer.together import Paired, fit_together, share_head, start

__all__ = ["LinearProjection"]


@dataclass(frozen=True)
class LinearProjection(Paired):
    """Settings: see `Paired`. The maps start as the identity; the paper does not say how."""

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn sources and target together."""
        self.architecture.need_words("linear-projection")
        begun = start(task, self, run=run)
        device = begun.encoding.encoder.device

        def wrap(head: Head, number: int) -> DomainHead:
            return DomainHead(head, LinearMap(begun.encoding.encoder.width).to(device))

        return fit_together(share_head(begun, run=run, wrap=wrap), self, run=run)
