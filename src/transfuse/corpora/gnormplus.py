"""GNormPlus: genes, families and domains in 694 abstracts."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="public domain (US government), MIT (this form)",
    citation=(
        "Wei, Kao, Lu: GNormPlus: an integrative approach for tagging genes, gene families, and protein "
        "domains, BioMed Research International 2015"
    ),
)

CORPORA = (
    _published(
        name="gnormplus",
        title="GNormPlus",
        labels=(
            "DomainMotif",
            "FamilyName",
            "Gene",
        ),
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "train": Split(
                432,
                5792,
                {"GNormPlus_Train.PubTator": "06cf0e2176249b4c17cfda57178c549bb7e16254c4ebf055bfbf6fbb2a7bbb7f"},
                "pubtator",
            ),
            "test": Split(
                262,
                4849,
                {"GNormPlus_Test.PubTator": "3d9c230c50d8aa7ae968eaa5eb8108a4c0b885cf48fdea55cc445560c6755da9"},
                "pubtator",
            ),
        },
        notes=(
            "Published without a development split.",
            (
                "39 mention strings are not the text at their offsets: 3 documents count offsets in bytes (33 "
                "mentions, which are set right), 6 differ otherwise."
            ),
            "5,793 lines in train, one of which is there twice.",
        ),
    ),
)
