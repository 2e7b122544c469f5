"""LINNAEUS: species in full-text articles."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 4.0 (conversion)",
    citation=(
        "Gerner, Nenadic, Bergman: LINNAEUS: a species name identification system for biomedical literature, "
        "BMC Bioinformatics 2010"
    ),
)

CORPORA = (
    _published(
        name="linnaeus",
        title="LINNAEUS, species",
        labels=("Species",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/linnaeus-IOB/",
        splits={
            "train": Split(
                11935, 2119, {"train.tsv": "74c8612944a4de87665680989a3d589c843562d3ec175e3b512295691b221d9a"}
            ),
            "dev": Split(4078, 711, {"devel.tsv": "042b5676d4f541995d617f43e2926afdf6653ed60ad9010c2f45b78ae869f2b6"}),
            "test": Split(7142, 1433, {"test.tsv": "1792b82f7cf9159fd71de38b139a457dbc5ca126c13ac9e355a5fad3e65930ad"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
            ("1,100 train sentences are repeated and 22 test sentences stand in train (headings, captions)."),
            ("65 % of the test sentences are in the train split of linnaeus-pubtator, which is drawn otherwise."),
        ),
    ),
    _published(
        name="linnaeus-pubtator",
        tested_on=("linnaeus",),
        title="LINNAEUS as documents",
        labels=("Species",),
        licence="CC BY (corpus), MIT (this form)",
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "train": Split(
                80,
                2321,
                {"Linnaeus_Train.PubTator": "d9f72c6ef6b94e852d0d20d09e85b9c1597581306dc87d1cab3478e0e0e5b0f7"},
                "pubtator",
            ),
            "test": Split(
                20,
                576,
                {"Linnaeus_Test.PubTator": "f810a65154c2c6def7064bb78e2b77aa85c2b42c5516bfc14adcd5c0ecd008ec"},
                "pubtator",
            ),
        },
        notes=(
            "Published without a development split.",
            "100 articles, but 2,897 of the 4,259 mentions.",
            "Abstracts hold bars and tabs.",
        ),
    ),
    _published(
        name="gb-linnaeus",
        tested_on=("linnaeus",),
        title="LINNAEUS in the split of Giorgi & Bader 2018",
        labels=("LIVB",),
        licence="redistributable, as its authors state",
        archive="en-giorgi-bader-2018",
        folder="LINNAEUS/",
        splits={
            "train": Split(
                60, 2609, {"train/": "f932b82d7f0effead23c0a4a6c5f04d43061735d13cc0c33cc5f3ca39c5941d0"}, "brat"
            ),
            "dev": Split(
                11, 479, {"valid/": "cf7109189a400d8478fd3049dab1cd524dd371dbe99291b3f56063eb2c3e7b03"}, "brat"
            ),
            "test": Split(
                29, 1171, {"test/": "1010154292087cd9bc051c1fad59669e4a17b0c8852bfa9076ef0ff11a25a4eb"}, "brat"
            ),
        },
        notes=(("The splits are the authors' own draw of 60, 10 and 30 %, not the official ones: never mix the two."),),
    ),
)
