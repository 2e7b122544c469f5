"""AnEM: anatomical entities, the forerunner of AnatEM."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    citation=(
        "Ohta, Pyysalo, Tsujii, Ananiadou: Open-domain anatomical entity mention detection, ACL workshop DSSD 2012"
    ),
)

CORPORA = (
    _published(
        name="anem",
        title="AnEM, eleven types",
        labels=(
            "Anatomical_system",
            "Cell",
            "Cellular_component",
            "Developing_anatomical_structure",
            "Immaterial_anatomical_entity",
            "Multi-tissue_structure",
            "Organ",
            "Organism_subdivision",
            "Organism_substance",
            "Pathological_formation",
            "Tissue",
        ),
        licence="CC BY-SA 3.0",
        archive="en-anatem-anem",
        units="sentences",
        folder="AnEM/CONLL-format/data/",
        splits={
            "train": Split(
                2815,
                1879,
                {"AnEM.train": "239fec75a746a109f6f2b093d24b1d4805d20c34da3c7f4656b57140c4d5f784"},
                "conll[scheme=BIO,separator=tab,column=3,joiner=blank]",
            ),
            "test": Split(
                1882,
                1256,
                {"AnEM.test": "2bd9d25228f8739338e843c3003f141fe3576e4ce84c82133d39b31609b1cdb1"},
                "conll[scheme=BIO,separator=tab,column=3,joiner=blank]",
            ),
        },
        notes=(
            "Published without a development split.",
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            (
                "Its test is in AnatEM test, its train in AnatEM train and dev: never train on one and test "
                "on the other."
            ),
        ),
    ),
    _published(
        name="anem-conll",
        title="AnEM, the train split that AIONER was given",
        labels=(
            "Anatomical_system",
            "Cell",
            "Cellular_component",
            "Developing_anatomical_structure",
            "Immaterial_anatomical_entity",
            "Multi-tissue_structure",
            "Organ",
            "Organism_subdivision",
            "Organism_substance",
            "Pathological_formation",
            "Tissue",
        ),
        licence="CC BY-SA 3.0 (corpus), MIT (this form)",
        archive="en-aioner-pubtator",
        units="sentences",
        folder="data/conll/",
        splits={
            "train": Split(
                2815,
                1879,
                {"AnEM_train.conll": "5f84d3f2b897b3d91c6d782cdeafaf50cea0df4c79ffee9fdba38f588a7d5ab4"},
                "conll[scheme=BIO,separator=tab,pseudo=true,joiner=blank]",
            ),
        },
        notes=(
            "Train only.",
            "The tokens <ALL> and </ALL> around every sentence are no text and are left out.",
        ),
    ),
)
