"""Clean a silver corpus for one target: no document of the target, no mention that the target's annotators pass over.

After Giorgi & Bader (Transfer learning for biomedical named entity recognition with neural networks, Bioinformatics
2018, section 2.3), who took their list from all of the gold corpora, test included. Here it comes from the target's
training split alone, and from that part of it which is labelled in the experiment.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfuse import formats, jsonio
from transfuse.data.overlap import without_overlap
from transfuse.files import Source, open_output, output_folder
from transfuse.gazetteer import Gazetteer, Matching, Term
from transfuse.losses import Losses
from transfuse.text import Corpus, Document, Entity, LabelError

__all__ = ["Cleaned", "apart", "blacklist", "clean", "save"]


@dataclass(frozen=True)
class Cleaned:
    """What is left of a silver corpus, and what went.

    Attributes:
        documents: what is left.
        blacklist: names that were taken out, with how often the target passes over them.
        counts: of documents and mentions, before, after, and removed by reason.
    """

    documents: tuple[Document, ...]
    blacklist: Mapping[Term, int]
    counts: Mapping[str, Mapping[str, int]]


def blacklist(terms: Iterable[Term], corpus: Corpus, *, times: int = 1) -> dict[Term, int]:
    """Names that stand in a corpus' training split and are never annotated there.

    A name is passed over where it stands between word boundaries and no mention of its label touches it; *cancer* in an
    annotated *breast cancer* is not passed over. Acronyms are compared as they are spelled, all else in any case.

    Args:
        terms: names with labels; those with labels that the corpus does not annotate are left alone.
        corpus: its dev and test splits are not looked at.
        times: how often a name must be passed over.

    Returns:
        By name how often it is passed over, the most frequent first.
    """
    known = {term for term in terms if term[1] in corpus.labels and term[0].strip()}
    if not known:
        return {}
    gazetteer = Gazetteer(known, Matching(plural=False, minimum=1), losses=Losses())
    passed: Counter[Term] = Counter()
    annotated: set[Term] = set()
    for document in corpus.train:
        for place, term in gazetteer.occurrences(document.text):
            touching = [gold for gold in document.entities if gold.label == place.label and gold.overlaps(place)]
            if place in touching:
                annotated.add(term)
            elif not touching and not _is_unknown(place, document):
                passed[term] += 1
    order = sorted(passed.items(), key=lambda item: (-item[1], item[0]))
    return {term: number for term, number in order if number >= times and term not in annotated}


def _is_unknown(place: Entity, document: Document) -> bool:
    return any(start < place.end and place.start < end for start, end in document.unknown)


def clean(
    documents: Sequence[Document],
    target: Corpus,
    *,
    share: float = 1.0,
    seed: int = 0,
    times: int = 1,
    drop_empty: bool = False,
) -> Cleaned:
    """Take out of a silver corpus what stands in any split of the target, and the blacklisted mentions.

    Args:
        documents: the silver corpus.
        target: the corpus that is to be learned.
        share: of the target's training documents that are labelled in the experiment, as `Corpus.sample` draws them;
            the blacklist is taken from them and no others.
        seed: of that draw.
        times: see `blacklist`.
        drop_empty: leave out documents in which no mention is left.

    Raises:
        LabelError: the two have no label in common.
    """
    labels = tuple(sorted({entity.label for document in documents for entity in document.entities}))
    if labels and not set(labels) & set(target.labels):
        sides = f"the silver corpus ({', '.join(labels)}) and {target.name} ({', '.join(target.labels)})"
        raise LabelError(f"{sides} have no label in common: build it with a label map")
    left, removed = apart(Corpus("silver", {"train": tuple(documents)}, labels), target)
    terms = {(_name(document, entity), entity.label) for document in left.train for entity in document.entities}
    listed = blacklist(terms, target.sample(share, seed=seed), times=times)
    kept = []
    empty = 0
    for document in left.train:
        stay = [entity for entity in document.entities if (_name(document, entity), entity.label) not in listed]
        empty += not stay
        if stay or not drop_empty:
            kept.append(document if len(stay) == len(document.entities) else document.with_entities(stay))
    before, among, after = _mentions(documents), _mentions(left.train), _mentions(kept)
    counts = {
        "documents": {"before": len(documents), **removed, "without mention": empty, "after": len(kept)},
        "mentions": {
            "before": before,
            "in removed documents": before - among,
            "blacklisted": among - after,
            "after": after,
        },
    }
    return Cleaned(tuple(kept), listed, counts)


def apart(source: Corpus, target: Corpus) -> tuple[Corpus, dict[str, int]]:
    """Take out of a corpus what stands in any split of a target, where `without_overlap` minds dev and test alone.

    What annotates silver text must not have learned from the target's documents either.

    Returns:
        What is left, and how many documents went, by id and by text.
    """
    every = tuple(document for split in target.splits.values() for document in split)
    return without_overlap(source, Corpus(target.name, {"test": every}, target.labels, target.language))


def save(cleaned: Cleaned, folder: Path, facts: Mapping[str, Any], *, provenance: Path | None = None) -> dict[str, Any]:
    """Write ``train.jsonl``, ``blacklist.tsv`` and ``clean.json`` into a new folder, which appears as a whole.

    Args:
        cleaned: what is left.
        folder: to write into.
        facts: for the record.
        provenance: of the silver corpus, who voted for what; what of it is about mentions that are left is kept.

    Returns:
        The record, as ``clean.json`` holds it.

    Raises:
        DataError: the folder is not empty, or cannot be written; or the provenance is of another corpus.
    """
    record = {**facts, "counts": cleaned.counts, "blacklist": len(cleaned.blacklist)}
    with output_folder(folder) as place:
        formats.write(cleaned.documents, place / "train.jsonl", "jsonl")
        if provenance:
            with Source(provenance) as told, open_output(place / "provenance.jsonl") as file:
                for line in _provenance_left(cleaned.documents, told):
                    file.write(line)
        lines = "".join(f"{name}\t{label}\t{number}\n" for (name, label), number in cleaned.blacklist.items())
        (place / "blacklist.tsv").write_text(lines, encoding="utf-8")
        (place / "clean.json").write_text(json.dumps(record, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    return record


def _provenance_left(documents: Iterable[Document], provenance: Source) -> Iterator[str]:
    """The lines of a silver corpus' provenance for the documents that are left, with the mentions that are left."""
    told = jsonio.lines(provenance)
    for document in documents:
        left = {(e.start, e.end, e.label) for e in document.entities}
        line = next((line for line in told if line.get("id", str) == document.id), None)
        if line is None:
            raise provenance.error(f"says nothing of document {document.id}: it is of another corpus")
        mentions = [m for m in line.get("mentions", list) if (m["start"], m["end"], m["label"]) in left]
        yield jsonio.dump({"id": document.id, "mentions": mentions}) + "\n"


def _name(document: Document, entity: Entity) -> str:
    return " ".join(document.mention(entity).split())


def _mentions(documents: Iterable[Document]) -> int:
    return sum(len(document.entities) for document in documents)
