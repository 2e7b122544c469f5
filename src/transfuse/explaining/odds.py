"""How sure a tagger is of a span of words, as log-odds ``log(p / (1 - p))``, when other words stood in the sentence.

`Removal` puts a word that nobody knows in the place of words, which any tagger bears.
`Network` does it with the vectors that an encoder makes of words, and is differentiable with respect to them: through
the encoder, the emissions, and the log-weights of all tag paths that hold the span and of all that do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from transfuse.context import Form
from transfuse.encoders.pieces import Pieces, PieceTable
from transfuse.ensembles.calibrated import CalibratedTagger
from transfuse.ensembles.fusion import FusedTagger
from transfuse.ensembles.opinions import voice
from transfuse.ensembles.votes import VoteTagger, mean_marginals, span_chances
from transfuse.explaining.paths import path_scores, span_log_odds
from transfuse.maps.mapped import MappedTagger
from transfuse.nn.encoder import Batch, Encoder
from transfuse.nn.forms import PieceForms
from transfuse.nn.transformer import Transformer
from transfuse.taggers.architecture import TagSet
from transfuse.taggers.linear import LinearTagger
from transfuse.taggers.mixed import MixedVocabulary
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.reading import Piece, Reader, Reading
from transfuse.taggers.vocabulary import FormTable
from transfuse.tags import Span
from transfuse.text import ConfigError, Document, Entity, LabelError, Tagger

__all__ = ["BASELINES", "STAND_IN", "Network", "Removal", "differentiable"]

BASELINES = ("auto", "unknown", "mask", "zero")
"""What stands in for a word that is taken away. unknown: a word, or piece, that nobody knows; mask: a transformer's
mask piece; zero: a vector of zeros; auto: mask where there is one, else unknown."""

STAND_IN = "\N{REPLACEMENT CHARACTER}"
"""The word that nobody knows."""

_LETTER = "\N{LATIN LETTER SINOLOGICAL DOT}"
"""Stands in before a full stop, which then ends no sentence: the word may have been an abbreviation."""

_MASKS = ("[MASK]", "<mask>")
_LEAST = 1e-12  # of a probability or its complement, where only the probability is known
_TOGETHER = 128  # sentences that are read at once


class Removal:
    """Log-odds of a span when some words are replaced by one that nobody knows.

    Args:
        tagger: of any kind. One that says no more than what it finds gives that its confidence, or 1, and all else 0.
        document: holds the sentence.
        offsets: of its words.
        span: half-open range of words with its label.
    """

    def __init__(self, tagger: Tagger, document: Document, offsets: Sequence[tuple[int, int]], span: Span) -> None:
        self._chances = _chances(tagger, document, list(offsets), span)

    def __call__(self, kept: Tensor) -> Tensor:
        """``[n, words]`` bool, the words that stay, to ``[n]`` log-odds, float64.

        Probabilities closer to 0 or 1 than 1e-12 count as being so close.
        """
        masks = kept.tolist()
        parts = (masks[at : at + _TOGETHER] for at in range(0, len(masks), _TOGETHER))
        found = [chance for part in parts for chance in self._chances(part)]
        return torch.tensor(found, dtype=torch.float64).clamp(_LEAST, 1 - _LEAST).logit()


_Masks = Sequence[Sequence[bool]]


def _chances(tagger: Any, document: Document, offsets: list[tuple[int, int]], span: Span) -> Callable[..., list[float]]:
    """From masks of the words that stay to the probability of the span under each."""
    if isinstance(tagger, LinearTagger | MappedTagger):
        forms = [document.text[a:b] for a, b in offsets]
        return lambda masks: _least(tagger, _masked(forms, masks), span)
    if isinstance(tagger, NeuralTagger):
        readers: Sequence[Reader] = [_reader(tagger)]
    elif isinstance(tagger, VoteTagger):
        readers = tagger.readers
        if not any(span[2] in reader.tagset.labels for reader in readers):
            raise LabelError(f"no voter was trained on the label {span[2]}")
    else:
        return _heard(tagger, document, offsets, span)
    for reader in readers:
        reader.prepare()
    spelt = [reader.spell([document], [Piece(0, offsets)])[0] for reader in readers]

    def chances(masks: _Masks) -> list[float]:
        parts = [r.read(_masked(forms, masks), chances=True) for r, forms in zip(readers, spelt, strict=True)]
        rows = [[reading for part in row for reading in part] for row in zip(*parts, strict=True)]
        if isinstance(tagger, VoteTagger) and tagger.rule == "mean":
            return _mean(rows, TagSet(tagger.labels, rows[0][0].tagset.scheme), span)
        able = [[reading for reading in row if span[2] in reading.tagset.labels] for row in rows]
        return [sum(reading.chance(span) for reading in row) / len(row) for row in able]

    return chances


def _heard(
    tagger: Tagger, document: Document, offsets: list[tuple[int, int]], span: Span
) -> Callable[..., list[float]]:
    """Of taggers that are asked with a text: words that do not stay are replaced in it."""
    many = isinstance(tagger, FusedTagger | CalibratedTagger)
    asked = None if many else voice(tagger)

    def chances(masks: _Masks) -> list[float]:
        texts, spans = zip(*(_altered(document, offsets, mask, span) for mask in masks), strict=True)
        if asked is None:
            return tagger.chances(texts, spans)  # type: ignore[attr-defined, no-any-return]
        return [told.chance(entity) for told, entity in zip(asked.opinions(texts), spans, strict=True)]

    return chances


def _altered(
    document: Document, offsets: Sequence[tuple[int, int]], mask: Sequence[bool], span: Span
) -> tuple[Document, Entity]:
    """The sentence as a text with the stand-in where a word does not stay, and the span in it."""
    parts, places, end, length = [], [], offsets[0][0], 0
    for (a, b), stays in zip(offsets, mask, strict=True):
        other = _LETTER if document.text[b : b + 1] == "." else STAND_IN
        gap, word = document.text[end:a], document.text[a:b] if stays else other
        parts += [gap, word]
        places.append((length + len(gap), length + len(gap) + len(word)))
        end, length = b, places[-1][1]
    first, last, label = span
    return Document(document.id, "".join(parts)), Entity(places[first][0], places[last - 1][1], label)


def _mean(sentences: Sequence[Sequence[Reading]], tagset: TagSet, span: Span) -> list[float]:
    """Under the mean of the heads' tag probabilities, words being independent of each other otherwise."""
    means = [mean_marginals([(r.tagset.names, r.marginals.cpu()) for r in row], tagset) for row in sentences]
    return span_chances(means, tagset, [span] * len(means))


def _least(tagger: LinearTagger | MappedTagger, sentences: list[list[str]], span: Span) -> list[float]:
    """The lowest probability that a word has its tag in the span, or that the span does not go on."""
    first, last, label = span
    column = {tag: number for number, tag in enumerate(tagger.tags)}
    found = []
    for marginals in tagger.marginals(sentences):
        begins, goes_on = (
            marginals[:, column[tag]] if tag in column else np.zeros(len(marginals))
            for tag in (f"B-{label}", f"I-{label}")
        )
        ends = 1 - goes_on[last] if last < len(marginals) else 1.0
        found.append(float(min(begins[first], ends, *goes_on[first + 1 : last])))
    return found


def _masked(forms: Sequence[str], masks: _Masks) -> list[list[str]]:
    """The sentence with the stand-in where a word does not stay."""
    gone = [_gone(form) for form in forms]
    return [[form if stays else other for form, other, stays in zip(forms, gone, mask, strict=True)] for mask in masks]


def _gone(form: str) -> str:
    """The stand-in for a word: what stands right before it stays, what was told of its place does not."""
    return Form(STAND_IN, form.before, (0,) * len(form.context)) if isinstance(form, Form) else STAND_IN


def _reader(tagger: NeuralTagger) -> Reader:
    return Reader(tagger.encoder, [tagger.head], tagger.vocabulary, tagger.tagset, tagger.architecture)


class Network:
    """Log-odds of a span as a function of the vectors that an encoder makes of words, or of their pieces.

    Of a sentence that is longer than a window, only the window is seen in which the span stands deepest.

    Args:
        tagger: with a BiLSTM or a transformer.
        document: holds the sentence.
        offsets: of its words.
        span: half-open range of words with its label.
        baseline: one of `BASELINES`.

    Attributes:
        inputs: ``[units, width]`` the vectors, one a word or piece.
        baseline: ``[units, width]`` what stands in for them.
        word: ``[units]`` to which word of the sentence each belongs.
        named: the baseline, ``auto`` resolved.

    Raises:
        ConfigError: there is no such baseline, or no mask; the encoder is of another kind.
    """

    def __init__(
        self,
        tagger: NeuralTagger,
        document: Document,
        offsets: Sequence[tuple[int, int]],
        span: Span,
        *,
        baseline: str = "auto",
    ) -> None:
        reader = _reader(tagger)
        reader.prepare()
        (forms,) = reader.spell([document], [Piece(0, list(offsets))])
        ((reading,),) = reader.read([forms], chances=False)
        window, self._first, self._tags, self._closed_by = reading.seen(span)
        vectors = _vectors(tagger, forms[window.start : window.end], baseline)
        self.inputs, self.baseline, self.named, self._states = (
            vectors.inputs,
            vectors.baseline,
            vectors.named,
            vectors.states,
        )
        self.word = vectors.word + window.start
        self._head, self._scores = tagger.head, path_scores(tagger.head)

    def value(self, vectors: Tensor) -> Tensor:
        """``[n, units, width]`` to ``[n]`` log-odds, float64; differentiable."""
        states = self._states(vectors)
        emissions = self._head.emissions(states)
        tags = torch.tensor(self._tags, device=states.device)
        rows = self._head.rows(tags, states[0, self._first : self._first + len(tags)]).tolist()
        # of words of two kinds only those of the right one have weight
        closed_by = self._closed_by and self._closed_by * (emissions.shape[2] // len(self._closed_by))
        return span_log_odds(emissions, self._scores, self._first, rows, closed_by)

    @torch.no_grad()
    def __call__(self, kept: Tensor) -> Tensor:
        """``[n, words]`` bool, the words that stay, to ``[n]`` log-odds, float64."""
        stays = kept[:, self.word.cpu()].to(self.inputs.device)[..., None]
        parts = torch.split(stays, _TOGETHER)
        return torch.cat([self.value(torch.where(part, self.inputs, self.baseline)) for part in parts]).cpu()


def _vectors(tagger: NeuralTagger, forms: Sequence[str], baseline: str) -> _FormVectors | _PieceVectors:
    if baseline not in BASELINES:
        raise ConfigError(f"unknown baseline {baseline!r}: choose one of {', '.join(BASELINES)}")
    encoder, table = tagger.encoder, tagger.architecture.encoder.table(tagger.vocabulary, tagger.encoder)
    if isinstance(encoder, Encoder) and isinstance(table, FormTable):
        return _FormVectors(encoder, table, forms, baseline)
    if isinstance(encoder, Transformer) and isinstance(table, PieceTable):
        return _PieceVectors(encoder, table, forms, baseline)
    raise ConfigError(
        "the encoder reads a word in more ways than one, no gradient leads to all: explain by shap or lime"
    )


def differentiable(tagger: Tagger) -> bool:
    """Whether `Network` takes a tagger."""
    return isinstance(tagger, NeuralTagger) and not isinstance(tagger.vocabulary, MixedVocabulary)


class _FormVectors:
    """What a BiLSTM reads of words."""

    def __init__(self, encoder: Encoder, table: FormTable, forms: Sequence[str], baseline: str) -> None:
        if baseline == "mask":
            raise ConfigError("a BiLSTM knows no mask: choose another baseline, unknown or zero")
        numbers = table.numbers([*forms, *map(_gone, forms)])
        with torch.no_grad():
            known = encoder.forms(table.forms().to(encoder.device))
        self.inputs, stand_in = known[numbers[: len(forms)]], known[numbers[len(forms) :]]
        self.named = "unknown" if baseline == "auto" else baseline
        self.baseline = stand_in if self.named == "unknown" else torch.zeros_like(stand_in)
        self.word = torch.arange(len(forms), device=encoder.device)
        self._encoder = encoder

    def states(self, vectors: Tensor) -> Tensor:
        """``[n, words, width]`` vectors to ``[n, words, width]`` states."""
        states: Tensor = self._encoder.lstm(vectors, self.word.new_full((len(vectors),), vectors.shape[1]))
        return states


class _PieceVectors:
    """What a transformer looks up for the pieces of words, before positions and whatever else it adds.

    Each piece becomes a row of its own behind those of the vocabulary, so that windows, marks and padding are made as
    ever; the rows are looked up in the vectors that are given.
    """

    def __init__(self, encoder: Transformer, table: PieceTable, forms: Sequence[str], baseline: str) -> None:
        model: Any = encoder.model
        self._encoder, self._embedding = encoder, model.get_input_embeddings()
        numbers = table.numbers(forms)
        cut = table.forms().select(torch.tensor(numbers)).to(encoder.device)
        steps = torch.arange(cut.pieces.shape[1], device=encoder.device) < cut.counts[:, None]
        ids = cut.pieces[steps]
        self.word = steps.nonzero()[:, 0]
        self._counts, self._heads = cut.counts, cut.heads
        self._rows = torch.zeros_like(cut.pieces)
        self._rows[steps] = torch.arange(len(ids), device=encoder.device)
        mask = _mask(table.vocabulary)
        self.named = ("unknown" if mask is None else "mask") if baseline == "auto" else baseline
        if self.named == "mask" and mask is None:
            raise ConfigError("the model knows no mask: choose another baseline, unknown or zero")
        stand_in = table.vocabulary.unknown if self.named == "unknown" else mask or 0
        with torch.no_grad():
            self.inputs = self._embedding(ids)
            self.baseline = self._embedding(torch.full_like(ids, stand_in))
        if self.named == "zero":
            self.baseline = torch.zeros_like(self.baseline)

    def states(self, vectors: Tensor) -> Tensor:
        """``[n, pieces, width]`` vectors to ``[n, words, width]`` states."""
        number, words = len(vectors), len(self._counts)
        sentence = torch.arange(number, device=vectors.device)[:, None, None] * vectors.shape[1]
        rows = (self._embedding.num_embeddings + sentence + self._rows).flatten(0, 1)
        forms = PieceForms(rows, self._counts.repeat(number), self._heads.repeat(number))
        places = torch.arange(number * words, device=vectors.device).view(number, words)
        with _further(self._embedding, vectors.flatten(0, 1)):
            states: Tensor = self._encoder(Batch(forms, places, places.new_full((number,), words)))
        return states


def _mask(vocabulary: Pieces) -> int | None:
    ids = (vocabulary.tokenizer.token_to_id(mask) for mask in _MASKS)
    return next((number for number in ids if number is not None), None)


@contextmanager
def _further(embedding: Any, rows: Tensor) -> Iterator[None]:
    """An embedding with further rows behind its own."""
    own, known = embedding.forward, embedding.num_embeddings

    def forward(ids: Tensor) -> Tensor:
        behind = ids >= known
        further = torch.nn.functional.embedding((ids - known).clamp(min=0), rows)
        return torch.where(behind[..., None], further, own(ids.masked_fill(behind, 0)))

    embedding.forward = forward
    try:
        yield
    finally:
        del embedding.forward
