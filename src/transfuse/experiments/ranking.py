"""How well a tagger's probabilities tell words of one tag class from all others: areas under ROC curves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from transfuse.ensembles.fusion import FusedTagger
from transfuse.ensembles.rules import Single
from transfuse.ensembles.votes import VoteTagger, mean_marginals
from transfuse.maps.mapped import MappedTagger
from transfuse.scoring.score import countable
from transfuse.taggers.architecture import TagSet
from transfuse.taggers.linear import SCHEME, LinearTagger
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.reading import Piece, Reader, chunks, pieces, uncollected
from transfuse.tags import OUTSIDE, PREFIXES, When, encode
from transfuse.text import Document, Tagger
from transfuse.words import align, flatten

__all__ = ["CLASSES", "class_auc", "roc_auc", "tag_and_rank"]

CLASSES = ("B", "I", "O")
"""A word begins a mention, stands further in, or outside."""

_CHUNK = 10_000  # words whose probabilities are held together with what made them

_Voter = tuple[Sequence[str], Tensor]
"""Names of tags and their probabilities in one sentence, ``[words, tags]``."""

_Read = Callable[[Sequence[Document], Sequence[Piece]], Iterator[list[_Voter]]]
"""From documents and their sentences to the voters' probabilities in each sentence."""


def class_auc(tagger: Tagger, documents: Iterable[Document]) -> dict[str, float | None]:
    """The area under the ROC curve of each class against the two others, over words, all labels together.

    A word's probability of a class is the sum of those of the class's tags, of labels that may come out. Of heads that
    vote it is their mean, each head counting for the labels that it looks for. Words in unknown ranges are left out.

    Args:
        tagger: of any kind.
        documents: with gold entities. One pass over them, as slow as tagging with confidence.

    Returns:
        By class; None for one that no word, or every word, is of. Nothing for a tagger that gives tags no probability,
        as one that votes by credit or unites others by their spans, or whose tags don't tell where a mention begins.
    """
    source = _source(tagger)
    if source is None:
        return {}
    tagset, ask = source
    areas = _Areas(tagset)
    for some in chunks(documents, _CHUNK):
        read = pieces(some)
        areas.add(some, read, ask(some, read))
    return areas.result()


def tag_and_rank(tagger: Tagger, documents: Sequence[Document]) -> tuple[tuple[Document, ...], dict[str, float | None]]:
    """What `Tagger.tag` finds and what `class_auc` says; in one pass where the tagger is a network with one head.

    Args:
        tagger: of any kind.
        documents: with gold entities.
    """
    if not isinstance(tagger, NeuralTagger) or _source(tagger) is None:
        return tuple(tagger.tag(documents)), class_auc(tagger, documents)
    found: list[Document] = []
    areas = _Areas(TagSet(tuple(tagger.labels), tagger.tagset.scheme))
    for some, read, readings in tagger.read(documents, chances=True):
        found += tagger.entities(some, read, readings, confidence=False)
        areas.add(some, read, ([(tagger.tagset.names, reading.marginals.cpu())] for reading in readings))
    return tuple(found), areas.result()


class _Areas:
    """Truth and probabilities of words, gathered for `class_auc`.

    Args:
        tagset: the labels that may come out.
    """

    def __init__(self, tagset: TagSet) -> None:
        self.tagset, self.classes = tagset, _classes(tagset)
        self.truths, self.chances = [np.zeros(0, dtype=np.int64)], [np.zeros((0, len(CLASSES)))]

    def add(self, documents: Sequence[Document], read: Sequence[Piece], voters: Iterable[Sequence[_Voter]]) -> None:
        """Documents, their sentences, and what is said of each of these."""
        offsets: list[list[tuple[int, int]]] = [[] for _ in documents]
        found: list[list[Tensor]] = [[torch.zeros(0, len(CLASSES), dtype=torch.float64)] for _ in documents]
        for piece, said in zip(read, voters, strict=True):
            offsets[piece.document] += piece.offsets
            found[piece.document].append(mean_marginals(said, self.tagset) @ self.classes)
        for document, words, parts in zip(documents, offsets, found, strict=True):
            truth, kept = _truth(document, words)
            self.truths.append(truth[kept])
            self.chances.append(torch.cat(parts).numpy()[kept])

    def result(self) -> dict[str, float | None]:
        """The areas of all that was added."""
        truth, chance = np.concatenate(self.truths), np.concatenate(self.chances)
        return {name: roc_auc(truth == i, chance[:, i]) for i, name in enumerate(CLASSES)}


def roc_auc(positive: NDArray[np.bool_], chances: NDArray[np.float64]) -> float | None:
    """How often a positive case has the higher probability of the two, against a negative one; ties are half.

    Args:
        positive: ``[n]``.
        chances: ``[n]``.

    Returns:
        To six digits; None where there are no positive or no negative cases.
    """
    from sklearn.metrics import roc_auc_score

    if positive.all() or not positive.any():
        return None
    return round(float(roc_auc_score(positive, chances)), 6)


def _truth(document: Document, offsets: Sequence[tuple[int, int]]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """``[words]`` numbers of their classes in gold, and which of the words count."""
    spans = flatten(align(offsets, sorted(countable(document.entities, document.unknown))))
    truth = [CLASSES.index(tag.partition("-")[0]) for tag in encode(spans, len(offsets), "BIO")]
    kept = [not any(start < b and a < end for a, b in document.unknown) for start, end in offsets]
    return np.array(truth, dtype=np.int64), np.array(kept, dtype=bool)


def _source(tagger: Tagger) -> tuple[TagSet, _Read] | None:
    """How a tagger is asked, and the tags in which its answer is written; None where it gives no probabilities."""
    labels = tuple(tagger.labels)
    if isinstance(tagger, FusedTagger) and isinstance(tagger.rule, Single):
        return _source(tagger.members[tagger.rule.member].tagger)
    if isinstance(tagger, LinearTagger | MappedTagger):
        return TagSet(labels, SCHEME), partial(_linear, tagger)
    if isinstance(tagger, NeuralTagger):
        readers: Sequence[Reader] = [
            Reader(tagger.encoder, [tagger.head], tagger.vocabulary, tagger.tagset, tagger.architecture)
        ]
    elif isinstance(tagger, VoteTagger) and tagger.rule != "credit":
        readers = tagger.readers
    else:
        return None
    scheme = readers[0].tagset.scheme
    told = all(row.begins in (When.ALWAYS, When.NEVER) for row in PREFIXES[scheme])
    return (TagSet(labels, scheme), partial(_heads, readers, tagger.keep // len(readers))) if told else None


def _linear(
    tagger: LinearTagger | MappedTagger, documents: Sequence[Document], read: Sequence[Piece]
) -> Iterator[list[_Voter]]:
    forms = [[documents[number].text[a:b] for a, b in offsets] for number, offsets in read]
    return ([(tagger.tags, torch.from_numpy(values))] for values in tagger.marginals(forms))


def _heads(
    readers: Sequence[Reader], keep: int, documents: Sequence[Document], read: Sequence[Piece]
) -> Iterator[list[_Voter]]:
    for reader in readers:
        reader.prepare()
    with uncollected():
        parts = [reader.read(reader.spell(documents, read), chances=True) for reader in readers]
    for rows in zip(*parts, strict=True):
        yield [(head.tagset.names, head.marginals.cpu()) for row in rows for head in row]
    for reader in readers:
        reader.forget(keep)


def _classes(tagset: TagSet) -> Tensor:
    """``[tags, classes]``, float64: 1 where a tag is of a class."""
    opens = {row.sign: row.begins is When.ALWAYS for row in PREFIXES[tagset.scheme]}
    signs = [name.partition("-")[0] for name in tagset.names]
    names = [sign if sign == OUTSIDE else "B" if opens[sign] else "I" for sign in signs]
    return torch.tensor([[float(name == of) for of in CLASSES] for name in names], dtype=torch.float64)
