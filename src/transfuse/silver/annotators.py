"""Whoever annotates text for a silver corpus, as a user names them; the text; and what labels are called in it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from transfuse import bundle, corpora, formats, lexicons
from transfuse.data.task import is_built_in, raw_documents, resolve
from transfuse.gazetteer import Gazetteer, Term, read_terms, training_terms
from transfuse.labels import LabelMap, common_name
from transfuse.losses import Losses
from transfuse.mirror import digest
from transfuse.text import ConfigError, Corpus, DataError, Document

__all__ = ["Annotator", "Naming", "count_texts", "find_annotator", "find_terms", "texts"]


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
            rename, drop, mask = {label: common_name(label) for label in labels}, (), ()
        stay = {old: new for old, new in rename.items() if not self.only or new in self.only}
        return LabelMap(stay, (*drop, *(old for old in rename if old not in stay)), mask)

    def apply(self, documents: Sequence[Document], *, source: str, losses: Losses | None = None) -> list[Document]:
        """The documents with the new names; ``losses`` collects mentions that were renamed or dropped."""
        found = {entity.label for document in documents for entity in document.entities}
        return list(self.map(found, source=source).apply(documents, source=source, counts=losses))

    def corpus(self, corpus: Corpus) -> Corpus:
        """A corpus with the new names. Raises ConfigError if it has none of those that stay."""
        named = self.map(corpus.labels, source=corpus.name).apply_corpus(corpus)
        if not named.labels:
            raise ConfigError(f"{corpus.name} has {', '.join(corpus.labels)}, but no {' or '.join(self.only)}")
        return named


@dataclass(frozen=True)
class Annotator:
    """Whatever annotates documents: a model, a list of names, or annotations that are there already.

    Attributes:
        name: as the user called it.
        kind: ``neural``, ``crfsuite``, ``gazetteer``, ``corpus`` or ``file``.
        sha256: of what its annotations depend on.
        labels: what it looks for, in its own names; None where nobody knows.
        tag: gives documents back with its entities; called for one chunk after another.
        losses: of annotations that are there already, what did not come through unchanged so far.
    """

    name: str
    kind: str
    sha256: str
    labels: tuple[str, ...] | None
    tag: Callable[[Iterable[Document]], Iterator[Document]] = field(repr=False)
    losses: Losses = field(default_factory=Losses, repr=False)


def find_annotator(spec: str) -> Annotator:
    """What a user named as an annotator.

    Args:
        spec: a run folder or bundle; a source of names as `find_terms` has it; a registered corpus, or a path or
            ``format:path`` with annotations of the very texts.

    Raises:
        BundleError, ConfigError, DataError: see `transfuse.bundle.load`, `find_terms`, `transfuse.data.task.resolve`.
    """
    losses = Losses()
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
    if spec in corpora.names() or is_built_in(spec):
        corpus = resolve(spec, losses=losses)
        documents = (document for split in corpus.splits.values() for document in split)
        return Annotator(spec, "corpus", corpus.sha256, corpus.labels, _Annotations(spec, documents).tag, losses)
    format_name, options, place = formats.parse_spec(spec)
    if not Path(place).exists():
        raise DataError("no such run, bundle, file, registered corpus or lexicon", path=spec)
    read = formats.read(Path(place), format_name, losses=losses, **options)
    return Annotator(spec, "file", digest(Path(place)), None, _Annotations(spec, read).tag, losses)


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
        if spec in corpora.names() or is_built_in(spec):
            for split in resolve(spec).splits.values():
                yield from split
        elif spec in corpora.raw_names() or Path(formats.parse_spec(spec)[2]).exists():
            yield from raw_documents(spec)
        else:
            raise DataError("no such file, and no registered collection or corpus", path=spec)
