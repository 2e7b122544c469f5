"""BC5CDR: chemicals and diseases in 1,500 abstracts of BioCreative V."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 4.0 (conversion)",
    citation=(
        "Li, Sun, Johnson, Sciaky, Wei, Leaman, Davis, Mattingly, Wiegers, Lu: BioCreative V CDR task corpus, "
        "Database 2016"
    ),
)

CORPORA = (
    _published(
        name="bc5cdr",
        title="BC5CDR, chemicals and diseases",
        labels=(
            "Chemical",
            "Disease",
        ),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BC5CDR-IOB/",
        splits={
            "train": Split(
                4560, 9385, {"train.tsv": "b731361c0ed73afd04cc5fdad39afcdfd8f325d6e46c282339185a91d1af4c14"}
            ),
            "dev": Split(4581, 9593, {"devel.tsv": "b909de65c4f7e3c23bb09ad52d654cdc92e96db941abe1a5dcf6f6010c03cff5"}),
            "test": Split(4797, 9809, {"test.tsv": "e41a2843a5fff0cd8d1a88cb147968d61ae29336ca70cddc3d7fb8ff21dfa1e8"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
            "Two mentions more than the 28,785 published: they were split.",
            "794 test sentences stand in BioRED train.",
        ),
    ),
    _published(
        name="bc5cdr-chem",
        title="BC5CDR, chemicals only",
        labels=("Chemical",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BC5CDR-chem-IOB/",
        splits={
            "train": Split(
                4560, 5203, {"train.tsv": "165c4cd2efadd0caf1bb8f3c6bcd3acca199446bb3d55eb06d9137114c9a0b2d"}
            ),
            "dev": Split(4581, 5347, {"devel.tsv": "3f1df5cfcff95735663ffc37121fd3687e82b1e9a019bec0480491502652721b"}),
            "test": Split(4797, 5385, {"test.tsv": "6fce42139a9d819151eff3ab8cb0eda6fbf861fd17d4cfe6be2123f010a3b6c5"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="bc5cdr-disease",
        title="BC5CDR, diseases only",
        labels=("Disease",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BC5CDR-disease-IOB/",
        splits={
            "train": Split(
                4560, 4182, {"train.tsv": "d630dafe7dd67e21350cc3278dbdcfadcccbb2b63d0fda83b2427853988e5ad9"}
            ),
            "dev": Split(4581, 4246, {"devel.tsv": "8c3af95475029c2100c2b7c0108b2715bc700ac198c7a21d587f11f1d06b17bd"}),
            "test": Split(4797, 4424, {"test.tsv": "a530bf9e17a4122b101b09cedd5f3cf8e6307d6a0093146c33b8de2e69ec0fa3"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
        ),
    ),
    _published(
        name="bc5cdr-pubtator",
        title="BC5CDR as documents; train and development in one",
        labels=(
            "Chemical",
            "Disease",
        ),
        licence="public domain (US government), MIT (this form)",
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "train": Split(
                1000,
                18974,
                {"BC5CDR_TrainDev.PubTator": "6e548098709c1e42a98645e20b42c00771772151791a3a3098e8255d0db0beaa"},
                "pubtator",
            ),
            "test": Split(
                500,
                9796,
                {"BC5CDR_Test.PubTator": "d4dca7c46d60fcd66a7c61bf45b398ffcecfcdf3332c0626ab1cf41fa9a25b31"},
                "pubtator",
            ),
        },
        notes=(
            "The official train and development splits are one file here: there is no development split.",
            "69 of the 500 test documents are in BioRED train.",
            "28,785 mentions were published, 18,974 and 9,796 lines are in the files.",
        ),
    ),
    _published(
        name="gb-cdr-chem",
        tested_on=("bc5cdr",),
        title="BC5CDR, chemicals, in the split of Giorgi & Bader 2018",
        labels=("CHED",),
        licence="redistributable, as its authors state",
        archive="en-giorgi-bader-2018",
        folder="CDR_CHED/",
        splits={
            "train": Split(
                900, 9357, {"train/": "24b704402af8f1d1451ebe03c2f851fbd7daa849de25556f8a692eb66e0d2714"}, "brat"
            ),
            "dev": Split(
                151, 1799, {"valid/": "53fa8358c63a17754ea803b7bbbec827ccd56839d1f853dd0b274c5757f6bf0c"}, "brat"
            ),
            "test": Split(
                449, 4759, {"test/": "e6d1fa8e0fcfac4fb5c6da7195bab66091685e9a458564a7552be9fba4048466"}, "brat"
            ),
        },
        notes=(
            ("The splits are the authors' own draw of 60, 10 and 30 %, not the official ones: never mix the two."),
            "15,935 mentions in the source, 15,915 in these files.",
        ),
    ),
    _published(
        name="gb-cdr-disease",
        tested_on=("bc5cdr",),
        title="BC5CDR, diseases, in the split of Giorgi & Bader 2018",
        labels=("DISO",),
        licence="redistributable, as its authors state",
        archive="en-giorgi-bader-2018",
        folder="CDR_DISO/",
        splits={
            "train": Split(
                900, 7527, {"train/": "4678c37cd5e990f3218c60c7a547f2e542e83ab3f6c001f78aa9f66df413e2e9"}, "brat"
            ),
            "dev": Split(
                150, 1179, {"valid/": "6485b3a0e81e4e3101a76b7e8e6625940dc1eaf8f23356530a206b7f1a1a4643"}, "brat"
            ),
            "test": Split(
                450, 3911, {"test/": "7246466f6600c4c0c25b30233d08c7401a46a27c37b66378e13e6b1ba54f73b7"}, "brat"
            ),
        },
        notes=(
            ("The splits are the authors' own draw of 60, 10 and 30 %, not the official ones: never mix the two."),
            "12,850 mentions in the source, 12,617 in these files.",
            "111 of the 450 test documents belong to the official train or development split.",
        ),
    ),
)
