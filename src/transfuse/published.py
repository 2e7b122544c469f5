"""What is known of a published corpus, and how its files become a `Corpus`. The facts themselves stand in `corpora`."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from transfuse.formats import read
from transfuse.labels import LabelMap
from transfuse.losses import Losses
from transfuse.mentions import kin
from transfuse.mirror import ORIGINS, fetch
from transfuse.text import ConfigError, Corpus, DataError, Document, SpanError

__all__ = ["Published", "Raw", "Reader", "Split", "hold_out"]

Reader = Callable[[Sequence[Path], Losses], Iterator[Document]]
"""Reads the files of one split, for a form that only one corpus has."""


@dataclass(frozen=True)
class Split:
    """One split of a published corpus.

    Attributes:
        documents: how many documents it has once read.
        entities: how many entities it has once read.
        files: SHA-256 by path; a path that ends in ``/`` is a folder, see `transfuse.mirror.digest`.
        format: a name in `transfuse.formats`, with its options in brackets; or a reader for these files alone.
    """

    documents: int
    entities: int
    files: Mapping[str, str]
    format: str | Reader = "conll[scheme=BIO,separator=tab,joiner=blank]"

    def read(self, root: Path, losses: Losses) -> tuple[Document, ...]:
        """Read the documents from where its paths start. Raises DataError for malformed files."""
        paths = [root / path for path in self.files]
        if not isinstance(self.format, str):
            return tuple(self.format(paths, losses))
        return tuple(document for path in paths for document in read(path, self.format, losses=losses))


@dataclass(frozen=True)
class Published:
    """The facts on one published corpus.

    Attributes:
        name: how it is called here, lower-case with hyphens.
        title: how its authors call it, with what tells this variant from others.
        language: BCP 47 tag.
        labels: the types that its annotators looked for, as the files spell them.
        licence: under which it is passed on; "unstated" where the public copy names none.
        citation: authors, title, place, year.
        archive: the archive that holds it.
        folder: the folder of the archive from which the paths of its splits start; "" or with a ``/`` at its end.
        splits: how each split is read, and what is then to be found in it; a missing one was never published.
        notes: what a user has to know: quirks, leakage, and why a count differs from a printed one.
        canonical: canonical names of labels whose meaning is special to this corpus; all others go by
            `transfuse.labels`.
        units: what a document is: "documents", "sentences", "records", ...
        tested_on: registered corpora whose *train* split has documents in common with this test split, where word
            vectors are trained on them.
    """

    name: str
    title: str
    language: str
    labels: tuple[str, ...]
    licence: str
    citation: str
    archive: str
    splits: Mapping[str, Split]
    folder: str = ""
    notes: tuple[str, ...] = ()
    canonical: Mapping[str, str] = field(default_factory=dict)
    units: str = "documents"
    tested_on: tuple[str, ...] = ()

    @property
    def origin(self) -> tuple[str, ...]:
        """The public repositories that its files were taken from."""
        every = ORIGINS.get(self.archive, ())
        ours = {next((each.repository for each in every if each.holds(path)), "") for path in self.sha256}
        return tuple(sorted(f"https://github.com/{repository}" for repository in ours if repository))

    @property
    def sha256(self) -> dict[str, str]:
        """Digests of all files that it is read from, by path in the archive."""
        return {self.folder + path: digest for split in self.splits.values() for path, digest in split.files.items()}

    @property
    def common(self) -> LabelMap:
        """What its labels are called where corpora meet. Raises LabelError for a label without a common name."""
        return LabelMap.canonical(self.labels, self.canonical)

    def load(self, losses: Losses | None = None) -> Corpus:
        """Fetch and read it, with the labels that its files have.

        Raises:
            ConfigError, DataError: see `transfuse.mirror.fetch`; a file that is not what its format promises.
        """
        losses = Losses() if losses is None else losses
        root = fetch(self.archive, self.sha256) / self.folder
        try:
            splits = {name: split.read(root, losses) for name, split in self.splits.items()}
        except SpanError as error:
            raise DataError(f"{self.name}: {error}", path=str(root)) from error
        return Corpus(self.name, splits, self.labels, self.language)


@dataclass(frozen=True)
class Raw:
    """The facts on one published collection of texts without annotation.

    Attributes:
        name, title, language, licence, citation, archive, notes: as in `Published`.
        files: SHA-256 by path in the archive.
        documents: how many documents `stream` gives.
        reader: gives the documents of one file.
        pattern: the files that the reader is given, by name; the others stand beside them.
    """

    name: str
    title: str
    language: str
    licence: str
    citation: str
    archive: str
    files: Mapping[str, str]
    documents: int
    reader: Callable[[Path], Iterator[Document]]
    pattern: str = "*"
    notes: tuple[str, ...] = ()

    def stream(self) -> Iterator[Document]:
        """Its documents, one after another. Raises as `Published.load` does."""
        root = fetch(self.archive, self.files)
        for path in (root / path for path in self.files if PurePath(path).match(self.pattern)):
            yield from self.reader(path)


def hold_out(corpus: Corpus, share: float, *, seed: int, split: str = "dev", together: bool = False) -> Corpus:
    """Move a drawn share of the training documents into another split, for corpora published without it.

    The draw goes by document and by nothing else: where documents are sentences, sentences of one article may end up
    on both sides, and scores on the new split will flatter.

    Args:
        corpus: any corpus with training documents.
        share: strictly between 0 and 1.
        seed: decides the draw, and nothing else does.
        split: the split to make.
        together: what belongs together stays so, see `transfuse.mentions.kin`. The draws of published corpora, of
            which numbers are printed, were made without.

    Raises:
        ConfigError: the share is out of range, the split is there already, or there are too few documents.
    """
    if not 0 < share < 1:
        raise ConfigError(f"a share to hold out lies strictly between 0 and 1, not at {share}")
    if corpus.splits.get(split):
        raise ConfigError(f"corpus {corpus.name} has a {split} split already")
    groups = kin(corpus.train, 2) if together else [[i] for i in range(len(corpus.train))]
    if len(groups) < 2:
        different = " different" if together else ""
        raise ConfigError(
            f"corpus {corpus.name} has {len(groups)}{different} training documents: too few to hold out any"
        )
    number = min(max(1, round(share * len(corpus.train))), len(corpus.train) - 1)
    group_of = {i: group for group in groups for i in group}
    drawn: set[int] = set()
    for i in random.Random(f"hold_out/{seed}").sample(range(len(corpus.train)), number):
        if len(drawn) < number:
            drawn.update(group_of[i])
    kept = tuple(document for i, document in enumerate(corpus.train) if i not in drawn)
    held = tuple(document for i, document in enumerate(corpus.train) if i in drawn)
    return replace(corpus, splits={**corpus.splits, "train": kept, split: held})
