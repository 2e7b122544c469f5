"""What an encoder is told of words beside their form: their place in names of a list, part of speech, and corpus.

Kumar & Eluri (2024) call it features before the tagger. Names and part of speech are read off the text, never off its
annotation, so that training and tagging see the same. Which corpora are learned together is known (Stymne et al. 2018,
treebank embeddings); text that is to be tagged is taken for the target's.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from transfuse import bundle, lexicons
from transfuse import tags as tagging
from transfuse.gazetteer import Gazetteer, Matching, read_terms
from transfuse.text import ConfigError, Document

__all__ = ["PARTS_OF_SPEECH", "Context", "Form", "find_gazetteer"]

PARTS_OF_SPEECH = (
    *("CC", "CD", "DT", "EX", "FW", "IN", "JJ", "JJR", "JJS", "LS", "MD", "NN", "NNS", "NNP", "NNPS", "PDT", "POS"),
    *("PRP", "PRP$", "RB", "RBR", "RBS", "RP", "SYM", "TO", "UH", "VB", "VBD", "VBG", "VBN", "VBP", "VBZ", "WDT"),
    *("WP", "WP$", "WRB", ".", ",", ":", "(", ")", '"', "'", "#", "$"),
)
"""Those of the Penn Treebank; row 1 is the first, row 0 is for all others."""

_SCHEME = "BIOES"


class Form(str):
    """A word as it is spelt, and what an encoder may read of the place where it stands.

    Attributes:
        before: the character right before it: "" where a blank or nothing stands there.
        context: rows of the tables of `Context`.
    """

    __slots__ = ("before", "context")

    before: str
    context: tuple[int, ...]

    def __new__(cls, word: str, before: str = "", context: tuple[int, ...] = ()) -> Form:
        form = super().__new__(cls, word)
        form.before, form.context = before, context
        return form


@dataclass(frozen=True)
class Context:
    """What words are told by, in this order: each list of names, the part of speech, the corpus.

    Attributes:
        gazetteers: lists of names. A word is told its place in the longest name (BIOES) and that name's label.
        pos: tell the part of speech (English; the tagger of the library TextBlob, which reads words alone).
        corpora: names of the corpora that are told apart, the target first; none are unless there are some.
        home: the number of the one that text is of, unless something else is said.
    """

    gazetteers: tuple[Gazetteer, ...] = ()
    pos: bool = False
    corpora: tuple[str, ...] = ()
    home: int = 0

    def __bool__(self) -> bool:
        return bool(self.gazetteers or self.pos or self.corpora)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Rows of each table."""
        pos = [len(PARTS_OF_SPEECH) + 1] if self.pos else []
        return (*(len(names) for names in self._tags), *pos, *([len(self.corpora)] if self.corpora else []))

    def at(self, corpus: str) -> Context:
        """With another corpus as the one that text is of; one that is not known takes that one's place.

        The same where no corpora are told apart.
        """
        if not self.corpora:
            return self
        if corpus in self.corpora:
            return replace(self, home=self.corpora.index(corpus))
        return replace(self, corpora=(*self.corpora[: self.home], corpus, *self.corpora[self.home + 1 :]))

    @cached_property
    def _tags(self) -> list[dict[str, int]]:
        names = [tagging.tag_names(gazetteer.labels, _SCHEME) for gazetteer in self.gazetteers]
        return [{name: row for row, name in enumerate(some)} for some in names]

    def read(self, text: str, offsets: Sequence[tuple[int, int]], corpus: str = "") -> list[tuple[int, ...]]:
        """For each word of a sentence its rows, one a table.

        Args:
            text: the document's.
            offsets: of the sentence's words there, at least one.
            corpus: that it is of; `home` unless given.
        """
        columns = [
            self._places(gazetteer, rows, text, offsets)
            for gazetteer, rows in zip(self.gazetteers, self._tags, strict=True)
        ]
        if self.pos:
            columns.append(_parts_of_speech([text[a:b] for a, b in offsets]))
        if self.corpora:
            columns.append([self.corpora.index(corpus) if corpus else self.home] * len(offsets))
        return list(zip(*columns, strict=True))

    @staticmethod
    def _places(gazetteer: Gazetteer, rows: dict[str, int], text: str, offsets: Sequence[tuple[int, int]]) -> list[int]:
        base = offsets[0][0]
        starts = {start - base: number for number, (start, _) in enumerate(offsets)}
        ends = {end - base: number for number, (_, end) in enumerate(offsets, 1)}
        (found,) = gazetteer.tag([Document("", text[base : offsets[-1][1]])])
        spans = [(starts[e.start], ends[e.end], e.label) for e in found.entities if e.start in starts and e.end in ends]
        # a name with several labels is found once for each: the first one stands for it
        first = {span[:2]: span for span in reversed(spans)}
        return [rows[tag] for tag in tagging.encode(sorted(first.values()), len(offsets), _SCHEME)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it, names and all."""
        lists = [{"matching": asdict(g.matching), "terms": g.terms} for g in self.gazetteers]
        told = {"corpora": self.corpora, "home": self.home} if self.corpora else {}
        return {"gazetteers": lists, "pos": self.pos, **told}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Context:
        """Read what `to_dict` gave.

        Raises:
            ConfigError, KeyError, TypeError, ValueError: it is something else.
        """
        lists = [
            Gazetteer([(str(name), str(label)) for name, label in each["terms"]], Matching(**each["matching"]))
            for each in data["gazetteers"]
        ]
        corpora, home = tuple(map(str, data.get("corpora", ()))), int(data.get("home", 0))
        if home not in range(max(1, len(corpora))):
            raise ValueError(f"there is no corpus {home} among {len(corpora)}")
        return cls(tuple(lists), bool(data["pos"]), corpora, home)

    def facts(self) -> dict[str, Any]:
        """For records and keys: what was told, and the SHA-256 of each list of names."""
        lists = [{"names": len(g.terms), "labels": g.labels, "sha256": g.sha256} for g in self.gazetteers]
        return {"gazetteers": lists, "pos": self.pos, **({"corpora": self.corpora} if self.corpora else {})}


def find_gazetteer(spec: str) -> Gazetteer:
    """A list of names, as settings call it.

    Args:
        spec: a registered lexicon; ``terms:PATH``, a file of ``name<TAB>label`` lines; or a folder as
            ``transfuse silver gazetteer`` leaves it.

    Raises:
        ConfigError: it is none of these.
        DataError, BundleError: it cannot be read.
    """
    if spec in lexicons.names():
        return Gazetteer(lexicons.terms(spec))
    kind, _, path = spec.partition(":")
    if kind == "terms" and path:
        return Gazetteer(read_terms(Path(path)))
    if not (Path(spec) / "bundle.json").is_file():
        known = ", ".join(lexicons.names())
        raise ConfigError(f"gazetteers: {spec!r} is no folder of a gazetteer, no terms:FILE, and no lexicon ({known})")
    found = bundle.load(Path(spec))
    if not isinstance(found, Gazetteer):
        raise ConfigError(f"gazetteers: {spec} holds a {type(found).__name__} and no list of names")
    return found


def _parts_of_speech(forms: Sequence[str]) -> list[int]:
    rows = {name: row for row, name in enumerate(PARTS_OF_SPEECH, 1)}
    return [rows.get(tag, 0) for _, tag in _parser().find_tags(list(forms))]


@cache
def _parser() -> Any:
    try:
        from textblob.en import parser
    except ModuleNotFoundError:
        raise ConfigError('encoder.pos needs TextBlob: pip install "transfuse[pos]"') from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves its lexicons open behind it
        parser.find_tags(["a"])
    return parser
