"""Silver corpora: text that several taggers annotate, harmonised by agreement.

A silver corpus is a folder, and a source like any other: ``train.jsonl`` the documents, ``provenance.jsonl`` who voted
for each mention, ``silver.json`` what it was made of and how.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

from transfuse import formats
from transfuse.ensembles.ensemble import Agreed, Agreement, harmonise
from transfuse.files import Writer, open_output, output_folder
from transfuse.jsonio import dump
from transfuse.silver.annotators import Annotator, Naming
from transfuse.text import ConfigError, Document

__all__ = ["build"]

CHUNK = 64
"""Documents that are in memory at a time."""


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
    if unknown := sorted(set(agreement.weights or ()) - set(names)):
        raise ConfigError(f"no tagger is called {', '.join(unknown)}; there are {', '.join(names)}")
    looked_for = _Tally(annotators, replace(naming, only=())).labels
    known = set().union(*looked_for.values())
    strangers = sorted(set(naming.only) - known)
    if strangers and len(looked_for) == len(annotators):
        raise ConfigError(f"no annotator looks for {', '.join(strangers)}; they look for {', '.join(sorted(known))}")
    tally = _Tally(annotators, naming)
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
) -> Iterator[tuple[Document, tuple[Agreed, ...]]]:
    while chunk := list(islice(documents, CHUNK)):
        tagged = {each.name: naming.apply(list(each.tag(chunk)), source=each.name) for each in annotators}
        tally.add_found(tagged)
        yield from harmonise({"": chunk} | tagged, agreement, labels={"": ()} | tally.labels)


def _recorded(
    votes: Iterable[tuple[Document, tuple[Agreed, ...]]], provenance: Writer, tally: _Tally
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

    def add_kept(self, votes: Sequence[Agreed]) -> None:
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
                "losses": each.losses.counts,
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
