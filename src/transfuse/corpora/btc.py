"""Broad Twitter Corpus: persons, places and organisations in tweets."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 4.0",
    citation=(
        "Derczynski, Bontcheva, Roberts: Broad Twitter Corpus: a diverse named entity recognition resource, COLING 2016"
    ),
)

CORPORA = (
    _published(
        name="btc",
        title="Broad Twitter Corpus, all six sections",
        labels=(
            "LOC",
            "ORG",
            "PER",
        ),
        archive="en-general",
        units="tweets",
        folder="BTC/CONLL-format/data/",
        splits={
            "train": Split(
                9338,
                14885,
                {
                    "a.conll": "ac824cc13c88283fe3cca05343e46c79ec4cd5b174429f27bf8fe0ebdc1bbf33",
                    "b.conll": "504a094a0398e03fd7b394510e313b8fc844407102252182d90aea23f53cc322",
                    "e.conll": "77aca745cdc28ae0fafbcf36a93ccfd15357a8db97c21d91083592dd85e348c5",
                    "f.conll": "d0839ddb0bd57f3a59ac9ab35d371dc140db8280e0001469a4e56fe8f776ce8a",
                    "g.conll": "d53a27645cabc4e63313d573498b48b0cc5ed780d280edfbdc4fedefe23479da",
                    "h.conll": "7f31215a79f3131526236203907c8d003b8e0f8ee6eef2a216ebb685340ebe39",
                },
            ),
        },
        notes=(
            "All sections stand in train, since its authors name sections (a, b, e, f, g, h), not splits.",
            "9,551 tweets were published, 9,339 are in the files; one of them is nothing but an empty token.",
            "Tweets remain subject to the terms of Twitter.",
        ),
    ),
)
