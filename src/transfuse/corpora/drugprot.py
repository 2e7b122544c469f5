"""DrugProt: chemicals and genes in abstracts of BioCreative VII."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="CC BY 4.0, MIT (this form)",
    citation=(
        "Miranda, Mehryary, Luoma, Pyysalo, Valencia, Krallinger: Overview of DrugProt BioCreative VII track, 2021"
    ),
)

CORPORA = (
    _published(
        name="drugprot",
        title="DrugProt, test only",
        labels=(
            "Chemical",
            "Gene",
        ),
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "test": Split(
                750,
                18339,
                {"DrugProt_Test.PubTator": "ade672c41c525c16d97e18b00356e07029e20cdae42cbb42e7072c2dd326e606"},
                "pubtator",
            ),
        },
        notes=("Only the test split could be had.",),
    ),
)
