"""Weibo NER: named and nominal mentions in Chinese micro-blogs."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="zh",
    archive="zh-weibo",
    licence="CC BY-SA 3.0 (annotations)",
    units="posts",
    citation=(
        "Peng, Dredze: Named entity recognition for Chinese social media with jointly trained embeddings, "
        "EMNLP 2015; second version: He, Sun: F-score driven max margin neural network for named entity "
        "recognition in Chinese social media, EACL 2017"
    ),
)

CORPORA = (
    _published(
        name="weibo",
        title="Weibo NER, second version",
        labels=(
            "GPE.NAM",
            "GPE.NOM",
            "LOC.NAM",
            "LOC.NOM",
            "ORG.NAM",
            "ORG.NOM",
            "PER.NAM",
            "PER.NOM",
        ),
        folder="data/",
        splits={
            "train": Split(
                1350,
                1895,
                {"weiboNER_2nd_conll.train": "4e8954c54ab33b0afc9a8abb85715c47422645cc6d1b49fdb24540f4a427e997"},
                'conll[scheme=BIO,separator=tab,positions=true,joiner="none"]',
            ),
            "dev": Split(
                270,
                389,
                {"weiboNER_2nd_conll.dev": "e72730d83aac680505280b6301c879b3ba470d29ac308979d48cdc58ee4907cc"},
                'conll[scheme=BIO,separator=tab,positions=true,joiner="none"]',
            ),
            "test": Split(
                270,
                418,
                {"weiboNER_2nd_conll.test": "faaf6c0ebde5348b935cfd5c89f0f22c9e0779d60667d8b5efbc647b6707d50e"},
                'conll[scheme=BIO,separator=tab,positions=true,joiner="none"]',
            ),
        },
        notes=(
            "Every character carries its place in its word as a digit, which is cut off.",
            "14 illegal I- tags (10 train, 4 test) are repaired.",
        ),
    ),
    _published(
        name="weibo-first",
        title="Weibo NER, first version",
        labels=(
            "GPE.NAM",
            "GPE.NOM",
            "LOC.NAM",
            "LOC.NOM",
            "ORG.NAM",
            "ORG.NOM",
            "PER.NAM",
            "PER.NOM",
        ),
        folder="data/",
        splits={
            "train": Split(
                1350,
                1391,
                {"weiboNER.conll.train": "5be3b09ed5c9ea59e9292459b3d7b0b701724187eb1897e168c384abc17805f7"},
                'conll[scheme=BIO,separator=tab,positions=true,joiner="none",errors=replace]',
            ),
            "dev": Split(
                270,
                305,
                {"weiboNER.conll.dev": "b083ac67bf176f62930bbd8440ba39bca4ee42da999bf471a6a15c4b52fd4c90"},
                'conll[scheme=BIO,separator=tab,positions=true,joiner="none",errors=replace]',
            ),
            "test": Split(
                270,
                320,
                {"weiboNER.conll.test": "a76c97cc4996309d58d3b49df39e1ae6d2bb1ca35b4cf98f8505a77002567685"},
                'conll[scheme=BIO,separator=tab,positions=true,joiner="none",errors=replace]',
            ),
        },
        notes=(
            "Every character carries its place in its word as a digit, which is cut off.",
            "35 illegal I- tags are repaired. No GPE.NOM occurs.",
            "Holds bytes that are not UTF-8: they became U+FFFD.",
        ),
    ),
)
