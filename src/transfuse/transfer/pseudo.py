"""Pseudo-labels: raw text as training sentences, with the tags of a model where it is sure and none where it is not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch

from transfuse.nn.padding import inside
from transfuse.taggers.encoding import Encoding
from transfuse.taggers.neural import Sentence, read_sentences
from transfuse.text import Document
from transfuse.transfer.supervised import Domain

__all__ = ["Labelled", "pseudo_label"]

_WORDS = 8_000
"""Words, padding counted, that are labelled together."""


@dataclass(frozen=True)
class Labelled:
    """Raw sentences with what a model says of them.

    Attributes:
        items: sentences; words of which the model is not sure have all tags open.
        sure: share of the words whose tag is taken.
        mentions: how many of the taken words are inside a mention.
    """

    items: list[Sentence]
    sure: float
    mentions: int


@torch.no_grad()
def pseudo_label(encoding: Encoding, domain: Domain, documents: Iterable[Document], *, threshold: float) -> Labelled:
    """The best legal tags of raw text; a word's is taken where its marginal probability reaches the threshold.

    Args:
        encoding: the encoder.
        domain: its head and tag set do the labelling.
        documents: their entities are not looked at.
        threshold: in [0, 1]; 0 takes all tags.
    """
    bare = [Document(document.id, document.text) for document in documents]
    items = read_sentences(bare, encoding.table, domain.tagset, annotated=domain.tagset.labels)
    head = domain.tagger(encoding).head
    encoding.encoder.eval()
    every = tuple(range(len(domain.tagset.names)))
    order = sorted(range(len(items)), key=lambda i: -len(items[i].forms))
    found: dict[int, Sentence] = {}
    words = sure = mentions = 0
    while order:
        size = max(1, _WORDS // len(items[order[0]].forms))
        rows, order = order[:size], order[size:]
        batch = encoding.batch([items[i] for i in rows], domain.tagset)
        batch = replace(batch, unknown=None)
        emissions = head.emissions(encoding.encoder(batch))
        best = head.decode(emissions, batch.lengths)
        chance = head.lattice(emissions, batch.lengths).marginals.gather(2, best[..., None]).squeeze(2)
        taken = (chance >= threshold) & inside(batch.lengths, best.shape[1])
        words += int(batch.lengths.sum())
        sure += int(taken.sum())
        mentions += int((taken & (best != 0)).sum())
        for row, tags, known in zip(rows, best.tolist(), taken.tolist(), strict=True):
            found[row] = _sentence(items[row].forms, tags, known, every)
    return Labelled([found[i] for i in range(len(items))], sure / max(1, words), mentions)


def _sentence(forms: tuple[int, ...], tags: Sequence[int], known: Sequence[bool], every: tuple[int, ...]) -> Sentence:
    size = len(forms)
    unsure = tuple((i, every) for i in range(size) if not known[i])
    return Sentence(forms, tuple(tags[:size]), unsure)
