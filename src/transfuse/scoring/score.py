"""Scores of a prediction against a gold annotation: counts per document and label, which add.

What is counted
---------------
An entity is its document, its character offsets and its label; words and tags play no part except where said.

- ``strict``: same start, same end, same label. The score to report.
- ``relaxed``: same label and at least one character in common; one gold entity for one prediction, by a matching of
  maximum size, so that neither order nor luck can change the count.
- ``relaxed-set``: equations 14 and 15 of the CCKS task as printed, without the one-to-one. Precision is the share of
  predictions that overlap some gold entity of their label, recall the share of gold entities that overlap some
  prediction of theirs.
- ``left``: same label, same start, one to one.
- ``right``: same label, same end, one to one.
- ``span``: same start, same end, whatever the labels, one to one. By type, gold counts under its label and a
  prediction under its own.
- ``conlleval``: ``strict`` on words. Each entity grows to whole words; overlapping ones are thinned to the longest, and
  one without a word (blanks alone) is left out.

For each kind and each pair of shards ``score(a + b) == score(a) + score(b)``. In precision, in recall and in F1,
``strict <= left, right <= relaxed <= relaxed-set`` and ``strict <= span``, micro and for every type.

*Micro* adds counts over labels. *Macro* is the plain mean of the labels' precisions, recalls and F1s (so macro F1 is
no function of macro precision and recall) over the labels that occur in gold or prediction. 0/0 is 0: where there is
neither gold nor prediction all three are 0, so that an empty test set never looks perfect; such a label has no part in
macro.

Gold entities and predictions that overlap one of the gold document's ``unknown`` ranges are not counted, nor are those
whose label was not asked for; how many is in ``Scores.ignored``.

Where this differs from other scorers, and what that does to *our* score
------------------------------------------------------------------------
**conlleval**, the script of CoNLL-2000 to 2003. The kind ``conlleval`` and `score_tags` agree with it, rounding apart;
its accuracy is that of `transfuse.scoring.analysis.token_table` with ``typed=True``.

- It sees words. A boundary that is wrong inside a word is an error in ``strict`` (lower) and invisible to it. Which
  words: those of the file there, finer ones here (lower or equal) unless ``words`` gives the file's own.
- It cannot hold overlapping entities. ``strict`` counts each (either way); ``conlleval`` keeps the longest.
- It reads an illegal ``I-X`` as the beginning of an entity; so do our readers by default (same).
- A blank line ends an entity. We score documents, and an entity that runs over a sentence break stays whole: two
  chunks there, one here (either way).
- It has no macro average, and rounds to 0.01 points. We do not round.

**seqeval**, default mode: as conlleval, and

- Macro over labels of gold or prediction, 0/0 = 0 with a warning: same here, without the warning.
- A bare ``B`` or ``I`` is an entity of type ``_`` there and refused here.

**seqeval**, ``mode="strict", scheme=IOB2``; `score_tags` with ``policy="drop"`` agrees with it.

- It drops what begins with an ``I-X``. Where predictions are ill formed, ours by default are more: recall is higher or
  equal, precision goes either way. Entities with offsets have no such cases (same).

**nervaluate**

- ``strict`` and ``exact``: an overlapping wrong pair is one "incorrect", counted in both denominators. That is one
  prediction too many and one gold entity too few here (same). ``exact`` is our ``span``, micro; by type its ``exact``
  sees one label at a time and equals its ``strict``, so that our ``span`` by type is higher or equal.
- Where entities of one document overlap each other, its greedy search may use up the wrong one: ours is higher or
  equal in ``strict`` and ``span``.
- ``ent_type`` is near ``relaxed``, but greedy in the order of predictions, and a gold entity that was set against a
  wrong label is used up: ours is higher or equal.
- ``partial`` gives half a point whatever the label: no kind here does.
- An overlap below 1 % of the gold entity is none there: ours is higher or equal.
- Its ends are inclusive. Given half-open ones, it takes neighbours that merely touch for overlapping: ours is lower.

**CCKS**, by equations 12 to 15 as Gan & Wang 2026 print them; we compare with no script.

- The equations make no pairs, so one long prediction over three gold entities finds all three: that is
  ``relaxed-set``; ``relaxed`` counts one (lower or equal).
- Read literally, one number ``|S n G|`` stands in both fractions, and recall may exceed 1. Here each side counts its
  own (either way).
- ``max(b) <= min(e)`` is overlap for inclusive ends. On half-open ends it takes touching for overlap: ours is lower or
  equal.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from transfuse.scoring.counts import Counts, Rates, mean_rates
from transfuse.scoring.matching import KINDS, Four, Offsets, Words, by_label, count, count_labels, same
from transfuse.text import ConfigError, DataError, Document, Entity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "KINDS",
    "Scores",
    "countable",
    "pair",
    "score",
    "score_tags",
]

_Row = tuple[int, str, Four]


@dataclass(frozen=True)
class Scores:
    """Counts by kind, document and label, from which every table and every interval is made.

    Attributes:
        documents: ids, in the order of the gold documents.
        labels: the labels scored, sorted.
        rows: by kind, ``(document number, label, (tp, fp, fn, surplus))``; what is not there is 0.
        ignored: entities not counted, in unknown ranges or of other labels: ``(gold, predicted)``.
    """

    documents: tuple[str, ...]
    labels: tuple[str, ...]
    rows: Mapping[str, tuple[_Row, ...]]
    ignored: tuple[int, int] = (0, 0)

    def types(self, kind: str = "strict") -> dict[str, Counts]:
        """Counts by label. Raises ConfigError for a kind that was not counted."""
        sums = {label: [0, 0, 0, 0] for label in self.labels}
        for _, label, row in self._of(kind):
            for i, number in enumerate(row):
                sums[label][i] += number
        return {label: Counts(*row) for label, row in sums.items()}

    def micro(self, kind: str = "strict") -> Counts:
        """Counts over all labels. Raises ConfigError for a kind that was not counted."""
        return sum(self.types(kind).values(), Counts())

    def macro(self, kind: str = "strict") -> Rates:
        """Means over the labels that occur. Raises ConfigError for a kind that was not counted."""
        return mean_rates(counts for counts in self.types(kind).values() if counts.gold or counts.predicted)

    def array(self, kind: str = "strict") -> NDArray[np.int64]:
        """Counts of shape (documents, labels, 4: tp, fp, fn, surplus). Raises ConfigError as `types` does."""
        import numpy as np

        table = np.zeros((len(self.documents), len(self.labels), 4), dtype=np.int64)
        place = {label: i for i, label in enumerate(self.labels)}
        for document, label, row in self._of(kind):
            table[document, place[label]] += row
        return table

    def to_dict(self) -> dict[str, Any]:
        """``{kind: {"micro": {...}, "macro": {...}, "types": {label: {...}}, "ignored": {...}}}``, fractions."""
        ignored = dict(zip(("gold", "predicted"), self.ignored, strict=True))
        return {
            kind: {
                "micro": self.micro(kind).to_dict(),
                "macro": self.macro(kind).to_dict(),
                "types": {label: counts.to_dict() for label, counts in self.types(kind).items()},
                "ignored": ignored,
            }
            for kind in self.rows
        }

    def __add__(self, other: Scores) -> Scores:
        """Scores over both shards. Raises DataError where they share a document or differ in kinds."""
        if set(self.rows) != set(other.rows):
            raise DataError("scores of different kinds cannot be added: count the same kinds in every shard")
        shared = sorted(set(self.documents) & set(other.documents))
        if shared:
            raise DataError(f"scores to be added share documents: {_some(shared)}; each may be in one shard only")
        shift = len(self.documents)
        return Scores(
            self.documents + other.documents,
            tuple(sorted({*self.labels, *other.labels})),
            {
                kind: rows + tuple((shift + number, label, row) for number, label, row in other.rows[kind])
                for kind, rows in self.rows.items()
            },
            (self.ignored[0] + other.ignored[0], self.ignored[1] + other.ignored[1]),
        )

    def _of(self, kind: str) -> tuple[_Row, ...]:
        if kind not in self.rows:
            raise ConfigError(f"no scores of kind {kind!r}: choose one of {', '.join(self.rows)}")
        return self.rows[kind]


def score(
    gold: Iterable[Document],
    predicted: Iterable[Document],
    labels: Iterable[str] | None = None,
    *,
    kinds: Sequence[str] = KINDS,
    words: Words | None = None,
) -> Scores:
    """Count what a prediction got right; warns where gold and prediction have no label in common.

    Args:
        gold: annotated documents.
        predicted: the same documents, in any order, with the entities that were found.
        labels: count only these; all that occur unless given.
        kinds: what to count, some of `KINDS`.
        words: offsets of a text's words for ``conlleval``; `transfuse.words.words` unless given.

    Raises:
        DataError: the two do not hold the same documents with the same texts.
        ConfigError: an unknown kind.
    """
    unknown_kinds = sorted(set(kinds) - set(KINDS))
    if unknown_kinds:
        raise ConfigError(f"unknown kind of score: {', '.join(unknown_kinds)}; choose from {', '.join(KINDS)}")
    wanted = None if labels is None else frozenset(labels)
    rows: dict[str, list[_Row]] = {kind: [] for kind in kinds}
    seen: tuple[set[str], set[str]] = (set(), set())
    ignored, documents = [0, 0], []
    for number, (truth, guess) in enumerate(pair(gold, predicted)):
        documents.append(truth.id)
        kept = []
        for side, document in enumerate((truth, guess)):
            seen[side].update(entity.label for entity in document.entities)
            kept.append(countable(document.entities, truth.unknown, wanted))
            ignored[side] += len(document.entities) - len(kept[side])
        if kept[0] or kept[1]:
            for kind, label, row in count(truth.text, kept[0], kept[1], kinds, words):
                rows[kind].append((number, label, row))
    _warn_if_strangers(*seen)
    return Scores(
        tuple(documents),
        tuple(sorted(seen[0] | seen[1] if wanted is None else wanted)),
        {kind: tuple(found) for kind, found in rows.items()},
        (ignored[0], ignored[1]),
    )


def pair(gold: Iterable[Document], predicted: Iterable[Document]) -> Iterator[tuple[Document, Document]]:
    """Each gold document with its prediction, by id, in the order of gold.

    Raises:
        DataError: an id is there twice or on one side only, or the two texts differ.
    """
    truths, guesses = _by_id(gold, "gold"), _by_id(predicted, "the prediction")
    missing = [name for name in truths if name not in guesses]
    extra = [name for name in guesses if name not in truths]
    if missing:
        raise DataError(f"the prediction lacks documents {_some(missing)}: tag them, or take them out of gold")
    if extra:
        raise DataError(f"gold lacks documents {_some(extra)}: take them out of the prediction")
    for name, truth in truths.items():
        guess = guesses[name]
        if truth.text != guess.text:
            pairs = zip(truth.text, guess.text, strict=False)
            place = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(truth.text), len(guess.text)))
            raise DataError(
                f"document {name}: the texts of gold and prediction differ from character {place} on: "
                "tag the text of the gold document, unchanged"
            )
        yield truth, guess


def _by_id(documents: Iterable[Document], side: str) -> dict[str, Document]:
    found: dict[str, Document] = {}
    for document in documents:
        if document.id in found:
            raise DataError(f"document {document.id} is twice in {side}: ids must be unique")
        found[document.id] = document
    return found


def _some(names: Sequence[str], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def countable(
    entities: Iterable[Entity], unknown: Sequence[Offsets], labels: frozenset[str] | None = None
) -> tuple[Entity, ...]:
    """The entities that may be counted: outside the unknown ranges, and of one of the labels where some are given."""
    return tuple(
        e
        for e in entities
        if (labels is None or e.label in labels) and not any(e.start < end and start < e.end for start, end in unknown)
    )


def _warn_if_strangers(gold: set[str], predicted: set[str]) -> None:
    if gold and predicted and not gold & predicted:
        warnings.warn(
            f"gold ({_some(sorted(gold))}) and prediction ({_some(sorted(predicted))}) share no label, so that nothing "
            "can be right: rename with a label map",
            stacklevel=3,
        )


def score_tags(
    gold: Iterable[Sequence[str]],
    predicted: Iterable[Sequence[str]],
    *,
    scheme: str = "BIO",
    policy: str = "repair",
) -> Scores:
    """Score tag sequences, one for each sentence, as conlleval does: kind ``conlleval`` alone.

    Args:
        gold: tags, as ``B-Disease``.
        predicted: the same number of tags for each sentence.
        scheme: how they are written; one of `transfuse.tags.Scheme`.
        policy: what to do with an illegal sequence, in gold as in prediction; one of `transfuse.tags.POLICIES`.

    Raises:
        DataError: the two differ in length, or a tag is none of the scheme's.
        ConfigError: no such scheme or policy.
    """
    from transfuse.tags import decode

    rows: list[_Row] = []
    labels: set[str] = set()
    number = -1
    for number, (truths, guesses) in enumerate(zip_longest(gold, predicted)):
        if truths is None or guesses is None or len(truths) != len(guesses):
            raise DataError(
                f"sentence {number + 1}: gold and prediction differ in length: one tag for each word of both"
            )
        spans, guessed = by_label(decode(truths, scheme, policy)), by_label(decode(guesses, scheme, policy))
        counted = count_labels(spans, guessed, same)
        labels.update(counted)
        rows += [(number, label, row) for label, row in counted.items()]
    documents = tuple(str(i + 1) for i in range(number + 1))
    return Scores(documents, tuple(sorted(labels)), {"conlleval": tuple(rows)})
