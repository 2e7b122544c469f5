"""WikiGold: persons, places, organisations and others in Wikipedia articles."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 4.0",
    citation="Balasuriya, Ringland, Nothman, Murphy, Curran: Named entity recognition in Wikipedia, 2009",
)

CORPORA = (
    _published(
        name="wikigold",
        title="WikiGold",
        labels=(
            "LOC",
            "MISC",
            "ORG",
            "PER",
        ),
        archive="en-general",
        folder="wikigold/CONLL-format/data/",
        splits={
            "train": Split(
                145,
                3558,
                {"wikigold.conll.txt": "c797a64d0cf73ed058363f77671486bcfd413e70fda1726ad4a6ba624455225f"},
                "conll[scheme=IOB1,separator=blank]",
            ),
        },
        notes=(
            ("All sentences stand in train, since it was published without splits; 145 articles with 1,696 sentences."),
            "The tags are IOB1: B- only opens a mention that touches another of its type.",
        ),
    ),
)
