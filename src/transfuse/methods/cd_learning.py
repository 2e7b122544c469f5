"""One model for all corpora; a source sentence counts by its similarity to the target (He & Sun 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from transfuse.nn.encoder import Encoder
from transfuse.nn.forms import Forms, MixedForms
from transfuse.ranges import check_ranges
from transfuse.run import Run
from transfuse.taggers.encoding import Encoding
from transfuse.taggers.neural import Sentence
from transfuse.taggers.vocabulary import normalise
from transfuse.text import ConfigError, Document, Tagger, Task
from transfuse.transfer.similarity import cross_entropy_difference, gaussian, polynomial
from transfuse.transfer.supervised import Domain
from transfuse.transfer.together import Paired, fit_together, share_head, start
from transfuse.words import sentences, words

__all__ = ["CdLearning"]


@dataclass(frozen=True)
class CdLearning(Paired):
    """Settings.

    Attributes:
        similarity: of a source sentence to the target's labelled and raw sentences: ``cross-entropy`` by two language
            models, ``gaussian`` or ``polynomial`` by the mean of its words' vectors; see
            `transfuse.transfer.similarity`.
        mean_weight: of the source sentences; 1 is the same for all.
        degree: of the polynomial; refused with another similarity.
    """

    similarity: Literal["cross-entropy", "gaussian", "polynomial"] = "cross-entropy"
    mean_weight: float = 0.5
    degree: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, mean_weight="(0, 1]", degree="[1, inf)")
        if self.degree != CdLearning.degree and self.similarity != "polynomial":
            raise ConfigError(f'degree would do nothing with similarity = "{self.similarity}": it is of "polynomial"')

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn sources and target together, one head for all."""
        begun = share_head(start(task, self, run=run), run=run)
        raw = [numbers for document in task.raw for numbers in _numbers(begun.encoding, document)]
        target = [item.forms for item in begun.target.items] + raw
        sources = tuple(self._weighted(begun.encoding, domain, target, run) for domain in begun.sources)
        return fit_together(replace(begun, sources=sources), self, run=run)

    def _weighted(self, encoding: Encoding, domain: Domain, target: Sequence[Sequence[int]], run: Run) -> Domain:
        source = [item.forms for item in domain.items]
        weights = self._weights(encoding, source, target)
        low, middle, high = np.quantile(weights, [0.1, 0.5, 0.9])
        run.stage("target").record(
            "similarity", corpus=domain.corpus.name, mean=float(weights.mean()), deciles=[low, middle, high]
        )
        items: list[Sentence] = [
            replace(item, weight=float(weight)) for item, weight in zip(domain.items, weights, strict=True)
        ]
        return replace(domain, items=items)

    def _weights(
        self, encoding: Encoding, source: Sequence[Sequence[int]], target: Sequence[Sequence[int]]
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        if self.similarity == "cross-entropy":
            names = [normalise(name) for name in encoding.table.names]
            spelt = ([[names[i] for i in row] for row in rows] for rows in (source, target))
            return cross_entropy_difference(*spelt, mean=self.mean_weight)
        given = encoding.encoder.forms.vectors if isinstance(encoding.encoder, Encoder) else None
        forms = encoding.table.forms()
        forms = forms.forms if isinstance(forms, MixedForms) else forms
        if given is None or not given.shape[1] or not isinstance(forms, Forms):
            raise ConfigError(
                f'similarity = "{self.similarity}" compares word vectors: set vectors, or "cross-entropy"'
            )
        table = given[forms.words].double().cpu().numpy()
        ours, theirs = (np.stack([table[list(row)].mean(0) for row in rows]) for rows in (target, source))
        if self.similarity == "gaussian":
            return gaussian(theirs, ours, mean=self.mean_weight)
        return polynomial(theirs, ours, degree=self.degree, mean=self.mean_weight)


def _numbers(encoding: Encoding, document: Document) -> list[list[int]]:
    """Form numbers of a raw document's sentences."""
    text = document.text
    cut = [words(text, start, end) for start, end in sentences(text)]
    return [encoding.table.numbers(encoding.table.spell(text, offsets)) for offsets in cut if offsets]
