"""BioNLP09: proteins of the BioNLP 2009 shared task, on GENIA abstracts."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="GENIA licence (annotations CC BY 3.0), CC BY 4.0 (conversion)",
    citation="Kim, Ohta, Pyysalo, Kano, Tsujii: Overview of BioNLP'09 shared task on event extraction, 2009",
)

CORPORA = (
    _published(
        name="bionlp09",
        title="BioNLP 2009 shared task, proteins",
        labels=("Protein",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP09-IOB/",
        splits={
            "train": Split(
                7462, 9296, {"train.tsv": "abf9a6242bbd932e725f85d6ceb0ece41aae3c96775e45d18364868a1ad7bfe1"}
            ),
            "dev": Split(1448, 2078, {"devel.tsv": "9cfebba60ecb0db64ce9153c3500f2e7e995c6c5e827f0d7f3e7a9dc5422aada"}),
            "test": Split(2446, 3589, {"test.tsv": "b4e2acba0863bbd9ed27264adafc3e1d0b1cd764334366a622d662eeb5c310f4"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
            ("99.4 % of its test sentences are JNLPBA train sentences: never train on JNLPBA and test here."),
        ),
    ),
)
