"""A tagger with confidences that can be believed, and with thresholds on them that serve a demand.

A threshold can only take away what a tagger finds. Where a tagger says how probable any span is, as networks and linear
CRFs do, all spans with a probability of `transfuse.ensembles.opinions.LEAST` are looked at, so that a lower threshold
brings in spans that the best path passes over; of other taggers there is nothing beyond what they find.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfuse.ensembles.calibration import (
    METHODS,
    Bin,
    Map,
    Temperature,
    bins,
    check_method,
    expected_error,
    fit_map,
    load_map,
    save_map,
)
from transfuse.ensembles.evidence import Evidence, Mask, gather
from transfuse.ensembles.opinions import voice
from transfuse.ensembles.parts import Part, load_part, save_part
from transfuse.ensembles.thresholds import Demand, choose_threshold, prevailing
from transfuse.scoring.counts import Counts
from transfuse.taggers.reading import chunks
from transfuse.text import BundleError, ConfigError, Document, Entity

__all__ = ["CalibratedTagger", "Check", "calibrate"]

_FEWEST = 4  # documents, two for each half


class CalibratedTagger:
    """A tagger behind a map of its confidences and thresholds on these.

    Args:
        member: the tagger.
        learned: the map.
        thresholds: by label that may come out; a span at or above that of its label does.
        chunk: words that are tagged together, at least one document.
    """

    kind = "calibrated"

    def __init__(self, member: Part, learned: Map, thresholds: Mapping[str, float], *, chunk: int = 10_000) -> None:
        self.member, self.learned, self.thresholds, self.chunk = member, learned, dict(thresholds), chunk
        self._voice = voice(member.tagger)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        return tuple(self.thresholds)

    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams, in memory that does not grow.

        Args:
            documents: their entities are ignored.
            confidence: give each entity its calibrated confidence.
        """
        limits = np.array(list(self.thresholds.values()))
        for some in chunks(documents, self.chunk):
            evidence = gather([self._voice], [self.member.tagger.labels], some, self.labels)
            scores = self.learned(evidence.chances[0])
            chosen = _stays(evidence) & (scores >= limits[evidence.columns])
            for document, found in zip(some, evidence.answer(chosen, scores), strict=True):
                yield document.with_entities(found if confidence else (replace(e, score=None) for e in found))

    def chances(self, documents: Sequence[Document], spans: Sequence[Entity]) -> list[float]:
        """The calibrated probability of a span of each document, found or not.

        Args:
            documents: few enough to be held in memory with what is thought of them.
            spans: one a document, of labels that may come out.
        """
        told = [opinion.chance(span) for opinion, span in zip(self._voice.opinions(documents), spans, strict=True)]
        return [float(chance) for chance in self.learned(np.array(told))]

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the tagger as a bundle of its own; what `load` needs beside it is returned."""
        member = save_part(self.member, folder / "member")
        return {"member": member, "map": save_map(self.learned), "thresholds": self.thresholds}

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> CalibratedTagger:
        """Read what `save` wrote. Raises BundleError where the parts don't fit each other."""
        try:
            return cls(load_part(folder / "member", config["member"]), load_map(config["map"]), config["thresholds"])
        except (AttributeError, KeyError, TypeError) as error:
            raise BundleError(f"{folder}: the parts of the bundle do not fit each other: {error}") from error


@dataclass(frozen=True)
class Check:
    """A calibrated tagger and what was measured on dev.

    Every confidence behind *after* comes from a map that was learned on the other half of dev.

    Attributes:
        tagger: the result; its map and its thresholds are learned on all of dev.
        before: confidences and truth of all spans that may come out.
        after: the same with calibrated confidences.
        found: of the spans that the tagger finds by itself, how many there are, and the expected calibration error
            before and after.
        plain: strict counts of the tagger as it was.
        tuned: those of the result, on the documents that chose its thresholds.
        held_out: those with map and thresholds of the other half; None where a half alone cannot meet the demand.
        notes: which labels were left out, in sentences.
    """

    tagger: CalibratedTagger
    before: list[Bin]
    after: list[Bin]
    found: tuple[int, float, float]
    plain: Counts
    tuned: Counts
    held_out: Counts | None
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "map": save_map(self.tagger.learned),
            "thresholds": self.tagger.thresholds,
            "spans": sum(part.spans for part in self.before),
            "error": [expected_error(self.before), expected_error(self.after)],
            "bins": [[asdict(part) for part in parts] for parts in (self.before, self.after)],
            "found": self.found,
            "plain": self.plain.to_dict(),
            "tuned": self.tuned.to_dict(),
            "held_out": self.held_out and self.held_out.to_dict(),
            "notes": self.notes,
        }


def calibrate(
    member: Part,
    dev: Sequence[Document],
    *,
    annotated: Iterable[str],
    method: str = "isotonic",
    demand: Demand | None = None,
    per_label: bool = False,
) -> Check:
    """Learn a map and thresholds, and measure both on the other half of dev.

    Args:
        member: a tagger that gives probabilities.
        dev: annotated documents on which it was not trained. They choose, and never test documents.
        annotated: the labels that their annotators looked for; others don't come out.
        method: one of `transfuse.ensembles.calibration.METHODS`.
        demand: what the thresholds are for; F1 unless given.
        per_label: a threshold for each label, each of which serves the demand by itself.

    Raises:
        ConfigError: the tagger gives no probabilities, too few documents, no label that both share, nothing to learn
            from, or a demand that no threshold meets.
    """
    check_method(method)
    asked, demand = voice(member.tagger), demand or Demand()
    if not asked.sure:
        raise ConfigError(f"{member.name} gives no probabilities: there is nothing to calibrate")
    if (texts := len({document.text for document in dev})) < _FEWEST:
        raise ConfigError(f"dev has {texts} different documents: {_FEWEST} are the fewest to calibrate with")
    annotated = set(annotated)
    labels = [label for label in member.tagger.labels if label in annotated]
    if not labels:
        ours, theirs = ", ".join(sorted(annotated)), ", ".join(member.tagger.labels)
        raise ConfigError(f"dev has {ours}, {member.name} finds {theirs}: no label fits")
    left = [label for label in member.tagger.labels if label not in annotated]
    notes = tuple(f"{label} is not annotated in dev and does not come out." for label in left)
    work = _Work(gather([asked], [member.tagger.labels], dev, labels), method, demand, per_label)
    every = np.ones(len(dev), dtype=bool)
    learned, thresholds = work.fit()
    plain = work.evidence.counts(work.evidence.answer(work.evidence.found[0], work.evidence.chances[0]), every)
    after, held_out = work.cross_fit(_halves(dev))
    tuned = work.counts(learned, thresholds, every)
    if demand.kind == "f1" and (held_out or tuned).f1 < plain.f1:
        notes += ("Thresholds lower F1 where they were not chosen: for F1 alone leave the tagger as it is.",)
    scores, right = work.evidence.chances[0], work.evidence.right
    parts = [bins(values[work.counted], right[work.counted]) for values in (scores, after)]
    seen = work.evidence.found[0] & work.evidence.known
    errors = [expected_error(bins(values[seen], right[seen])) for values in (scores, after)]
    return Check(
        CalibratedTagger(member, learned, thresholds),
        parts[0],
        parts[1],
        (int(seen.sum()), errors[0], errors[1]),
        plain,
        tuned,
        held_out,
        notes,
    )


def _stays(evidence: Evidence) -> Mask:
    """Whether each span gives way to no other; the map does not turn their order round."""
    return evidence.keep("stays", lambda: prevailing(evidence.chances[0], evidence.rivals))


def _halves(dev: Sequence[Document]) -> Mask:
    """Whether a document is in the first half; documents of one text go together."""
    order = list(range(len(dev)))
    random.Random("calibrate/0").shuffle(order)
    place = {text: number for number, text in enumerate(dict.fromkeys(dev[i].text for i in order))}
    return np.array([place[document.text] < len(place) // 2 for document in dev])


@dataclass(frozen=True)
class _Work:
    """What is learned, and from what."""

    evidence: Evidence
    method: str
    demand: Demand
    per_label: bool

    @property
    def counted(self) -> Mask:
        """The spans that may come out and of which gold says whether they are right."""
        return _stays(self.evidence) & self.evidence.known

    def fit(self) -> tuple[Map, dict[str, float]]:
        """The map and the thresholds that all documents teach."""
        learned = fit_map(self.method, *self.taught(self.counted))
        return learned, self.thresholds(learned, np.ones(len(self.evidence.documents), dtype=bool))

    def half_map(self, inside: Mask) -> Map:
        """The map that half of the documents teach, however little they have to tell; where it is nothing, none."""
        here = self.counted & inside[self.evidence.rows]
        learned: Map = METHODS[self.method].fit(*self.taught(here)) if here.any() else Temperature(1.0)
        return learned

    def taught(self, here: Mask) -> tuple[NDArray[np.float64], Mask]:
        """Confidences of some spans, and whether these are right."""
        return self.evidence.chances[0][here], self.evidence.right[here]

    def thresholds(self, learned: Map, inside: Mask) -> dict[str, float]:
        """By label, those that some documents teach."""
        here, scores = self.counted & inside[self.evidence.rows], learned(self.evidence.chances[0])
        labels = self.evidence.labels
        gold = [e.label for i in np.flatnonzero(inside).tolist() for e in self.evidence.gold[i]]
        if not self.per_label:
            return dict.fromkeys(
                labels, choose_threshold(scores[here], self.evidence.right[here], len(gold), self.demand)
            )
        found = {}
        for column, label in enumerate(labels):
            one = here & (self.evidence.columns == column)
            try:
                found[label] = choose_threshold(scores[one], self.evidence.right[one], gold.count(label), self.demand)
            except ConfigError as error:
                raise ConfigError(f"{label}: {error}") from None
        return found

    def counts(self, learned: Map, thresholds: Mapping[str, float], inside: Mask) -> Counts:
        """Strict counts over some documents."""
        scores = learned(self.evidence.chances[0])
        limits = np.array(list(thresholds.values()))
        chosen = _stays(self.evidence) & (scores >= limits[self.evidence.columns])
        return self.evidence.counts(self.evidence.answer(chosen, scores), inside)

    def cross_fit(self, half: Mask) -> tuple[NDArray[np.float64], Counts | None]:
        """Calibrated confidences, and counts, where each half is served by what the other teaches."""
        after, total = np.zeros(len(self.evidence.spans)), Counts()
        met = True
        for inside in (half, ~half):
            learned, others = self.half_map(inside), ~inside[self.evidence.rows]
            after[others] = learned(self.evidence.chances[0][others])
            try:
                total += self.counts(learned, self.thresholds(learned, inside), ~inside)
            except ConfigError:
                met = False
        return after, total if met else None
