"""CMDD: symptoms in Chinese dialogues between doctor and patient."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from transfuse.files import natural
from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark
from transfuse.published import Published, Split
from transfuse.tags import decode
from transfuse.text import Document

__all__ = ["CORPORA"]


def _read(paths: Sequence[Path], losses: Losses) -> Iterator[Document]:
    """One JSON file a dialogue; each sentence with a string of B, I and O, one letter a character."""
    for folder in paths:
        for path in sorted(folder.glob("*.json"), key=natural):
            dialogue = json.loads(path.read_text("utf-8"))
            build = Builder(str(path), losses)
            text, marks = "", []
            for turn in dialogue["dialogue-content"]:
                tags = [tag if tag == "O" else f"{tag}-symptom" for tag in turn["label"]]
                spans = decode(tags, "BIO", counts=losses)
                marks += [Mark(((len(text) + start, len(text) + end),), label) for start, end, label in spans]
                text += turn["sentence"] + "\n"
            yield build.document(dialogue["example-id"], text, marks)


_published = partial(
    Published,
    language="zh",
    archive="zh-medical-chineseblue",
    licence="Apache-2.0",
    units="dialogues",
    citation=(
        "Lin, He, Chen, Bai, Huang, Liu, Wei: Enhancing dialogue symptom diagnosis with global attention and "
        "symptom graph, EMNLP 2019"
    ),
)

CORPORA = (
    _published(
        name="cmdd",
        title="CMDD",
        labels=("symptom",),
        folder="data/CMDD/",
        splits={
            "train": Split(
                1241, 20068, {"train/": "31c5334ae456aa2073c4f4d2ed8e040083982a0a8b153c04e96062845c4caaa2"}, _read
            ),
            "dev": Split(
                413, 5679, {"dev/": "e6420a0e42e082007e0b47e0b2b39570c948ff1065742bf18163126c49eaa536"}, _read
            ),
            "test": Split(
                413, 5563, {"test/": "ef7fb7c428ff2d2f7f40272a5be7759a20f8a8395f9b3e933bb63458be53c834"}, _read
            ),
        },
        notes=(
            "A document is a dialogue, a line of it what one side said; who said it is not kept.",
            "25 illegal I- tags are repaired: who counts B- alone finds 20,052, 5,672 and 5,561.",
            "Whether a symptom is present, absent or unsure is in the files, but not kept.",
        ),
    ),
)
