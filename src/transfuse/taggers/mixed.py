"""Word forms for an encoder that reads them in two ways: as they are spelt, and as pieces of a pre-trained model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from transfuse.context import Form
from transfuse.encoders.pieces import Pieces, PieceTable
from transfuse.nn.forms import MixedForms
from transfuse.taggers.vocabulary import FormTable, Vocabulary

__all__ = ["AnyTable", "AnyVocabulary", "MixedTable", "MixedVocabulary"]


@dataclass(frozen=True)
class MixedVocabulary:
    """Both vocabularies.

    Attributes:
        words: of the forms as they are spelt.
        pieces: of the pre-trained model.
    """

    words: Vocabulary
    pieces: Pieces

    def at(self, corpus: str) -> MixedVocabulary:
        """See `transfuse.taggers.vocabulary.Vocabulary.at`."""
        words = self.words.at(corpus)
        return self if words is self.words else MixedVocabulary(words, self.pieces)


class MixedTable:
    """Numbers word forms as they come; see `transfuse.taggers.vocabulary.FormTable`.

    Args:
        vocabulary: both of them.
        most: see `transfuse.encoders.pieces.PieceTable`.
    """

    def __init__(self, vocabulary: MixedVocabulary, *, most: int) -> None:
        self.vocabulary = vocabulary
        self._words, self._pieces = FormTable(vocabulary.words), PieceTable(vocabulary.pieces, most=most)
        self._number: dict[tuple[int, int], int] = {}
        self._forms: MixedForms | None = None

    def __len__(self) -> int:
        return len(self._number)

    @property
    def names(self) -> list[str]:
        """The forms by their numbers."""
        names = self._words.names
        return [names[word] for word, _ in self._number]

    def clear(self) -> None:
        """Forget all forms, so that tagging stays in constant memory."""
        self._words.clear()
        self._pieces.clear()
        self._number.clear()
        self._forms = None

    def spell(self, text: str, offsets: Sequence[tuple[int, int]], corpus: str = "") -> list[str]:
        """The words of a sentence, each with what stands right before it and what is told of its place and corpus."""
        both = zip(self._words.spell(text, offsets, corpus), self._pieces.spell(text, offsets), strict=True)
        return [Form(word, _form(piece).before, _form(word).context) for word, piece in both]

    def numbers(self, forms: Iterable[str]) -> list[int]:
        """One number a form; new forms get the next free one."""
        forms = list(forms)
        pairs = zip(self._words.numbers(forms), self._pieces.numbers(forms), strict=True)
        return [self._number.setdefault(pair, len(self._number)) for pair in pairs]

    def forms(self) -> MixedForms:
        """All forms numbered so far, in order."""
        if self._forms is None or len(self._forms) < len(self):
            rows = torch.tensor(list(self._number), dtype=torch.long).view(-1, 2)
            self._forms = MixedForms(self._words.forms().select(rows[:, 0]), self._pieces.forms().select(rows[:, 1]))
        return self._forms

    def dropped(self, forms: MixedForms, amount: float) -> Tensor:
        """See `transfuse.taggers.vocabulary.FormTable.dropped`."""
        return self._words.dropped(forms.forms, amount)


def _form(word: str) -> Form:
    return word if isinstance(word, Form) else Form(word)


AnyVocabulary = Vocabulary | Pieces | MixedVocabulary
AnyTable = FormTable | PieceTable | MixedTable
