"""The losses by which La-DTL aligns a source and the target (Wang et al. 2018), once for all its variants."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from transfuse.nn.divergence import Kernel, label_mmd, mmd
from transfuse.nn.head import CRFHead
from transfuse.ranges import check_ranges
from transfuse.run import Run
from transfuse.taggers.architecture import TagSet
from transfuse.text import ConfigError, Tagger, Task, UnusedSettingError
from transfuse.transfer.supervised import Domain
from transfuse.transfer.together import Paired, Sample, fit_together, start

__all__ = ["Aligned", "crf_distance", "shared_tags"]


@dataclass(frozen=True)
class Aligned(Paired):
    """La-DTL's loss (Wang et al. 2018), ``L_c + alpha L_LaMMD + beta L_p + gamma L_r``; a weight of 0 ends a term.

    Attributes:
        label_mmd: alpha, of the squared MMD between source and target states of words with the same gold tag, summed
            over the tags that both have.
        mmd: of the squared MMD between all words, whatever their tags.
        crf_l2: beta, of ``|W_s - W_t|^2 + |A_s - A_t|^2`` over rows of shared tags.
        kernel: of both kinds of MMD.

    Gamma is ``training.decay``: with ``adam`` applied apart from the loss (Loshchilov & Hutter 2019), with ``adagrad``
    and ``sgd`` as the paper's ``L_r``, by its gradient.
    """

    label_mmd: float = 0.0
    mmd: float = 0.0
    crf_l2: float = 0.0
    kernel: Kernel = field(default_factory=Kernel)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, label_mmd="[0, inf)", mmd="[0, inf)", crf_l2="[0, inf)")
        if self.crf_l2 and self.architecture.head != "crf":
            raise ConfigError(f'crf_l2 is a distance between two CRFs: architecture.head is "{self.architecture.head}"')
        if self.kernel != Kernel() and not (self.label_mmd or self.mmd):
            raise UnusedSettingError("kernel", "label_mmd and mmd are 0")
        if not self.kernel.outside and not self.label_mmd:
            raise UnusedSettingError("kernel.outside", "label_mmd is 0")

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Share the encoder; every corpus has a head of its own."""
        return fit_together(start(task, self, run=run), self, run=run, terms=self.terms)

    def terms(self, source: Sample, target: Sample) -> dict[str, Tensor]:
        """The terms whose weight is not 0."""
        found = {}
        if self.label_mmd:
            pairs = shared_tags(source.domain.tagset, target.domain.tagset, outside=self.kernel.outside)
            found["label_mmd"] = self.label_mmd * label_mmd(*source.words(), *target.words(), self.kernel, pairs=pairs)
        if self.mmd:
            found["mmd"] = self.mmd * mmd(source.words()[0], target.words()[0], self.kernel)
        if self.crf_l2:
            found["crf_l2"] = self.crf_l2 * crf_distance(source.domain, target.domain)
        return found


def shared_tags(source: TagSet, target: TagSet, *, outside: bool = True) -> list[tuple[int, int]]:
    """Rows of the tags that both have, as (source, target); with ``O`` or without."""
    names = source.names
    found = [(names.index(name), row) for row, name in enumerate(target.names) if name in names]
    return [pair for pair in found if outside or pair[1] != 0]


def crf_distance(source: Domain, target: Domain) -> Tensor:
    """``|W_s - W_t|^2 + |A_s - A_t|^2`` over shared tags (Wang et al. 2018, L_p): a scalar.

    Transitions that a scheme forbids have no weight in either model and are left out.
    """
    pairs = shared_tags(source.tagset, target.tagset)
    a, b = [s for s, _ in pairs], [t for _, t in pairs]
    one, two = source.head, target.head
    assert isinstance(one, CRFHead)
    assert isinstance(two, CRFHead)
    distance = (one.projection.weight[a] - two.projection.weight[b]).square().sum()
    gap = one.crf.transition[a][:, a] - two.crf.transition[b][:, b]
    return distance + (gap * two.crf.legal_transition[b][:, b]).square().sum()
