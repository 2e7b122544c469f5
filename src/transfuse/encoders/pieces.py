"""Words of ours as pieces of a pre-trained model's vocabulary.

Our words are finer than those that a tokenizer makes itself: ``p53`` is two, ``IL-2`` three. Each is cut on its own, in
the company of the character that stands right before it, or of a blank: so ``53`` becomes the piece that goes on with
a word (``##53``) where the tokenizer would make it so, and no piece ever belongs to two words.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import torch

from transfuse.context import Form
from transfuse.nn.forms import PieceForms
from transfuse.nn.transformer import Marks

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["MOST", "PieceTable", "Pieces"]

MOST = 32
"""Pieces of a word that a transformer reads, at most."""

_HEAD, _TAIL = 200, 56
"""Of longer words the first and the last characters are read."""


class Pieces:
    """A tokenizer's vocabulary.

    Args:
        tokenizer: a fast tokenizer; it is told neither to fill up nor to cut off.
        unknown: the piece that a word gets of which the tokenizer leaves nothing.
        pad: the piece that fills up.
        left: whether the model wants to be filled up on the left.
    """

    def __init__(self, tokenizer: Tokenizer, *, unknown: int, pad: int, left: bool) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self.tokenizer, self.unknown, self.pad, self.left = tokenizer, unknown, pad, left

    def of(self, word: str, before: str = "") -> tuple[list[int], int]:
        """The pieces of a word, never none, and the place of the first that has a character of it.

        A piece that is nothing but the blank before the word goes with it, as the model has learned to read it.

        Args:
            word: with no blank in it.
            before: the character right before it, or "" where a blank or nothing stands there.
        """
        if len(word) > _HEAD + _TAIL:
            word = word[:_HEAD] + word[-_TAIL:]
        for context in (before or " ", ""):
            whole = self.tokenizer.encode(context + word, add_special_tokens=False)
            reached = [end > len(context) for _, end in whole.offsets]
            crosses = context.strip() and any(a < len(context) < b for a, b in whole.offsets)
            if any(reached) and not crosses:
                head = reached.index(True)
                return (whole.ids[head:], 0) if context.strip() else (whole.ids, head)
        return [self.unknown], 0

    def marks(self) -> Marks:
        """What the model wants around a sentence."""
        whole = self.tokenizer.encode("a")
        own = [i for i, mark in enumerate(whole.special_tokens_mask) if not mark]
        first, last = own[0], own[-1] + 1
        types = (tuple(whole.type_ids[:first]), whole.type_ids[first], tuple(whole.type_ids[last:]))
        return Marks(tuple(whole.ids[:first]), tuple(whole.ids[last:]), types, self.pad, self.left)


class PieceTable:
    """Numbers word forms as they come and keeps their pieces; see `transfuse.taggers.vocabulary.FormTable`.

    Args:
        vocabulary: cuts words into pieces.
        most: pieces of a word that are read, at most: the first ones, and a quarter of them from its end. The first
            word that is longer is told in a warning.
    """

    def __init__(self, vocabulary: Pieces, *, most: int) -> None:
        self.vocabulary, self.most = vocabulary, most
        self._told = False
        self.clear()

    def __len__(self) -> int:
        return len(self._number)

    @property
    def names(self) -> list[str]:
        """The forms by their numbers."""
        return [word for word, _ in self._number]

    def clear(self) -> None:
        """Forget all forms, so that tagging stays in constant memory."""
        self._number: dict[tuple[str, str], int] = {}
        self._pending: list[tuple[list[int], int]] = []
        self._forms = _tensors([])

    def spell(self, text: str, offsets: Sequence[tuple[int, int]]) -> list[str]:
        """The words of a text, each with what stands right before it."""
        found: list[str] = []
        last = -1
        for start, end in offsets:
            found.append(Form(text[start:end], text[start - 1] if start == last else ""))
            last = end
        return found

    def numbers(self, forms: Iterable[str]) -> list[int]:
        """One number a form; new forms get the next free one."""
        found = []
        for form in forms:
            key = (str(form), form.before if isinstance(form, Form) else "")
            number = self._number.get(key)
            if number is None:
                number = self._number[key] = len(self._number)
                self._pending.append(self._cut(*key))
            found.append(number)
        return found

    def forms(self) -> PieceForms:
        """All forms numbered so far, in order."""
        if self._pending:
            parts = [self._forms, _tensors(self._pending)]
            self._pending = []
            longest = max(part.pieces.shape[1] for part in parts)
            pieces = [torch.nn.functional.pad(part.pieces, (0, longest - part.pieces.shape[1])) for part in parts]
            counts, heads = ([getattr(part, name) for part in parts] for name in ("counts", "heads"))
            self._forms = PieceForms(torch.cat(pieces), torch.cat(counts), torch.cat(heads))
        return self._forms

    def _cut(self, word: str, before: str) -> tuple[list[int], int]:
        pieces, head = self.vocabulary.of(word, before)
        if len(pieces) <= self.most:
            return pieces, head
        if not self._told:
            self._told = True
            warnings.warn(
                f"a word of {len(word):,} characters ({word[:20]}...) has more pieces than the {self.most} that are "
                "read: it is read from both ends, and so are others as long",
                stacklevel=2,
            )
        tail = self.most // 4
        return pieces[: self.most - tail] + pieces[len(pieces) - tail :], head


def _tensors(rows: Sequence[tuple[Sequence[int], int]]) -> PieceForms:
    longest = max((len(pieces) for pieces, _ in rows), default=0)
    filled = [[*pieces, *[0] * (longest - len(pieces))] for pieces, _ in rows]
    return PieceForms(
        torch.tensor(filled, dtype=torch.long).view(len(rows), longest),
        torch.tensor([len(pieces) for pieces, _ in rows], dtype=torch.long),
        torch.tensor([head for _, head in rows], dtype=torch.long),
    )
