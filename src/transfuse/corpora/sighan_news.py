"""SIGHAN news: persons, places and organisations in Chinese news, without its train split."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="zh",
    archive="zh-sighan-msra-partial",
    licence="unstated",
    units="sentences",
    citation=(
        "Levow: The third international Chinese language processing bakeoff, SIGHAN 2006; as used by Wang, "
        "Qu, Chen, Shen, Zhang, Zhang, Gao, Gu, Chen, Yu: Label-aware double transfer learning for "
        "cross-specialty medical named entity recognition, NAACL 2018"
    ),
)

CORPORA = (
    _published(
        name="sighan-news",
        title='SIGHAN news, development and test, known as "People\'s Daily"',
        labels=(
            "LOC",
            "ORG",
            "PER",
        ),
        folder="peoples-daily-example/",
        splits={
            "dev": Split(
                2318,
                3819,
                {"example.dev": "7d8e6fcd1745e6adcb99d90307d84c3a0f9f8ff5ee6fe62ca27646cb765fc38a"},
                'conll[scheme=BIO,separator=blank,joiner="none"]',
            ),
            "test": Split(
                4636,
                7707,
                {"example.test": "233299005f941a4b055e38aadcf3ee853e44bc1f88166078d3b52b26b77ea362"},
                'conll[scheme=BIO,separator=blank,joiner="none"]',
            ),
        },
        notes=(
            "The train split (20,864 sentences) could not be had.",
            "91 % of the sentences stand in msra train.",
        ),
    ),
    _published(
        name="sighan-news-ladtl",
        title="SIGHAN news, test as used with La-DTL",
        labels=(
            "LOC",
            "ORG",
            "PER",
        ),
        folder="sighan-utf16/",
        splits={
            "test": Split(
                4636,
                7707,
                {"Answer_utf16.txt": "99a990a7397d85318eb263e3726c6c5e43acec5eb54f6931c041e398cbdaaa52"},
                'conll[scheme=BIO,separator=blank,joiner="none",outside=N]',
            ),
        },
        notes=(("The test of sighan-news, with digits and letters full-width and upper case in 1,366 sentences."),),
    ),
)
