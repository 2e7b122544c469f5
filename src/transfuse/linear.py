"""A linear-chain CRF on hand-made features, through CRFsuite: what a user without a GPU would pick."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from transfuse import tags as tagging
from transfuse.losses import Losses
from transfuse.text import BundleError, Document, Entity
from transfuse.words import align, flatten, sentences, words

__all__ = ["LinearTagger", "features", "train_linear"]

SCHEME = "BIO"


def features(forms: Sequence[str]) -> list[list[str]]:
    """The usual features of each word: itself, its shape and affixes, and what stands up to two words away.

    Args:
        forms: the words of a sentence.

    Returns:
        One list of names a word.
    """
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


class LinearTagger:
    """A trained CRFsuite model.

    Args:
        model: what CRFsuite wrote.
        labels: the labels that may come out.
    """

    kind = "crfsuite"

    def __init__(self, model: bytes, labels: Sequence[str]) -> None:
        import pycrfsuite

        self._model, self._labels = model, tuple(labels)
        self._tagger = pycrfsuite.Tagger()
        self._tagger.open_inmemory(model)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        return self._labels

    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams.

        Args:
            documents: their entities are ignored.
            confidence: give each entity the lowest marginal probability of its words.
        """
        for document in documents:
            found = []
            for start, end in sentences(document.text):
                offsets = words(document.text, start, end)
                if not offsets:
                    continue
                path = self._tagger.tag(features([document.text[a:b] for a, b in offsets]))
                for first, last, label in tagging.decode(path, SCHEME):
                    if label in self._labels:
                        score = None
                        if confidence:
                            score = min(self._tagger.marginal(path[i], i) for i in range(first, last))
                        found.append(Entity(offsets[first][0], offsets[last - 1][1], label, score))
            yield document.with_entities(found)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the model into a folder; what `load` needs beside it is returned."""
        (folder / "model.crfsuite").write_bytes(self._model)
        return {"labels": self._labels}

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> LinearTagger:
        """Read what `save` wrote."""
        try:
            return cls((folder / "model.crfsuite").read_bytes(), config["labels"])
        except (KeyError, ValueError) as error:
            raise BundleError(f"{folder}: not a CRFsuite model: {error}") from error


def train_linear(
    documents: Iterable[Document],
    labels: Sequence[str],
    *,
    folder: Path,
    c1: float,
    c2: float,
    iterations: int,
    losses: Losses | None = None,
) -> LinearTagger:
    """Train with L-BFGS and elastic net.

    Args:
        documents: with gold entities.
        labels: the labels that may come out.
        folder: for the model file while CRFsuite writes it.
        c1: weight of the L1 term.
        c2: weight of the L2 term.
        iterations: at most.
        losses: mentions that no flat tag sequence over words can hold.
    """
    import pycrfsuite

    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params({"c1": c1, "c2": c2, "max_iterations": iterations, "feature.possible_transitions": True})
    for document in documents:
        for start, end in sentences(document.text, keep=[(e.start, e.end) for e in document.entities]):
            offsets = words(document.text, start, end)
            inside = [e for e in document.entities if start <= e.start < end]
            spans = flatten(align(offsets, inside, document=document.id, losses=losses), losses=losses)
            if offsets:
                rows = features([document.text[a:b] for a, b in offsets])
                trainer.append(rows, tagging.encode(spans, len(offsets), SCHEME))
    path = folder / "training.crfsuite"
    folder.mkdir(parents=True, exist_ok=True)
    trainer.train(str(path))
    model = path.read_bytes()
    path.unlink()
    return LinearTagger(model, labels)
