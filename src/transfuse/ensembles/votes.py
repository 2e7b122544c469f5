"""A tagger made of taggers that share nothing: each head of each encoder has a vote on every mention."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from transfuse import tags as tagging
from transfuse.ensembles.ballots import Ballot, Elected, doubted, elect
from transfuse.ensembles.credit import Credit
from transfuse.nn.crf import CRF
from transfuse.nn.padding import inside
from transfuse.taggers.architecture import TagSet
from transfuse.taggers.reading import Piece, Reader, Reading, Window, chunks, pieces
from transfuse.tags import Span
from transfuse.text import BundleError, Document, Entity

__all__ = ["VoteRule", "VoteTagger", "best_spans", "mean_marginals", "span_chances"]

VoteRule = Literal["majority", "plurality", "mean", "credit"]
"""majority: relative majority on spans, finding nothing being a vote, see `transfuse.ensembles.ballots.elect`;
plurality: that among what was found, finding nothing being no vote, where a mention needs as many voters as
an encoder has heads; mean: the best legal path under the mean of all heads' tag probabilities, each tag's mean being
over the heads that look for its label; credit: each voter counts as far as it is to be believed, see
`transfuse.ensembles.credit`."""

_SMALLEST = 1e-12  # of a mean probability: its logarithm must be finite


class VoteTagger:
    """Encoders with their heads, voting.

    Args:
        readers: each with one head or more.
        labels: that may come out.
        kinds: of each reader's heads, in order, as `transfuse.taggers.architecture.Architecture.head` names them.
        rule: how they vote.
        credit: of the readers, where that is the rule.
        chunk: words that are tagged together, at least one document.
        keep: forms whose encodings are kept, over all readers.
    """

    kind = "vote"

    def __init__(
        self,
        readers: Sequence[Reader],
        labels: Iterable[str],
        *,
        kinds: Sequence[Sequence[str]],
        rule: VoteRule = "majority",
        credit: Credit | None = None,
        chunk: int = 40_000,
        keep: int = 16_000,
    ) -> None:
        self.readers, self.rule, self.kinds = tuple(readers), rule, [tuple(names) for names in kinds]
        self.credit = credit
        self._labels = tuple(labels)
        self.chunk, self.keep = chunk, keep

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        return self._labels

    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams, in memory that does not grow.

        Args:
            documents: their entities are ignored.
            confidence: give each entity its mean probability over the heads that look for its label, under ``mean``
                that of the mean, and under ``credit`` that of its being a mention.
        """
        for some, read, readings in self._read(documents):
            found: list[list[Entity]] = [[] for _ in some]
            voted = _mean(readings, self._labels) if self.rule == "mean" else self._elected(readings, confidence)
            for piece, spans in zip(read, voted, strict=True):
                for (first, last, label), score in spans:
                    start, end = piece.offsets[first][0], piece.offsets[last - 1][1]
                    found[piece.document].append(Entity(start, end, label, score if confidence else None))
            for document, entities in zip(some, found, strict=True):
                yield document.with_entities(entities)

    def ballots(self, documents: Iterable[Document]) -> Iterator[list[Ballot]]:
        """The votes on each sentence, in the order of readers and heads."""
        for _, _, readings in self._read(documents):
            yield from (self._ballots(sentence) for sentence in readings)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write what each reader writes, its files' names numbered; what `load` needs beside them is returned."""
        parts = [reader.save(folder, prefix=f"{i}-") for i, reader in enumerate(self.readers, 1)]
        parts = [part | {"heads": names} for part, names in zip(parts, self.kinds, strict=True)]
        credit = {"credit": asdict(self.credit)} if self.credit else {}
        return {"rule": self.rule, "outputs": self._labels, "readers": parts, **credit}

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> VoteTagger:
        """Read what `save` wrote. Raises BundleError where the parts don't fit each other."""
        try:
            kinds = [part["heads"] for part in config["readers"]]
            rule, labels = config["rule"], config["outputs"]
            credit = Credit.from_dict(config["credit"]) if rule == "credit" else None
        except (KeyError, TypeError) as error:
            raise BundleError(f"{folder}: the parts of the bundle do not fit each other: {error}") from error
        readers = [
            Reader.load(folder, part, prefix=f"{i}-", kinds=part["heads"])
            for i, part in enumerate(config["readers"], 1)
        ]
        return cls(readers, labels, kinds=kinds, rule=rule, credit=credit)

    def _read(self, documents: Iterable[Document]) -> Iterator[tuple[list[Document], list[Piece], list[list[Reading]]]]:
        """Documents in groups, their sentences, and of each sentence what every head reads in it."""
        for reader in self.readers:
            reader.prepare()
        for some in chunks(documents, self.chunk):
            read = pieces(some)
            parts = [reader.read(reader.spell(some, read), chances=True) for reader in self.readers]
            yield some, read, [[reading for part in row for reading in part] for row in zip(*parts, strict=True)]
            for reader in self.readers:
                reader.forget(self.keep // len(self.readers))

    def _ballots(self, readings: Sequence[Reading]) -> list[Ballot]:
        found = []
        for reading in readings:
            labels = [label for label in self._labels if label in reading.tagset.labels]
            found.append(Ballot([span for span in reading.spans if span[2] in labels], labels, reading.chance))
        return found

    def decide(self, ballots: Sequence[Ballot], *, scores: bool = False) -> list[Elected]:
        """The mentions of a sentence, by votes or, where voters have credit, by that."""
        return self.credit.elect(ballots) if self.credit else elect(ballots, scores=scores, quorum=self._quorum)

    def doubt(self, ballots: Sequence[Ballot], lead: float) -> set[int]:
        """The words of a sentence on which the vote is not clear; see `transfuse.ensembles.ballots.doubted`."""
        if self.credit:
            return self.credit.doubted(ballots, lead)
        return doubted(ballots, elect(ballots, scores=False, quorum=self._quorum), lead, quorum=self._quorum)

    @property
    def _quorum(self) -> int:
        return min(map(len, self.kinds)) if self.rule == "plurality" else 0

    def _elected(self, sentences: Iterable[Sequence[Reading]], scores: bool) -> Iterator[list[Scored]]:
        for readings in sentences:
            yield [(one.span, one.score) for one in self.decide(self._ballots(readings), scores=scores)]


Scored = tuple[Span, float | None]
"""A mention and its probability, None where nobody asked for it."""


def _mean(sentences: Sequence[Sequence[Reading]], labels: Sequence[str]) -> Iterator[list[Scored]]:
    """The mentions of each sentence under the mean of the heads' tag probabilities."""
    if not sentences:
        return iter(())
    tagset = TagSet(tuple(labels), sentences[0][0].tagset.scheme)
    means = [mean_marginals([(r.tagset.names, r.marginals.cpu()) for r in readings], tagset) for readings in sentences]
    return best_spans(means, tagset)


@torch.no_grad()
def best_spans(means: Sequence[Tensor], tagset: TagSet) -> Iterator[list[Scored]]:
    """The mentions on the best legal path of each sentence, words being independent of each other otherwise.

    Args:
        means: ``[words, tags]`` tag probabilities of each sentence, summing to 1.
        tagset: of the tags.
    """
    # where every word is most likely outside, the best path is outside, too
    order = sorted((i for i, mean in enumerate(means) if mean.argmax(1).any()), key=lambda i: -len(means[i]))
    found: dict[int, list[Scored]] = {}
    for rows in (order[at : at + 64] for at in range(0, len(order), 64)):
        for row, reading in zip(rows, _decoded([means[i] for i in rows], tagset), strict=True):
            found[row] = [(span, reading.chance(span)) for span in reading.spans]
    return (found.get(i, []) for i in range(len(means)))


@torch.no_grad()
def span_chances(means: Sequence[Tensor], tagset: TagSet, spans: Sequence[Span]) -> list[float]:
    """The probability of a span in each sentence, on the same terms as in `best_spans`, whether it is found or not.

    Args:
        means: see `best_spans`.
        tagset: of the tags.
        spans: one a sentence.
    """
    order = sorted(range(len(means)), key=lambda i: -len(means[i]))
    readings = zip(order, _decoded([means[i] for i in order], tagset) if order else (), strict=True)
    found = {i: reading.chance(spans[i]) for i, reading in readings}
    return [found[i] for i in range(len(means))]


def mean_marginals(
    parts: Sequence[tuple[Sequence[str], Tensor]], tagset: TagSet, weights: Sequence[float] | None = None
) -> Tensor:
    """The mean tag probabilities of one sentence over those that know a tag's label, and what is left for the outside.

    Args:
        parts: of each voter the names of its tags and their probabilities, ``[words, tags]``.
        tagset: whose tags are averaged.
        weights: of the voters, none negative; all 1 by default.

    Returns:
        ``[words, tags]``, summing to 1.
    """
    names = {name: row for row, name in enumerate(tagset.names) if row}
    labels = {name: name.partition("-")[2] for name in names}
    total = torch.zeros(len(parts[0][1]), len(names) + 1, dtype=torch.float64)
    able = torch.zeros(len(names) + 1, dtype=torch.float64)
    for (known, marginals), weight in zip(parts, weights or [1.0] * len(parts), strict=True):
        pairs = [(names[name], row) for row, name in enumerate(known) if name in names]
        ours, theirs = [one for one, _ in pairs], [other for _, other in pairs]
        total[:, ours] += weight * marginals[:, theirs]
        looked_for = {name.partition("-")[2] for name in known}  # a CRF may never have seen some tag of a label
        able[[row for name, row in names.items() if labels[name] in looked_for]] += weight
    total /= able.where(able > 0, 1.0)
    total[:, 0] = (1 - total.sum(1)).clamp(min=0)
    return total / total.sum(1, keepdim=True)


def _decoded(means: Sequence[Tensor], tagset: TagSet) -> list[Reading]:
    """See `best_spans`; longest sentence first."""
    crf = CRF(*tagging.legal(tagset.names, tagset.scheme)).double()
    crf.transition.zero_()
    lengths = torch.tensor([len(mean) for mean in means])
    emissions = torch.zeros(len(means), int(lengths[0]), len(tagset.names), dtype=torch.float64)
    emissions[inside(lengths, int(lengths[0]))] = torch.cat(list(means)).clamp(min=_SMALLEST).log()
    lattice = crf.lattice(emissions, lengths)
    paths = crf.decode(emissions, lengths).tolist()
    return [
        Reading(tagset, (Window(0, len(mean), path[: len(mean)], lattice, row),))
        for row, (mean, path) in enumerate(zip(means, paths, strict=True))
    ]
