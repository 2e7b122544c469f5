"""BioNLP11ID: infectious diseases, full-text articles."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 3.0",
    citation=(
        "Pyysalo, Ohta, Rak, Sullivan, Mao, Wang, Sobral, Tsujii, Ananiadou: Overview of the infectious "
        "diseases (ID) task of BioNLP shared task 2011"
    ),
)

CORPORA = (
    _published(
        name="bionlp11id",
        title="BioNLP 2011 shared task, infectious diseases",
        labels=(
            "Chemical",
            "Organism",
            "Protein",
            "Regulon-operon",
        ),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP11ID-IOB/",
        splits={
            "train": Split(
                2496, 5674, {"train.tsv": "0ec273b9fbf05d15d347a06d67fe084afc18a1738c574b0b4f544d756ad280f7"}
            ),
            "dev": Split(721, 1598, {"devel.tsv": "cc48d04e83a22adcb2a7071c0beb956fff444dd5f40efe4b09f8b04dafeccc43"}),
            "test": Split(1961, 3810, {"test.tsv": "94cc21cf0b86a5af059c7d93f7f3a7c717c413004a291b7edc70efc3b5dc4591"}),
        },
        notes=(
            "86.99 % of the mentions of the source are kept; Two-component-system vanished entirely.",
            "Of overlapping mentions the shorter was kept.",
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="bionlp11id-chem",
        title="BioNLP 2011 shared task, infectious diseases, chemicals only",
        labels=("Chemical",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP11ID-chem-IOB/",
        splits={
            "train": Split(
                2496, 594, {"train.tsv": "c3061cb3ee267ed90b7a60e3b585f8ba35a909e0fa347274634491e81fea6eb4"}
            ),
            "dev": Split(721, 131, {"devel.tsv": "1d49e2be6821b1972e43565ed329513a758cd1cbe4549c5156100daae4c14fa1"}),
            "test": Split(1961, 248, {"test.tsv": "1c9f2a575be46a52bfad6fb0876ff8ee8eddaef5515ebfb4bf06652608c0453e"}),
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
        name="bionlp11id-ggp",
        title="BioNLP 2011 shared task, infectious diseases, proteins only",
        labels=("Protein",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP11ID-ggp-IOB/",
        splits={
            "train": Split(
                2496, 3198, {"train.tsv": "77f770192e8cff59eba86667e0da19ace90341555b9ea3ee0b9d6deb197a2fef"}
            ),
            "dev": Split(721, 1056, {"devel.tsv": "40292fd71358feb11910c65c39f8ac69973d20d4b98ac5d2f2e82c9cd226478b"}),
            "test": Split(1961, 2301, {"test.tsv": "dfd9a1170a5d9681d513e88bfa15a306488d5869139a4821ac413522911c1293"}),
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
        name="bionlp11id-species",
        title="BioNLP 2011 shared task, infectious diseases, organisms only",
        labels=("Organism",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP11ID-species-IOB/",
        splits={
            "train": Split(
                2496, 1873, {"train.tsv": "6c7f109b70c232443db517dee1a622e537684ffbcd7c4104183453e2267940fe"}
            ),
            "dev": Split(721, 385, {"devel.tsv": "2356ea17bf507d278f1415c84a80c0dcf6b8802416c53414a3f26cd861129137"}),
            "test": Split(1961, 1213, {"test.tsv": "13d84c91619139209de14c08a75026178a7a150cb1411b697a0c37d50771e0be"}),
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
