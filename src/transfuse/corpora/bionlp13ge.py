"""BioNLP13GE: proteins of the GENIA task of 2013, full-text articles."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="Creative Commons (see the LICENSE beside the data), CC BY 4.0 (conversion)",
    citation="Kim, Wang, Yamamoto: The Genia event extraction shared task, 2013 edition",
)

CORPORA = (
    _published(
        name="bionlp13ge",
        title="BioNLP 2013 shared task, GENIA, proteins",
        labels=("Protein",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13GE-IOB/",
        splits={
            "train": Split(
                2449, 3566, {"train.tsv": "6961abede2a0a14cd984674435accf6f4bbb201361bf04a796a248c2ffce3759"}
            ),
            "dev": Split(2737, 4132, {"devel.tsv": "b09afafc63fc4fcc2ddc3a5a0a9711c973bc1aecee48e3e5afec6364e39b83b4"}),
            "test": Split(3391, 4359, {"test.tsv": "812fdb078ad257d3b87a6f9ff62a37cf622225cf3763bdaed9c897169b528cfa"}),
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
