"""BioNLP13PC: pathway curation."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="Creative Commons (see the LICENSE beside the data), CC BY 4.0 (conversion)",
    citation=(
        "Ohta, Pyysalo, Rak, Rowley, Chun, Jung, Choi, Ananiadou, Tsujii: Overview of the pathway curation "
        "(PC) task of BioNLP shared task 2013"
    ),
)

CORPORA = (
    _published(
        name="bionlp13pc",
        title="BioNLP 2013 shared task, pathway curation, four types",
        labels=(
            "Cellular_component",
            "Complex",
            "Gene_or_gene_product",
            "Simple_chemical",
        ),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13PC-IOB/",
        splits={
            "train": Split(
                2499, 7853, {"train.tsv": "3bba35afa15be3048240154c9b529e0e4f011f53ed7200b15762f00236e2ab02"}
            ),
            "dev": Split(857, 2734, {"devel.tsv": "e04545457858133fd5c80bef67f7904fc51fa099d119346400477f6bf1d30957"}),
            "test": Split(1695, 5306, {"test.tsv": "61bc26bf06a3481adc8ac7032a59e3c71c1ff16ceb81a039b43b4d3e8ae3c06a"}),
        },
        notes=(
            "99.95 % of the mentions of the source are kept.",
            "Of overlapping mentions the shorter was kept.",
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="bionlp13pc-cc",
        title="BioNLP 2013 shared task, pathway curation, cellular components only",
        labels=("Cellular_component",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13PC-cc-IOB/",
        splits={
            "train": Split(
                2499, 478, {"train.tsv": "910fc63236345f1c7fdc429915fe59da5cf2aedaa69ae0b1892fa9c9892698db"}
            ),
            "dev": Split(857, 203, {"devel.tsv": "0cc8a739347fd6073c4e471fd155abd29c53371acafe30e8aa5ef996ca3b25da"}),
            "test": Split(1695, 332, {"test.tsv": "57e8f48d7b6777c3ea09e18393b28a1f7e7a9c6a5283cd2897f8abdb5c285651"}),
        },
        notes=(
            ("A variant of one type is not the joint file filtered: overlaps were resolved for each on its own."),
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="bionlp13pc-chem",
        title="BioNLP 2013 shared task, pathway curation, chemicals only",
        labels=("Simple_chemical",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13PC-chem-IOB/",
        splits={
            "train": Split(
                2499, 1178, {"train.tsv": "a3586c7d35e2027fefed5e25276219c96fc5f3898cce7d445778f8fee9130968"}
            ),
            "dev": Split(857, 451, {"devel.tsv": "58081382558640838cbd4beec5786cd2c9954c5b84e88468c34e5f3421685bcb"}),
            "test": Split(1695, 858, {"test.tsv": "53799fd4e87f47fa653f43f2ea8a850e4c9e3b963ef2102ca426dcbbdaa0f11d"}),
        },
        notes=(
            ("A variant of one type is not the joint file filtered: overlaps were resolved for each on its own."),
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="bionlp13pc-ggp",
        title="BioNLP 2013 shared task, pathway curation, genes and gene products only",
        labels=("Gene_or_gene_product",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13PC-ggp-IOB/",
        splits={
            "train": Split(
                2499, 5468, {"train.tsv": "9b0739ffbba0dd8ec76e54af66d7251da5c56f95e68de588f2f734c0237ea753"}
            ),
            "dev": Split(857, 1836, {"devel.tsv": "5c96f8f768901fda2ab7f9c47cbedbdae9072da7376b933c23ccfbf1c08351fb"}),
            "test": Split(1695, 3587, {"test.tsv": "9a7992ac6efdd534ee7c489ac9d1a61e036f56762c946e5c78d84f8096f8a6d2"}),
        },
        notes=(
            ("A variant of one type is not the joint file filtered: overlaps were resolved for each on its own."),
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
)
