"""The built-in corpora: generated clinical notes of four departments that differ in words, abbreviations and style.

Every word comes out of the grammars ``grammars/en.toml`` and ``grammars/zh.toml``, written for this project; no
patient, no note and no published corpus stands behind them. The four departments are those of Wang et al. (2018),
"Label-aware double transfer learning for cross-specialty medical named entity recognition". What they share: the
labels, the endings of disease and drug names, common complaints, ways to report and to deny. What shifts: organs
and the roots of names, drug classes, tests, abbreviations (one may mean a disease here and a place of the body
there), telegraphic or full sentences, capitals, typing errors. Words stand inside and outside mentions by context.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from itertools import chain

from transfuse.text import ConfigError, Corpus, Document, Entity

__all__ = ["DEPARTMENTS", "LABELS", "LANGUAGES", "department"]

DEPARTMENTS = ("cardiology", "respiratory", "neurology", "gastroenterology")
LANGUAGES = ("en", "zh")
LABELS = ("Problem", "Test", "Treatment", "Anatomy")
MARKS = {"P": "Problem", "T": "Test", "R": "Treatment", "A": "Anatomy"}
SPLIT_OF = ("train", "train", "train", "dev", "test")

TOKEN = re.compile(r"\{(?P<rule>\w+)\}|<(?P<mark>[A-Z]) |(?P<close>>)|(?P<words>[^{}<>]+)")
LONG_WORD = re.compile(r"[A-Za-z]{5,}")
SENTENCE_START = re.compile(r"(?:\A|(?<=\n)|(?<=[.!?] ))[a-z]")

Piece = tuple[str, str]  # some text, and its label or ""


def department(name: str, *, language: str = "en", seed: int = 0, documents: int = 200) -> Corpus:
    """Generate the notes of one department; the same arguments give the same notes on every machine.

    Of five documents three are for training, one is for dev and one for test. No text is there twice, and a
    smaller number of documents gives the beginning of a larger one.

    Args:
        name: one of `DEPARTMENTS`.
        language: one of `LANGUAGES`.
        seed: other seeds give other notes from the same vocabulary.
        documents: how many notes, at least 1, in all splits together.

    Raises:
        ConfigError: an unknown name or language, or no documents.
    """
    for value, known in ((name, DEPARTMENTS), (language, LANGUAGES)):
        if value not in known:
            raise ConfigError(f"no such department or language: {value!r}; there are {', '.join(known)}")
    if documents < 1:
        raise ConfigError(f"a corpus needs at least one document, not {documents}")
    grammar = _grammar(language, name)
    splits: dict[str, list[Document]] = {"train": [], "dev": [], "test": []}
    seen: set[str] = set()
    for number in range(documents):
        attempt = 0
        while (document := grammar.note(f"{seed}/{number}/{attempt}", f"{name}/{number + 1}")).text in seen:
            attempt += 1
        seen.add(document.text)
        splits[SPLIT_OF[number % len(SPLIT_OF)]].append(document)
    suffix = "" if language == "en" else f"-{language}"
    return Corpus(f"demo-{name}{suffix}", {k: tuple(v) for k, v in splits.items()}, LABELS, language)


class _Grammar:
    """Rules of one department: a name stands for one of several templates, the earlier ones being more frequent.

    In a template ``{rule}`` stands for what the rule gives, and ``<P ...>`` marks a mention of what `MARKS` says.

    Args:
        key: language and department, which with a rule's name decide its pool.
        rules: templates by rule.
        pools: rules that draw once so many names, and then give only these.
        style: share of longer words with a typing error (``typos``) and of notes without capitals (``lower``).
    """

    def __init__(
        self, key: str, rules: Mapping[str, Sequence[str]], pools: Mapping[str, int], style: Mapping[str, float]
    ) -> None:
        self.key, self.style = key, style
        self.rules = {name: tuple(templates) for name, templates in rules.items()}
        for name in sorted(pools):
            self.rules[name] = tuple(self._pool(name, pools[name]))

    def note(self, seed: str, identity: str) -> Document:
        """One note with the offsets of its mentions."""
        rng = random.Random(f"{self.key}/{seed}")
        text, entities = "", []
        for words, label in _joined(self._expand("{note}", rng, "")):
            words = _mistype(words, rng, self.style["typos"])
            if label:
                entities.append(Entity(len(text), len(text) + len(words), label))
            text += words
        lower = rng.random() < self.style["lower"]
        text = text.lower() if lower else SENTENCE_START.sub(lambda match: match.group().upper(), text)
        return Document(identity, text, tuple(entities))

    def _pool(self, name: str, size: int) -> list[str]:
        rng = random.Random(f"{self.key}/pool/{name}")
        drawn: dict[str, None] = {}
        while len(drawn) < size:
            drawn["".join(words for words, _ in self._expand(f"{{{name}}}", rng, ""))] = None
        return list(drawn)

    def _expand(self, template: str, rng: random.Random, label: str) -> Iterator[Piece]:
        for token in TOKEN.finditer(template):
            if rule := token["rule"]:
                yield from self._expand(_pick(rng, self.rules[rule]), rng, label)
            elif mark := token["mark"]:
                label = MARKS[mark]
            elif token["close"]:
                label = ""
                yield "", ""  # keeps apart two mentions that touch
            else:
                yield token["words"], label


@cache
def _grammar(language: str, name: str) -> _Grammar:
    tables = tomllib.loads(files("transfuse").joinpath("grammars", f"{language}.toml").read_text("utf-8"))
    return _Grammar(f"{language}/{name}", tables["common"] | tables[name], tables["pools"], tables["style"][name])


def _pick(rng: random.Random, choices: Sequence[str]) -> str:
    # Only random() is promised to give the same numbers in every version of Python; squaring favours the first.
    draw = rng.random()
    return choices[int(draw * draw * len(choices))]


def _joined(pieces: Iterator[Piece]) -> Iterator[Piece]:
    words, label = "", ""
    for piece, its_label in chain(pieces, [("", "")]):
        if words and (its_label != label or not piece):
            yield words, label
            words = ""
        words, label = words + piece, its_label


def _mistype(words: str, rng: random.Random, rate: float) -> str:
    def change(match: re.Match[str]) -> str:
        word = match.group()
        if rng.random() >= rate:
            return word
        at = 1 + int(rng.random() * (len(word) - 3))
        swapped, dropped = word[at + 1] + word[at], word[at]
        return word[:at] + (swapped if rng.random() < 0.6 else dropped) + word[at + 2 :]

    return LONG_WORD.sub(change, words)
