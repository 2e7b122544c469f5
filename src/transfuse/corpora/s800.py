"""S800: species in 800 abstracts."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="as its authors state (S800), MIT (this form)",
    citation=(
        "Pafilis, Frankild, Fanini, Faulwetter, Pavloudi, Vasileiadou, Arvanitidis, Jensen: The SPECIES and "
        "ORGANISMS resources, PLOS ONE 2013"
    ),
)

CORPORA = (
    _published(
        name="s800",
        title="S800, a revised set",
        labels=("Species",),
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "train": Split(
                639,
                3053,
                {"SPECIES_Train.PubTator": "133d4781632bba5f144688dfa6e1468830bc03d8ab4341673b4d14d64d80df6f"},
                "pubtator",
            ),
            "test": Split(
                160,
                739,
                {"SPECIES_Test.PubTator": "d726965f455b9be8b2b03e5d74a1a180cb3b83f86d53247ea6f9301dc7e67bcc"},
                "pubtator",
            ),
        },
        notes=(
            "Published without a development split.",
            "3,708 mentions were published, 3,792 are in this revised set; 799 of the 800 abstracts.",
        ),
    ),
)
