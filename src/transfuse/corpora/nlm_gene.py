"""NLM-Gene: genes in 550 abstracts."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="public domain (US government), MIT (this form)",
    citation=(
        "Islamaj, Wei, Cissel, Miliaras, Printseva, Rodionov, Sekiya, Ward, Lu: NLM-Gene, a richly annotated "
        "gold standard dataset for gene entities, Journal of Biomedical Informatics 2021"
    ),
)

CORPORA = (
    _published(
        name="nlm-gene",
        title="NLM-Gene",
        labels=(
            "Cell",
            "ChromosomeLocation",
            "DomainMotif",
            "FamilyName",
            "Gene",
        ),
        archive="en-aioner-pubtator",
        folder="data/pubtator/",
        splits={
            "train": Split(
                450,
                13797,
                {"NLMgene_Train.PubTator": "ae941181723d011dd35c085c9c0539b571b5f7b183f0c88edfec9af66862de81"},
                "pubtator",
            ),
            "test": Split(
                100,
                3053,
                {"NLMgene_Test.PubTator": "3f633d0090bbdc231f4299637632beda0fa93cc1efdeedb2d07c54411334093a"},
                "pubtator",
            ),
        },
        notes=(
            "Published without a development split.",
            "Cell and ChromosomeLocation are no gene names: drop them for gene tagging.",
            "22 of the 100 test documents are in BioRED train.",
            "11 mention strings are not the text at their offsets.",
        ),
    ),
)
