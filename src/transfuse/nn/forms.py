"""Vectors of word forms: what a word looks like and what it is called, before any context.

Nothing here depends on the sentence. So each distinct form of a batch is encoded once, and when tagging, the forms of
the whole text are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from transfuse.nn.lstm import BiLSTM

__all__ = ["CharCNN", "CharLSTM", "FormEncoder", "Forms", "MixedForms", "PieceForms"]

_CUTS = (0.5, 0.85)
"""Shares of a batch's forms, shortest first, behind which the character convolution begins a new part."""


@dataclass(frozen=True)
class Forms:
    """Distinct word forms.

    Attributes:
        words: ``[forms]`` rows of the word table; 0 is the unknown word.
        trained: ``[forms]`` rows of the trained corrections; 0 for words that training did not see.
        chars: ``[forms, length]`` characters with begin and end marks; 0 is padding.
        features: ``[forms, features]`` hashed affixes and shapes.
        context: ``[forms, tables]`` what is told of the place where the word stands; see `transfuse.context`.
    """

    words: Tensor
    trained: Tensor
    chars: Tensor
    features: Tensor
    context: Tensor

    def __len__(self) -> int:
        return len(self.words)

    def select(self, rows: Tensor) -> Forms:
        """Some of the forms, with the characters' padding cut to their longest."""
        chars = self.chars[rows]
        longest = int((chars != 0).sum(1).max()) if len(rows) else 0
        rest = self.features[rows], self.context[rows]
        return Forms(self.words[rows], self.trained[rows], chars[:, :longest], *rest)

    def to(self, device: torch.device) -> Forms:
        """The same on another device."""
        parts = (self.words, self.trained, self.chars, self.features, self.context)
        return Forms(*(part.to(device) for part in parts))


@dataclass(frozen=True)
class PieceForms:
    """Distinct word forms as pieces of a pre-trained model's vocabulary.

    Attributes:
        pieces: ``[forms, longest]`` rows of that vocabulary; what stands behind ``counts`` is never read.
        counts: ``[forms]`` pieces, none 0.
        heads: ``[forms]`` which piece stands for the word: the first one, or the one behind that where it is a blank.
    """

    pieces: Tensor
    counts: Tensor
    heads: Tensor

    def __len__(self) -> int:
        return len(self.counts)

    def select(self, rows: Tensor) -> PieceForms:
        """Some of the forms, cut to their longest."""
        counts = self.counts[rows]
        longest = int(counts.max()) if len(rows) else 0
        return PieceForms(self.pieces[rows, :longest], counts, self.heads[rows])

    def to(self, device: torch.device) -> PieceForms:
        """The same on another device."""
        return PieceForms(self.pieces.to(device), self.counts.to(device), self.heads.to(device))


@dataclass(frozen=True)
class MixedForms:
    """Distinct word forms as an encoder reads them that has a pre-trained model for one of its parts.

    Attributes:
        forms: as they are spelt.
        pieces: of the same forms.
    """

    forms: Forms
    pieces: PieceForms

    def __len__(self) -> int:
        return len(self.forms)

    def select(self, rows: Tensor) -> MixedForms:
        """Some of the forms."""
        return MixedForms(self.forms.select(rows), self.pieces.select(rows))

    def to(self, device: torch.device) -> MixedForms:
        """The same on another device."""
        return MixedForms(self.forms.to(device), self.pieces.to(device))


class CharCNN(nn.Module):
    """Convolutions over a form's characters, the maximum over places (Ma & Hovy 2016; several widths as in Kim 2014).

    Args:
        alphabet: number of characters, padding and marks among them.
        width: of a character's vector.
        widths: of the filters, in characters.
        filters: of each width.
    """

    def __init__(self, alphabet: int, *, width: int, widths: tuple[int, ...], filters: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(alphabet, width, padding_idx=0)
        self.filters = nn.ModuleList(nn.Linear(width * w, filters) for w in widths)
        self.widths = widths
        self.width = filters * len(widths)

    def forward(self, chars: Tensor) -> Tensor:
        """``[forms, length] -> [forms, width]``; padding takes no part in any maximum."""
        lengths, order = (chars != 0).sum(1).sort(stable=True)
        # one long word would make all others as long; so cut, half of the time is saved
        cuts = [0, *(round(share * len(chars)) for share in _CUTS), len(chars)]
        parts = [self._pool(chars[order[a:b]], lengths[a:b]) for a, b in pairwise(cuts) if a < b or b == len(chars)]
        return torch.cat(parts)[order.argsort()]

    def _pool(self, chars: Tensor, lengths: Tensor) -> Tensor:
        longest = int(lengths[-1]) if len(lengths) else 0
        widest = max(self.widths)
        chars = nn.functional.pad(chars[:, :longest], (0, max(0, widest - longest)))
        vectors = self.embedding(chars)
        starts = torch.arange(chars.shape[1], device=chars.device)[None]
        pooled = []
        for span, layer in zip(self.widths, self.filters, strict=True):
            windows = layer(vectors.unfold(1, span, 1).transpose(2, 3).flatten(2))
            outside = starts[:, : windows.shape[1]] > (lengths[:, None] - span).clamp(min=0)
            pooled.append(windows.masked_fill_(outside[..., None], -torch.inf).amax(1))
        return torch.cat(pooled, -1).relu()


class CharLSTM(nn.Module):
    """The last states of a BiLSTM over a form's characters (Lample et al. 2016); arguments as in `CharCNN`."""

    def __init__(self, alphabet: int, *, width: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(alphabet, width, padding_idx=0)
        self.lstm = BiLSTM(width, hidden)
        self.width = 2 * hidden

    def forward(self, chars: Tensor) -> Tensor:
        """``[forms, length] -> [forms, width]``."""
        lengths, order = (chars != 0).sum(1).sort(descending=True, stable=True)
        states = self.lstm(self.embedding(chars[order]), lengths)
        hidden = self.lstm.hidden
        last = states[torch.arange(len(lengths)), lengths - 1, :hidden]
        return torch.cat([last, states[:, 0, hidden:]], -1)[order.argsort()]


class FormEncoder(nn.Module):
    """A form's vector: fixed word vector plus trained correction, characters, hashed features, context, side by side.

    Args:
        vectors: ``[words, width]`` fixed word vectors, row 0 for unknown words; may have no columns.
        trained: rows of the correction table; words seen in training.
        trained_width: columns of the correction where there are no fixed vectors.
        chars: the character encoder, or None.
        buckets: rows of the feature table; 0 is no features.
        feature_width: columns of the feature table.
        context: rows and columns of each table of the context.
        words: whether there are word vectors and corrections at all.
    """

    vectors: Tensor

    def __init__(
        self,
        vectors: Tensor,
        *,
        trained: int,
        trained_width: int,
        chars: CharCNN | CharLSTM | None,
        buckets: int,
        feature_width: int,
        context: Sequence[tuple[int, int]] = (),
        words: bool = True,
    ) -> None:
        super().__init__()
        self.register_buffer("vectors", vectors, persistent=False)
        columns = (vectors.shape[1] or trained_width) if words else 0
        self.correction = nn.Embedding(trained, columns) if words else None
        if self.correction is not None and vectors.shape[1]:
            nn.init.zeros_(self.correction.weight)
        elif self.correction is not None:
            nn.init.normal_(self.correction.weight, std=columns**-0.5)
        self.chars = chars
        self.features = nn.EmbeddingBag(buckets, feature_width, mode="sum", padding_idx=0) if buckets else None
        if self.features is not None:
            nn.init.normal_(self.features.weight, std=0.1)
        self.context = nn.ModuleList(nn.Embedding(*shape) for shape in context)
        self.width = columns + (chars.width if chars else 0) + (feature_width if buckets else 0)
        self.width += sum(width for _, width in context)

    def forward(self, forms: Forms, *, unknown: Tensor | None = None) -> Tensor:
        """``[forms, width]``.

        Args:
            forms: distinct forms.
            unknown: ``[forms]`` bool; these are treated as words that training has not seen.
        """
        parts = []
        if self.correction is not None:
            trained = forms.trained if unknown is None else forms.trained.masked_fill(unknown, 0)
            meaning = self.correction(trained)
            if self.vectors.shape[1]:
                meaning = meaning + self.vectors[forms.words].to(meaning.dtype)
            parts.append(meaning)
        if self.chars is not None:
            parts.append(self.chars(forms.chars))
        if self.features is not None:
            parts.append(self.features(forms.features))
        parts += [table(rows) for table, rows in zip(self.context, forms.context.T, strict=True)]
        if not parts:  # beside a pre-trained model nothing need be read of the forms
            return self.vectors.new_zeros(len(forms.trained), 0)
        return torch.cat(parts, -1)
