"""cMedQANER: eleven types in Chinese medical questions and answers."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="zh",
    archive="zh-medical-chineseblue",
    licence="Apache-2.0",
    units="records",
    citation=(
        "Zhang, Jia, Yin, Dong, Gao, Hua: Conceptualized representation learning for Chinese biomedical text "
        "mining, 2020"
    ),
)

CORPORA = (
    _published(
        name="cmedqaner",
        title="cMedQANER",
        labels=(
            "body",
            "crowd",
            "department",
            "disease",
            "drug",
            "feature",
            "physiology",
            "symptom",
            "test",
            "time",
            "treatment",
        ),
        folder="data/cMedQANER/",
        splits={
            "train": Split(
                1673,
                12490,
                {"train.txt": "f8fb2385e00b91c6062b3ced1fef730c07f793d5a20ed2f3631f96b96e9fd2b2"},
                'conll[scheme=BIO,separator=blank,joiner="none"]',
            ),
            "dev": Split(
                175,
                1024,
                {"dev.txt": "24edab3aa8b7d8c45e638ad4a2e0437c09cbf4ea14d429fc5a4387f2e907f9d6"},
                'conll[scheme=BIO,separator=blank,joiner="none"]',
            ),
            "test": Split(
                215,
                1340,
                {"test.txt": "68975c9ce692c0d07fe7b2e17762191d2ca55048e6a23819b77de6f943109ffb"},
                'conll[scheme=BIO,separator=blank,joiner="none"]',
            ),
        },
        notes=(
            "A record is a whole text, often of several hundred characters.",
            "U+3000 and no-break spaces are characters of the text like others.",
        ),
    ),
)
