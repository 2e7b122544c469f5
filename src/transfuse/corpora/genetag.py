"""GENETAG: gene names in 15,000 sentences of BioCreative I, the forerunner of BC2GM."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import accumulate
from pathlib import Path

from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark
from transfuse.published import Published, Split
from transfuse.text import Document

__all__ = ["CORPORA"]


# A bar is missing in one line.
_GOLD = re.compile(r"(@@\d+)\|(\d+) (\d+)\|?(.*)")


def _read(paths: Sequence[Path], losses: Losses) -> Iterator[Document]:
    """Lines of ``@@<id> word/TAG ...``, where words may hold slashes, and lines of ``@@<id>|first last|mention``."""
    texts, gold = paths
    found: dict[str, list[tuple[int, int, str, int]]] = defaultdict(list)
    for number, line in enumerate(gold.read_text("utf-8").splitlines(), 1):
        if match := _GOLD.fullmatch(line):
            found[match[1]].append((int(match[2]), int(match[3]), match[4], number))
    build = Builder(str(texts), losses)
    for number, line in enumerate(texts.read_text("utf-8").splitlines(), 1):
        name, *cells = line.split()
        words = [cell.rpartition("/")[0] for cell in cells]
        starts = [0, *accumulate(len(word) + 1 for word in words)]
        marks = [
            Mark(((starts[first], starts[last + 1] - 1),), "GENE", mention, line=row)
            for first, last, mention, row in found[name]
        ]
        yield build.document(name.removeprefix("@@"), " ".join(words), marks, line=number)


_published = partial(
    Published,
    language="en",
    licence="public domain (US government)",
    citation=(
        "Tanabe, Xie, Thom, Matten, Wilbur: GENETAG: a tagged corpus for gene/protein named entity "
        "recognition, BMC Bioinformatics 2005"
    ),
)

CORPORA = (
    _published(
        name="genetag",
        tested_on=("bc2gm",),
        title="GENETAG",
        labels=("GENE",),
        archive="en-bc2gm-genetag",
        units="sentences",
        folder="genetag/original-data/",
        splits={
            "train": Split(
                7500,
                8935,
                {
                    "train/TOKENIZED_CORPUS": "92cfc5a0563047d95b888a7ca8c177616b06d302ec59ce32e450c0d5f7a2752d",
                    "train/Gold.format": "e689c1408a116750f817d123954f02d14b2cb8b9ed61cf9076c7d9cb508eef82",
                },
                _read,
            ),
            "dev": Split(
                5000,
                5949,
                {
                    "round1/TOKENIZED_CORPUS": "93655b9e5b7e15c17ac9734e9986405e43fce2a61e637cecf24c92c03f20cbd2",
                    "round1/Gold.format": "719f590e67f4729ccecd4274c9685b975f6f0b7602971acbfa0200c08431e8b1",
                },
                _read,
            ),
            "test": Split(
                2500,
                2987,
                {
                    "test/TOKENIZED_CORPUS": "5138d570b3d896813437a67b606b0ef024844fcdb669be97145e2ded6c7b2fa7",
                    "test/Gold.format": "ef55cca6692b9e2e3ed32be4d5d25ba816a79b9af5cca5db3e81ecd8c43c0a72",
                },
                _read,
            ),
        },
        notes=(
            "The split 'round1' of the task is dev here.",
            (
                "Mentions are read from Gold.format, by which the task was scored. The tags of "
                "TAGGED_GENE_CORPUS run some of them together: 54 fewer in train, one fewer in test."
            ),
            "Four mention strings are not the words that their numbers name; the numbers hold.",
            "Any part: 96 to 97 % of the sentences are in BC2GM train, with newer annotations.",
        ),
    ),
)
