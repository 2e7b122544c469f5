"""What entity types are called: rename, merge, drop and mask, and one common name for every concept.

A map must say something about every label it meets, so that no mention changes or vanishes by oversight. As TOML::

    keep = ["Species"]               # stays as it is
    drop = ["ChromosomeLocation"]    # these mentions are taken out: their words count as outside
    mask = ["FamilyName"]            # taken out too, but their words count as unknown, not as outside

    [rename]                         # several names to one: merge
    Protein = "Gene"
    GGP = "Gene"
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from transfuse.losses import Losses
from transfuse.text import ConfigError, Corpus, DataError, Document, Entity, LabelError

__all__ = ["CANONICAL", "LabelMap", "canonical", "common_name"]

_CONCEPTS = {
    # Biomedical
    "Anatomy": "UBERON, Anatomical_system, Developing_anatomical_structure, Immaterial_anatomical_entity, "
    "Multi-tissue_structure, Organ, Organism_subdivision, Organism_substance, Pathological_formation, Tissue, "
    "body, 解剖部位",
    "BiologicalProcess": "GO_BP",
    "CellLine": "cell_line",
    "CellType": "cell_type, CL, Cell",
    "CellularComponent": "Cellular_component, GO_CC",
    "Chemical": "CHEBI, CHED, Simple_chemical, Amino_acid, chemicalcompound, chemicalelement",
    "ChemicalRelated": "NonStandardRef",
    "ChromosomeLocation": "",
    "Department": "",
    "Disease": "DISO, MONDO, SpecificDisease, DiseaseClass, Modifier, CompositeMention, Cancer, 疾病和诊断",
    "DNA": "",
    "Drug": "药物",
    "Enzyme": "",
    "Gene": "GGP, Gene_or_gene_product, NEWGENE, NEWGENE1, PR, PRGE, Protein",
    "GeneFamily": "FamilyName",
    "GeneOntology": "GO",
    "Imaging": "影像检查",
    "LaboratoryTest": "实验室检验",
    "MedicalTest": "test",
    "MolecularFunction": "GO_MF",
    "MolecularProcess": "MOP",
    "Phenotype": "HP",
    "PhysicalFeature": "feature",
    "Physiology": "",
    "Population": "crowd",
    "Procedure": "手术",
    "ProteinComplex": "Complex",
    "ProteinDomain": "DomainMotif",
    "Regulon": "Regulon-operon",
    "RNA": "",
    "SequenceFeature": "SO",
    "Species": "LIVB, NCBITaxon, Organism, Taxon",
    "Symptom": "症状",
    "Treatment": "",
    "Variant": "AcidChange, DNAAllele, DNAMutation, OtherMutation, ProteinAllele, ProteinMutation, SNP",
    # General
    "Address": "",
    "Attraction": "scene",
    "Company": "corporation",
    "Country": "",
    "Degree": "EDU",
    "Ethnicity": "RACE",
    "Facility": "",
    "GeopoliticalEntity": "GPE, GPE.NAM",
    "Government": "",
    "Group": "",
    "JobTitle": "TITLE, position",
    "Location": "LOC, LOC.NAM, geo-loc, ns",
    "Miscellaneous": "MISC, other",
    "Nationality": "CONT",
    "NominalGeopoliticalEntity": "GPE.NOM",
    "NominalLocation": "LOC.NOM",
    "NominalOrganization": "ORG.NOM",
    "NominalPerson": "PER.NOM",
    "Organization": "ORG, ORG.NAM, nt, organisation",
    "Person": "PER, PER.NAM, name, nr",
    "Product": "",
    "Profession": "PRO",
    "SportsTeam": "",
    "Time": "",
    "University": "",
    # Works, arts and the sciences
    "AcademicJournal": "",
    "Album": "",
    "Algorithm": "",
    "AstronomicalObject": "",
    "Award": "",
    "Band": "",
    "Book": "",
    "Conference": "",
    "CreativeWork": "",
    "Discipline": "",
    "Election": "",
    "Event": "",
    "Field": "",
    "Game": "",
    "LiteraryGenre": "",
    "Magazine": "",
    "Metric": "metrics",
    "Movie": "",
    "MusicalInstrument": "",
    "Musician": "musicalartist, musicartist",
    "MusicGenre": "",
    "Poem": "",
    "PoliticalParty": "",
    "Politician": "",
    "ProgrammingLanguage": "programlang",
    "Scientist": "researcher",
    "Song": "",
    "Task": "",
    "TelevisionShow": "tvshow",
    "Theory": "",
    "Writer": "",
}


def _fold(label: str) -> str:
    """A label without what merely differs in spelling: case, ``_``, ``-`` and blanks."""
    return re.sub(r"[\s_-]", "", label).casefold()


CANONICAL: Mapping[str, str] = {
    _fold(label): name for name, others in _CONCEPTS.items() for label in (name, *others.split(", ")) if label
}
"""One name for every concept in the published corpora, by label with case, ``_``, ``-`` and blanks folded away.

A name that means different things in different corpora stands here with its usual meaning, and the file of the corpus
says where it differs (as ``GO`` for cellular components alone)."""


def canonical(label: str) -> str:
    """The common name of what a corpus calls ``label``; a common name is its own.

    Raises:
        LabelError: nobody has named it.
    """
    try:
        return CANONICAL[_fold(label)]
    except KeyError:
        close = difflib.get_close_matches(_fold(label), CANONICAL, n=1)
        hint = f"; did you mean {CANONICAL[close[0]]}?" if close else ""
        raise LabelError(f"no common name for the label {label!r}{hint}") from None


def common_name(label: str) -> str:
    """The common name of a label, or the label itself where nobody has named it."""
    try:
        return canonical(label)
    except LabelError:
        return label


@dataclass(frozen=True)
class LabelMap:
    """What becomes of each label. Every label met must be in exactly one of the three.

    Attributes:
        rename: old name to new; several to one merges them, and a name to itself keeps it.
        drop: labels whose mentions are taken out: their words then count as outside.
        mask: labels whose mentions are taken out and leave an unknown range behind.

    Raises:
        ConfigError: a label stands in two of them, or a new name is empty.
    """

    rename: Mapping[str, str] = field(default_factory=dict)
    drop: tuple[str, ...] = ()
    mask: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        times = Counter([*self.rename, *set(self.drop), *set(self.mask)])
        twice = sorted(label for label, number in times.items() if number > 1)
        if twice:
            raise ConfigError(f"label map: {', '.join(twice)} can only be one of renamed, kept, dropped and masked")
        if not all(self.rename.values()):
            raise ConfigError("label map: a new name is empty; use drop to take mentions out")

    @classmethod
    def canonical(cls, labels: Iterable[str], rename: Mapping[str, str] | None = None) -> LabelMap:
        """The map of a corpus to the common names, with the exceptions that ``rename`` states.

        Raises:
            LabelError: a label has no common name and is no exception; all such labels are named.
        """
        found, strangers = dict(rename or {}), []
        for label in labels:
            try:
                found.setdefault(label, found.get(label) or canonical(label))
            except LabelError:
                strangers.append(label)
        if strangers:
            raise LabelError(f"no common name for {', '.join(strangers)}")
        return cls(found)

    @classmethod
    def from_toml(cls, path: str | Path) -> LabelMap:
        """Read a map from a TOML file in the form that the head of this module shows.

        Raises:
            ConfigError: an unknown key, a wrong type, or a label in two places.
            DataError: the file cannot be read or is no TOML.
        """
        try:
            text = Path(path).read_text(encoding="utf-8-sig")
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            where = re.search(r"at line (\d+)", str(error))
            raise DataError(str(error), path=str(path), line=int(where[1]) if where else text.count("\n") + 1) from None
        except UnicodeDecodeError:
            raise DataError("not UTF-8; save it as UTF-8", path=str(path)) from None
        except OSError as error:
            raise DataError(f"cannot read the label map: {error.strerror}", path=str(path)) from None
        try:
            return cls.from_table(table)
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from None

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> LabelMap:
        """Build a map from a parsed TOML table with ``rename``, ``keep``, ``drop`` and ``mask``.

        Raises:
            ConfigError: an unknown key, a wrong type, or a label in two places.
        """
        unknown = sorted(set(table) - {"rename", "keep", "drop", "mask"})
        if unknown:
            raise ConfigError(f"label map: unknown key {', '.join(unknown)}; there are rename, keep, drop and mask")
        rename, lists = table.get("rename", {}), {key: table.get(key, []) for key in ("keep", "drop", "mask")}
        if not isinstance(rename, Mapping) or not all(isinstance(name, str) for name in rename.values()):
            raise ConfigError('label map: rename is a table of names, as Protein = "Gene"; quote names with a dot')
        for key, names in lists.items():
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ConfigError(f'label map: {key} is a list of names, as ["Protein"]')
        both = sorted(set(lists["keep"]) & set(rename))
        if both:
            raise ConfigError(f"label map: {', '.join(both)} can only be one of renamed, kept, dropped and masked")
        kept = {name: name for name in lists["keep"]}
        return cls({**kept, **rename}, tuple(lists["drop"]), tuple(lists["mask"]))

    def labels(self, labels: Iterable[str], *, source: str = "") -> tuple[str, ...]:
        """The new names of labels, each once, in the order in which they first come up; dropped and masked ones go.

        Raises:
            LabelError: the map says nothing about a label; all such labels are named, and ``source`` with them.
        """
        labels = tuple(labels)
        self._check(labels, source)
        return tuple(dict.fromkeys(self.rename[label] for label in labels if label in self.rename))

    def apply(
        self, documents: Iterable[Document], *, counts: Counter[str] | Losses | None = None, source: str = ""
    ) -> Iterator[Document]:
        """Map every mention; streams.

        Two mentions that a merge makes equal become one. Masked mentions become unknown ranges.

        Args:
            documents: what to map; they are not changed.
            counts: collects every mention touched: ``altered`` (renamed, with both names, or masked), ``dropped`` and
                ``joined``. Mentions that keep their name are not counted.
            source: file or corpus, for the error.

        Raises:
            LabelError: a document holds a label about which the map says nothing.
        """
        for document in documents:
            self._check((entity.label for entity in document.entities), source, document.id)
            yield self._document(document, counts)

    def apply_corpus(self, corpus: Corpus, *, counts: Counter[str] | Losses | None = None) -> Corpus:
        """Map every mention and the declared labels of a corpus.

        Raises:
            LabelError: the corpus declares a label about which the map says nothing.
        """
        labels = self.labels(corpus.labels, source=f"corpus {corpus.name}")
        splits = {name: tuple(self.apply(split, counts=counts)) for name, split in corpus.splits.items()}
        return replace(corpus, splits=splits, labels=labels)

    def _check(self, labels: Iterable[str], source: str, document: str = "") -> None:
        strangers = sorted({label for label in labels if not self._knows(label)})
        if strangers:
            place = ", ".join(part for part in (source, f"document {document}" if document else "") if part)
            raise LabelError(
                f"{place}{': ' if place else ''}the label map says nothing about {', '.join(strangers)}; "
                "rename, keep, drop or mask them"
            )

    def _knows(self, label: str) -> bool:
        return label in self.rename or label in self.drop or label in self.mask

    def _document(self, document: Document, counts: Counter[str] | Losses | None) -> Document:
        entities: dict[Entity, Entity] = {}
        unknown = list(document.unknown)
        for old in document.entities:
            name = self.rename.get(old.label)
            if name is None:
                if old.label in self.mask:
                    unknown.append((old.start, old.end))
                    _count(counts, "altered", f"label {old.label} masked", document.id, old)
                else:
                    _count(counts, "dropped", f"label {old.label}", document.id, old)
                continue
            new = old if name == old.label else replace(old, label=name)
            if name != old.label:
                _count(counts, "altered", f"label {old.label} to {name}", document.id, old)
            if entities.setdefault(new, new) is not new:
                _count(counts, "joined", f"same span twice as {name}", document.id, old)
        return replace(document, entities=tuple(entities.values()), unknown=tuple(dict.fromkeys(unknown)))


def _count(counts: Counter[str] | Losses | None, action: str, reason: str, document: str, entity: Entity) -> None:
    if isinstance(counts, Losses):
        counts.add(action, reason, document=document, detail=f"[{entity.start}, {entity.end})")
    elif counts is not None:
        counts[f"{action}: {reason}"] += 1
