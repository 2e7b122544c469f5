"""A linear CRF (CRFsuite) that reads the features of words, and beside or instead of them what a map makes of these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse

from transfuse.maps.adaptation import Kernel, Projection
from transfuse.maps.token_features import Extractor, load_extractor
from transfuse.taggers.linear import LinearCRF, LinearModel, Tokens
from transfuse.text import BundleError, Document, Entity
from transfuse.words import sentences, words

__all__ = ["MappedTagger", "Reader", "train_mapped"]

_TOGETHER = 200  # sentences whose features are made together


@dataclass(frozen=True)
class Reader:
    """What the CRF reads of sentences.

    Attributes:
        extractor: of features.
        projection: the map; None for features as they are.
        keep: the features are read beside what the map makes of them.
    """

    extractor: Extractor
    projection: Projection | None
    keep: bool

    def attributes(self, forms: Sequence[Sequence[str]]) -> Iterator[list[dict[str, float]]]:
        """For each sentence, for each word, its attributes by name; some sentences at a time are in memory."""
        for start in range(0, len(forms), _TOGETHER):
            yield from self._read(forms[start : start + _TOGETHER])

    def _read(self, forms: Sequence[Sequence[str]]) -> list[list[dict[str, float]]]:
        if self.projection is None:
            return self.extractor.attributes(forms)
        mapped = self.projection.apply(self.extractor.rows(forms))
        names = [f"map{i}" for i in range(mapped.shape[1])]
        rows = iter(mapped.tolist())
        if not self.keep:
            return [[dict(zip(names, next(rows), strict=True)) for _ in sentence] for sentence in forms]
        kept = self.extractor.attributes(forms)
        return [[own | dict(zip(names, next(rows), strict=True)) for own in sentence] for sentence in kept]


class MappedTagger:
    """A linear CRF and what makes its features.

    Args:
        model: trained on what the reader gives.
        reader: makes what the model reads.
    """

    kind = "mapped"

    def __init__(self, model: LinearModel, reader: Reader) -> None:
        self._model, self._reader = model, reader

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
        import pycrfsuite

        return [self._model.marginals(pycrfsuite.ItemSequence(row)) for row in self._reader.attributes(sentences)]

    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams.

        Args:
            documents: their entities are ignored.
            confidence: give each entity the lowest marginal probability of its words.
        """
        pending: list[Document] = []
        size = 0
        for document in documents:
            pending.append(document)
            size += len(document.text) // 100 + 1
            if size >= _TOGETHER:
                yield from self._tag(pending, confidence)
                pending, size = [], 0
        yield from self._tag(pending, confidence)

    def _tag(self, documents: Sequence[Document], confidence: bool) -> Iterator[Document]:
        import pycrfsuite

        cut = [[words(d.text, start, end) for start, end in sentences(d.text)] for d in documents]
        pieces = [(number, offsets) for number, document in enumerate(cut) for offsets in document if offsets]
        rows = self._reader.attributes([[documents[n].text[a:b] for a, b in offsets] for n, offsets in pieces])
        found: list[list[Entity]] = [[] for _ in documents]
        for (number, offsets), row in zip(pieces, rows, strict=True):
            found[number] += self._model.entities(offsets, pycrfsuite.ItemSequence(row), confidence=confidence)
        for document, entities in zip(documents, found, strict=True):
            yield document.with_entities(entities)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write model, features and map into a folder; what `load` needs beside them is returned."""
        config: dict[str, Any] = {
            **self._model.save(folder),
            "keep": self._reader.keep,
            "features": self._reader.extractor.save(folder),
            "map": None,
        }
        projection = self._reader.projection
        if projection is not None:
            save_file(_tensors(projection), folder / "map.safetensors")
            config["map"] = {"kernel": projection.kernel.kind, "bandwidth": projection.kernel.bandwidth}
        return config

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> MappedTagger:
        """Read what `save` wrote. Raises BundleError where the parts don't fit each other."""
        try:
            projection = None
            if config["map"]:
                kernel = Kernel(config["map"]["kernel"], float(config["map"]["bandwidth"]))
                projection = _projection(load_file(folder / "map.safetensors"), kernel)
            extractor = load_extractor(folder, config["features"])
            return cls(LinearModel.load(folder, config), Reader(extractor, projection, bool(config["keep"])))
        except (KeyError, OSError, SafetensorError, TypeError, ValueError) as error:
            raise BundleError(f"{folder}: the parts of the bundle do not fit each other: {error}") from error


def _tensors(projection: Projection) -> dict[str, NDArray[Any]]:
    found: dict[str, NDArray[Any]] = {
        "weights": np.ascontiguousarray(projection.weights),
        "offset": np.ascontiguousarray(projection.offset),
    }
    landmarks = projection.landmarks
    if sparse.issparse(landmarks):
        parts = {"values": landmarks.data, "indices": landmarks.indices, "ends": landmarks.indptr}
        shape = np.array(landmarks.shape, dtype=np.int64)
        return found | {f"landmarks.{name}": part for name, part in parts.items()} | {"landmarks.shape": shape}
    return found if landmarks is None else found | {"landmarks": np.ascontiguousarray(landmarks)}


def _projection(tensors: dict[str, NDArray[Any]], kernel: Kernel) -> Projection:
    landmarks: Any = tensors.get("landmarks")
    if "landmarks.values" in tensors:
        parts = tuple(tensors[f"landmarks.{name}"] for name in ("values", "indices", "ends"))
        landmarks = sparse.csr_matrix(parts, shape=tuple(tensors["landmarks.shape"].tolist()))
    return Projection(tensors["weights"], tensors["offset"], landmarks, kernel)


def train_mapped(
    items: Sequence[Tokens], labels: Sequence[str], reader: Reader, settings: LinearCRF, *, folder: Path
) -> MappedTagger:
    """Train on sentences.

    Args:
        items: sentences, all tagged.
        labels: the labels that may come out.
        reader: makes what the model reads.
        settings: of the CRF.
        folder: for the model file while CRFsuite writes it.
    """
    import pycrfsuite

    read = map(pycrfsuite.ItemSequence, reader.attributes([item.forms for item in items]))
    learned = zip(read, [item.tags or () for item in items], strict=True)
    return MappedTagger(LinearModel(settings.train(learned, folder), labels), reader)
