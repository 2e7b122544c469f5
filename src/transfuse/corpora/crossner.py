"""CrossNER: five domains of Wikipedia with few training sentences."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="MIT",
    citation=(
        "Liu, Xu, Yu, Dai, Ji, Cahyawijaya, Madotto, Fung: CrossNER: evaluating cross-domain named entity "
        "recognition, AAAI 2021"
    ),
)

CORPORA = (
    _published(
        name="crossner-ai",
        title="CrossNER, artificial intelligence",
        labels=(
            "algorithm",
            "conference",
            "country",
            "field",
            "location",
            "metrics",
            "misc",
            "organisation",
            "person",
            "product",
            "programlang",
            "researcher",
            "task",
            "university",
        ),
        archive="en-general",
        units="sentences",
        folder="CrossNER/ner_data/ai/",
        splits={
            "train": Split(100, 532, {"train.txt": "484217a660f52927bd5157507c22fc103b36306364329f62f80fc8acb897b187"}),
            "dev": Split(350, 1549, {"dev.txt": "b47ffda6de5901a454a873feac1bebe782e54ce7edf9deb729cab3d769212eee"}),
            "test": Split(431, 1809, {"test.txt": "7595ad386e0a98067100fe47f86811b38867a236011fee97cfaa90f778c37bcf"}),
        },
    ),
    _published(
        name="crossner-literature",
        title="CrossNER, literature",
        labels=(
            "award",
            "book",
            "country",
            "event",
            "literarygenre",
            "location",
            "magazine",
            "misc",
            "organisation",
            "person",
            "poem",
            "writer",
        ),
        archive="en-general",
        units="sentences",
        folder="CrossNER/ner_data/literature/",
        splits={
            "train": Split(100, 541, {"train.txt": "0647e403a85040742c2f4041cf002146a81aa2e13adda19d0e82a8bcd493c18b"}),
            "dev": Split(400, 2130, {"dev.txt": "99281a51943cf7e3c2a58b3dc45c0e5ab6d329624ebf2ba6b4801c428396162f"}),
            "test": Split(416, 2266, {"test.txt": "77267f8b3e8afe993865c64cfc605f65671f6a0ac9cba65de970f12180fed20e"}),
        },
    ),
    _published(
        name="crossner-music",
        title="CrossNER, music",
        labels=(
            "album",
            "award",
            "band",
            "country",
            "event",
            "location",
            "misc",
            "musicalartist",
            "musicalinstrument",
            "musicgenre",
            "organisation",
            "person",
            "song",
        ),
        archive="en-general",
        units="sentences",
        folder="CrossNER/ner_data/music/",
        splits={
            "train": Split(100, 648, {"train.txt": "3774c38e0ebbeb4b98dbfae137071e4911e8764cdb7f247599009841f68d9fb5"}),
            "dev": Split(380, 2679, {"dev.txt": "e256f1949df52a61a3bb60095a0f41c1060843f1014b0f3d22d8371611b72e78"}),
            "test": Split(465, 3336, {"test.txt": "c66e345f959ac65593f76c6b1bd8c6d75f2a6f0bc197389b2e6700d101fd094c"}),
        },
    ),
    _published(
        name="crossner-politics",
        title="CrossNER, politics",
        labels=(
            "country",
            "election",
            "event",
            "location",
            "misc",
            "organisation",
            "person",
            "politicalparty",
            "politician",
        ),
        archive="en-general",
        units="sentences",
        folder="CrossNER/ner_data/politics/",
        splits={
            "train": Split(
                200, 1304, {"train.txt": "1d8be31abb58463349496fe21b13d70114cf015294a9ff9cce77af9b83e8aa84"}
            ),
            "dev": Split(541, 3482, {"dev.txt": "4f1f30eb832f4c5fe474f67ca45e875d863bddf0bbe432262d272ef13639fa8f"}),
            "test": Split(651, 4209, {"test.txt": "05cadc5e129d394f7f92b4a052cf4b6ea4c60878d32a833e500cf046c297455f"}),
        },
    ),
    _published(
        name="crossner-science",
        title="CrossNER, science",
        labels=(
            "academicjournal",
            "astronomicalobject",
            "award",
            "chemicalcompound",
            "chemicalelement",
            "country",
            "discipline",
            "enzyme",
            "event",
            "location",
            "misc",
            "organisation",
            "person",
            "protein",
            "scientist",
            "theory",
            "university",
        ),
        archive="en-general",
        units="sentences",
        folder="CrossNER/ner_data/science/",
        splits={
            "train": Split(
                200, 1075, {"train.txt": "8f6a26096cc7be6790b5790bf5f5b5c8928d8b73d4632e7d45dc8bffad0504ac"}
            ),
            "dev": Split(450, 2538, {"dev.txt": "87ec141c7b41b3b52ec861737c4030d65c6e53954ed3d8106baca8603bbf8f24"}),
            "test": Split(543, 3089, {"test.txt": "3616d59d4d2b9dbf4c1126f8d8ba47ff97886223c95f93649bfd527343e64ced"}),
        },
    ),
)
