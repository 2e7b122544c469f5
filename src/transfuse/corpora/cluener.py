"""CLUENER 2020: fine-grained entities in Chinese news."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="zh",
    archive="zh-cluener",
    licence="unstated",
    units="sentences",
    citation=(
        "Xu, Dong, Yu, Tian, Liu, Li, Shi, Cao, Zhang: CLUENER2020: fine-grained named entity recognition "
        "dataset and benchmark for Chinese, 2020"
    ),
)

CORPORA = (
    _published(
        name="cluener",
        title="CLUENER 2020",
        labels=(
            "address",
            "book",
            "company",
            "game",
            "government",
            "movie",
            "name",
            "organization",
            "position",
            "scene",
        ),
        splits={
            "train": Split(
                10748,
                23971,
                {"train.json": "60299d202779dc84f3c3bd81f4dc08f5323d0dbf762cb50cd62dd51aa9a871f8"},
                "cluener",
            ),
            "dev": Split(
                1343, 3072, {"dev.json": "90036b59832e007c45d11eafe5ed80549f58a18a29aaa7fe8b1229622c69ec38"}, "cluener"
            ),
        },
        notes=("The test split was published without labels and is not loaded.",),
    ),
)
