"""A tagger out of a list of names: the longest name that begins first, at word boundaries and nowhere else.

Names and texts are compared word by word, as `transfuse.words.words` cuts them, so that the blanks between words do
not count and folding case or width shifts no offset: full-width letters match half-width ones, see
`transfuse.words.WIDTHS`. The search is that of Aho and Corasick (Efficient string matching,
Communications of the ACM 1975) over the words' characters with a mark between words.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ahocorasick_rs import AhoCorasick

from transfuse.files import Source
from transfuse.losses import Losses
from transfuse.text import BundleError, ConfigError, Corpus, DataError, Document, Entity
from transfuse.words import fold_width, words

__all__ = ["CASES", "Gazetteer", "Matching", "Term", "common_words", "read_terms", "training_terms"]

CASES = ("exact", "ignore", "acronyms")
"""exact: a name is found as it is spelled; ignore: in any case; acronyms: in any case, but for acronyms, as `Matching`
defines them, which are found as they are spelled."""

Term = tuple[str, str]
"""A name and its label."""

_MARK = "\0"
"""Stands between words and never in one, since control characters are blank."""


@dataclass(frozen=True)
class Matching:
    """How names are looked for.

    Attributes:
        case: one of `CASES`.
        acronym: characters, white space left out, that a name without small letters may have to be an acronym.
        plural: look for the English plurals of names too (-s, -es, -ies).
        minimum: names with fewer characters, white space left out, are not looked for; a Chinese or Japanese one, which
            says as much as several letters, counts for two.
    """

    case: str = "acronyms"
    acronym: int = 6
    plural: bool = True
    minimum: int = 3

    def __post_init__(self) -> None:
        if self.case not in CASES:
            raise ConfigError(f"unknown case policy {self.case!r}: choose one of {', '.join(CASES)}")
        if self.acronym < 0 or self.minimum < 1:
            raise ConfigError("acronym is a number of characters from 0, minimum one from 1")

    def folds(self, forms: Sequence[str]) -> bool:
        """Whether a name, given as its words, is found in any case."""
        if self.case == "acronyms":
            name = "".join(forms)
            return len(name) > self.acronym or not name.isupper()
        return self.case == "ignore"


class Gazetteer:
    """Finds the names of a list in any text.

    Of the names that overlap, the one that begins first is found, then the longest. A name with several labels gives
    an entity for each. No entity runs over a line break.

    Args:
        terms: names with their labels.
        matching: how they are looked for.
        stop: names that are not looked for, in whatever case, whatever their label.
        losses: collects names without a word, names that are too short, and names on the stop list.

    Raises:
        ConfigError: no name is left.
    """

    kind = "gazetteer"

    def __init__(
        self,
        terms: Iterable[Term],
        matching: Matching | None = None,
        *,
        stop: Collection[str] = (),
        losses: Losses | None = None,
    ) -> None:
        self.matching = matching or Matching()
        self.terms = tuple(sorted(set(self._kept(terms, stop, Losses() if losses is None else losses))))
        if not self.terms:
            raise ConfigError("no name is left to look for")
        self._labels = tuple(sorted({label for _, label in self.terms}))
        names: dict[bool, dict[str, set[Term]]] = {False: defaultdict(set), True: defaultdict(set)}
        for name, label in self.terms:
            forms = _forms(name)
            folds = self.matching.folds(forms)
            for variant in (forms, *(_plurals(forms) if self.matching.plural else ())):
                names[folds][_key(variant, folds)].add((name, label))
        self._searches = [_Search(found, folds) for folds, found in names.items() if found]

    def _kept(self, terms: Iterable[Term], stop: Collection[str], losses: Losses) -> Iterator[Term]:
        stopped = {_key(_forms(name), True) for name in stop}
        for name, label in terms:
            forms = _forms(name)
            if not forms:
                losses.add("skipped", "name without a word", detail=repr(name))
            elif sum(map(_length, forms)) < self.matching.minimum:
                losses.add("skipped", "name that is too short", detail=name)
            elif _key(forms, True) in stopped:
                losses.add("skipped", "name on the stop list", detail=name)
            else:
                yield " ".join(name.split()), label

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        return self._labels

    @property
    def sha256(self) -> str:
        """Of the names, their labels and how they are looked for: what is found depends on nothing else."""
        whole = json.dumps([asdict(self.matching), self.terms], ensure_ascii=False)
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()

    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams.

        Raises:
            ConfigError: confidences are asked for, which a list of names cannot give.
        """
        if confidence:
            raise ConfigError("a gazetteer has no confidence to give")
        for document in documents:
            yield document.with_entities(self._longest(document.text))

    def occurrences(self, text: str) -> Iterator[tuple[Entity, Term]]:
        """Every place where a name stands, also inside and across others, with that name; in no particular order."""
        for start, end, terms in self._places(text):
            yield from ((Entity(start, end, term[1]), term) for term in terms)

    def _longest(self, text: str) -> Iterator[Entity]:
        first = reached = 0
        places = {(start, -end, label) for start, end, terms in self._places(text) for _, label in terms}
        for start, negative, label in sorted(places):
            if start >= reached or (start, -negative) == (first, reached):
                first, reached = start, -negative
                yield Entity(start, -negative, label)

    def _places(self, text: str) -> Iterator[tuple[int, int, set[Term]]]:
        offsets = words(text)
        if not offsets:
            return
        whole = _join(text[start:end] for start, end in offsets)
        for search in self._searches:
            for first, last, terms in search.find(whole):
                start, end = offsets[first][0], offsets[last - 1][1]
                if last - first == 1 or len(text[start:end].splitlines()) == 1:
                    yield start, end, terms

    def save(self, folder: Path) -> dict[str, Any]:
        """Write the names into a folder; what `load` needs beside them is returned."""
        lines = "".join(f"{name}\t{label}\n" for name, label in self.terms)
        (folder / "terms.tsv").write_text(lines, encoding="utf-8")
        return asdict(self.matching)

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> Gazetteer:
        """Read what `save` wrote."""
        try:
            return cls(read_terms(folder / "terms.tsv"), Matching(**config))
        except (TypeError, ConfigError, DataError) as error:
            raise BundleError(f"{folder}: not a gazetteer: {error}") from error


class _Search:
    """All names that are compared in one way."""

    def __init__(self, names: dict[str, set[Term]], folds: bool) -> None:
        self._terms = list(names.values())
        self._automaton = AhoCorasick(list(names))
        self._folds = folds

    def find(self, whole: str) -> list[tuple[int, int, set[Term]]]:
        """Ranges of word numbers and the names that stand there, for words joined by marks."""
        whole = whole.lower() if self._folds else whole
        found = self._automaton.find_matches_as_indexes(whole, overlapping=True)
        places = []
        seen = number = 0
        for pattern, start, end in sorted(found, key=lambda match: match[1]):
            number += whole.count(_MARK, seen, start)
            seen = start
            places.append((number, number + whole.count(_MARK, start, end) - 1, self._terms[pattern]))
        return places


def _forms(name: str) -> list[str]:
    return [name[start:end] for start, end in words(name)]


def _length(form: str) -> int:
    return 2 if len(form) == 1 and unicodedata.east_asian_width(form) == "W" else len(form)


def _join(forms: Iterable[str]) -> str:
    return fold_width(f"{_MARK}{_MARK.join(forms)}{_MARK}")


def _key(forms: Iterable[str], folds: bool) -> str:
    # The whole is folded at once, as texts are: some letters fold by what stands beside them.
    return _join(forms).lower() if folds else _join(forms)


def _plurals(forms: list[str]) -> Iterator[list[str]]:
    *rest, last = forms
    if len(last) < 3 or not last.isalpha() or not last.isascii():
        return
    small = last.lower()
    if small.endswith(("s", "x", "z", "ch", "sh")):
        yield [*rest, last + "es"]
    elif small.endswith("y") and small[-2] not in "aeiou":
        yield [*rest, last[:-1] + "ies"]
    else:
        yield [*rest, last + "s"]


def read_terms(path: Path, label: str = "") -> Iterator[Term]:
    """Names out of a file: one a line, or ``name<TAB>label``; streams. Empty lines are passed over.

    Args:
        path: UTF-8, perhaps packed.
        label: of the lines that name none.

    Raises:
        DataError: no such file, more than one tab in a line, or no label for it.
    """
    with Source(path) as source:
        for number, line in source.lines():
            name, *rest = line.split("\t")
            found = rest[0].strip() if rest else label
            if not line.strip():
                continue
            if len(rest) > 1 or not name.strip():
                raise source.error("write one name a line, or name<TAB>label", number)
            if not found:
                raise source.error("the name has no label: write name<TAB>label, or give a label for all", number)
            yield name.strip(), found


def training_terms(corpus: Corpus) -> Iterator[Term]:
    """The mentions of a corpus' training split; the other splits are not looked at."""
    for document in corpus.train:
        for entity in document.entities:
            yield document.mention(entity), entity.label


def common_words(documents: Iterable[Document], *, share: float) -> frozenset[str]:
    """Words that stand, in small letters, in at least a share of the documents of a collection: a stop list.

    Args:
        documents: read once.
        share: in (0, 1].

    Raises:
        ConfigError: the share is out of range.
    """
    if not 0 < share <= 1:
        raise ConfigError(f"a share of documents lies in (0, 1], not at {share:g}")
    counts: Counter[str] = Counter()
    total = 0
    for document in documents:
        total += 1
        counts.update({document.text[start:end] for start, end in words(document.text)})
    return frozenset(word for word, number in counts.items() if word.islower() and number >= share * total)
