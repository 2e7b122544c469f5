"""Silver corpora: text that several taggers annotate, harmonised by agreement.

A silver corpus is a folder, and a source like any other: ``train.jsonl`` the documents, ``provenance.jsonl`` who voted
for each mention, ``silver.json`` what it was made of and how.
"""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from transfuse import bundle, corpora, formats, lexicons
from transfuse.data import raw_documents, resolve
from transfuse.ensemble import Agreement, Vote, harmonise
from transfuse.files import Writer, open_output, output_folder
from transfuse.gazetteer import Gazetteer, Term, read_terms, training_terms
from transfuse.jsonio import dump
from transfuse.labels import LabelMap, canonical
from transfuse.losses import Losses
from transfuse.mirror import digest
from transfuse.text import ConfigError, Corpus, DataError, Document, LabelError

__all__ = ["Annotator", "Naming", "build", "count_texts", "find_annotator", "find_terms", "texts"]

CHUNK = 64
"""Documents that are in memory at a time."""


@dataclass(frozen=True)
class Naming:
    """What the labels of every annotator are called in the silver corpus.

    Attributes:
        labels: a label map, or None for the common names of `transfuse.labels` where a label has one.
        only: of the new names, those that stay; all if there are none.
    """

    labels: LabelMap | None = None
    only: tuple[str, ...] = ()

    def map(self, labels: Iterable[str], *, source: str) -> LabelMap:
        """The map for some labels. Raises LabelError if the user's map says nothing about one of them."""
        labels = set(labels)
        if self.labels:
            self.labels.labels(labels, source=source)
            rename: Mapping[str, str] = self.labels.rename
            drop, mask = self.labels.drop, self.labels.mask
        else:
            rename, drop, mask = {label: _common(label) for label in labels}, (), ()
        stay = {old: new for old, new in rename.items() if not self.only or new in self.only}
        return LabelMap(stay, (*drop, *(old for old in rename if old not in stay)), mask)

    def apply(self, documents: Sequence[Document], *, source: str) -> list[Document]:
        """The documents with the new names."""
        found = {entity.label for document in documents for entity in document.entities}
        return list(self.map(found, source=source).apply(documents, source=source))

    def corpus(self, corpus: Corpus) -> Corpus:
        """A corpus with the new names. Raises ConfigError if it has none of those that stay."""
        named = self.map(corpus.labels, source=corpus.name).apply_corpus(corpus)
        if not named.labels:
            raise ConfigError(f"{corpus.name} has {', '.join(corpus.labels)}, but no {' or '.join(self.only)}")
        return named


def _common(label: str) -> str:
    try:
        return canonical(label)
    except LabelError:
        return label


@dataclass(frozen=True)
class Annotator:
    """Whatever annotates documents: a model, a list of names, or annotations that are there already.

    Attributes:
        name: as the user called it.
        kind: ``neural``, ``crfsuite``, ``gazetteer``, ``corpus`` or ``file``.
        sha256: of what its annotations depend on.
        labels: what it looks for, in its own names; None where nobody knows.
        tag: gives documents back with its entities; called for one chunk after another.
    """

    name: str
    kind: str
    sha256: str
    labels: tuple[str, ...] | None
    tag: Callable[[Iterable[Document]], Iterator[Document]] = field(repr=False)


def find_annotator(spec: str) -> Annotator:
    """What a user named as an annotator.

    Args:
        spec: a run folder or bundle; a source of names as `find_terms` has it; a registered corpus, or a path or
            ``format:path`` with annotations of the very texts.

    Raises:
        BundleError, ConfigError, DataError: see `transfuse.bundle.load`, `find_terms` and `transfuse.data.resolve`.
    """
    path = Path(spec)
    folder = path / "bundle" if (path / "bundle").is_dir() else path
    if (folder / "bundle.json").is_file():
        tagger = bundle.load(folder)
        kind = bundle.describe(folder)["kind"]
        return Annotator(spec, kind, digest(folder / "bundle.json"), tuple(tagger.labels), tagger.tag)
    if (path / "recipe.toml").is_file():
        raise ConfigError(f"{spec}: the run is not finished: give its command again")
    if spec in lexicons.names() or spec.startswith(("terms:", "train:")):
        gazetteer = Gazetteer(find_terms(spec))
        return Annotator(spec, "gazetteer", gazetteer.sha256, gazetteer.labels, gazetteer.tag)
    if spec in corpora.names():
        corpus = resolve(spec)
        documents = (document for split in corpus.splits.values() for document in split)
        return Annotator(spec, "corpus", corpus.sha256, corpus.labels, _Annotations(spec, documents).tag)
    format_name, options, place = formats.parse_spec(spec)
    if not Path(place).exists():
        raise DataError("no such run, bundle, file, registered corpus or lexicon", path=spec)
    read = formats.read(Path(place), format_name, losses=Losses(), **options)
    return Annotator(spec, "file", digest(Path(place)), None, _Annotations(spec, read).tag)


class _Annotations:
    """Documents that are annotated already, found by id; in memory stay only those that were passed over."""

    def __init__(self, name: str, documents: Iterable[Document]) -> None:
        self._name, self._documents = name, iter(documents)
        self._passed: dict[str, Document] = {}

    def tag(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The annotated documents with the ids of these.

        Raises:
            DataError: there is none for one of them.
        """
        for document in documents:
            while document.id not in self._passed:
                known = next(self._documents, None)
                if known is None:
                    raise DataError(f"has no document {document.id}", path=self._name)
                self._passed[known.id] = known
            yield self._passed.pop(document.id)


def find_terms(spec: str, label: str = "") -> Iterator[Term]:
    """Names with their labels.

    Args:
        spec: a registered lexicon; ``terms:PATH``, a file as `transfuse.gazetteer.read_terms` has it; or
            ``train:CORPUS``, the mentions in the training split of a corpus.
        label: of the lines of a file that name none.

    Raises:
        ConfigError: it is none of these.
        DataError: a file is missing or malformed.
    """
    kind, _, rest = spec.partition(":")
    if kind == "terms":
        return read_terms(Path(rest), label)
    if kind == "train":
        return training_terms(resolve(rest))
    return iter(lexicons.terms(spec))


def texts(specs: Sequence[str], *, limit: int = 0, seed: int = 0) -> Iterator[Document]:
    """Documents to annotate, without the entities they have; streams.

    Args:
        specs: registered collections or corpora, paths, or ``format:path``.
        limit: documents to draw from all of them, in their order; 0 for all.
        seed: decides the draw.
    """
    chosen = None
    if limit:
        total = count_texts(specs)
        chosen = set(random.Random(f"silver/{seed}").sample(range(total), min(limit, total)))
    for number, document in enumerate(_documents(specs)):
        if chosen is None or number in chosen:
            yield Document(document.id, document.text)


def count_texts(specs: Sequence[str]) -> int:
    """How many documents there are; what is not registered is read for it."""
    raw = corpora.raw_names()
    return sum(corpora.raw_info(s).documents if s in raw else sum(1 for _ in _documents([s])) for s in specs)


def _documents(specs: Sequence[str]) -> Iterator[Document]:
    for spec in specs:
        if spec in corpora.names():
            for split in corpora.load(spec).splits.values():
                yield from split
        elif spec in corpora.raw_names() or Path(formats.parse_spec(spec)[2]).exists():
            yield from raw_documents(spec)
        else:
            raise DataError("no such file, and no registered collection or corpus", path=spec)


def build(
    annotators: Sequence[Annotator],
    documents: Iterable[Document],
    folder: Path,
    agreement: Agreement,
    *,
    naming: Naming | None = None,
    facts: Mapping[str, Any] | None = None,
    watch: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Annotate documents with every annotator, harmonise, and write the folder; memory does not grow with the text.

    The folder appears when all is done; a build that was stopped starts over.

    Args:
        annotators: with different names.
        documents: the text.
        folder: a new one, or an empty one.
        agreement: how many have to agree, and on what.
        naming: what the labels are called.
        facts: what else to record.
        watch: told how many documents are done.

    Returns:
        The record, as ``silver.json`` holds it.

    Raises:
        ConfigError: two annotators have one name, or more have to agree than there are.
        DataError: the folder is not empty; the annotations of a file are not those of the text.
        LabelError: the label map says nothing about a label.
    """
    naming = naming or Naming()
    names = [annotator.name for annotator in annotators]
    if len(set(names)) < len(names):
        raise ConfigError("an annotator is there twice, and would agree with itself")
    if agreement.threshold > agreement.weight(names):
        raise ConfigError(f"{agreement.threshold:g} have to agree, but all together weigh {agreement.weight(names):g}")
    tally = _Tally(annotators, naming)
    known = set().union(*tally.labels.values())
    strangers = sorted(set(naming.only) - known)
    if strangers and len(tally.labels) == len(annotators):
        raise ConfigError(f"no annotator looks for {', '.join(strangers)}; they look for {', '.join(sorted(known))}")
    began = time.process_time()
    with output_folder(folder) as place:
        with open_output(place / "provenance.jsonl") as provenance:
            votes = _votes(annotators, tally.told(documents, watch), agreement, naming, tally)
            formats.write(_recorded(votes, provenance, tally), place / "train.jsonl", "jsonl")
        record = {
            **(facts or {}),
            "agreement": asdict(agreement),
            **tally.to_dict(),
            "cpu_seconds": round(time.process_time() - began, 1),
        }
        text = json.dumps(record, ensure_ascii=False, indent=2)
        (place / "silver.json").write_text(text + "\n", encoding="utf-8")
    return record


def _votes(
    annotators: Sequence[Annotator],
    documents: Iterator[Document],
    agreement: Agreement,
    naming: Naming,
    tally: _Tally,
) -> Iterator[tuple[Document, tuple[Vote, ...]]]:
    while chunk := list(islice(documents, CHUNK)):
        tagged = {each.name: naming.apply(list(each.tag(chunk)), source=each.name) for each in annotators}
        tally.add_found(tagged)
        yield from harmonise({"": chunk} | tagged, agreement, labels={"": ()} | tally.labels)


def _recorded(
    votes: Iterable[tuple[Document, tuple[Vote, ...]]], provenance: Writer, tally: _Tally
) -> Iterator[Document]:
    for document, found in votes:
        mentions = [
            {"start": v.entity.start, "end": v.entity.end, "label": v.entity.label, "taggers": v.taggers} for v in found
        ]
        provenance.write(dump({"id": document.id, "mentions": mentions}) + "\n")
        tally.add_kept(found)
        yield document


class _Tally:
    """What went in and what came out."""

    def __init__(self, annotators: Sequence[Annotator], naming: Naming) -> None:
        self._annotators = annotators
        self.labels: dict[str, Collection[str]] = {}
        for each in annotators:
            if each.labels is not None:
                known = naming.map(each.labels, source=each.name)
                self.labels[each.name] = known.labels(each.labels)
        self._texts = hashlib.sha256()
        self._found: dict[str, Counter[str]] = {each.name: Counter() for each in annotators}
        self._kept: Counter[str] = Counter()
        self._agreed: Counter[int] = Counter()
        self._documents = self._empty = self._characters = 0

    def told(self, documents: Iterable[Document], watch: Callable[[int], None] | None) -> Iterator[Document]:
        """The documents, counted as they go in."""
        for document in documents:
            self._texts.update(f"\x1e{document.id}\x1f{document.text}".encode("utf-8", "surrogatepass"))
            self._documents += 1
            self._characters += len(document.text)
            if watch:
                watch(self._documents)
            yield document

    def add_found(self, tagged: Mapping[str, Sequence[Document]]) -> None:
        """What each annotator found."""
        for name, documents in tagged.items():
            self._found[name].update(entity.label for document in documents for entity in document.entities)

    def add_kept(self, votes: Sequence[Vote]) -> None:
        """What stays of a document."""
        self._empty += not votes
        self._kept.update(vote.entity.label for vote in votes)
        self._agreed.update(len(vote.taggers) for vote in votes)

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        taggers = [
            {
                "name": each.name,
                "kind": each.kind,
                "sha256": each.sha256,
                "labels": list(self.labels[each.name]) if each.name in self.labels else None,
                "mentions": dict(sorted(self._found[each.name].items())),
            }
            for each in self._annotators
        ]
        return {
            "taggers": taggers,
            "text_sha256": self._texts.hexdigest(),
            "documents": self._documents,
            "characters": self._characters,
            "mentions": dict(sorted(self._kept.items())),
            "mentions_by_votes": {str(number): times for number, times in sorted(self._agreed.items())},
            "documents_without_mention": self._empty,
        }
