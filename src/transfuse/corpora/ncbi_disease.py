"""NCBI disease: disease names in 793 abstracts."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="public domain (US government)",
    citation=(
        "Doğan, Leaman, Lu: NCBI disease corpus: a resource for disease name recognition and concept "
        "normalization, Journal of Biomedical Informatics 2014"
    ),
)

CORPORA = (
    _published(
        name="ncbi-disease",
        title="NCBI disease as sentences, the usual benchmark",
        labels=("Disease",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/NCBI-disease-IOB/",
        splits={
            "train": Split(
                5424, 5134, {"train.tsv": "58379baf4614b8d757d93dd7a21b202849ca99f9b9d71b49185523ff5443300c"}
            ),
            "dev": Split(923, 787, {"devel.tsv": "b4e1e7efcc2a35047bf2f3d281648357470e674f555d4a26a0049ac37d59cc61"}),
            "test": Split(940, 960, {"test.tsv": "8f088ce45dc4746592188f9e69de3d89d87f3bb8f0ed8c4a287d018123fa148d"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
            "Its train lacks a correction that ncbi-disease-corrected has.",
        ),
    ),
    _published(
        name="ncbi-disease-corrected",
        title="NCBI disease as sentences, train corrected",
        labels=("Disease",),
        archive="en-ncbi-disease",
        units="sentences",
        folder="conll/",
        splits={
            "train": Split(
                5432, 5145, {"train.tsv": "5f87b0de649eccff21e6d6e49e304aace808056ecae55225ea31602192517be9"}
            ),
            "dev": Split(923, 787, {"devel.tsv": "b4e1e7efcc2a35047bf2f3d281648357470e674f555d4a26a0049ac37d59cc61"}),
            "test": Split(940, 960, {"test.tsv": "8f088ce45dc4746592188f9e69de3d89d87f3bb8f0ed8c4a287d018123fa148d"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="ncbi-disease-pubtator",
        title="NCBI disease as documents, four types, official splits",
        labels=(
            "CompositeMention",
            "DiseaseClass",
            "Modifier",
            "SpecificDisease",
        ),
        archive="en-ncbi-disease",
        folder="original-data/",
        splits={
            "train": Split(
                593,
                5145,
                {"train/NCBItrainset_corpus.txt": "f311381b28a6d0f641f57f4a963bb83619c2bdec5cd9caabb1381f894d5db817"},
                "pubtator",
            ),
            "dev": Split(
                100,
                787,
                {"devel/NCBIdevelopset_corpus.txt": "02db559974624ae9cbe6cd95d64d953e6926bb63afb6b25b63e53bd8b41a4b55"},
                "pubtator",
            ),
            "test": Split(
                100,
                960,
                {"test/NCBItestset_corpus.txt": "61c8050bf6979ef7b943ec1158dfc03b651ea3367d4c37356f9de4841e85c9a3"},
                "pubtator",
            ),
        },
        notes=(
            "6,892 mentions were published and are in the files.",
            "One PMID comes twice in train.",
        ),
    ),
    _published(
        name="ncbi-disease-aioner",
        title="NCBI disease as documents, train and development in one",
        labels=(
            "CompositeMention",
            "DiseaseClass",
            "Modifier",
            "SpecificDisease",
        ),
        licence="public domain (US government), MIT (this form)",
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "train": Split(
                693,
                5932,
                {"NCBIdisease_TrainDev.PubTator": "849ddde0b6198c44f202b00250a5fc305dc11c3fa9fe1271db5684227ed5cca5"},
                "pubtator",
            ),
            "test": Split(
                100,
                960,
                {"NCBIdisease_Test.PubTator": "45f3abeb52102e7ae0bf77341cc56c86900dde0bb5ac8308bbbf8b74a99b2308"},
                "pubtator",
            ),
        },
        notes=(
            "The official train and development splits are one file here: there is no development split.",
            "One PMID comes twice in train (693 blocks, 692 ids).",
            "One mention string is not the text at its offsets.",
        ),
    ),
    _published(
        name="gb-ncbi-disease",
        tested_on=("ncbi-disease",),
        title="NCBI disease in the split of Giorgi & Bader 2018",
        labels=("DISO",),
        licence="redistributable, as its authors state",
        archive="en-giorgi-bader-2018",
        folder="NCBI_disease/",
        splits={
            "train": Split(
                475, 4178, {"train/": "9e0d6af0ca584fccd3c72e932937118db3f550403c0c583312287cb41ae5a3a8"}, "brat"
            ),
            "dev": Split(
                79, 615, {"valid/": "7870acd37ea72414e267844dd4044b97e314b77de363f8732e86bf3b2879797d"}, "brat"
            ),
            "test": Split(
                238, 2088, {"test/": "ef0de4fad68aa1a9f00313741b1cee791816c73c28b5d3087b960b36c59ce37d"}, "brat"
            ),
        },
        notes=(
            ("The splits are the authors' own draw of 60, 10 and 30 %, not the official ones: never mix the two."),
            "6,881 of the 6,892 mentions of the source.",
            "138 of the 238 test documents belong to the official train or development split.",
        ),
    ),
)
