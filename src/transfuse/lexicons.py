"""Published lists of names, by registered name: what a gazetteer can be made of.

They are fetched as corpora are, see `transfuse.mirror`, and read into names with the label that all corpora share.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from transfuse.mirror import Origin, fetch
from transfuse.text import ConfigError

__all__ = ["Lexicon", "concepts", "info", "names", "terms"]

_ARCHIVE = "lexicons"
_CRAFT = "UCDenver-ccp/CRAFT"
ORIGINS = (
    Origin("DiseaseOntology/HumanDiseaseOntology", within="disease-ontology/"),
    Origin("lasigeBioTM/PGR", within="hpo-genes/", seen=False, same_layout=False),
    Origin("gyorilab/gilda", within="mesh/", seen=False, same_layout=False),
    Origin(_CRAFT, within="obo/", seen=False, same_layout=False),
    Origin("Rostlab/LocText", within="go-cc/", seen=False, same_layout=False),
    Origin("thunlp/THUOCL", within="thuocl/"),
)
"""Where the files were taken from. No address has been tried from where this was written."""


@dataclass(frozen=True)
class Lexicon:
    """The facts on one published list of names.

    Attributes:
        name: how it is called here, lower-case with hyphens.
        title: what it holds.
        label: what its names are names of.
        licence: under which it is passed on.
        citation: whose it is.
        files: SHA-256 by path in the archive.
        reader: gives the things of one file, each with all its names.
        terms: how many different names it gives.
        language: BCP 47 tag.
        notes: what a user has to know.
    """

    name: str
    title: str
    label: str
    licence: str
    citation: str
    files: Mapping[str, str]
    reader: Callable[[Path], Iterator[tuple[str, ...]]]
    terms: int
    language: str = "en"
    notes: tuple[str, ...] = ()

    def read(self) -> tuple[tuple[str, str], ...]:
        """Its names with the label, each once, in their order.

        Raises:
            ConfigError, DataError: see `transfuse.mirror.fetch`.
        """
        return tuple(dict.fromkeys((name, self.label) for names in self.concepts() for name in names))

    def concepts(self) -> Iterator[tuple[str, ...]]:
        """Its things, each with all its names, as far as its files say what is called by several.

        Raises:
            ConfigError, DataError: see `transfuse.mirror.fetch`.
        """
        root = fetch(_ARCHIVE, self.files, ORIGINS)
        for names in (names for path in self.files for names in self.reader(root / path)):
            yield tuple(tidy for name in names if (tidy := " ".join(name.split())))


_STANZA = re.compile(r"^\[(\w+)\]$", re.MULTILINE)
_SYNONYM = re.compile(r'^synonym: "((?:[^"\\]|\\.)*)" EXACT\b', re.MULTILINE)
_ESCAPED = re.compile(r"\\(.)")


def _obo(path: Path, prefix: str) -> Iterator[tuple[str, ...]]:
    """Names and exact synonyms of an OBO file, perhaps zipped, without obsolete terms and those of other ontologies."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as pack:
            inside = next(name for name in pack.namelist() if name.endswith(".obo") and "/" not in name)
            text = pack.read(inside).decode("utf-8")
    else:
        text = path.read_text("utf-8")
    pieces = _STANZA.split(text)
    for kind, stanza in zip(pieces[1::2], pieces[2::2], strict=True):
        name = re.search(r"^name: (.+)$", stanza, re.MULTILINE)
        if kind == "Term" and name and f"\nid: {prefix}:" in stanza and "\nis_obsolete: true" not in stanza:
            yield tuple(_ESCAPED.sub(r"\1", found) for found in (name[1], *_SYNONYM.findall(stanza)))


def _disease_ontology(path: Path) -> Iterator[tuple[str, ...]]:
    """All names are in a table, synonyms only in the slims."""
    if path.suffix == ".obo":
        yield from _obo(path, "DOID")
        return
    for row in csv.DictReader(io.StringIO(path.read_text("utf-8")), delimiter="\t"):
        yield (row["label"],)


def _mesh(path: Path, paired: str) -> Iterator[tuple[str, ...]]:
    """MeSH names that are paired with another vocabulary, and their names there."""
    for line in path.read_text("utf-8").splitlines():
        _, _, name, vocabulary, _, other = line.split("\t")
        if vocabulary == paired:
            yield _ESCAPED.sub(r"\1", name), _ESCAPED.sub(r"\1", other)


def _lines(path: Path) -> Iterator[tuple[str, ...]]:
    """The first cell of each line; marks such as ``#8203`` are no names."""
    for line in path.read_text("utf-8").splitlines():
        if not line.startswith("#"):
            yield (line.split("\t")[0],)


def _sequence_ontology(path: Path) -> Iterator[tuple[str, ...]]:
    """Its names have ``_`` for blanks."""
    return (tuple(name.replace("_", " ") for name in names) for names in _obo(path, "SO"))


_obo_lexicon: Callable[..., Lexicon] = partial(Lexicon, licence="CC BY")

LEXICONS = (
    Lexicon(
        name="disease-ontology",
        title="Human Disease Ontology: all names; synonyms of rare, infectious and cancerous diseases",
        label="Disease",
        licence="CC0",
        citation="Schriml et al.: The Human Disease Ontology 2022 update, Nucleic Acids Research 2022",
        files={
            "disease-ontology/DOreports/HumanDO.tsv": (
                "c862a3523b0308ae82df6ffd5b0781af83cc561a9e9aa2b25a3cee7e2b33452d"
            ),
            "disease-ontology/src/ontology/subsets/DO_cancer_slim.obo": (
                "031af4f526edbb60978ed1d817e620f4ecbee57378e5e68819c6c95b64878a2a"
            ),
            "disease-ontology/src/ontology/subsets/DO_infectious_disease_slim.obo": (
                "7118594e9d8e89ae1b7834218fa0dcedd247f4b20ce7b32a2bc5be82e7dee820"
            ),
            "disease-ontology/src/ontology/subsets/DO_rare_slim.obo": (
                "7307b7d0df45aa765660caf3cea29f65d2ad91263b66ba9da4d77d4ebd8cd05a"
            ),
        },
        reader=_disease_ontology,
        terms=22_138,
        notes=("Only the slims have synonyms: common ones of common diseases are missing.",),
    ),
    Lexicon(
        name="mesh-diseases",
        title="MeSH names paired with the Disease Ontology",
        label="Disease",
        licence="BSD-2",
        citation="Gyori, Hoyt, Steppi: Gilda, Bioinformatics Advances 2022",
        files={"mesh/mesh_mappings.tsv": "e9a7bd38df4c5ee4563c0ee675e9ab205bf44384694c220725bfc0d089a78fe9"},
        reader=partial(_mesh, paired="DOID"),
        terms=3_505,
    ),
    Lexicon(
        name="mesh-chemicals",
        title="MeSH names paired with ChEBI",
        label="Chemical",
        licence="BSD-2",
        citation="Gyori, Hoyt, Steppi: Gilda, Bioinformatics Advances 2022",
        files={"mesh/mesh_mappings.tsv": "e9a7bd38df4c5ee4563c0ee675e9ab205bf44384694c220725bfc0d089a78fe9"},
        reader=partial(_mesh, paired="CHEBI"),
        terms=43_049,
        notes=("Mostly supplementary concepts: many rare substances, few everyday drugs.",),
    ),
    Lexicon(
        name="hpo",
        title="Human Phenotype Ontology: names",
        label="Phenotype",
        licence="Apache-2.0 (this form); attribution to the Human Phenotype Ontology",
        citation="Köhler et al.: The Human Phenotype Ontology in 2021, Nucleic Acids Research 2021",
        files={"hpo-genes/hp.txt": "867907dbcaee41dac8571abb61bcfbbb244b403b7744b4fef14a0197743d253f"},
        reader=_lines,
        terms=28_739,
    ),
    Lexicon(
        name="human-genes",
        title="Names and symbols of human genes",
        label="Gene",
        licence="Apache-2.0",
        citation="Sousa, Lamurias, Couto: A silver standard corpus of human phenotype-gene relations, NAACL 2019",
        files={"hpo-genes/genes.txt": "47cbfc86610066cbfa7f27a27137df9b97a7ad29cf1344dedb55f641ee8b82a2"},
        reader=_lines,
        terms=56_696,
        notes=("Symbols that are English words in capitals (WAS, REST) need a case policy and a stop list.",),
    ),
    _obo_lexicon(
        name="cell-ontology",
        title="Cell Ontology: types of cells",
        label="CellType",
        citation="Diehl et al.: The Cell Ontology 2016, Journal of Biomedical Semantics 2016; as CRAFT 5 has it",
        files={"obo/CL.obo.zip": "c8eed3e86520fcfa09cc61f03540173977911b08bbde61714dcd47ae46e3a168"},
        reader=partial(_obo, prefix="CL"),
        terms=3_759,
    ),
    _obo_lexicon(
        name="uberon",
        title="Uberon: anatomy",
        label="Anatomy",
        citation="Mungall et al.: Uberon, Genome Biology 2012; as CRAFT 5 has it",
        files={"obo/UBERON.obo.zip": "3a6a48fd855d7e1de719a525fec065f577255df9f12df9967a577e7296572abe"},
        reader=partial(_obo, prefix="UBERON"),
        terms=36_507,
    ),
    _obo_lexicon(
        name="sequence-ontology",
        title="Sequence Ontology: features of sequences",
        label="SequenceFeature",
        citation="Eilbeck et al.: The Sequence Ontology, Genome Biology 2005; as CRAFT 5 has it",
        files={"obo/SO.obo.zip": "f05b5ac749d0b5b6f2b439f6ed93adc8c87f1425577b2ea29c582a1f7335e909"},
        reader=_sequence_ontology,
        terms=3_699,
    ),
    _obo_lexicon(
        name="molecular-processes",
        title="Molecular Process Ontology",
        label="MolecularProcess",
        citation="Royal Society of Chemistry: RXNO and MOP; as CRAFT 5 has it",
        files={"obo/MOP.obo.zip": "29aafa42a9c87742f29f58d6298fde84fb2801f0eb108718bd08e6891ae52cb4"},
        reader=partial(_obo, prefix="MOP"),
        terms=3_681,
    ),
    Lexicon(
        name="go-components",
        title="Gene Ontology: cellular components",
        label="CellularComponent",
        licence="CC BY 4.0",
        citation="Ashburner et al.: Gene Ontology, Nature Genetics 2000; release of 17 February 2017",
        files={
            "go-cc/go-basic.cellular_component.2017-02-17.obo": (
                "c3391fd525ace89effba640f5c6dbe6e6575c864d55556bc9bc867fcf5fb73c3"
            )
        },
        reader=partial(_obo, prefix="GO"),
        terms=6_716,
    ),
    Lexicon(
        name="thuocl-animals",
        title="THUOCL: Chinese names of animals",
        label="Species",
        licence="MIT",
        citation="Han, Zhang, Zhang, Yang, Liu, Sun: THUOCL, Tsinghua open Chinese lexicon, 2016",
        files={"thuocl/data/THUOCL_animal.txt": "bcdc95a32fe713d4bc32957ae26174e3b464908e318e821c9abb295e90249145"},
        reader=_lines,
        terms=17_287,
        language="zh",
    ),
    Lexicon(
        name="thuocl-medicine",
        title="THUOCL: Chinese medical words of all kinds",
        label="MedicalWord",
        licence="MIT",
        citation="Han, Zhang, Zhang, Yang, Liu, Sun: THUOCL, Tsinghua open Chinese lexicon, 2016",
        files={"thuocl/data/THUOCL_medical.txt": "a01f39f1677af0b6a620bbc68bf293e8e436f06248b74adb625cd61d9ad7bbcd"},
        reader=_lines,
        terms=18_749,
        language="zh",
        notes=("Diseases, drugs, organs and the word for hospital in one list: no entity type of its own.",),
    ),
)


def names() -> tuple[str, ...]:
    """All registered lexicons, sorted."""
    return tuple(sorted(lexicon.name for lexicon in LEXICONS))


def info(name: str) -> Lexicon:
    """The facts on a lexicon. Raises ConfigError for a name that nobody registered."""
    for lexicon in LEXICONS:
        if lexicon.name == name:
            return lexicon
    close = get_close_matches(name, names(), 3)
    raise ConfigError(f"no lexicon is called {name!r}; there are {', '.join(close or names())}")


def terms(name: str) -> tuple[tuple[str, str], ...]:
    """The names of a lexicon with its label. Raises as `Lexicon.read` and `info` do."""
    return info(name).read()


def concepts(name: str) -> Iterator[tuple[str, ...]]:
    """The things of a lexicon, each with all its names. Raises as `Lexicon.concepts` and `info` do."""
    return info(name).concepts()
