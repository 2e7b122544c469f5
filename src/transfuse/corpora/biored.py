"""BioRED: six types in 600 abstracts."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="public domain (US government), MIT (this form)",
    citation=(
        "Luo, Lai, Wei, Arighi, Lu: BioRED: a rich biomedical relation extraction dataset, Briefings in "
        "Bioinformatics 2022"
    ),
)

CORPORA = (
    _published(
        name="biored",
        tested_on=("bc5cdr", "ncbi-disease"),
        title="BioRED; train and development in one",
        labels=(
            "CellLine",
            "Chemical",
            "Disease",
            "Gene",
            "Species",
            "Variant",
        ),
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "train": Split(
                500,
                16884,
                {"BioRED_TrainDev.PubTator": "c509b83786ff7a82119d3bce6e28b7508b76decb99c6cad45d6d3dde656138b0"},
                "pubtator",
            ),
            "test": Split(
                100,
                3535,
                {"BioRED_Test.PubTator": "a32f5a56ab7fdf66a435da69660440251ca2dacc288276abcc3d25f9f1c10ea0"},
                "pubtator",
            ),
        },
        notes=(
            "The official train and development splits are one file here: there is no development split.",
            (
                "Of the 100 test documents 24 are in tmVar3 train, 21 in BC5CDR train, 21 in NLM-Gene train, "
                "5 in GNormPlus train."
            ),
        ),
    ),
    _published(
        name="biored-conll",
        title="BioRED as tokens; train and development in one, no test",
        labels=("CellLine", "Chemical", "Disease", "Gene", "Species", "Variant"),
        archive="en-aioner-pubtator",
        units="sentences",
        folder="data/conll/",
        splits={
            "train": Split(
                5488,
                16856,
                {"BioRED_TrainDev-ALL.conll": "8e6360ba67ff1cce3cf96f3a4eee5067e8b15bce0472a3399eb499617a07496a"},
                "conll[scheme=BIO,separator=tab,pseudo=true,joiner=blank]",
            ),
        },
        notes=(
            "28 of the 16,884 mentions did not survive the conversion to tokens.",
            "Train only.",
            "The tokens <ALL> and </ALL> around every sentence are no text and are left out.",
        ),
    ),
)
