"""NLM-Chem: chemicals in full-text articles."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="public domain (US government), MIT (this form)",
    citation=(
        "Islamaj, Leaman, Kim, Kwon, Wei, Comeau, Peng, Cissel, Coss, Fisher, Guzman, Kochar, Koppel, Trinh, "
        "Sekiya, Ward, Whitman, Schmidt, Lu: NLM-Chem, a new resource for chemical entity recognition in "
        "PubMed full text literature, Scientific Data 2021"
    ),
)

CORPORA = (
    _published(
        name="nlm-chem",
        title="NLM-Chem, test only",
        labels=(
            "Chemical",
            "NonStandardRef",
            "OTHER",
        ),
        archive="en-aioner-pubtator",
        units="passages",
        folder="data/pubtator/",
        splits={
            "test": Split(
                3428,
                12411,
                {"NLMchem_Test.PubTator": "666a496fef53c6a409e11e207b79f05e90b6093d6837d03cd7559c636aac2b65"},
                "pubtator",
            ),
        },
        notes=(
            "Only the test split could be had.",
            (
                "Each passage is a document of its own: 50 articles in 3,428 passages; ids of one article are "
                "told apart by a suffix."
            ),
            "OTHER and NonStandardRef are no chemical names: drop them for chemical tagging.",
        ),
    ),
)
