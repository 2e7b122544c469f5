"""WNUT-16: ten types in tweets."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="GPL-3",
    citation=(
        "Ritter, Clark, Mausam, Etzioni: Named entity recognition in tweets, EMNLP 2011; Strauss, Toma, "
        "Ritter, de Marneffe, Xu: Results of the WNUT16 named entity recognition shared task, 2016"
    ),
)

CORPORA = (
    _published(
        name="wnut16",
        title="WNUT-16",
        labels=(
            "company",
            "facility",
            "geo-loc",
            "movie",
            "musicartist",
            "other",
            "person",
            "product",
            "sportsteam",
            "tvshow",
        ),
        archive="en-general",
        units="tweets",
        folder="twitter_nlp/data/annotated/wnut16/data/",
        splits={
            "train": Split(2394, 1496, {"train": "5ec9db29c87fbf424860688fff08a485f6112137b930bb4799288399db9e153d"}),
            "dev": Split(1000, 661, {"dev": "d555eff2d24f05b032a17d892dda766f8e4dc0436404c17f4c1c6841472928fd"}),
            "test": Split(3850, 3473, {"test": "4d96d1908d4fdda27f3738bfb83d26e9b9e0996e22d8e0788de7c11c25af6896"}),
        },
        notes=(
            "Its train is Ritter's data: the same sentences.",
            "Tweets remain subject to the terms of Twitter.",
        ),
    ),
    _published(
        name="wnut15-dev",
        title="WNUT-15, development tweets that WNUT-16 left out",
        labels=(
            "company",
            "facility",
            "geo-loc",
            "movie",
            "musicartist",
            "other",
            "person",
            "product",
            "sportsteam",
            "tvshow",
        ),
        archive="en-general",
        units="tweets",
        folder="twitter_nlp/data/annotated/wnut16/data/",
        splits={
            "dev": Split(420, 272, {"dev_2015": "f5fd5cf6b87ada2e47342926430d2c09f99c6d9253d02dc11b3d676f563a501c"}),
        },
        notes=("Tweets remain subject to the terms of Twitter.",),
    ),
    _published(
        name="ritter",
        title="Ritter's tweets",
        labels=(
            "company",
            "facility",
            "geo-loc",
            "movie",
            "musicartist",
            "other",
            "person",
            "product",
            "sportsteam",
            "tvshow",
        ),
        archive="en-general",
        units="tweets",
        folder="twitter_nlp/data/annotated/",
        splits={
            "train": Split(2394, 1496, {"ner.txt": "8573ac2f0b9bd533488332954a3db9958da4789bc4f8c26de10bb346e96e5390"}),
        },
        notes=(
            "All tweets stand in train, since they were published without splits.",
            "2,400 tweets were published, 2,394 are in the file.",
            "Tweets remain subject to the terms of Twitter.",
        ),
    ),
)
