"""CRAFT v5: 97 full-text articles, annotated with eleven ontologies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark
from transfuse.published import Published, Reader, Split
from transfuse.text import Document

__all__ = ["CORPORA"]


def _marks(path: Path, label: str, losses: Losses) -> Iterator[Mark]:
    """Both forms of Knowtator's XML; a mention has several spans where it is discontinuous."""
    for annotation in ElementTree.parse(path).iter("annotation"):
        spans = [(int(span.attrib["start"]), int(span.attrib["end"])) for span in annotation.iter("span")]
        whole = tuple((start, end) for start, end in spans if start < end)
        if len(whole) < len(spans):
            losses.add("altered" if whole else "dropped", "empty span", document=path.stem, detail=f"{spans} {label}")
        if whole:
            yield Mark(whole, label)


def _reader(ontologies: Sequence[str]) -> Reader:
    """Reads the articles that one list names, with the folders of some ontologies."""

    def read(paths: Sequence[Path], losses: Losses) -> Iterator[Document]:
        listed, texts, *folders = paths
        build = Builder(str(texts), losses)
        for name in listed.read_text("utf-8").split():
            marks = [
                mark
                for ontology, folder in zip(ontologies, folders, strict=True)
                for mark in _marks(next(folder.glob(f"{name}*.xml")), ontology, losses)
            ]
            yield build.document(name, (texts / f"{name}.txt").read_bytes().decode(), marks)

    return read


_LISTS = {
    "train": ("craft-ids-train.txt", "9215bc144bb67f3f2c93555068e166fe9934d9f941e1df1ae1e842dac15ccae9"),
    "dev": ("craft-ids-dev.txt", "96e26a2a6e818a36b23ed14891ab195616f752c42abc686585b8a1d39bd3bafe"),
    "test": ("craft-ids-test.txt", "9b86db4128e9314e24bcc1f910fdba01bc08686b1754adcdbe6eb39a730a0f33"),
}
_TEXTS = {"articles/txt/": "9ae5a0db778fec4bb6e013a8e9254998f06ab58043cacf8bad8304309f989359"}
_FOLDERS = {
    "CHEBI": ("CHEBI/CHEBI/knowtator/", "cb05ad84923d4d1d5b226bd708c925a8a3df684ebe84b774de39493a8096a585"),
    "CL": ("CL/CL/knowtator/", "ea70f3549540e7b071e36c4a1b8b98a07f2c21aa01c6d0f2f14b7d058b8d470d"),
    "GO_BP": ("GO_BP/GO_BP/knowtator/", "b98cc1aa28d4fefd55d497d823f5c3df1f16d1c3722c2cd87d16f89ead40b950"),
    "GO_CC": ("GO_CC/GO_CC/knowtator/", "a949722bd800f04b3d2b0a7bc75673bee61d0a45cddfff04f35f56c40c4fe29b"),
    "GO_MF": ("GO_MF/GO_MF/knowtator/", "c52978e16dec04a116cf418e574f1a384b7c1497298efc78bfdeb0a15ca91fce"),
    "MONDO": (
        "MONDO/MONDO_without_genotype_annotations/knowtator-2/",
        "b8ba500cc701a5811d46889df30d85a8593b9afafb584f70754684e301890416",
    ),
    "MOP": ("MOP/MOP/knowtator/", "f5e923a3c592e30ea2e3982b4b3f37a77a8b0122986e813178d17b3ffd854f37"),
    "NCBITaxon": (
        "NCBITaxon/NCBITaxon/knowtator/",
        "0ca8c51acab61c3735862e9eb23ddbe4e3708edb015b26f58c0d3b5640315733",
    ),
    "PR": ("PR/PR/knowtator/", "fa5924313dfb5e216cda62501a1749b18b434a3cb54b81d96c9c2bb581fc2958"),
    "SO": ("SO/SO/knowtator/", "4ddbe165141063208518ffab88919ae08457bf7095bf7e2baa1c87ee9478049d"),
    "UBERON": ("UBERON/UBERON/knowtator/", "aa3b156055c5e839cd8e4f42de37b6fbaca0854855a582a73f895cd31bfdcd28"),
}
_DOCUMENTS = {"train": 60, "dev": 7, "test": 30}
_ENTITIES = {
    "CHEBI": (4213, 335, 2200),
    "CL": (3459, 579, 1749),
    "GO_BP": (7618, 1654, 3678),
    "GO_CC": (3513, 562, 1184),
    "GO_MF": (325, 50, 94),
    "MONDO": (1834, 232, 1013),
    "MOP": (221, 19, 101),
    "NCBITaxon": (6683, 679, 3101),
    "PR": (14035, 3001, 6409),
    "SO": (7700, 1097, 3445),
    "UBERON": (10769, 1498, 6551),
}


def _splits(*ontologies: str) -> dict[str, Split]:
    folders = {f"concept-annotation/{path}": digest for path, digest in map(_FOLDERS.__getitem__, ontologies)}
    return {
        split: Split(
            _DOCUMENTS[split],
            sum(_ENTITIES[ontology][place] for ontology in ontologies),
            {f"articles/ids/{path}": digest} | _TEXTS | folders,
            _reader(ontologies),
        )
        for place, (split, (path, digest)) in enumerate(_LISTS.items())
    }


_published: Callable[..., Published] = partial(
    Published,
    language="en",
    licence="CC BY 3.0",
    citation=(
        "Bada, Eckert, Evans, Garcia, Shipley, Sitnikov, Baumgartner, Cohen, Verspoor, Blake, Hunter: Concept "
        "annotation in the CRAFT corpus, BMC Bioinformatics 2012; Cohen, Verspoor, Fort, Funk, Bada, Palmer, "
        "Hunter: The Colorado Richly Annotated Full Text (CRAFT) corpus, 2017"
    ),
    archive="en-craft-v5",
    notes=(
        "Splits go by the lists of article ids that the corpus itself holds; test is that of the shared task of 2019.",
        "The 67 articles of train and dev are those of craft (en-mtl-bioinformatics-2016): never mix the two.",
        "Discontinuous mentions (2,014) are joined from their first to their last character and counted as joined.",
        "Of mentions that are there twice, or become equal so, one is left: 22 of all. One empty span is skipped.",
        "Mentions nest and overlap, within one ontology too.",
    ),
)

CORPORA = (
    _published(
        name="craft-v5",
        title="CRAFT v5, eleven ontologies",
        labels=tuple(_FOLDERS),
        splits=_splits(*_FOLDERS),
    ),
    *(
        _published(
            name=f"craft-v5-{ontology.lower().replace('_', '-')}",
            title=f"CRAFT v5, {ontology} alone",
            labels=(ontology,),
            splits=_splits(ontology),
        )
        for ontology in _FOLDERS
    ),
)
