"""WNUT-17: rare and emerging entities."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 4.0",
    citation=(
        "Derczynski, Nichols, van Erp, Limsopatham: Results of the WNUT2017 shared task on novel and emerging "
        "entity recognition, 2017"
    ),
)

CORPORA = (
    _published(
        name="wnut17",
        title="WNUT-17",
        labels=(
            "corporation",
            "creative-work",
            "group",
            "location",
            "person",
            "product",
        ),
        archive="en-general",
        units="posts",
        folder="wnut17/",
        splits={
            "train": Split(
                3394, 1975, {"wnut17train.conll": "731820e13f71af324c6b55a1575ec2ce59fbaa2a0806f8f0400b98d56cd6a7a5"}
            ),
            "dev": Split(
                1009, 836, {"emerging.dev.conll": "e053b752b8155113ca66e7db08af5f2f5f43ab993694e4774f1ec5bad42312d8"}
            ),
            "test": Split(
                1287,
                1079,
                {"emerging.test.annotated": "2aa79b764e56ec9264a1b30fdd9b70195bd00ff400b62edd8f399d5f13c178f0"},
            ),
        },
        notes=(
            "In train a line that holds only a tab ends a sentence.",
            ("emerging.test.conll has several labels in one cell; emerging.test.annotated, read here, has one."),
            "Tweets remain subject to the terms of Twitter.",
        ),
    ),
)
