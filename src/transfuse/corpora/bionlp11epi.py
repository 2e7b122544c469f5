"""BioNLP11EPI: proteins of the task on epigenetics and modifications."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 3.0",
    citation=(
        "Ohta, Pyysalo, Tsujii: Overview of the epigenetics and post-translational modifications (EPI) task "
        "of BioNLP shared task 2011"
    ),
)

CORPORA = (
    _published(
        name="bionlp11epi",
        title="BioNLP 2011 shared task, EPI, proteins",
        labels=("Protein",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP11EPI-IOB/",
        splits={
            "train": Split(
                5698, 7586, {"train.tsv": "96c531c78b76b7e1f7d38547e6f6a321c6781a6f199c151f443855765996d34f"}
            ),
            "dev": Split(1955, 2495, {"devel.tsv": "522435a7f9e8fb22d2a0575493b3e8dbbe6bafedae944c7d346c7fffd55e06d5"}),
            "test": Split(4122, 5730, {"test.tsv": "fa4aa96d5f318cafa741fffa5e3fa542f29f0b67320f0b8ba7e1f8780848490b"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
)
