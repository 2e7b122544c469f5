"""What a tagger knows of words: rows of its tables, fixed on training data; and the forms that it has met.

The vocabulary never grows: a word or character that training did not hold gets the row of the unknown, always the same.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import repeat
from pathlib import Path
from typing import Any, cast

import regex
import torch
from torch import Tensor

from transfuse.context import Context, Form
from transfuse.nn.forms import Forms
from transfuse.nn.padding import inside
from transfuse.text import BundleError, ConfigError
from transfuse.words import fold_width

__all__ = ["FormTable", "Vocabulary", "normalise", "places"]

_DIGIT = regex.compile(r"\p{Nd}")
_BEGIN, _END, _UNKNOWN = 1, 2, 3
_HEAD, _TAIL = 20, 12
"""Of longer words the first and the last characters are read."""

FEATURES = 9
"""Hashed features a form: prefixes and suffixes of 2 to 4 characters, its shape, its short shape, its length."""


def normalise(word: str, *, fold: bool = True) -> str:
    """The name under which a word has its vector: lower case, digits as 0, full width as half if widths are folded."""
    return str(_DIGIT.sub("0", (fold_width(word) if fold else word).lower()))


@dataclass(frozen=True)
class Vocabulary:
    """Rows of the tables.

    Attributes:
        words: normalised words that have a fixed vector; row 1 is the first.
        trained: normalised words seen in training, with their counts; row 1 is the first.
        chars: characters seen in training; row 4 is the first, behind padding, begin, end and unknown.
        buckets: rows of the hashed features; 0 for none.
        context: what is told of the place where a word stands.
    """

    words: tuple[str, ...]
    trained: tuple[tuple[str, int], ...]
    chars: tuple[str, ...]
    buckets: int
    context: Context = field(default_factory=Context)

    @classmethod
    def of(
        cls,
        words: Sequence[str],
        forms: Iterable[str],
        *,
        buckets: int,
        rare_char: int = 3,
        context: Context | None = None,
    ) -> Vocabulary:
        """From the word forms of training data.

        Args:
            words: that have a fixed vector.
            forms: every word of the training data, as often as it occurs.
            buckets: see the class.
            rare_char: characters rarer than this stay unknown, so that the unknown character is trained.
            context: see the class.
        """
        counts = Counter(forms)
        names: Counter[str] = Counter()
        chars: Counter[str] = Counter()
        for form, count in counts.items():
            names[normalise(form)] += count
            for char in fold_width(form):
                chars[char] += count
        kept = tuple(sorted(char for char, count in chars.items() if count >= rare_char))
        trained = tuple(sorted(names.items(), key=lambda x: (-x[1], x[0])))
        return cls(tuple(words), trained, kept, buckets, context or Context())

    def extended(self, forms: Iterable[str]) -> Vocabulary:
        """With the words of more training data behind the old ones: no old row moves, so that trained weights stay.

        Args:
            forms: every word of the further training data, as often as it occurs.
        """
        new = Vocabulary.of(self.words, forms, buckets=self.buckets)
        more = dict(new.trained)
        known = tuple((word, count + more.pop(word, 0)) for word, count in self.trained)
        chars = tuple(char for char in new.chars if char not in self.char_rows)
        return replace(self, trained=known + tuple(more.items()), chars=self.chars + chars)

    @cached_property
    def word_rows(self) -> dict[str, int]:
        """Row of each word that has a fixed vector."""
        return {word: row for row, word in enumerate(self.words, 1)}

    @cached_property
    def trained_rows(self) -> dict[str, int]:
        """Row of each word seen in training."""
        return {word: row for row, (word, _) in enumerate(self.trained, 1)}

    @cached_property
    def char_rows(self) -> dict[str, int]:
        """Row of each character seen in training."""
        return {char: row for row, char in enumerate(self.chars, 4)}

    @cached_property
    def counts(self) -> Tensor:
        """``[trained + 1]`` how often training holds the word of each row."""
        return torch.tensor([0, *(count for _, count in self.trained)], dtype=torch.float)

    @property
    def alphabet(self) -> int:
        """Rows of the character table."""
        return len(self.chars) + 4

    def at(self, corpus: str) -> Vocabulary:
        """For text of another corpus, see `transfuse.context.Context.at`; the same where that changes nothing."""
        context = self.context.at(corpus)
        return self if context == self.context else replace(self, context=context)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        data: dict[str, Any] = {"words": self.words, "trained": self.trained, "chars": self.chars}
        data |= {"buckets": self.buckets} | ({"context": self.context.to_dict()} if self.context else {})
        path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> Vocabulary:
        """Read what `save` wrote. Raises BundleError if it is something else."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            trained = tuple((str(word), int(count)) for word, count in data["trained"])
            context = Context.from_dict(data["context"]) if "context" in data else Context()
            return cls(tuple(data["words"]), trained, tuple(data["chars"]), int(data["buckets"]), context)
        except (ConfigError, KeyError, TypeError, ValueError) as error:
            raise BundleError(f"{path}: not a vocabulary: {error}") from error


class FormTable:
    """Numbers word forms as they come and keeps what the encoder reads of them.

    Args:
        vocabulary: rows of the tables.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._number: dict[Any, int] = {}
        self._pending: list[Any] = []
        self._forms = self._encode([])

    def __len__(self) -> int:
        return len(self._number)

    @property
    def names(self) -> list[str]:
        """The forms by their numbers."""
        return [form for form, _ in self._number] if self.vocabulary.context else list(self._number)

    def spell(self, text: str, offsets: Sequence[tuple[int, int]], corpus: str = "") -> list[str]:
        """The words of a sentence as they are spelt, with what is told of their places, and of their corpus."""
        context = self.vocabulary.context
        if not context or not offsets:
            return [text[start:end] for start, end in offsets]
        rows = context.read(text, offsets, corpus)
        return [Form(text[start:end], "", row) for (start, end), row in zip(offsets, rows, strict=True)]

    def numbers(self, forms: Iterable[str]) -> list[int]:
        """One number a form; new forms get the next free one. The same word in another context is another form."""
        known = self._number
        keys: Iterable[Any] = forms
        if self.vocabulary.context:
            keys = [(str(form), form.context) for form in cast(Iterable[Form], forms)]
        result = []
        for key in keys:
            number = known.get(key)
            if number is None:
                number = known[key] = len(known)
                self._pending.append(key)
            result.append(number)
        return result

    def forms(self) -> Forms:
        """All forms numbered so far, in order."""
        if self._pending:
            old, new = self._forms, self._encode(self._pending)
            self._pending = []
            length = max(old.chars.shape[1], new.chars.shape[1])
            chars = [torch.nn.functional.pad(part.chars, (0, length - part.chars.shape[1])) for part in (old, new)]
            self._forms = Forms(
                torch.cat([old.words, new.words]),
                torch.cat([old.trained, new.trained]),
                torch.cat(chars),
                torch.cat([old.features, new.features]),
                torch.cat([old.context, new.context]),
            )
        return self._forms

    def dropped(self, forms: Forms, amount: float) -> Tensor:
        """``[forms]`` which to treat as unknown: those that training holds n times with chance ``a / (a + n)``."""
        return torch.rand(len(forms)) < amount / (amount + self.vocabulary.counts[forms.trained])

    def clear(self) -> None:
        """Forget all forms, so that tagging stays in constant memory."""
        self._number.clear()
        self._pending.clear()
        self._forms = self._encode([])

    def _encode(self, keys: list[Any]) -> Forms:
        context = [row for _, row in keys] if self.vocabulary.context else []
        forms: list[str] = [form for form, _ in keys] if self.vocabulary.context else keys
        words, trained = self.vocabulary.word_rows, self.vocabulary.trained_rows
        names = [normalise(form) for form in forms]
        forms = [fold_width(form) for form in forms]
        buckets = self.vocabulary.buckets
        features = [_features(form, buckets) for form in forms] if buckets else []
        return Forms(
            torch.tensor([words.get(name, 0) for name in names], dtype=torch.long),
            torch.tensor([trained.get(name, 0) for name in names], dtype=torch.long),
            self._spelt(forms),
            torch.tensor(features, dtype=torch.long).view(len(forms), FEATURES if buckets else 0),
            torch.tensor(context, dtype=torch.long).view(len(forms), len(self.vocabulary.context.sizes)),
        )

    def _spelt(self, forms: Sequence[str]) -> Tensor:
        """``[forms, characters]``, padded; one flat list of numbers costs a fifth of a list a form."""
        chars = self.vocabulary.char_rows
        flat: list[int] = []
        lengths: list[int] = []
        for form in forms:
            short = form if len(form) <= _HEAD + _TAIL else form[:_HEAD] + form[-_TAIL:]
            flat.append(_BEGIN)
            flat.extend(map(chars.get, short, repeat(_UNKNOWN)))
            flat.append(_END)
            lengths.append(len(short) + 2)
        padded = torch.zeros(len(forms), max(lengths, default=0), dtype=torch.long)
        padded[inside(torch.tensor(lengths, dtype=torch.long), padded.shape[1])] = torch.tensor(flat, dtype=torch.long)
        return padded


def _features(form: str, buckets: int) -> list[int]:
    low = form.lower()
    shape = "".join("A" if c.isupper() else "a" if c.islower() else "0" if c.isdigit() else c for c in form)
    short = "".join(c for i, c in enumerate(shape) if i == 0 or c != shape[i - 1])
    names = [f"p{low[:n]}" for n in (2, 3, 4)] + [f"s{low[-n:]}" for n in (2, 3, 4)]
    names += [f"S{shape[:12]}", f"h{short[:8]}", f"l{min(len(form), 12)}"]
    return [1 + zlib.crc32(name.encode()) % (buckets - 1) for name in names]


def places(numbers: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor, Tensor]:
    """Sentences of form numbers as a padded batch over its distinct forms.

    Args:
        numbers: sentences, longest first.

    Returns:
        ``[forms]`` distinct numbers, ``[batch, time]`` places among them (0 behind the end), ``[batch]`` lengths.
    """
    lengths = torch.tensor([len(row) for row in numbers])
    flat = torch.tensor([number for row in numbers for number in row])
    distinct, inverse = torch.unique(flat, return_inverse=True)
    steps = inside(lengths, int(lengths[0]))
    padded = torch.zeros(steps.shape, dtype=torch.long)
    padded[steps] = inverse
    return distinct, padded, lengths
