"""Ex-PTM: proteins of the exhaustive corpus of post-translational modifications."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 3.0 (corpus), CC BY 4.0 (conversion)",
    citation="Pyysalo, Ohta, Miwa, Tsujii: Towards exhaustive protein modification event extraction, BioNLP 2011",
)

CORPORA = (
    _published(
        name="ex-ptm",
        title="Exhaustive PTM corpus, proteins",
        labels=("Protein",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/Ex-PTM-IOB/",
        splits={
            "train": Split(
                1377, 1787, {"train.tsv": "93633cfd1b3722960f17c632a92d0cc403168fbaddef5d4e7027761cdbb13ac6"}
            ),
            "dev": Split(437, 603, {"devel.tsv": "488bb9fc78dd439473158753a87bc341016835bc4698b0756bcd52cd80e4de1e"}),
            "test": Split(1839, 2308, {"test.tsv": "f4da237c2caced544a20ce7567835e840a410fa329f9ef33f62cb343e7481e0d"}),
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
