"""BC2GM: gene mentions in 20,000 sentences of BioCreative II."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from transfuse.losses import Losses
from transfuse.mentions import Builder, Mark
from transfuse.published import Published, Split
from transfuse.text import Document

__all__ = ["CORPORA"]


def _read(paths: Sequence[Path], losses: Losses) -> Iterator[Document]:
    """Sentences after their identifier, and spans that count characters without spaces, both ends inclusive."""
    texts, spans = paths
    marks: dict[str, list[tuple[int, int, str, int]]] = defaultdict(list)
    for number, line in enumerate(spans.read_text("utf-8").splitlines(), 1):
        name, offsets, mention = line.split("|", 2)
        first, last = offsets.split()
        marks[name].append((int(first), int(last), mention, number))
    build = Builder(str(texts), losses)
    for number, line in enumerate(texts.read_text("utf-8").splitlines(), 1):
        name, _, text = line.partition(" ")
        places = [place for place, char in enumerate(text) if not char.isspace()]
        found = [
            Mark(((places[first], places[last] + 1),), "GENE", mention, line=row)
            for first, last, mention, row in marks[name]
        ]
        yield build.document(name, text, found, line=number)


_published = partial(
    Published,
    language="en",
    licence="public domain (US government)",
    citation=(
        "Smith, Tanabe, Ando and others: Overview of BioCreative II gene mention recognition, Genome Biology 2008"
    ),
)

CORPORA = (
    _published(
        name="bc2gm",
        title="BC2GM, the usual benchmark",
        labels=("GENE",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BC2GM-IOB/",
        splits={
            "train": Split(
                12574, 15197, {"train.tsv": "46e17f4e1509483b82c03f27d6f0214020f738fb71704356fb3445eb824ab38d"}
            ),
            "dev": Split(2519, 3061, {"devel.tsv": "33a94577aa22f1e70ec9e02781a05baa4e1390e866d28bf2b344888e4e3d4103"}),
            "test": Split(5038, 6325, {"test.tsv": "30d7a4f571ca8ed22a044528063ba5d0388d666d8b8b329733d6927e5fb30764"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "The development split was drawn from the original train by the converters.",
            (
                "21 test sentences stand in its own train. 96 to 97 % of GENETAG stands in this train, with "
                "older annotations."
            ),
        ),
    ),
    _published(
        name="bc2gm-original",
        title="BC2GM as published, untokenised",
        labels=("GENE",),
        archive="en-bc2gm-genetag",
        units="sentences",
        folder="bc2gm-corpus/original-data/",
        splits={
            "train": Split(
                15000,
                18265,
                {
                    "train/train.in": "408f32a796e7aa8ed5b6428c1887e084282b42a02409bba151d0bda3698ca6e3",
                    "train/GENE.eval": "6f2b01a25d700f1fddcc7dea6a1b722498b5a9ad6cf12b19ec9d36ab3b63ad87",
                },
                _read,
            ),
            "test": Split(
                5000,
                6331,
                {
                    "test/test.in": "dc1b919a143f99d0cb9182a3a26b1c98e46799d052a463d4c212c49532f123fd",
                    "test/GENE.eval": "e6df54b52d337a02a5b11432d132b28c7c657f717e1fe6e8035d3c7b2a18bf4f",
                },
                _read,
            ),
        },
        notes=(
            "Published without a development split.",
            "Offsets in the files count characters without spaces, both ends inclusive.",
        ),
    ),
    _published(
        name="bc2gm-alternatives",
        title="BC2GM, the alternative spans that its scorer accepts as well",
        labels=("GENE",),
        archive="en-bc2gm-genetag",
        units="sentences",
        folder="bc2gm-corpus/original-data/",
        splits={
            "train": Split(
                15000,
                14466,
                {
                    "train/train.in": "408f32a796e7aa8ed5b6428c1887e084282b42a02409bba151d0bda3698ca6e3",
                    "train/ALTGENE.eval": "39b33098791c57747db1f8b6f91109879310fc726ba52dd3e446f9653d795bf5",
                },
                _read,
            ),
            "test": Split(
                5000,
                5068,
                {
                    "test/test.in": "dc1b919a143f99d0cb9182a3a26b1c98e46799d052a463d4c212c49532f123fd",
                    "test/ALTGENE.eval": "07bee7571c3197db1b886cc790c6f488f2408d3d012006865cc926d93b6c7b8d",
                },
                _read,
            ),
        },
        notes=(
            "Published without a development split.",
            "14,499 lines in the files of train, 33 of which are there twice.",
            (
                "Not a corpus to train on: several alternatives may belong to one mention of bc2gm-original, "
                "and they overlap."
            ),
        ),
    ),
    _published(
        name="gb-bc2gm",
        tested_on=("bc2gm",),
        title="BC2GM in the split of Giorgi & Bader 2018",
        labels=("GENE",),
        licence="redistributable, as its authors state",
        archive="en-giorgi-bader-2018",
        units="sentences",
        folder="BC2GM/",
        splits={
            "train": Split(
                12000, 14871, {"train/": "346f2f07279f75d2d69350eff8d0bf9755f10498e664b8285c76767789eabf8e"}, "brat"
            ),
            "dev": Split(
                2000, 2518, {"valid/": "0f179ac671fd1dc302d8a64d98215abdb1b1d6b12328081aa12e2de581c18acb"}, "brat"
            ),
            "test": Split(
                6000, 7207, {"test/": "20998876a82714752e2593986377790ddb1e5422a979cc3b28ce5d936c0b0bb9"}, "brat"
            ),
        },
        notes=(("The splits are the authors' own draw of 60, 10 and 30 %, not the official ones: never mix the two."),),
    ),
)
