"""What forms give an encoder while it tags: computed once for all sentences, or anew for some at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from transfuse.encoders.pieces import PieceTable
from transfuse.nn.encoder import Encoder
from transfuse.nn.forms import MixedForms
from transfuse.nn.transformer import AnyEncoder
from transfuse.taggers.mixed import MixedTable
from transfuse.taggers.vocabulary import FormTable

__all__ = ["FreshForms", "KeptForms"]


class KeptForms:
    """What each form gives a BiLSTM, computed once."""

    together = 8_000
    """What sentences that are read at once may cost, padding counted."""

    def __init__(self, encoder: AnyEncoder, table: FormTable) -> None:
        assert isinstance(encoder, Encoder)
        self.table = table
        self._encoder = encoder
        self._values = torch.zeros(2, 0, 4 * encoder.lstm.hidden, device=encoder.device)
        self._have = 0

    def cost(self, numbers: Sequence[int]) -> int:
        """Of reading these forms, beside others."""
        return len(numbers)

    def states(self, places: Tensor, lengths: Tensor) -> Tensor:
        """``[batch, time, width]`` from ``[batch, time]`` numbers of forms."""
        return self._encoder.run(self._table_values(), places, lengths)

    def _table_values(self) -> Tensor:
        """``[2, forms, 4 * hidden]``, one row a form that the table has numbered."""
        want = len(self.table)
        if self._have < want:
            forms = self.table.forms()
            by_length = self._have + (forms.chars[self._have :] != 0).sum(1).argsort(stable=True)
            for part in torch.split(by_length, 1024):
                new = self._encoder.project(forms.select(part).to(self._encoder.device))
                self._make_room(want, new)
                self._values[:, part] = new
            self._have = want
        return self._values[:, :want]

    def _make_room(self, want: int, like: Tensor) -> None:
        """Rows for so many forms; more than these, so that text which grows is not copied again and again."""
        if self._values.shape[1] < want:
            larger = like.new_empty(2, max(want, 2 * self._have), like.shape[2])
            larger[:, : self._have] = self._values[:, : self._have]
            self._values = larger

    def clear(self) -> None:
        """Forget everything."""
        self.table.clear()
        self._have = 0


class FreshForms:
    """The forms of an encoder with a pre-trained model, which computes nothing that could be kept beyond a sentence."""

    def __init__(self, encoder: AnyEncoder, table: PieceTable | MixedTable) -> None:
        self.table = table
        self._encoder: Any = encoder
        self._counts: list[int] = []
        # little at a time stays in a processor's cache; another device has the more to do at once
        self.together = 600 if encoder.device.type == "cpu" else 1_500

    def cost(self, numbers: Sequence[int]) -> int:
        """See `KeptForms.cost`: pieces."""
        if len(self._counts) < len(self.table):
            forms = self.table.forms()
            self._counts = (forms.pieces if isinstance(forms, MixedForms) else forms).counts.tolist()
        return sum(self._counts[number] for number in numbers)

    def states(self, places: Tensor, lengths: Tensor) -> Tensor:
        """See `KeptForms.states`."""
        distinct, place = torch.unique(places, return_inverse=True)
        forms = self.table.forms().select(distinct.cpu()).to(self._encoder.device)
        states: Tensor = self._encoder.read(forms, place, lengths)
        return states

    def clear(self) -> None:
        """See `KeptForms.clear`."""
        self.table.clear()
        self._counts = []
