"""The other encoder: pieces of words through a pre-trained transformer, and the state of each word's first piece out.

So Devlin et al. (2019, section 5.3) tag words; what tags stand on is the same as under any other encoder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from transfuse.nn.encoder import Batch, Dropout, Encoder
from transfuse.nn.forms import PieceForms
from transfuse.nn.kept import KeptStates
from transfuse.nn.padding import inside

__all__ = ["AnyEncoder", "Marks", "Transformer", "cut"]


@dataclass(frozen=True)
class Marks:
    """What a model wants around a sentence.

    Attributes:
        prefix: pieces before it.
        suffix: pieces behind it.
        types: segment types of the prefix, of each piece of the sentence, and of the suffix.
        pad: the piece that fills up.
        left: fill up on the left, as XLNet does.
    """

    prefix: tuple[int, ...]
    suffix: tuple[int, ...]
    types: tuple[tuple[int, ...], int, tuple[int, ...]]
    pad: int
    left: bool


class Transformer(nn.Module):
    """A pre-trained model, then dropout.

    A sentence with more pieces than fit into a window is read in overlapping windows, see `cut`; each word's state
    comes from the window in which it stands deeper.

    Args:
        model: a model of the `transformers` library whose output has ``last_hidden_state``.
        marks: what it wants around a sentence.
        window: pieces of a window with its marks, at most.
        dropout: share of the states that is dropped in training.
        still: the model never changes: inside it nothing is dropped, and each sentence is read alone, so that its
            states are the same bit for bit in any company.
        kept: where the states of a still model are kept; None to compute them whenever they are read.
        unit: ``word`` for the state of each word's first piece, else what `transfuse.nn.pieced.PieceHead` reads of a
            word: of all ``piece``, or of the first and the number of each ``continuation``.
    """

    def __init__(
        self,
        model: nn.Module,
        marks: Marks,
        *,
        window: int,
        dropout: float,
        still: bool = False,
        kept: KeptStates | None = None,
        unit: str = "word",
    ) -> None:
        super().__init__()
        self.model = model
        self.marks = marks
        self.still, self.kept = still, kept
        self.precision: str | None = None
        """``bf16``: how the model computes in training; single precision by default, and always when it tags."""
        self.capacity = window - len(marks.prefix) - len(marks.suffix)
        self.after = Dropout(dropout, variational=False)
        config: Any = model.config
        self.unit = unit
        hidden: int = config.hidden_size
        self.width = {"word": hidden, "piece": 3 * hidden + 1, "continuation": hidden + 1}[unit]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.model.parameters()).device

    @property
    def share(self) -> float:
        """The share that is dropped of the states."""
        return self.after.share

    @share.setter
    def share(self, share: float) -> None:
        self.after.share = share

    def train(self, mode: bool = True) -> Self:
        """Turn dropout on or off; a still model has none. What states wait to be kept are written."""
        super().train(mode)
        if self.still:
            self.model.eval()
        if self.kept is not None:
            self.kept.flush()
        return self

    def forward(self, batch: Batch) -> Tensor:
        """``[batch, time, width]`` states of a batch."""
        assert isinstance(batch.forms, PieceForms)
        return self.read(batch.forms, batch.places, batch.lengths)

    def read(self, forms: PieceForms, places: Tensor, lengths: Tensor) -> Tensor:
        """States of sentences, 0 behind their ends: ``[batch, time, width]``.

        Args:
            forms: distinct forms.
            places: ``[batch, time]`` which form stands where.
            lengths: ``[batch]`` words, none 0.
        """
        if self.still:
            rows = [self._alone(forms, row[:length]) for row, length in zip(places, lengths.tolist(), strict=True)]
            states = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        else:
            states = self._together(forms, places, lengths)
        if self.unit != "word":  # a number of pieces is nothing to drop
            return torch.cat([self.after(states[..., :-1]), states[..., -1:]], -1)
        dropped: Tensor = self.after(states)
        return dropped

    def _alone(self, forms: PieceForms, words: Tensor) -> Tensor:
        """``[words, width]`` states of a sentence, kept ones where there are."""
        forms = forms.select(words)
        places = torch.arange(len(words), device=words.device)[None]
        model: Any = self.model
        # an explanation puts rows of its own behind those of the vocabulary
        ours = self.kept is not None and int(forms.pieces.max()) < model.get_input_embeddings().num_embeddings
        if self.kept is None or not ours:
            return self._together(forms, places, places.new_tensor([len(words)]))[0]
        key = _key(forms)
        states = self.kept.get(key)
        if states is None:
            states = self._together(forms, places, places.new_tensor([len(words)]))[0].detach()
            self.kept.put(key, states)
        return states.to(words.device)

    def _together(self, forms: PieceForms, places: Tensor, lengths: Tensor) -> Tensor:
        steps = inside(lengths, places.shape[1])
        counts = forms.counts[places] * steps
        if int(counts.sum(1).max()) <= self.capacity:
            return self._encode(forms, places, counts) * steps[..., None]
        return self._windowed(forms, places, counts, lengths)

    def _windowed(self, forms: PieceForms, places: Tensor, counts: Tensor, lengths: Tensor) -> Tensor:
        sizes = counts.tolist()
        windows = [
            (row, a, b)
            for row, length in enumerate(lengths.tolist())
            for a, b in cut(sizes[row][:length], self.capacity)
        ]
        longest = max(b - a for _, a, b in windows)
        rows = places.new_zeros(len(windows), longest)
        held = counts.new_zeros(len(windows), longest)
        for i, (row, a, b) in enumerate(windows):
            rows[i, : b - a] = places[row, a:b]
            held[i, : b - a] = counts[row, a:b]
        states = self._encode(forms, rows, held)
        parts: list[list[Tensor]] = [[] for _ in lengths]
        reached = 0
        for i, (row, a, b) in enumerate(windows):
            until = (windows[i + 1][1] + b) // 2 if i + 1 < len(windows) and windows[i + 1][0] == row else b
            start = reached if a else 0
            parts[row].append(states[i, start - a : until - a])
            reached = until
        return nn.utils.rnn.pad_sequence([torch.cat(part) for part in parts], batch_first=True)

    def _encode(self, forms: PieceForms, places: Tensor, counts: Tensor) -> Tensor:
        """The states of words; ``counts`` ``[batch, time]`` are 0 where no word stands."""
        marks, device = self.marks, places.device
        before = counts.cumsum(1) - counts
        total = counts.sum(1)
        lead = len(marks.prefix)
        size = lead + total + len(marks.suffix)
        width = int(size.max())
        shift = width - size if marks.left else torch.zeros_like(size)
        first = (shift + lead)[:, None] + before
        heads = first + forms.heads[places]
        row = torch.arange(len(places), device=device)[:, None]
        ids = torch.full((len(places), width), marks.pad, device=device)
        ids[row, shift[:, None] + torch.arange(lead, device=device)] = ids.new_tensor(marks.prefix)
        tail = (shift + lead + total)[:, None] + torch.arange(len(marks.suffix), device=device)
        ids[row, tail] = ids.new_tensor(marks.suffix)
        piece = torch.arange(forms.pieces.shape[1], device=device)
        held = piece < counts[..., None]
        ids[row[..., None].expand_as(held)[held], (first[..., None] + piece)[held]] = forms.pieces[places][held]
        column = torch.arange(width, device=device)
        mask = (column >= shift[:, None]) & (column < (shift + size)[:, None])
        types = {}
        if any((*marks.types[0], marks.types[1], *marks.types[2])):
            kinds = torch.full_like(ids, marks.types[1])
            kinds[row, shift[:, None] + torch.arange(lead, device=device)] = ids.new_tensor(marks.types[0])
            kinds[row, tail] = ids.new_tensor(marks.types[2])
            types = {"token_type_ids": kinds}
        low = self.training and self.precision == "bf16"
        with torch.autocast(device.type, torch.bfloat16, enabled=low):
            states: Tensor = self.model(input_ids=ids, attention_mask=mask.long(), **types).last_hidden_state.float()
        tails = first + counts - 1
        return self._of_words(states, heads.clamp(max=width - 1), tails.clamp(max=width - 1))

    def _of_words(self, states: Tensor, heads: Tensor, tails: Tensor) -> Tensor:
        """From states of pieces to those of words, whose first and last pieces stand at ``[batch, time]`` places."""
        hidden = states.shape[2]
        first = states.gather(1, heads[..., None].expand(-1, -1, hidden))
        if self.unit == "word":
            return first
        more = (tails - heads).clamp(min=0)[..., None]
        if self.unit == "continuation":
            return torch.cat([first, more.to(first.dtype)], -1)
        place = torch.arange(states.shape[1], device=states.device)
        between = (place > heads[..., None]) & (place < tails[..., None])
        last = states.gather(1, tails[..., None].expand(-1, -1, hidden)) * (more > 0)
        return torch.cat([first, between.to(states.dtype) @ states, last, more.to(first.dtype)], -1)


AnyEncoder = Encoder | Transformer


def _key(forms: PieceForms) -> bytes:
    """SHA-256 of all that decides a sentence's states: its pieces, whose they are, and which ones stand for words."""
    counts = forms.counts.cpu()
    held = torch.arange(forms.pieces.shape[1]) < counts[:, None]
    parts = (counts, forms.heads.cpu(), forms.pieces.cpu()[held])
    return hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts)).digest()


def cut(counts: Sequence[int], capacity: int) -> list[tuple[int, int]]:
    """Ranges of words that hold at most so many pieces each; neighbours share about a quarter of them.

    Args:
        counts: pieces of each word, none more than the capacity.
        capacity: pieces of a range, at most.
    """
    found = []
    start = 0
    while True:
        end = _reach(counts, start, capacity)
        found.append((start, end))
        if end == len(counts):
            return found
        room = min(capacity // 4, capacity - counts[end])
        start = end - _reach(counts[start + 1 : end][::-1], 0, room)


def _reach(counts: Sequence[int], start: int, capacity: int) -> int:
    """One past the last word up to which words from ``start`` on fit."""
    end, size = start, 0
    while end < len(counts) and size + counts[end] <= capacity:
        size += counts[end]
        end += 1
    return end
