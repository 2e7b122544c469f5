"""CRAFT as sentences: the 67 full-text articles of its first release."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 3.0 (corpus), CC BY 4.0 (conversion)",
    citation=(
        "Bada, Eckert, Evans, Garcia, Shipley, Sitnikov, Baumgartner, Cohen, Verspoor, Blake, Hunter: Concept "
        "annotation in the CRAFT corpus, BMC Bioinformatics 2012"
    ),
)

CORPORA = (
    _published(
        name="craft",
        title="CRAFT, six ontologies",
        labels=(
            "CHEBI",
            "CL",
            "GGP",
            "GO",
            "SO",
            "Taxon",
        ),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/CRAFT-IOB/",
        splits={
            "train": Split(
                10875, 29026, {"train.tsv": "3c49de4dba0a490459d2f7c8c0d1ae7659e2efeff8b1afec610226902f525979"}
            ),
            "dev": Split(3730, 9727, {"devel.tsv": "95960d9a2fe97e437ca864c3e4c3f2c77c29a3bf8d3483c5e52a7e1a0f46b4ce"}),
            "test": Split(
                7425, 18881, {"test.tsv": "f4d105baa2ad0db0aab6348ec9f90af00ce8175bc47282ddb5079d01d884b90c"}
            ),
        },
        notes=(
            "67 articles of the first release, all of which are in CRAFT v5.",
            "72.05 % of the mentions of the source are kept.",
            "Of overlapping mentions the shorter was kept.",
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
            ("71 test sentences stand in its own train (headings, captions); 801 train sentences are repeated."),
        ),
        canonical={"GO": "CellularComponent"},
    ),
    _published(
        name="craft-cc",
        title="CRAFT, cellular components only",
        labels=("GO",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/CRAFT-cc-IOB/",
        splits={
            "train": Split(
                10875, 2251, {"train.tsv": "d781fdaceb0938ccac5c2303fb0a6dc19c96f90fb46331882bca8866fbd0c53c"}
            ),
            "dev": Split(3730, 457, {"devel.tsv": "02c54aa52c1ed40a4d7c8746d588c262b7ac34f4debfc5351c782092c375bda1"}),
            "test": Split(7425, 1472, {"test.tsv": "77253536393d456ea5f0c19fbb4737f4b64d10faaa8c67cc5511b48d1a2b1339"}),
        },
        notes=(
            ("A variant of one type is not the joint file filtered: overlaps were resolved for each on its own."),
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
        canonical={"GO": "CellularComponent"},
    ),
    _published(
        name="craft-cell",
        title="CRAFT, cells only",
        labels=("CL",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/CRAFT-cell-IOB/",
        splits={
            "train": Split(
                10875, 2894, {"train.tsv": "9c30fb152552b03ed84d9e39fb256d2a9e79f81706268d83e2b574cb821d2634"}
            ),
            "dev": Split(3730, 832, {"devel.tsv": "d7bef14d255bc6ec3a69382ef566c900040875743c13602bc92971d3d937ef43"}),
            "test": Split(7425, 1769, {"test.tsv": "b72e50a0e4994ee7d4fe1b96d382052572cf6de293915064303334a85add29a1"}),
        },
        notes=(
            ("A variant of one type is not the joint file filtered: overlaps were resolved for each on its own."),
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="craft-chem",
        title="CRAFT, chemicals only",
        labels=("CHEBI",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/CRAFT-chem-IOB/",
        splits={
            "train": Split(
                10875, 3377, {"train.tsv": "b5f6d646d9abe1ae041b2124a7dd9a925cb704e0fb4ddb3d4f8339b36aa3ec13"}
            ),
            "dev": Split(3730, 1044, {"devel.tsv": "b2fd7d38a552d3ae9c8d7ab01348f7d77ed7b303885313a973c728eee6c77853"}),
            "test": Split(7425, 2381, {"test.tsv": "452ac0dc9fadaec94722012350ee3f9fdfb7cc5b943919721e2d3b1f308912d3"}),
        },
        notes=(
            ("A variant of one type is not the joint file filtered: overlaps were resolved for each on its own."),
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="craft-ggp",
        title="CRAFT, genes and gene products only",
        labels=("GGP",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/CRAFT-ggp-IOB/",
        splits={
            "train": Split(
                10875, 8531, {"train.tsv": "43957478a2af18cf6d7833fc65a8191d54fc70764fb2298832db62a30de0f94f"}
            ),
            "dev": Split(3730, 2301, {"devel.tsv": "1f13e2b4f2be5f4a414652aa98d062c27349de8d74240d9a2a73f3a76fb06d0d"}),
            "test": Split(7425, 5282, {"test.tsv": "f2b8b1cec54b15eb64abff17f16d696552ee46ae890095a0ccb8c854533df69d"}),
        },
        notes=(
            ("A variant of one type is not the joint file filtered: overlaps were resolved for each on its own."),
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="craft-species",
        title="CRAFT, taxa only",
        labels=("NCBITaxon",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/CRAFT-species-IOB/",
        splits={
            "train": Split(
                10875, 3361, {"train.tsv": "408b2057a88f6043720e731bc9a2ce322b86492793e4cb222203fa28b486c9ba"}
            ),
            "dev": Split(3730, 1548, {"devel.tsv": "f702529e903a1f2cb79c1ca2657ff7e8413e6a3278b34507c0f2afaac71a34b1"}),
            "test": Split(7425, 2485, {"test.tsv": "63f9164ccb91c842323788299d29d4fdad0a04e90063dd2a96d17850bbc39791"}),
        },
        notes=(
            ("A variant of one type is not the joint file filtered: overlaps were resolved for each on its own."),
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
)
