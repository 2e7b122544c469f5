"""The neural tagger: documents to batches and tags back to documents."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from transfuse import tags as tagging
from transfuse.architecture import Architecture, TagSet
from transfuse.losses import Losses
from transfuse.nn.crf import Lattice
from transfuse.nn.encoder import Batch, Encoder
from transfuse.nn.head import Head
from transfuse.nn.padding import inside
from transfuse.text import BundleError, Document, Entity
from transfuse.vocabulary import FormTable, Vocabulary, places
from transfuse.words import align, flatten, sentences, words

__all__ = ["NeuralTagger", "Sentence", "batches", "collate", "read_sentences"]

_WINDOW, _OVERLAP = 400, 60
"""Words of a window and words that neighbouring windows share; only sentences longer than a window are cut so."""


@dataclass(frozen=True)
class Sentence:
    """A training sentence: form numbers, and for each word its tag, or the tags it may have.

    Attributes:
        forms: numbers from a `FormTable`.
        tags: gold tags as rows of a `TagSet`.
        open: for words whose tag is not known, the rows that it may have.
        weight: of its loss.
    """

    forms: tuple[int, ...]
    tags: tuple[int, ...]
    open: tuple[tuple[int, tuple[int, ...]], ...] = ()
    weight: float = 1.0


def read_sentences(
    documents: Iterable[Document],
    table: FormTable,
    tagset: TagSet,
    *,
    annotated: Iterable[str],
    losses: Losses | None = None,
) -> list[Sentence]:
    """Documents as training sentences; no sentence border falls into a mention.

    Args:
        documents: with gold entities whose labels the tag set has.
        table: numbers the forms.
        tagset: the tags to learn.
        annotated: the labels that the documents' annotators looked for. A word outside all mentions may, for all we
            know, belong to one of the other labels of the tag set.
        losses: mentions that no flat tag sequence over words can hold.
    """
    row = {name: i for i, name in enumerate(tagset.names)}
    missing = set(tagset.labels) - set(annotated)
    outside = (0, *(i for name, i in row.items() if name.partition("-")[2] in missing))
    everything = tuple(range(len(row)))
    found = []
    for document in documents:
        for start, end in sentences(document.text, keep=[(e.start, e.end) for e in document.entities]):
            offsets = words(document.text, start, end)
            inside = [e for e in document.entities if start <= e.start < end]
            spans = align(offsets, inside, document=document.id, losses=losses)
            spans = flatten(spans, document=document.id, losses=losses)
            tags = [row[tag] for tag in tagging.encode(spans, len(offsets), tagset.scheme)]
            open_words = {}
            if missing:
                open_words = {i: outside for i, tag in enumerate(tags) if tag == 0}
            for a, b in document.unknown:
                open_words |= {i: everything for i, (x, y) in enumerate(offsets) if x < b and a < y}
            forms = table.numbers(document.text[a:b] for a, b in offsets)
            found.append(Sentence(tuple(forms), tuple(tags), tuple(sorted(open_words.items()))))
    return found


def batches(
    items: Sequence[Sentence], *, size: int, words_at_most: int, seed: str, pool: int = 50
) -> list[list[Sentence]]:
    """Shuffled batches of sentences of like length, each longest first.

    Args:
        items: the sentences of an epoch.
        size: sentences a batch, at most.
        words_at_most: words a batch with its padding, at most, unless one sentence alone is longer.
        seed: decides the order.
        pool: batches within whose sentences lengths are sorted; larger pools pad less and mix less.
    """
    draw = random.Random(seed)
    order = list(items)
    draw.shuffle(order)
    found: list[list[Sentence]] = []
    for start in range(0, len(order), size * pool):
        batch: list[Sentence] = []
        for item in sorted(order[start : start + size * pool], key=lambda s: -len(s.forms)):
            longest = len(batch[0].forms) if batch else 0
            if len(batch) == size or longest * (len(batch) + 1) > words_at_most:
                found.append(batch)
                batch = []
            batch.append(item)
        if batch:
            found.append(batch)
    draw.shuffle(found)
    return found


def collate(items: Sequence[Sentence], table: FormTable, tagset: TagSet, *, word_dropout: float = 0.0) -> Batch:
    """A batch of training sentences, longest first.

    Args:
        items: longest first.
        table: that numbered the forms.
        tagset: of their tags.
        word_dropout: a form that training holds n times is treated as unknown with probability ``a / (a + n)``.
    """
    distinct, place, lengths = places([item.forms for item in items])
    forms = table.forms().select(distinct)
    unknown = None
    if word_dropout:
        counts = table.vocabulary.counts[forms.trained]
        unknown = torch.rand(len(distinct)) < word_dropout / (word_dropout + counts)
    steps = inside(lengths, place.shape[1])
    tags = torch.zeros(place.shape, dtype=torch.long)
    tags[steps] = torch.tensor([tag for item in items for tag in item.tags])
    allowed = None
    if any(item.open for item in items):
        allowed = nn.functional.one_hot(tags, len(tagset.names)).bool()
        for i, item in enumerate(items):
            for word, rows in item.open:
                allowed[i, word] = False
                allowed[i, word, list(rows)] = True
    weights = torch.tensor([item.weight for item in items])
    return Batch(forms, place, lengths, unknown, tags, allowed, weights)


class NeuralTagger:
    """An encoder and one head of it, put to work.

    Args:
        encoder: the encoder.
        head: the head.
        vocabulary: of the encoder.
        tagset: the head's tags.
        architecture: from which encoder and head were built.
        outputs: the labels that may come out; others that the head knows are held back. All by default.
        chunk: words that are tagged together, at least one document.
        keep: forms whose encoding is kept.
    """

    kind = "neural"

    def __init__(
        self,
        encoder: Encoder,
        head: Head,
        vocabulary: Vocabulary,
        tagset: TagSet,
        *,
        architecture: Architecture,
        outputs: Iterable[str] | None = None,
        chunk: int = 40_000,
        keep: int = 16_000,
    ) -> None:
        self.encoder, self.head, self.vocabulary, self.tagset = encoder, head, vocabulary, tagset
        self.architecture = architecture
        self._kept = _Kept(encoder, vocabulary)
        self._outputs = tuple(tagset.labels if outputs is None else outputs)
        self.chunk, self.keep = chunk, keep

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        return self._outputs

    @torch.no_grad()
    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams, in memory that does not grow.

        Args:
            documents: their entities are ignored.
            confidence: give each entity its probability under the CRF.
        """
        if self.encoder.training:  # its weights have changed since anything was kept
            self._kept.clear()
        self.encoder.eval()
        self.head.eval()
        pending: list[Document] = []
        size = 0
        for document in documents:
            pending.append(document)
            size += len(document.text) // 5 + 1
            if size >= self.chunk:
                yield from self._tag(pending, confidence)
                pending, size = [], 0
                if len(self._kept.table) > self.keep:
                    self._kept.clear()
        yield from self._tag(pending, confidence)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write weights and vocabulary into a folder; what `load` needs beside them is returned."""
        network = self.architecture.network(self.encoder, self.head)
        tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        tensors["vectors"] = self.encoder.forms.vectors.cpu()
        save_file(tensors, folder / "weights.safetensors")
        self.vocabulary.save(folder / "vocabulary.json")
        return {
            "architecture": asdict(self.architecture),
            "tagset": asdict(self.tagset),
            "outputs": self._outputs,
        }

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> NeuralTagger:
        """Read what `save` wrote. Raises BundleError where the parts don't fit each other."""
        try:
            architecture = TypeAdapter(Architecture).validate_python(config["architecture"])
            tagset = TypeAdapter(TagSet).validate_python(config["tagset"])
            vocabulary = Vocabulary.load(folder / "vocabulary.json")
            tensors = load_file(folder / "weights.safetensors")
            encoder = architecture.encoder.build(vocabulary, tensors.pop("vectors"))
            head = architecture.build_head(encoder.width, tagset)
            architecture.network(encoder, head).load_state_dict(tensors)
            outputs = config["outputs"]
        except (KeyError, RuntimeError, SafetensorError, ValidationError) as error:
            reason = " ".join(str(error).split())
            raise BundleError(f"{folder}: the parts of the bundle do not fit each other: {reason}") from error
        return cls(encoder, head, vocabulary, tagset, architecture=architecture, outputs=outputs)

    def _tag(self, documents: Sequence[Document], confidence: bool) -> Iterator[Document]:
        pieces: list[tuple[int, list[tuple[int, int]]]] = []
        for number, document in enumerate(documents):
            for start, end in sentences(document.text):
                offsets = words(document.text, start, end)
                if offsets:
                    pieces.append((number, offsets))
        numbers = [self._kept.table.numbers([documents[n].text[a:b] for a, b in offsets]) for n, offsets in pieces]
        found: list[list[Entity]] = [[] for _ in documents]
        for (number, offsets), spans in zip(pieces, self._spans(numbers, confidence), strict=True):
            for first, last, label, score in spans:
                if label in self._outputs:
                    found[number].append(Entity(offsets[first][0], offsets[last - 1][1], label, score))
        for document, entities in zip(documents, found, strict=True):
            yield document.with_entities(entities)

    def _spans(self, numbers: list[list[int]], confidence: bool) -> Iterator[list[_Found]]:
        """Entities of each sentence, as word ranges with label and confidence."""
        windows = [(i, a, b) for i, row in enumerate(numbers) for a, b in _windows(len(row))]
        windows.sort(key=lambda w: w[1] - w[2])
        parts: list[list[_Window]] = [[] for _ in numbers]
        for group in _groups(windows, 8_000):
            rows = [numbers[i][a:b] for i, a, b in group]
            lengths = torch.tensor([len(row) for row in rows])
            steps = inside(lengths, int(lengths[0]))
            place = torch.zeros(steps.shape, dtype=torch.long)
            place[steps] = torch.tensor([n for row in rows for n in row])
            lengths = lengths.to(self.encoder.device)
            states = self.encoder.run(self._kept.values(), place.to(self.encoder.device), lengths)
            emissions = self.head.projection(states)
            lattice = self.head.lattice(emissions, lengths) if confidence else None
            best = self.head.decode(emissions, lengths).tolist()
            for j, (i, a, b) in enumerate(group):
                parts[i].append(_Window(a, b, best[j][: b - a], lattice, j))
        return (self._read(sorted(windows, key=lambda w: w.start)) for windows in parts)

    def _read(self, windows: list[_Window]) -> list[_Found]:
        """The entities of one sentence from the paths of its windows."""
        if not any(any(window.path) for window in windows):
            return []
        names = self.tagset.names
        path = _merge(windows)
        spans = tagging.decode([names[tag] for tag in path], self.tagset.scheme)
        found: list[_Found] = []
        for first, last, label in spans:
            score = None
            if windows[0].lattice is not None:
                window = max(windows, key=lambda w: min(first - w.start, w.end - last))
                score = self._confidence(window, first, last, path)
            found.append((first, last, label, score))
        return found

    def _confidence(self, window: _Window, first: int, last: int, path: list[int]) -> float:
        """Probability that the words of a span, and no more, are this entity, seen from one window."""
        assert window.lattice is not None
        tags = path[max(first, window.start) : min(last, window.end)]
        closed = None if last >= window.end else self._closing[tags[-1]]
        return min(1.0, window.lattice.span(window.row, max(0, first - window.start), tags, closed))

    @cached_property
    def _closing(self) -> list[list[bool]]:
        """For each tag, which tags behind it end the mention that it belongs to."""
        names, scheme = self.tagset.names, self.tagset.scheme
        return [[_parted(tag, after, scheme) for after in names] for tag in names]


_Found = tuple[int, int, str, float | None]
"""First word, one past the last, label, confidence."""


class _Window(NamedTuple):
    """A piece of a sentence, its best path, and where its confidences stand."""

    start: int
    end: int
    path: list[int]
    lattice: Lattice | None
    row: int


def _parted(tag: str, after: str, scheme: str) -> bool:
    """Whether no mention holds two words that are tagged so."""
    return all(last - first < 2 for first, last, _ in tagging.decode([tag, after], scheme))


class _Kept:
    """What each form gives the encoder, computed once."""

    def __init__(self, encoder: Encoder, vocabulary: Vocabulary) -> None:
        self.table = FormTable(vocabulary)
        self._encoder = encoder
        self._values: Tensor | None = None

    def values(self) -> Tensor:
        """``[2, forms, 4 * hidden]``, one row a form that the table has numbered."""
        have, want = 0 if self._values is None else self._values.shape[1], len(self.table)
        if self._values is not None and have == want:
            return self._values
        forms = self.table.forms()
        by_length = have + (forms.chars[have:] != 0).sum(1).argsort(stable=True)
        parts = [
            self._encoder.project(forms.select(part).to(self._encoder.device)) for part in torch.split(by_length, 1024)
        ]
        new = torch.cat(parts, 1)[:, (by_length - have).argsort()]
        self._values = new if self._values is None else torch.cat([self._values, new], 1)
        return self._values

    def clear(self) -> None:
        """Forget everything."""
        self.table.clear()
        self._values = None


def _windows(length: int) -> list[tuple[int, int]]:
    if length <= _WINDOW:
        return [(0, length)]
    step = _WINDOW - _OVERLAP
    return [(a, min(a + _WINDOW, length)) for a in range(0, length - _OVERLAP, step)]


def _merge(windows: list[_Window]) -> list[int]:
    """One path from overlapping windows: each word's tag comes from the window in which it stands deeper."""
    path: list[int] = []
    for number, window in enumerate(windows):
        until = window.end if number + 1 == len(windows) else window.end - _OVERLAP // 2
        path += window.path[len(path) - window.start : until - window.start]
    return path


def _groups(windows: list[tuple[int, int, int]], words_at_most: int) -> Iterator[list[tuple[int, int, int]]]:
    """Windows, longest first, in groups of bounded size."""
    rest = iter(windows)
    while group := list(islice(rest, 1)):
        length = max(1, group[0][2] - group[0][1])
        group += islice(rest, max(0, min(256, words_at_most // length) - 1))
        yield group
