"""The encoder: word forms in, one state a word out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from transfuse.nn.forms import FormEncoder, Forms, MixedForms, PieceForms
from transfuse.nn.lstm import BiLSTM

__all__ = ["Batch", "Beside", "Dropout", "Encoder"]


@dataclass(frozen=True)
class Batch:
    """Sentences, longest first.

    Attributes:
        forms: the distinct word forms in them.
        places: ``[batch, time]`` which form stands where; 0 behind the end, where nothing reads it.
        lengths: ``[batch]`` words, none 0.
        unknown: ``[forms]`` bool, forms to be treated as never seen, or None.
        tags: ``[batch, time]`` gold tags, or None; ``allowed`` says more where something is unknown.
        allowed: ``[batch, time, tags]`` bool, or None where all gold tags are known.
        weights: ``[batch]`` of the sentences' losses, or None where all are 1.
    """

    forms: Forms | PieceForms | MixedForms
    places: Tensor
    lengths: Tensor
    unknown: Tensor | None = None
    tags: Tensor | None = None
    allowed: Tensor | None = None
    weights: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        rest = (self.places, self.lengths, self.unknown, self.tags, self.allowed, self.weights)
        return Batch(self.forms.to(device), *(None if part is None else part.to(device) for part in rest))  # type: ignore[arg-type]

    def rows(self, rows: Sequence[int]) -> Batch:
        """Some of the sentences, longest first, cut to the longest of them."""
        lengths = self.lengths[rows]
        time = int(lengths[0])
        tags, allowed = (None if part is None else part[rows, :time] for part in (self.tags, self.allowed))
        weights = None if self.weights is None else self.weights[rows]
        return Batch(self.forms, self.places[rows, :time], lengths, self.unknown, tags, allowed, weights)


class Dropout(nn.Module):
    """Ordinary dropout, or variational: one mask a sentence, the same for all of its words (Gal & Ghahramani 2016)."""

    def __init__(self, share: float, *, variational: bool) -> None:
        super().__init__()
        self.share = share
        self.variational = variational

    def forward(self, states: Tensor) -> Tensor:
        """``[batch, time, width]`` in and out."""
        if not self.training or not self.share:
            return states
        shape = states[:, :1] if self.variational else states
        # drawing uniform numbers and comparing takes a third of what `dropout` takes on a CPU
        mask = torch.rand_like(shape).ge_(self.share).div_(1 - self.share)
        return states * mask


class Beside(Protocol):
    """States of another encoder, as `transfuse.nn.transformer.Transformer` gives them."""

    width: int

    def read(self, forms: PieceForms, places: Tensor, lengths: Tensor) -> Tensor:
        """``[batch, time, width]``."""
        ...


class Encoder(nn.Module):
    """Word forms, beside them perhaps the states of a pre-trained model, dropout, BiLSTM, dropout.

    Args:
        forms: encodes word forms.
        hidden: units a direction.
        dropout: share of the inputs and of the states that is dropped.
        recurrent_dropout: see `BiLSTM`.
        variational: one dropout mask a sentence rather than one a word.
        transformer: the pre-trained model, with a module's methods; batches then hold `MixedForms`.
    """

    transformer: Any

    def __init__(
        self,
        forms: FormEncoder,
        *,
        hidden: int,
        dropout: float,
        recurrent_dropout: float,
        variational: bool,
        transformer: Beside | None = None,
    ) -> None:
        super().__init__()
        self.forms = forms
        self.transformer = transformer
        width = forms.width + (transformer.width if transformer else 0)
        self.lstm = BiLSTM(width, hidden, recurrent_dropout=recurrent_dropout)
        self.before = Dropout(dropout, variational=variational)
        self.after = Dropout(dropout, variational=variational)
        self.width = 2 * hidden

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.lstm.bias.device

    @property
    def share(self) -> float:
        """The share that is dropped of the inputs and of the states."""
        return self.before.share

    @share.setter
    def share(self, share: float) -> None:
        self.before.share = self.after.share = share

    def forward(self, batch: Batch) -> Tensor:
        """``[batch, time, width]`` states."""
        assert not isinstance(batch.forms, PieceForms)
        return self.read(batch.forms, batch.places, batch.lengths, unknown=batch.unknown)

    def read(
        self, forms: Forms | MixedForms, places: Tensor, lengths: Tensor, *, unknown: Tensor | None = None
    ) -> Tensor:
        """States of sentences: ``[batch, time, width]``; arguments as `Batch` has them."""
        own = forms.forms if isinstance(forms, MixedForms) else forms
        vectors = nn.functional.embedding(places, self.forms(own, unknown=unknown))
        if isinstance(forms, MixedForms):
            vectors = torch.cat([vectors, self.transformer.read(forms.pieces, places, lengths)], -1)
        states: Tensor = self.lstm(self.before(vectors), lengths)
        dropped: Tensor = self.after(states)
        return dropped

    def project(self, forms: Forms) -> Tensor:
        """What each form gives the LSTM's gates, to be kept while tagging: ``[2, forms, 4 * hidden]``.

        Only where no pre-trained model stands beside the forms, for its states depend on the sentence.
        """
        return self.lstm.project(self.forms(forms).expand(2, -1, -1))

    def run(self, table: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """States from kept projections, see `BiLSTM.run`: ``[batch, time, width]``."""
        return self.lstm.run(table, places, lengths)
