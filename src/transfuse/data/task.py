"""From what a user calls a corpus to a task: names and paths, label names, splits, shares, and no leakage."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from itertools import accumulate, takewhile
from pathlib import Path
from typing import Any, Literal

from transfuse import corpora, formats, synthetic
from transfuse.data.augmentation import Augment
from transfuse.data.folding import Fold, hold_fold
from transfuse.data.overlap import without_overlap
from transfuse.data.splits import divide_evenly, divide_published, find_splits
from transfuse.labels import LabelMap, common_name
from transfuse.losses import Losses
from transfuse.published import hold_out
from transfuse.ranges import check_ranges
from transfuse.text import ConfigError, Corpus, DataError, Document, Entity, LabelError, Task
from transfuse.words import sentences

__all__ = [
    "Data",
    "build_task",
    "find_labels",
    "is_built_in",
    "raw_documents",
    "recorded_target",
    "resolve",
    "resolve_target",
]

LABELS = Path(__file__).parents[1] / "recipes" / "labels"
"""Label maps that are shipped."""


@dataclass(frozen=True)
class Data:
    """What is learned from.

    Attributes:
        target: a registered name, or ``format:path``, or a path whose format is detected. A folder may hold one file or
            folder for each of train, dev and test; anything else is one collection, and is split by document.
        sources: likewise, in order.
        share: of the target's training documents that keep their labels; the rest is raw text of the task.
        labels: a label map (TOML) for all corpora, by path or by the name of one that is shipped, as ``weibo``; or ""
            for the common names of `transfuse.labels.canonical` where a label has one and its own name where it has
            none.
        raw: unlabelled text of the target's kind: registered collections, or ``format:path``.
        limit: sentences kept of each source's training split, about: documents are drawn with the run's seed until they
            hold as many; 0 for all.
        disjoint: a source may have no label in common with the target; what is carried over is then what lies below
            the tags.
        fold: for cross-validation, the part of the target that is held out for testing; None for its own splits.
        augment: how altered copies of the labelled target documents are made; None for none. See
            `transfuse.data.augmentation.augmented`, which `transfuse.experiments.running.run_recipe` calls.
        dev_limit: sentences kept of the target's development split, about: documents are drawn, the same whatever the
            run's seed, until they hold as many; None for all. Who has few labelled documents has few to choose by, and
            scoring them is much of the time that a short training takes.
    """

    target: str
    sources: tuple[str, ...] = ()
    share: float = 1.0
    labels: str = ""
    raw: tuple[str, ...] = ()
    limit: int = 0
    disjoint: bool = False
    fold: Fold | None = None
    augment: Augment | None = None
    dev_limit: int | None = None

    @property
    def paths(self) -> tuple[str, ...]:
        """What lies in files of the user's own, which may change: corpora and a label map."""
        named = {*corpora.names(), *corpora.raw_names()}
        given = (self.target, *self.sources, *self.raw)
        own = tuple(spec for spec in given if spec not in named and not is_built_in(spec))
        return own if not Path(self.labels).is_file() else (*own, self.labels)

    def __post_init__(self) -> None:
        check_ranges(self, "data", share="[0, 1]", limit="[0, inf)", dev_limit="[1, inf)")


Divide = Literal["all", "dev", "none"]
"""Which splits are drawn where a user's files do not have them: dev and test, dev alone, or none."""


def resolve(spec: str, *, labels: str = "", losses: Losses | None = None, divide: Divide = "all") -> Corpus:
    """Load what a user named.

    Args:
        spec: see `Data.target`.
        labels: see `Data.labels`.
        losses: collects what did not come through unchanged.
        divide: the splits that are drawn where files do not have them. A source is not scored on a test split and has
            none drawn; without any a single collection is ``train`` as a whole.

    Raises:
        ConfigError: no registered corpus and no path has the name.
        DataError: a file is malformed, or holds too few documents to divide.
        LabelError: the label map says nothing about a label.
    """
    if spec in corpora.names():
        corpus = corpora.load(spec, losses=losses)
        rename = corpora.info(spec).canonical
    elif is_built_in(spec):
        corpus, rename = _synthetic(spec), {}
    else:
        corpus, rename = _read(spec, losses, divide), {}
    if labels:
        return LabelMap.from_toml(find_labels(labels)).apply_corpus(corpus, counts=losses)
    names = {label: rename.get(label) or common_name(label) for label in corpus.labels}
    return LabelMap(names).apply_corpus(corpus, counts=losses)


def is_built_in(spec: str) -> bool:
    """Whether a name is one of the built-in corpora, ``demo-...``, and of no file."""
    return spec.startswith("demo-") and not Path(spec).exists()


def find_labels(name: str) -> Path:
    """The file of a label map: a path, or the name of one that is shipped, as ``weibo``."""
    path, shipped = Path(name), LABELS / f"{name}.toml"
    return path if path.is_file() or not shipped.is_file() else shipped


def resolve_target(spec: str, *, labels: str = "", fold: Fold | None = None, losses: Losses | None = None) -> Corpus:
    """Load what is to be learned and scored on, with the splits that this takes.

    A corpus that was published without a test split is divided as a collection of files is; without a development
    split it gives a tenth of its training documents to it. Both draws are the same for everybody. Where a corpus'
    documents are sentences, scores on a drawn test split flatter, since its sentences have neighbours in training.

    Args:
        spec: see `Data.target`.
        labels: see `Data.labels`.
        fold: see `Data.fold`; where it is given, splits are those of `transfuse.data.folding.hold_fold` instead.
        losses: collects what did not come through unchanged.

    Raises:
        ConfigError, DataError, LabelError: see `resolve`; too few documents to divide.
    """
    if fold:
        return hold_fold(resolve(spec, labels=labels, losses=losses, divide="none"), fold)
    corpus = resolve(spec, labels=labels, losses=losses)
    if not corpus.test:
        # What was published as a development split is for testing where there is no other.
        splits = {"train": corpus.train, "test": corpus.dev} if corpus.dev else divide_published(corpus.train, spec)
        corpus = replace(corpus, splits=splits)
    return corpus if corpus.dev else hold_out(corpus, 0.1, seed=0)


def recorded_target(data: Mapping[str, Any]) -> Corpus:
    """The target of a run, as the ``data`` of its resolved recipe has it. Raises as `resolve_target` does."""
    return resolve_target(data["target"], labels=data["labels"], fold=Fold(**data["fold"]) if "fold" in data else None)


def _synthetic(spec: str) -> Corpus:
    name = spec.removeprefix("demo-")
    language = "zh" if name.endswith("-zh") else "en"
    department = name.removesuffix("-zh")
    if department not in synthetic.DEPARTMENTS:
        known = ", ".join(f"demo-{d}" for d in synthetic.DEPARTMENTS)
        raise ConfigError(f"no built-in corpus {spec!r}; there are {known}, each also with -zh")
    return replace(synthetic.department(department, language=language), name=spec)


def _read(spec: str, losses: Losses | None, divide: Divide) -> Corpus:
    format_name, options, path = formats.parse_spec(spec)
    place = Path(path)
    if not place.exists():
        if ":" not in spec and "/" not in spec and "." not in spec:
            close = get_close_matches(spec, corpora.names(), 2)
            hint = f"; did you mean {' or '.join(close)}?" if close else "; see `transfuse corpora list`"
            raise ConfigError(f"no registered corpus and no path is called {spec!r}{hint}")
        raise DataError("no such file or folder", path=path)

    def documents(part: Path) -> tuple[Document, ...]:
        return tuple(formats.read(part, format_name, losses=losses, **options))

    found = find_splits(place, losses)
    if found:
        splits = {split: documents(part) for split, part in found.items()}
        if empty := [split for split, held in splits.items() if not held]:
            raise DataError(
                f"no document in it: fill it, or take it away and {empty[0]} is drawn", path=str(found[empty[0]])
            )
        if divide != "none" and "train" not in splits:
            raise DataError(f"holds {', '.join(found)} but no training split", path=path)
    else:
        splits = divide_evenly(documents(place), path) if divide == "all" else {"train": documents(place)}
    labels = sorted({e.label for docs in splits.values() for d in docs for e in d.entities})
    corpus = Corpus(place.name.partition(".")[0], splits, tuple(labels), _language(next(iter(splits.values()))))
    return corpus if corpus.dev or divide == "none" else hold_out(corpus, 0.1, seed=0, together=True)


def _language(documents: Iterable[Document]) -> str:
    text = "".join(document.text[:200] for document, _ in zip(documents, range(50), strict=False))
    han = sum("\u4e00" <= char <= "\u9fff" for char in text)
    return "zh" if han > 0.2 * max(1, len(text)) else "en"


def _told_apart(name: str, taken: Sequence[str]) -> str:
    """Folders of two hospitals may be called alike: ``notes`` and ``notes (2)``."""
    others = (f"{name} ({number})" for number in range(2, len(taken) + 2))
    return next(each for each in (name, *others) if each not in taken)


def build_task(data: Data, *, seed: int, losses: Losses | None = None) -> tuple[Task, dict[str, Any]]:
    """The task, and the facts for its record: counts, hashes, what was removed and why.

    Documents of a source, and raw ones, that stand in the target's dev or test split, by id or by text, are removed; at
    share 0 also those of a source that stand in its training split, whose labels nobody is to see. Nothing is ever
    chosen by the test split.

    Args:
        data: what is learned from.
        seed: decides which documents keep their labels.
        losses: collects what did not come through unchanged in reading, which the facts count.

    Raises:
        ConfigError: see `resolve`.
        DataError: see `resolve`; the target's training split has no entity, and some of its labels are to be read.
        LabelError: a source and the target have no label in common, which is nearly always a matter of names, and
            ``disjoint`` does not allow it.
    """
    losses = Losses() if losses is None else losses
    target = resolve_target(data.target, labels=data.labels, fold=data.fold, losses=losses)
    if data.share and not any(document.entities for document in target.train):
        told = f" ({'; '.join(list(losses.counts)[:3])})" if losses.counts else ""
        line = f"no document to learn from has an entity: was it read in the right format?{told}"
        raise DataError(line, path=data.target)
    facts: dict[str, Any] = {"target": _facts(target), "sources": []}
    if data.fold:
        facts["fold"] = asdict(data.fold)
    sources: list[Corpus] = []
    apart = target if data.share else target.with_split("dev", (*target.dev, *target.train))
    for spec in data.sources:
        source = resolve(spec, labels=data.labels, losses=losses, divide="dev")
        source = replace(source, name=_told_apart(source.name, [target.name, *(corpus.name for corpus in sources)]))
        if not data.disjoint and not set(source.labels) & set(target.labels):
            sides = " and ".join(f"{c.name} ({', '.join(c.labels)})" for c in (source, target))
            raise LabelError(f"{sides} have no label in common: rename in a label map, or set data.disjoint")
        source, removed = without_overlap(source, apart)
        if data.limit:
            source = source.with_split("train", _limited(source.train, data.limit, seed=seed))
        facts["sources"].append({**_facts(source), "removed": removed})
        sources.append(source)
    raw = [_strip(document) for spec in data.raw for document in raw_documents(spec, losses)]
    if raw:
        raw, facts["raw_removed"] = _without_overlap(raw, target)
    judge = None
    if data.share < 1:
        kept = target.sample(data.share, seed=seed)
        labelled = set(map(id, kept.train))  # documents, not names: those of a user may have one twice
        hidden = [document for document in target.train if id(document) not in labelled]
        raw += [_strip(document) for document in hidden]
        judge = _Judge({(document.id, document.text): frozenset(document.entities) for document in hidden})
        target = kept
    if data.dev_limit:
        target = target.with_split("dev", _limited(target.dev, data.dev_limit, seed=0))
        facts["dev"] = len(target.dev)
    annotations = sum(len(document.entities) for document in target.train)
    facts |= {"share": data.share, "labelled": len(target.train), "annotations": annotations}
    facts |= {"raw": len(raw), "losses": losses.counts}
    return Task(target, tuple(sources), tuple(raw), judge), facts


def _without_overlap(raw: Sequence[Document], target: Corpus) -> tuple[list[Document], dict[str, int]]:
    """Raw text without what a target is scored on, and how many documents went."""
    kept, removed = without_overlap(Corpus("raw", {"train": tuple(raw)}, ()), target)
    return list(kept.train), removed


@dataclass(frozen=True)
class _Judge:
    """Holds the labels of raw documents that have some, so that a method can have itself judged and sees none."""

    _gold: Mapping[tuple[str, str], frozenset[Entity]]

    def __call__(self, documents: Iterable[Document]) -> tuple[int, int]:
        """How many mentions are right, of how many in documents whose gold is known."""
        right = judged = 0
        for document in documents:
            gold = self._gold.get((document.id, document.text))
            if gold is not None:
                judged += len(document.entities)
                right += len(gold.intersection(document.entities))
        return right, judged


def _limited(documents: Sequence[Document], limit: int, *, seed: int) -> Iterator[Document]:
    """Documents in a drawn order until they hold enough sentences; a smaller limit's are part of a larger one's."""
    order = list(range(len(documents)))
    random.Random(f"share/{seed}").shuffle(order)
    held = accumulate(len(sentences(documents[i].text)) for i in order)
    kept = sum(1 for _ in takewhile(lambda count: count < limit, held)) + 1
    return (documents[i] for i in sorted(order[:kept]))


def raw_documents(spec: str, losses: Losses | None = None) -> Iterable[Document]:
    """Text to read without its labels.

    Args:
        spec: a registered collection, a path, or ``format:path``.
        losses: collects what did not come through unchanged.

    Raises:
        ConfigError: an unknown format, or options that cannot be read.
        DataError: see `resolve`.
    """
    if spec in corpora.raw_names():
        return corpora.raw(spec)
    format_name, options, path = formats.parse_spec(spec)
    return formats.read(Path(path), format_name, losses=losses, **options)


def _strip(document: Document) -> Document:
    return Document(document.id, document.text)


def _facts(corpus: Corpus) -> dict[str, Any]:
    splits = {name: len(documents) for name, documents in corpus.splits.items()}
    return {"name": corpus.name, "labels": corpus.labels, "documents": splits, "sha256": corpus.sha256}
