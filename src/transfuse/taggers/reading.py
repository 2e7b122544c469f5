"""An encoder and its heads read documents: sentences in, and for each head a path of tags out, with what it is sure of.

Sentences are read in groups of like length; one that is longer than a window is read in windows that overlap.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple, Self

import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from transfuse import tags as tagging
from transfuse.nn.crf import Lattice
from transfuse.nn.head import Head
from transfuse.nn.padding import inside
from transfuse.nn.transformer import AnyEncoder
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.mixed import AnyVocabulary
from transfuse.taggers.states import FreshForms, KeptForms
from transfuse.taggers.vocabulary import FormTable
from transfuse.tags import Span
from transfuse.text import BundleError, Document
from transfuse.words import sentences, words

__all__ = ["Piece", "Reader", "Reading", "Seen", "Window", "chunks", "pieces", "uncollected"]

_WINDOW, _OVERLAP = 400, 60
"""Words of a window and words that neighbouring windows share; only sentences longer than a window are cut so."""


class Piece(NamedTuple):
    """A sentence: the number of its document, and its words' offsets there."""

    document: int
    offsets: list[tuple[int, int]]


def chunks(documents: Iterable[Document], size: int) -> Iterator[list[Document]]:
    """Documents in groups of about so many words, at least one document; streams."""
    pending: list[Document] = []
    held = 0
    for document in documents:
        pending.append(document)
        held += len(document.text) // 5 + 1
        if held >= size:
            yield pending
            pending, held = [], 0
    yield pending


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the search for cyclic garbage: reading makes many small objects and no cycles, and it costs a tenth."""
    on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if on:
            gc.enable()


def pieces(documents: Sequence[Document]) -> list[Piece]:
    """The sentences of documents that hold a word."""
    found = []
    for number, document in enumerate(documents):
        for start, end in sentences(document.text):
            offsets = words(document.text, start, end)
            if offsets:
                found.append(Piece(number, offsets))
    return found


class Window(NamedTuple):
    """A piece of a sentence, its best path, and where its confidences stand."""

    start: int
    end: int
    path: list[int]
    lattice: Lattice | None
    row: int


class Seen(NamedTuple):
    """A span in the window in which it stands deepest: its first word there, its tags, and which tags may follow.

    ``closed_by`` is None where the span ends the window; see `transfuse.nn.crf.Lattice.span`.
    """

    window: Window
    first: int
    tags: list[int]
    closed_by: list[bool] | None


@dataclass(frozen=True)
class Reading:
    """What one head reads in one sentence.

    Attributes:
        tagset: the head's tags.
        windows: in order; nearly always one.
    """

    tagset: TagSet
    windows: tuple[Window, ...]

    @cached_property
    def path(self) -> list[int]:
        """The tag of each word: where windows overlap, from the one in which the word stands deeper."""
        return [tag for window, a, b in self._shares() for tag in window.path[a:b]]

    @cached_property
    def spans(self) -> list[Span]:
        """The mentions, as word ranges with their labels."""
        if not any(any(window.path) for window in self.windows):
            return []
        names = self.tagset.names
        return tagging.decode([names[tag] for tag in self.path], self.tagset.scheme)

    def chance(self, span: Span) -> float:
        """Probability that the words of a span, and no more, are such a mention, seen from one window.

        Args:
            span: of a label that the head knows; the head's own mentions are read with the tags that it gave them.
        """
        window, first, tags, closed_by = self.seen(span)
        assert window.lattice is not None
        return min(1.0, window.lattice.span(window.row, first, tags, closed_by))

    def seen(self, span: Span) -> Seen:
        """Where a span is looked at, and as which tags; see `chance`."""
        first, last, label = span
        tags = self.path[first:last] if span in self.spans else _tags(self.tagset, last - first, label)
        window = max(self.windows, key=lambda w: min(first - w.start, w.end - last))
        seen = tags[max(0, window.start - first) : window.end - first]
        closed_by = None if last >= window.end else _closing(self.tagset)[seen[-1]]
        return Seen(window, max(0, first - window.start), seen, closed_by)

    def candidates(self, least: float) -> dict[Span, float]:
        """The head's mentions and all other spans that are at least so probable, with their `chance`.

        A span is never more probable than that each word of it has a tag of the label, that its first word has a tag
        with which a mention begins, or its last one with which it ends: only what passes these three is looked at. In a
        scheme without a tag for beginnings the end of a mention counts as a mention too.
        """
        found = {span: self.chance(span) for span in self.spans}
        marginals = self.marginals.cpu()
        for label in self.tagset.labels:
            alone, long = _tags(self.tagset, 1, label), _tags(self.tagset, 3, label)
            tags = ({*alone, *long}, {alone[0], long[0]}, {alone[-1], long[-1]})
            inside, opens, closes = ((marginals[:, sorted(some)].sum(1) >= least).tolist() for some in tags)
            for first in (i for i, open_ in enumerate(opens) if open_):
                ends = takewhile(inside.__getitem__, range(first, len(inside)))
                for span in ((first, last + 1, label) for last in ends if closes[last]):
                    if span not in found and (chance := self.chance(span)) >= least:
                        found[span] = chance
        return found

    @property
    def marginals(self) -> Tensor:
        """``[words, tags]`` probability of each tag, float64."""
        parts = []
        for window, a, b in self._shares():
            assert window.lattice is not None
            parts.append(window.lattice.forward[window.row, a:b] * window.lattice.backward[window.row, a:b])
        return torch.cat(parts)

    def _shares(self) -> Iterator[tuple[Window, int, int]]:
        """Each window with the part of it that counts."""
        done = 0
        for number, window in enumerate(self.windows):
            until = window.end if number + 1 == len(self.windows) else window.end - _OVERLAP // 2
            yield window, done - window.start, until - window.start
            done = until


@cache
def _tags(tagset: TagSet, length: int, label: str) -> list[int]:
    """The tags of a mention that stands alone."""
    return [tagset.names.index(name) for name in tagging.encode([(0, length, label)], length, tagset.scheme)]


@cache
def _closing(tagset: TagSet) -> list[list[bool]]:
    """For each tag, which tags behind it end the mention that it belongs to."""
    return [[_parted(tag, after, tagset.scheme) for after in tagset.names] for tag in tagset.names]


def _parted(tag: str, after: str, scheme: str) -> bool:
    """Whether no mention holds two words that are tagged so."""
    return all(last - first < 2 for first, last, _ in tagging.decode([tag, after], scheme))


class Reader:
    """An encoder with heads, put to work.

    Args:
        encoder: the encoder.
        heads: over the tag set, in order.
        vocabulary: of the encoder.
        tagset: the heads' tags.
        architecture: from which the encoder was built, and the heads but for their kind.
    """

    def __init__(
        self,
        encoder: AnyEncoder,
        heads: Sequence[Head],
        vocabulary: AnyVocabulary,
        tagset: TagSet,
        architecture: Architecture,
    ) -> None:
        self.encoder, self.heads, self.vocabulary, self.tagset = encoder, tuple(heads), vocabulary, tagset
        self.architecture = architecture
        table = architecture.encoder.table(vocabulary, encoder)
        self._kept = KeptForms(encoder, table) if isinstance(table, FormTable) else FreshForms(encoder, table)

    def spell(self, documents: Sequence[Document], pieces: Iterable[Piece]) -> list[list[str]]:
        """The words of sentences, as `read` takes them."""
        return [self._kept.table.spell(documents[number].text, offsets) for number, offsets in pieces]

    def prepare(self) -> None:
        """To be called before reading begins."""
        if self.encoder.training:  # its weights have changed since anything was kept
            self._kept.clear()
        self.encoder.eval()
        for head in self.heads:
            head.eval()

    def forget(self, keep: int) -> None:
        """Forget what each form gives the encoder where more forms are kept than these."""
        if len(self._kept.table) > keep:
            self._kept.clear()

    @torch.no_grad()
    def read(self, forms: Sequence[Sequence[str]], *, chances: bool) -> list[tuple[Reading, ...]]:
        """Of each sentence what each head reads in it.

        Args:
            forms: sentences of at least one word.
            chances: keep what `Reading.chance` and `Reading.marginals` need.
        """
        numbers = [self._kept.table.numbers(row) for row in forms]
        windows = [(i, a, b) for i, row in enumerate(numbers) for a, b in _windows(len(row))]
        costs = {(i, a, b): self._kept.cost(numbers[i][a:b]) for i, a, b in windows}
        windows.sort(key=costs.__getitem__, reverse=True)
        parts: list[list[list[Window]]] = [[[] for _ in self.heads] for _ in numbers]
        for group in _groups(windows, costs, self._kept.together):
            rows = [numbers[i][a:b] for i, a, b in group]
            lengths = torch.tensor([len(row) for row in rows])
            steps = inside(lengths, int(lengths[0]))
            place = torch.zeros(steps.shape, dtype=torch.long)
            place[steps] = torch.tensor([n for row in rows for n in row])
            lengths = lengths.to(self.encoder.device)
            states = self._kept.states(place.to(self.encoder.device), lengths)
            for number, head in enumerate(self.heads):
                emissions = head.emissions(states)
                lattice = head.lattice(emissions, lengths) if chances else None
                best = head.decode(emissions, lengths).tolist()
                for j, (i, a, b) in enumerate(group):
                    parts[i][number].append(Window(a, b, best[j][: b - a], lattice, j))
        return [
            tuple(Reading(self.tagset, tuple(sorted(windows, key=lambda w: w.start))) for windows in sentence)
            for sentence in parts
        ]

    def save(self, folder: Path, *, prefix: str = "") -> dict[str, Any]:
        """Write weights and vocabulary into a folder; what `load` needs beside them is returned."""
        network = self.architecture.network(self.encoder, *self.heads)
        tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
        tensors |= self.architecture.encoder.save(folder, self.encoder, self.vocabulary, prefix=prefix)
        save_file(tensors, folder / f"{prefix}weights.safetensors")
        return {"architecture": asdict(self.architecture), "tagset": asdict(self.tagset)}

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any], *, prefix: str = "", kinds: Sequence[str] = ()) -> Self:
        """Read what `save` wrote.

        Args:
            folder: it was written into.
            config: what `save` returned.
            prefix: of the files' names.
            kinds: of the heads in order; one as the architecture has it by default.

        Raises:
            BundleError: the parts don't fit each other.
        """
        try:
            architecture = TypeAdapter(Architecture).validate_python(config["architecture"])
            tagset = TypeAdapter(TagSet).validate_python(config["tagset"])
            tensors = load_file(folder / f"{prefix}weights.safetensors")
            encoder, vocabulary = architecture.encoder.restore(folder, tensors, prefix=prefix)
            heads = [architecture.build_head(encoder.width, tagset, kind) for kind in kinds or [architecture.head]]
            architecture.network(encoder, *heads).load_state_dict(tensors)
        except (KeyError, OSError, RuntimeError, SafetensorError, TypeError, ValidationError) as error:
            reason = " ".join(str(error).split())
            raise BundleError(f"{folder}: the parts of the bundle do not fit each other: {reason}") from error
        return cls(encoder, heads, vocabulary, tagset, architecture)


_Place = tuple[int, int, int]
"""Of a window: which sentence, its first word, and the one behind its last."""


def _windows(length: int) -> list[tuple[int, int]]:
    if length <= _WINDOW:
        return [(0, length)]
    step = _WINDOW - _OVERLAP
    return [(a, min(a + _WINDOW, length)) for a in range(0, length - _OVERLAP, step)]


def _groups(windows: Sequence[_Place], costs: Mapping[_Place, int], most: int) -> Iterator[list[_Place]]:
    """Windows, dearest first, by groups of bounded cost, in each of which the longest stands first."""
    at = 0
    while at < len(windows):
        size = max(1, min(256, most // max(1, costs[windows[at]])))
        yield sorted(windows[at : at + size], key=lambda window: window[1] - window[2])
        at += size
