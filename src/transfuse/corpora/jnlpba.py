"""JNLPBA: the bio-entity task of 2004, on GENIA abstracts."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="GENIA licence, annotations CC BY 3.0",
    citation=("Kim, Ohta, Tsuruoka, Tateisi, Collier: Introduction to the bio-entity recognition task at JNLPBA, 2004"),
)

CORPORA = (
    _published(
        name="jnlpba",
        title="JNLPBA 2004 as documents",
        labels=(
            "DNA",
            "RNA",
            "cell_line",
            "cell_type",
            "protein",
        ),
        archive="en-jnlpba",
        folder="standoff/",
        splits={
            "train": Split(
                2000, 51301, {"train/": "45eba2623b4607821a2fbd1bff8fd824e149e78a768d406b12effdb12b48637a"}, "brat"
            ),
            "test": Split(
                404, 8662, {"test/": "72acd323cf2b60c55cc6b7c161338422bb062902be201cf71d1dd59f3ce283ee"}, "brat"
            ),
        },
        notes=(
            (
                "Published without a development split; jnlpba-mtl has the one that is commonly used, drawn "
                "from this train."
            ),
            "Documents carry MEDLINE ids, not PMIDs; three are doubled under '<id>-2'.",
            "Ten test documents are in train under the same id; 104 test sentences stand in train.",
            "99.4 % of the BioNLP09 test sentences stand in train.",
            "Text is PubMed's mapped to ASCII and fitted to the tokens of the task.",
        ),
    ),
    _published(
        name="jnlpba-mtl",
        title="JNLPBA 2004, tokenised, development and test only",
        labels=(
            "DNA",
            "RNA",
            "cell_line",
            "cell_type",
            "protein",
        ),
        archive="en-mtl-bioinformatics-2016",
        folder="data/JNLPBA/",
        splits={
            "dev": Split(200, 4551, {"devel.tsv": "462b09bc79a4dd69cec2e70b6041f54383b4b94892d2ee971a587fdc74caae80"}),
            "test": Split(404, 8662, {"test.tsv": "87c9b8f1f7fcf94add38c16088203d4ddf35c2f61eb2c7e61240c738d8dd9d35"}),
        },
        notes=(
            ("The train file is not among these; take jnlpba, from whose train the development documents were drawn."),
            ("1,739 and 3,856 sentences; a reader that takes -DOCSTART- lines for sentences finds 1,939 and 4,260."),
        ),
    ),
)
