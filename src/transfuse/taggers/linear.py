"""A linear-chain CRF on hand-made features, through CRFsuite: what a user without a GPU would pick."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transfuse import tags as tagging
from transfuse.losses import Losses
from transfuse.ranges import check_ranges
from transfuse.text import BundleError, Document, Entity
from transfuse.words import align, flatten, fold_width, sentences, words

__all__ = ["SCHEME", "LinearCRF", "LinearModel", "LinearTagger", "Tokens", "features", "read_tokens", "train_linear"]

SCHEME = "BIO"
"""Of the tags that a linear CRF learns."""


@dataclass(frozen=True)
class LinearCRF:
    """Settings, as CRFsuite names them.

    Attributes:
        c1: weight of the L1 term.
        c2: weight of the L2 term.
        iterations: of L-BFGS, at most.
    """

    c1: float = 0.05
    c2: float = 0.01
    iterations: int = 100

    def __post_init__(self) -> None:
        check_ranges(self, c1="[0, inf)", c2="[0, inf)", iterations="[1, inf)")

    def train(self, items: Iterable[tuple[Any, Sequence[str]]], folder: Path) -> bytes:
        """Train with L-BFGS and elastic net; what CRFsuite writes is returned.

        Args:
            items: sentences: what CRFsuite reads of them, and their tags.
            folder: for the model file while CRFsuite writes it.
        """
        import pycrfsuite

        trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
        trainer.set_params({"c1": self.c1, "c2": self.c2, "max_iterations": self.iterations})
        trainer.set_params({"feature.possible_transitions": True})
        for rows, tags in items:
            trainer.append(rows, tags)
        path = folder / "training.crfsuite"
        folder.mkdir(parents=True, exist_ok=True)
        trainer.train(str(path))
        model = path.read_bytes()
        path.unlink()
        return model


@dataclass(frozen=True)
class Tokens:
    """A sentence.

    Attributes:
        forms: its words.
        tags: one a word; None where nobody annotated it.
    """

    forms: tuple[str, ...]
    tags: tuple[str, ...] | None = None


def read_tokens(documents: Iterable[Document], *, tagged: bool = True, losses: Losses | None = None) -> list[Tokens]:
    """The sentences of documents; no sentence border falls into a mention.

    A sentence with a range whose annotation is not known comes without tags.

    Args:
        documents: with gold entities where they are tagged.
        tagged: give tags; else entities are not looked at.
        losses: mentions that no flat tag sequence over words can hold.
    """
    found = []
    for document in documents:
        entities = document.entities if tagged else ()
        for start, end in sentences(document.text, keep=[(e.start, e.end) for e in entities]):
            offsets = words(document.text, start, end)
            if not offsets:
                continue
            forms = tuple(document.text[a:b] for a, b in offsets)
            if not tagged or any(a < end and start < b for a, b in document.unknown):
                found.append(Tokens(forms))
                continue
            inside = [e for e in entities if start <= e.start < end]
            spans = align(offsets, inside, document=document.id, losses=losses)
            spans = flatten(spans, document=document.id, losses=losses)
            found.append(Tokens(forms, tuple(tagging.encode(spans, len(offsets), SCHEME))))
    return found


def features(forms: Sequence[str]) -> list[list[str]]:
    """The usual features of each word: itself, its shape and affixes, and what stands up to two words away.

    Widths of characters are folded, see `transfuse.words.WIDTHS`.

    Args:
        forms: the words of a sentence.

    Returns:
        One list of names a word.
    """
    forms = [fold_width(form) for form in forms]
    lower = [form.lower() for form in forms]
    shapes = [_shape(form) for form in forms]
    rows = []
    for i, form in enumerate(forms):
        row = ["bias", f"w={lower[i]}", f"form={form}", f"shape={shapes[i]}", f"short={_short(shapes[i])}"]
        row += [f"p{n}={lower[i][:n]}" for n in (2, 3, 4) if len(form) > n]
        row += [f"s{n}={lower[i][-n:]}" for n in (2, 3, 4) if len(form) > n]
        for step in (-2, -1, 1, 2):
            j = i + step
            if 0 <= j < len(forms):
                row += [f"{step}w={lower[j]}", f"{step}shape={_short(shapes[j])}"]
                row += [f"{step}s3={lower[j][-3:]}"]
            else:
                row.append(f"{step}edge")
        if i:
            row.append(f"-1|0={lower[i - 1]}|{lower[i]}")
        if i + 1 < len(forms):
            row.append(f"0|1={lower[i]}|{lower[i + 1]}")
        rows.append(row)
    return rows


def _shape(form: str) -> str:
    return "".join("A" if c.isupper() else "a" if c.islower() else "0" if c.isdigit() else c for c in form)


def _short(shape: str) -> str:
    return shape[:1] + "".join(b for a, b in pairwise(shape) if a != b)


class LinearModel:
    """What CRFsuite wrote, ready to read sentences.

    Args:
        model: the bytes.
        labels: the labels that may come out.
    """

    def __init__(self, model: bytes, labels: Sequence[str]) -> None:
        import pycrfsuite

        self.model, self.labels = model, tuple(labels)
        self._tagger = pycrfsuite.Tagger()
        self._tagger.open_inmemory(model)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that it learned, in the order of `marginals`."""
        return tuple(self._tagger.labels())

    def marginals(self, rows: Any) -> NDArray[np.float64]:
        """``[words, tags]`` probability of each tag in a sentence; ``rows`` as in `entities`."""
        self._tagger.set(rows)
        tags = self.tags
        return np.array([[self._tagger.marginal(tag, i) for tag in tags] for i in range(len(rows))])

    def entities(self, offsets: Sequence[tuple[int, int]], rows: Any, *, confidence: bool) -> Iterator[Entity]:
        """The entities of a sentence.

        Args:
            offsets: of its words in the document.
            rows: what CRFsuite reads of them.
            confidence: give each entity the lowest marginal probability of its words.
        """
        path = self._tagger.tag(rows)
        for first, last, label in tagging.decode(path, SCHEME):
            if label in self.labels:
                score = min(self._tagger.marginal(path[i], i) for i in range(first, last)) if confidence else None
                yield Entity(offsets[first][0], offsets[last - 1][1], label, score)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model into a folder; what `load` needs beside it is returned."""
        (folder / "model.crfsuite").write_bytes(self.model)
        return {"labels": self.labels}

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> LinearModel:
        """Read what `save` wrote. Raises KeyError, OSError or ValueError where it is no model."""
        return cls((folder / "model.crfsuite").read_bytes(), config["labels"])


class LinearTagger:
    """A linear CRF on hand-made features.

    Args:
        model: trained on what `features` gives.
    """

    kind = "crfsuite"

    def __init__(self, model: LinearModel) -> None:
        self._model = model

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        return self._model.labels

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of `marginals`."""
        return self._model.tags

    def marginals(self, sentences: Sequence[Sequence[str]]) -> list[NDArray[np.float64]]:
        """``[words, tags]`` probability of each tag in each of some sentences, given as words."""
        return [self._model.marginals(features(forms)) for forms in sentences]

    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams.

        Args:
            documents: their entities are ignored.
            confidence: give each entity the lowest marginal probability of its words.
        """
        for document in documents:
            found: list[Entity] = []
            for start, end in sentences(document.text):
                offsets = words(document.text, start, end)
                if offsets:
                    rows = features([document.text[a:b] for a, b in offsets])
                    found += self._model.entities(offsets, rows, confidence=confidence)
            yield document.with_entities(found)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model into a folder; what `load` needs beside it is returned."""
        return self._model.save(folder)

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> LinearTagger:
        """Read what `save` wrote. Raises BundleError where it is no model."""
        try:
            return cls(LinearModel.load(folder, config))
        except (KeyError, OSError, ValueError) as error:
            raise BundleError(f"{folder}: not a CRFsuite model: {error}") from error


def train_linear(
    documents: Iterable[Document],
    labels: Sequence[str],
    *,
    settings: LinearCRF,
    folder: Path,
    losses: Losses | None = None,
) -> LinearTagger:
    """Train on every sentence that is annotated in full.

    Args:
        documents: with gold entities.
        labels: the labels that may come out.
        settings: of the CRF.
        folder: for the model file while CRFsuite writes it.
        losses: mentions that no flat tag sequence over words can hold, and sentences that were left out.
    """
    items = read_tokens(documents, losses=losses)
    for item in items:
        if item.tags is None and losses is not None:
            losses.add("skipped", "sentence that is not annotated in full")
    learned = ((features(item.forms), item.tags) for item in items if item.tags is not None)
    return LinearTagger(LinearModel(settings.train(learned, folder), labels))
