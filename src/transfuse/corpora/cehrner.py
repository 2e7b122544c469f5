"""cEHRNER: seven types in Chinese health records."""

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
        name="cehrner",
        title="cEHRNER",
        labels=(
            "疾病和诊断",
            "手术",
            "解剖部位",
            "药物",
            "症状",
            "影像检查",
            "实验室检验",
        ),
        folder="data/cEHRNER/",
        splits={
            "train": Split(
                914,
                16136,
                {"train.txt": "d2a3cd125186ac74e2ce7105b84e79636f9a0b516e3b89a972233d27eb33bfb7"},
                'conll[scheme=BIO,separator=blank,joiner="none"]',
            ),
            "dev": Split(
                44,
                749,
                {"dev.txt": "42cff6d858966a426b360316fb211a4d20e4bdae7d7cffe0c66e8e213917fc2a"},
                'conll[scheme=BIO,separator=blank,joiner="none"]',
            ),
            "test": Split(
                41,
                632,
                {"test.txt": "ee5338fd5aadcdd67ca44d9b35ae9c76dfd5ff1bb5816c4d4b0de16bd137f7fe"},
                'conll[scheme=BIO,separator=blank,joiner="none"]',
            ),
        },
        notes=(
            "15.6 % of the test sentences and 4.9 % of the dev sentences stand in train.",
            "A record is a whole text, often of several hundred characters.",
        ),
    ),
)
