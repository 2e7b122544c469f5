"""BioID: cell lines in figure captions."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="as its authors state (BioID), MIT (this form)",
    citation="Arighi, Hirschman, Lemberger, Bayer, Liechti, Comeau, Wu: Bio-ID track overview, BioCreative VI 2017",
)

CORPORA = (
    _published(
        name="bioid",
        title="BioID, cell lines",
        labels=("CellLine",),
        archive="en-aioner-pubtator",
        units="captions",
        folder="data/pubtator/",
        splits={
            "train": Split(
                9704,
                4137,
                {"BioID_Train_revision.PubTator": "61da131cf0a09c548189c778cccbd799b524857531f3c651031b54cc5356ef69"},
                "pubtator",
            ),
            "test": Split(
                3993,
                1453,
                {"BioID_Test_revision.PubTator": "6c4d14de95ac3ea4a6aaf3bb14354610823e23679e178909e33796f3ef2c4345"},
                "pubtator",
            ),
        },
        notes=(
            "Published without a development split.",
            "One mention string is not the text at its offsets.",
        ),
    ),
)
