"""PGR: phenotypes and genes in abstracts, machine annotated (a silver standard)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark
from transfuse.published import Published, Split
from transfuse.text import Document

__all__ = ["CORPORA"]

_ITEM = re.compile(
    r'<sentence id="[^"]*" text="(?P<sentence>.*)">'
    r'|<entity id="[^"]*" charOffset="(?P<start>\d+)-(?P<end>\d+)"\s+type="(?P<label>\w+)" text="(?P<mention>[^"]*)"'
)


def _read(paths: Sequence[Path], losses: Losses) -> Iterator[Document]:
    """One XML file an abstract, a sentence a line; files that are no XML hold raw ``<`` and ``&`` in their texts."""
    for folder in paths:
        for path in sorted(folder.glob("*.xml")):
            content = path.read_text("utf-8")
            plain: Callable[[str], str] = html.unescape
            try:
                ElementTree.fromstring(content)
            except ElementTree.ParseError:
                losses.add("altered", "not well-formed XML, read nevertheless", document=path.stem)
                plain = str
            sentences: list[str] = []
            start, marks = 0, []
            for item in _ITEM.finditer(content):
                if item["sentence"] is not None:
                    start = sum(map(len, sentences)) + len(sentences)
                    sentences.append(plain(item["sentence"]))
                elif int(item["start"]) < int(item["end"]):
                    span = (start + int(item["start"]), start + int(item["end"]))
                    marks.append(Mark((span,), item["label"], plain(item["mention"])))
                else:
                    losses.add("dropped", "empty span", document=path.stem, detail=item["mention"])
            yield Builder(str(path), losses, mismatch="drop").document(path.stem, "\n".join(sentences), marks)


_published: Callable[..., Published] = partial(
    Published,
    language="en",
    licence="Apache-2.0",
    citation=(
        "Sousa, Lamurias, Couto: A silver standard corpus of human phenotype-gene relations, NAACL 2019, short papers"
    ),
    archive="silver-pgr",
)

_SILVER = "Machine annotated; a document holds only those sentences of an abstract in which both kinds occur."
_LEAK = "Most test documents are in train under the same id (172 of 190, of the GO variant 174): the test is no test."
_ILL = "Files that are not well-formed XML are read nevertheless: 1 of 2018, 139 of 2019 (138 of the GO variant)."
_MISS = "Mentions that are not the text at their offsets are dropped."
_GO = (
    "In these texts a GO term stands in place of each gene name: the sentences were never written by anybody. "
    "The offsets often missed the move: about one mention in eight is dropped."
)

CORPORA = (
    _published(
        name="pgr-2018",
        title="PGR of December 2018, genes and phenotypes",
        labels=("GENE", "HP"),
        folder="corpora/10_12_2018_corpus/",
        splits={
            "train": Split(
                1113,
                5977,
                {"pgr_train/pgr_gene/": "707fc278a1d8682c13aeedb017cc5cc226cbc9209c9bebf3956c8ec72978e353"},
                _read,
            ),
            "test": Split(
                190,
                419,
                {"pgr_test/pgr_gene/": "950c29a1da7b225645c8b10ea68c9bb15e5bad657b91c24bbc1383d0cd4c4194"},
                _read,
            ),
        },
        notes=("Published without a development split.", _LEAK, _SILVER, _ILL, _MISS),
    ),
    _published(
        name="pgr-2018-go",
        title="PGR of December 2018, gene ontology terms and phenotypes",
        labels=("GO", "HP"),
        folder="corpora/10_12_2018_corpus/",
        splits={
            "train": Split(
                1113,
                5200,
                {"pgr_train/pgr_go/": "0e18db52284bcb0d852b4f9c225e8b8e492c60ac21028854483e85a62da3d0c0"},
                _read,
            ),
            "test": Split(
                190,
                406,
                {"pgr_test/pgr_go/": "fcab156e641fa127928981cc6c568103b761894be9328b81dd3b9ef6cc24fd85"},
                _read,
            ),
        },
        notes=("Published without a development split.", _LEAK, _SILVER, _ILL, _MISS, _GO),
    ),
    _published(
        name="pgr-2019",
        title="PGR of March 2019, genes and phenotypes",
        labels=("GENE", "HP"),
        folder="corpora/11_03_2019_corpus/",
        splits={
            "train": Split(
                1921,
                11210,
                {"pgr_train/pgr_gene/": "bb1d9c72e2af2ac32b451012a6b13fdff3c25c4c3c5d15ef39485e5a37cd62c3"},
                _read,
            )
        },
        notes=("Published as one train split.", _SILVER, _ILL, _MISS),
    ),
    _published(
        name="pgr-2019-go",
        title="PGR of March 2019, gene ontology terms and phenotypes",
        labels=("GO", "HP"),
        folder="corpora/11_03_2019_corpus/",
        splits={
            "train": Split(
                1921,
                9666,
                {"pgr_train/pgr_go/": "4964449838029ff2b1261ae1e7011f15294a4433b2e68cec95222f468ad929ed"},
                _read,
            )
        },
        notes=("Published as one train split.", _SILVER, _ILL, _MISS, _GO),
    ),
)
