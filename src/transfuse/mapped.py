"""A linear CRF on token features that a map has brought closer between source and target: what TCA, JDA and SCL share.

All of it is fitted in one go: a run that was killed starts again from the beginning and ends in the same tagger.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy import sparse

from transfuse import tags as tagging
from transfuse.adaptation import UNKNOWN, Components, Kernel, Projection, separation, standardised
from transfuse.linear import train_linear
from transfuse.losses import Losses
from transfuse.run import Run, Stage
from transfuse.sources import need_sources
from transfuse.text import BundleError, ConfigError, Corpus, Document, Entity, Tagger, Task
from transfuse.token_features import (
    SCHEME,
    Extractor,
    HandMade,
    Tokens,
    find_extractor,
    load_extractor,
    read_tokens,
)
from transfuse.words import sentences, words

__all__ = ["Adapted", "KernelAdapted", "LinearCRF", "MappedTagger", "Sides"]

Ints = NDArray[np.int64]

_COMPARED = 500  # words a side between which the record tells the discrepancy


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


@dataclass(frozen=True)
class Sides:
    """What a map is learned from.

    Attributes:
        source: ``[n, width]`` words of the sources.
        target: ``[m, width]`` words of the target, those of its raw text among them.
        tags: ``[n]`` numbers of the sources' tags.
        known: ``[m]`` of the target's, `transfuse.adaptation.UNKNOWN` where nobody annotated.
        names: of the columns where they are hand-made.
    """

    source: Any
    target: Any
    tags: Ints
    known: Ints
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Adapted(ABC):
    """Settings that the traditional methods share.

    The CRF learns from the sources and from the target's labelled sentences, if there are any. The map sees raw text of
    the target beside them, so that it works without a label of the target, too.

    Attributes:
        adapt: learn a map; without one the same CRF reads the features as they are ("no adaptation").
        keep: the CRF reads the features beside what the map makes of them; else the latter alone.
        tokens: words a side that a map is learned from, in whole sentences; more are drawn from. 0 for all.
        crf: the tagger.
    """

    adapt: bool = True
    keep: bool = True
    tokens: int = 10_000
    crf: LinearCRF = field(default_factory=LinearCRF)

    def __post_init__(self) -> None:
        if self.tokens < 0:
            raise ConfigError(f"tokens is a number of words or 0, not {self.tokens}")

    @abstractmethod
    def learn(self, sides: Sides, *, stage: Stage) -> Projection:
        """The map."""

    @abstractmethod
    def extractor(self, sentences: Iterable[Sequence[str]]) -> Extractor:
        """The features of words.

        Args:
            sentences: those that the map is learned from.
        """

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn the map from words of both sides, then the CRF from all that is annotated."""
        need_sources(task)
        began = time.process_time()
        stage, losses = run.stage("target"), Losses()
        sources = [_completed(source, task, self.crf, stage=stage) for source in task.sources]
        source = read_tokens((d for c in sources for d in c.train), losses=losses)
        target = read_tokens(task.target.train, losses=losses)
        raw = read_tokens(task.raw, tagged=False)
        labelled = [item for item in (*source, *target) if item.tags is not None]
        if not labelled:
            raise ConfigError("there is no annotated sentence to learn from")
        extractor, projection = self._map(source, [*target, *raw], task.target.labels, stage=stage)
        tagger = _train(labelled, task.target.labels, _Reader(extractor, projection, self.keep), self.crf, run=run)
        stage.record(
            "trained",
            corpus=task.target.name,
            cpu_seconds=round(time.process_time() - began, 2),
            sentences={"source": len(source), "target": len(target), "raw": len(raw)},
            unknown=len(source) + len(target) - len(labelled),
            losses=losses.counts,
            selection="last iteration",
        )
        return tagger

    def _map(
        self, source: Sequence[Tokens], target: Sequence[Tokens], labels: Sequence[str], *, stage: Stage
    ) -> tuple[Extractor, Projection | None]:
        drawn = [_drawn(items, self.tokens, seed=stage.seed) for items in (source, target)]
        extractor = self.extractor(item.forms for items in drawn for item in items)
        if not self.adapt:
            return extractor, None
        first, second = ([item.forms for item in items] for items in drawn)
        numbers = {tag: number for number, tag in enumerate(tagging.tag_names(labels, SCHEME))}
        sides = Sides(
            extractor.rows(first),
            extractor.rows(second),
            _numbered(drawn[0], numbers),
            _numbered(drawn[1], numbers),
            extractor.names if isinstance(extractor, HandMade) else (),
        )
        learned = self.learn(sides, stage=stage)
        projection = standardised(learned, extractor.rows([*first, *second]))
        stage.record("map", **_facts(sides, projection), words={"source": _words(source), "target": _words(target)})
        return extractor, projection


@dataclass(frozen=True)
class KernelAdapted(Adapted):
    """Settings of TCA and JDA.

    Attributes:
        encoder: a bundle or a run folder whose frozen encoder gives the features; hand-made ones where it is empty.
        components: of the map.
    """

    encoder: str = ""
    components: Components = field(default_factory=Components)

    def extractor(self, sentences: Iterable[Sequence[str]]) -> Extractor:
        """States of the encoder, or hand-made features in rows of unit length."""
        return find_extractor(self.encoder) if self.encoder else HandMade.of(sentences, unit=True)


def _completed(source: Corpus, task: Task, crf: LinearCRF, *, stage: Stage) -> Corpus:
    """A source in the target's labels.

    A label that the target lacks is outside there. One that the source does not annotate is filled in by a CRF trained
    on the corpora that do, so that "not annotated" is not learned as "outside".
    """
    labels = task.target.labels
    missing = [label for label in labels if label not in source.labels]
    documents = [d.with_entities(e for e in d.entities if e.label in labels) for d in source.train]
    teachers = [c for c in (task.target, *task.sources) if c.train and set(missing) <= set(c.labels)]
    added = 0
    if missing and teachers:
        lessons = [d.with_entities(e for e in d.entities if e.label in missing) for c in teachers for d in c.train]
        folder = stage.run.folder / "checkpoint"
        teacher = train_linear(lessons, missing, folder=folder, c1=crf.c1, c2=crf.c2, iterations=crf.iterations)
        for number, (document, guess) in enumerate(zip(documents, teacher.tag(documents), strict=True)):
            new = [e for e in guess.entities if not any(e.overlaps(other) for other in document.entities)]
            documents[number] = document.with_entities([*document.entities, *new])
            added += len(new)
    if missing:
        names = [c.name for c in teachers]
        stage.record("completed", corpus=source.name, labels=missing, mentions=added, teachers=names)
    return Corpus(source.name, {"train": tuple(documents)}, labels, source.language)


def _drawn(items: Sequence[Tokens], tokens: int, *, seed: int) -> list[Tokens]:
    """Sentences with about so many words, in their order."""
    if not tokens or _words(items) <= tokens:
        return list(items)
    order = np.random.default_rng(seed).permutation(len(items))
    held = np.cumsum([len(items[i].forms) for i in order])
    return [items[i] for i in np.sort(order[: int(np.searchsorted(held, tokens)) + 1])]


def _words(items: Iterable[Tokens]) -> int:
    return sum(len(item.forms) for item in items)


def _numbered(items: Iterable[Tokens], numbers: dict[str, int]) -> Ints:
    rows = (([UNKNOWN] * len(item.forms) if item.tags is None else [numbers[t] for t in item.tags]) for item in items)
    return np.array([number for row in rows for number in row], dtype=np.int64)


def _facts(sides: Sides, projection: Projection) -> dict[str, Any]:
    """For the record: of how many words the map was made, and how far apart the sides are without and with it."""
    draw = np.random.default_rng(0)
    source, target = (side[draw.permutation(side.shape[0])[:_COMPARED]] for side in (sides.source, sides.target))
    landmarks = projection.landmarks
    return {
        "drawn": {"source": sides.source.shape[0], "target": sides.target.shape[0]},
        "width": sides.source.shape[1],
        "landmarks": None if landmarks is None else landmarks.shape[0],
        "bandwidth": projection.kernel.bandwidth or None,
        "dimension": projection.weights.shape[1],
        "separation": {
            "before": round(separation(source, target, projection.kernel), 6),
            "after": round(separation(projection.apply(source), projection.apply(target)), 6),
        },
    }


@dataclass(frozen=True)
class _Reader:
    """What the CRF reads of sentences."""

    extractor: Extractor
    projection: Projection | None
    keep: bool

    def attributes(self, forms: Sequence[Sequence[str]]) -> list[list[dict[str, float]]]:
        if self.projection is None:
            return self.extractor.attributes(forms)
        mapped = self.projection.apply(self.extractor.rows(forms))
        names = [f"map{i}" for i in range(mapped.shape[1])]
        rows = iter(mapped.tolist())
        if not self.keep:
            return [[dict(zip(names, next(rows), strict=True)) for _ in sentence] for sentence in forms]
        kept = self.extractor.attributes(forms)
        return [[own | dict(zip(names, next(rows), strict=True)) for own in sentence] for sentence in kept]


def _train(items: Sequence[Tokens], labels: Sequence[str], reader: _Reader, crf: LinearCRF, *, run: Run) -> Tagger:
    import pycrfsuite

    trainer = pycrfsuite.Trainer(algorithm="lbfgs", verbose=False)
    trainer.set_params(
        {"c1": crf.c1, "c2": crf.c2, "max_iterations": crf.iterations, "feature.possible_transitions": True}
    )
    for start in range(0, len(items), _TOGETHER):
        group = items[start : start + _TOGETHER]
        for item, rows in zip(group, reader.attributes([i.forms for i in group]), strict=True):
            trainer.append(pycrfsuite.ItemSequence(rows), item.tags)
    path = run.folder / "checkpoint" / "training.crfsuite"
    path.parent.mkdir(parents=True, exist_ok=True)
    trainer.train(str(path))
    model = path.read_bytes()
    path.unlink()
    return MappedTagger(model, labels, reader.extractor, reader.projection, keep=reader.keep)


_TOGETHER = 200
"""Sentences whose features are made together."""


class MappedTagger:
    """A trained CRFsuite model, the features that it reads, and the map between.

    Args:
        model: what CRFsuite wrote.
        labels: the labels that may come out.
        extractor: of features.
        projection: the map; None for features as they are.
        keep: the features are read beside what the map makes of them.
    """

    kind = "mapped"

    def __init__(
        self,
        model: bytes,
        labels: Sequence[str],
        extractor: Extractor,
        projection: Projection | None = None,
        *,
        keep: bool = True,
    ) -> None:
        import pycrfsuite

        self._model, self._labels = model, tuple(labels)
        self._reader = _Reader(extractor, projection, keep)
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
        cut = [[words(d.text, start, end) for start, end in sentences(d.text)] for d in documents]
        pieces = [(number, offsets) for number, document in enumerate(cut) for offsets in document if offsets]
        rows = self._reader.attributes([[documents[n].text[a:b] for a, b in offsets] for n, offsets in pieces])
        found: list[list[Entity]] = [[] for _ in documents]
        for (number, offsets), row in zip(pieces, rows, strict=True):
            found[number] += self._entities(offsets, row, confidence)
        for document, entities in zip(documents, found, strict=True):
            yield document.with_entities(entities)

    def _entities(
        self, offsets: Sequence[tuple[int, int]], row: list[dict[str, float]], confidence: bool
    ) -> Iterator[Entity]:
        import pycrfsuite

        path = self._tagger.tag(pycrfsuite.ItemSequence(row))
        for first, last, label in tagging.decode(path, SCHEME):
            if label in self._labels:
                score = min(self._tagger.marginal(path[i], i) for i in range(first, last)) if confidence else None
                yield Entity(offsets[first][0], offsets[last - 1][1], label, score)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write model, features and map into a folder; what `load` needs beside them is returned."""
        (folder / "model.crfsuite").write_bytes(self._model)
        config: dict[str, Any] = {
            "labels": self._labels,
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
            model = (folder / "model.crfsuite").read_bytes()
            return cls(model, config["labels"], extractor, projection, keep=bool(config["keep"]))
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
