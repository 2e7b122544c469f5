"""tmVar3: variants, genes and more in 500 abstracts, and what four taggers made of the same."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from transfuse.formats import read
from transfuse.losses import Losses
from transfuse.published import Published, Split
from transfuse.text import Document

__all__ = ["CORPORA"]


def _bern(paths: Sequence[Path], losses: Losses) -> Iterator[Document]:
    """Annotations in PubTator form without their texts, which another file has."""
    texts, annotations = paths
    lines: dict[str, list[str]] = defaultdict(list)
    for line in annotations.read_text("utf-8").splitlines():
        lines[line.partition("\t")[0]].append(line)
    blocks = (block for block in texts.read_text("utf-8").split("\n\n") if block.strip())
    whole = "\n\n".join("\n".join([block.strip("\n"), *lines[block.strip().partition("|")[0]]]) for block in blocks)
    yield from read(io.StringIO(whole + "\n"), "pubtator", losses=losses)


_published = partial(
    Published,
    language="en",
    citation=(
        "Wei, Allot, Riehle, Milosavljevic, Lu: tmVar 3.0, Bioinformatics 2022; taggers: Sänger and others: "
        "HunFlair2 in a cross-corpus evaluation, Bioinformatics 2024"
    ),
)

CORPORA = (
    _published(
        name="tmvar3",
        title="tmVar3, eleven types",
        labels=(
            "AcidChange",
            "CellLine",
            "DNAAllele",
            "DNAMutation",
            "Disease",
            "Gene",
            "OtherMutation",
            "ProteinAllele",
            "ProteinMutation",
            "SNP",
            "Species",
        ),
        licence="public domain (US government), MIT (this form)",
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "train": Split(
                342,
                7957,
                {"tmVar3_Train.PubTator": "1a5877747fea7025370cbd28dc236ad333abb948b2323abeea5eaf6d5507fc33"},
                "pubtator",
            ),
            "test": Split(
                158,
                4625,
                {"tmVar3_Test.PubTator": "da986bbfee3b7213284702bcfab738c7a62721e4aad8f09880510dccb02e3ab5"},
                "pubtator",
            ),
        },
        notes=(
            "Published without a development split.",
            "75 of the 158 test documents are in BioRED train.",
            "21 mention strings are not the text at their offsets.",
        ),
    ),
    _published(
        name="tmvar3-gold",
        title="tmVar3 as the taggers saw it: gold",
        labels=(
            "AcidChange",
            "CellLine",
            "DNAAllele",
            "DNAMutation",
            "Gene",
            "OtherMutation",
            "ProteinAllele",
            "ProteinMutation",
            "SNP",
            "Species",
        ),
        licence="unstated",
        archive="silver-tmvar3-taggers",
        folder="goldstandard/",
        splits={
            "train": Split(
                500,
                7837,
                {"tmvar_v3.txt": "504326b914368871525fdc075e8c1ad1d3f41ae23fd9d318a9b542a0df6609e2"},
                "pubtator",
            ),
        },
        notes=(
            (
                "All 500 documents stand in train, since nobody split them; ids are running numbers, not "
                "PMIDs, in the same order for all taggers."
            ),
            "The same 500 abstracts as tmvar3: never train on these and test there.",
            "Diseases and chemicals are lacking here.",
        ),
    ),
    _published(
        name="tmvar3-bent",
        title="tmVar3 tagged by BENT",
        labels=(
            "cell_line",
            "chemical",
            "disease",
            "gene",
            "organism",
        ),
        licence="unstated",
        archive="silver-tmvar3-taggers",
        folder="bent/",
        splits={
            "train": Split(
                500,
                12179,
                {"tmvar_v3.txt": "543969a9bb9494ef59528e288dfd5fd0472e228fd562a0292a2e621a4d10b283"},
                "pubtator",
            ),
        },
        notes=(
            (
                "All 500 documents stand in train, since nobody split them; ids are running numbers, not "
                "PMIDs, in the same order for all taggers."
            ),
            "The same 500 abstracts as tmvar3: never train on these and test there.",
            "Machine annotated; mentions overlap.",
            "12,236 lines, 57 of which are there twice.",
        ),
    ),
    _published(
        name="tmvar3-bern",
        title="tmVar3 tagged by BERN2",
        labels=(
            "DNA",
            "RNA",
            "cell_type",
            "cellline",
            "chemical",
            "disease",
            "gene",
            "species",
        ),
        licence="unstated",
        archive="silver-tmvar3-taggers",
        splits={
            "train": Split(
                500,
                17580,
                {
                    "raw/tmvar_v3_text.txt": "efadd375938e854e99bceacbc7affe1869d2201c067617acf60a338ff9681c59",
                    "bern/tmvar_v3.txt": "741c1af268a7836dafa01f43dceeebc91fee7ca476a50250a007055a05ba3e3f",
                },
                _bern,
            ),
        },
        notes=(
            (
                "All 500 documents stand in train, since nobody split them; ids are running numbers, not "
                "PMIDs, in the same order for all taggers."
            ),
            "The same 500 abstracts as tmvar3: never train on these and test there.",
            "Machine annotated; mentions overlap.",
            "The file holds no texts: they are taken from 'raw'.",
        ),
    ),
    _published(
        name="tmvar3-hunflair2",
        title="tmVar3 tagged by HunFlair2",
        labels=(
            "cellline",
            "chemical",
            "disease",
            "gene",
            "species",
        ),
        licence="unstated",
        archive="silver-tmvar3-taggers",
        folder="hunflair2/",
        splits={
            "train": Split(
                500,
                11356,
                {"tmvar_v3.txt": "5ad19f6e5be93a718b0957f110a43e48ecb502284ae22a03bc9ec952fd88f71f"},
                "pubtator",
            ),
        },
        notes=(
            (
                "All 500 documents stand in train, since nobody split them; ids are running numbers, not "
                "PMIDs, in the same order for all taggers."
            ),
            "The same 500 abstracts as tmvar3: never train on these and test there.",
            "Machine annotated.",
            ("Mention strings are normalised: 3,850 of 11,356 are not the text at their offsets; the offsets hold."),
        ),
    ),
    _published(
        name="tmvar3-pubtator",
        title="tmVar3 tagged by PubTator Central",
        labels=(
            "cell_line",
            "chemical",
            "disease",
            "gene",
            "species",
        ),
        licence="unstated",
        archive="silver-tmvar3-taggers",
        folder="pubtator/",
        splits={
            "train": Split(
                500,
                10032,
                {"tmvar_v3.txt": "5d7d7d9a90d2899fa5a4ecb978f3686fd481c0c6c5634a0b0d4390e9e83b3eaf"},
                "pubtator",
            ),
        },
        notes=(
            (
                "All 500 documents stand in train, since nobody split them; ids are running numbers, not "
                "PMIDs, in the same order for all taggers."
            ),
            "The same 500 abstracts as tmvar3: never train on these and test there.",
            "Machine annotated.",
        ),
    ),
)
