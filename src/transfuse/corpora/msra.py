"""MSRA: persons, places and organisations in Chinese news (SIGHAN 2006)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark
from transfuse.published import Published, Split
from transfuse.tags import decode
from transfuse.text import Document

__all__ = ["CORPORA"]


def _parallel(paths: Sequence[Path], losses: Losses) -> Iterator[Document]:
    """Characters in one file, their tags in another, both with a blank between, line by line."""
    texts, tags = (path.read_text("utf-8").splitlines() for path in paths)
    build = Builder(str(paths[0]), losses)
    for number, (text, row) in enumerate(zip(texts, tags, strict=True), 1):
        characters = text.split(" ")
        spans = decode(row.split(" "), "BIO", counts=losses)
        marks = [Mark(((start, end),), label) for start, end, label in spans]
        yield build.document(f"{paths[0].parent.name}/{number}", "".join(characters), marks, line=number)


def _tagged(paths: Sequence[Path], losses: Losses) -> Iterator[Document]:
    """Lines of ``text/tag text/tag ...`` with ``o`` for outside."""
    for path in paths:
        build = Builder(str(path), losses)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            text, marks = "", []
            for piece, _, tag in (cell.rpartition("/") for cell in line.split()):
                if tag != "o":
                    marks.append(Mark(((len(text), len(text) + len(piece)),), tag))
                text += piece
            yield build.document(f"{path.stem}/{number}", text, marks, line=number)


_published = partial(
    Published,
    language="zh",
    licence="unstated",
    units="sentences",
    citation="Levow: The third international Chinese language processing bakeoff, SIGHAN 2006",
)

CORPORA = (
    _published(
        name="msra",
        title="MSRA, complete",
        labels=(
            "LOC",
            "ORG",
            "PER",
        ),
        archive="zh-msra-train",
        splits={
            "train": Split(
                45000,
                75059,
                {"msra_train_bio": "4f7f24a28b6a5377a768eb740f6e4cc8df37cd5fe06777d0279c7180948d233b"},
                'conll[scheme=BIO,separator=tab,joiner="none"]',
            ),
            "test": Split(
                3442,
                6190,
                {"msra_test_bio": "2be8e580bcb22e9086e4403d82a7ec0f6e18019ebef35b0fd52941724bdf89a3"},
                'conll[scheme=BIO,separator=tab,joiner="none"]',
            ),
        },
        notes=(
            (
                "Published without a development split. The 3,000 of msra-partial dev are part of this train: "
                "take them out before choosing with them."
            ),
            ("91 % of the test sentences of sighan-news stand in this train: never train here and test there."),
            "46 sentences hold leftover markup, in which the character 0 stands for a blank.",
            "46.4 k sentences and 74.8 k entities, often cited, belong to the word-tagged edition.",
        ),
    ),
    _published(
        name="msra-partial",
        title="MSRA, development and test as cut for BERT experiments",
        labels=(
            "LOC",
            "ORG",
            "PER",
        ),
        archive="zh-sighan-msra-partial",
        folder="lemonhu/",
        splits={
            "dev": Split(
                3000,
                5011,
                {
                    "val/sentences.txt": "693a374e94ee3f861840af31d9e3b6dfa642bdcf62b1e1d3f9f9caab83fe9083",
                    "val/tags.txt": "943688e588c736eeac3c4c120018159f5bbcad7093e599d66662a0a629c83986",
                },
                _parallel,
            ),
            "test": Split(
                3442,
                6190,
                {
                    "test/sentences.txt": "4299cd43ff4233a9afef922c8c006917236c700933e17b94db2648b5ec9a7048",
                    "test/tags.txt": "de3e26c64db35956f29173d508b4d44e9894f68682bfabd581e00d21b24534b5",
                },
                _parallel,
            ),
        },
        notes=("Its dev is part of msra train, its test is msra test.",),
    ),
    _published(
        name="msra-words",
        title="MSRA test, word-tagged edition",
        labels=(
            "nr",
            "ns",
            "nt",
        ),
        archive="zh-sighan-msra-partial",
        folder="word-tagged/",
        splits={
            "test": Split(
                4365,
                6181,
                {"testright1.txt": "f7f9ef932d9110dc1265a78c27787f9e6271b2b88d3a27844126276273377f3a"},
                _tagged,
            ),
        },
        notes=("The same news as msra test, cut otherwise.",),
    ),
)
