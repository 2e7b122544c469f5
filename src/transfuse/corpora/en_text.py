"""English biomedical texts without annotation, for word vectors and pre-training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from transfuse.published import Raw
from transfuse.text import Document

__all__ = ["TEXTS"]


def _read(path: Path) -> Iterator[Document]:
    """One document a line; its identifier stands in the same line of another file, and may come back."""
    times: Counter[str] = Counter()
    listed = path.with_suffix(".ids.tsv")
    with path.open(encoding="utf-8", newline="\n") as texts, listed.open(encoding="utf-8", newline="\n") as rows:
        for text, row in zip(texts, rows, strict=True):
            name = row.split("\t")[0]
            times[name] += 1
            yield Document(name if times[name] == 1 else f"{name}#{times[name]}", text.rstrip("\n"))


_OPEN = {
    "open/plos-starter": (
        "f8ef643c144a7c0059db9416ced5cee586a38368d94b6712e88e0d779acc4749",
        "84d60475bf9d8a9561029ba6aacd8c93486f43b8d7b2c4c9a1555bbf1fac1c0d",
    ),
    "open/evidence-inference": (
        "65c5ff4103aaebb8eed1619b91371aad0d32e8be942322afa4647c527623d19a",
        "15bc6e1a3b9aa0e0ac6d128823d31616b30a0f38fbab93873e55164ad65b3c4b",
    ),
    "open/crops-pmc": (
        "bc1e55c7cc5bfc12f95da7a0bed8a9d323308f76dfde0c599cf8709877095ef7",
        "70defd07b036f0f689b4ab188c92453b62e98cb66b709eb0f71aa3571869f049",
    ),
    "open/functional-genomics": (
        "491803f847a63be446b622672b8ecaec2d096425ac75e39033b8eca216c26596",
        "a4b8c3803aefcbcc9ffe5061f0850eb08430af9f6498d6e6bb8996bdf25b4a6d",
    ),
    "open/hallmarks-of-cancer": (
        "2cda4576fb78fc0f1f5bdb8a02bb37e0898090f2f4c407477fe364e9f43c1c29",
        "bf122ff88349e51cf6382e400a8815e929a3cb6ebfe54baf6ec1c7e2ed7a9cd8",
    ),
    "open/chemical-exposure": (
        "42f1e24237012ad616d76d0e6635dd2dfa07a6075947c7c1c254ff4a04d605e0",
        "7740299607f35f5fffe5961794946cab539138161a3ec78d4dea498f0198c762",
    ),
    "open/depression-models": (
        "fe2e13ccd9bea1eaf72a28f53ecb7682c1ac47bd8e1ca60af57d5c4961de1f44",
        "542c5cd308d27e3e09921b20f0148ab4d1bfdaa507789b21f31fd99a6f6ed23c",
    ),
    "open/protein-residue": (
        "1624dd0b4998782976b5f28d1208096cc13dd6fb6bc0fdfbdf2afe87d967f6b3",
        "f4acdb4c0a0feafcbc08b4f92c167e82f9ac34eda72f4c9c6f76e8ec2551f5b7",
    ),
    "open/medical-abstracts-test": (
        "1bca0987dd397638fbc3cb0083de3064046518b7201526f9b831f75338c2218e",
        "3bdf9acb17a3f2ece895267b48668c29e6271d773a42d41bae9e7c9f5ac8f95a",
    ),
    "open/medquad": (
        "74b1c82acc5f445e948e61751ffa480509eb3e7a5afcd5e8d876e6f342dfa8f8",
        "2edba57aff28a9e0835b2351b18a283346ea47aca1b00756fc4b875268d51046",
    ),
}
_UNSTATED = {
    "unstated/drug-class-reviews": (
        "e878fa257bb66edd33344fe22672d8a2a65ffac0fabd4b54af3b41f3530ec295",
        "3bbe7b86386f69cf8aecf8a922b58f59b3b4286120d854e1a613f016b535b2a9",
    ),
    "unstated/ohsumed": (
        "24209b4bf9e0e896a3faa2a6ca59b014b2dd798504b396f0b149b3e74feb0c0f",
        "86503ae7977d50e5b5026bc4ae6cb93259628d235f586549048dce31c22ac414",
    ),
    "unstated/case-reports": (
        "cff92dd0909d4ef33dd6dc3c0ad9332692d099ba41a67f796dfc1a68d1098551",
        "a2f001af2f2a0bbf5421b332bbd91be9132cd9a88659f770c15110d88df691da",
    ),
}


def _files(origins: dict[str, tuple[str, str]]) -> dict[str, str]:
    texts = {f"{origin}.txt": digest for origin, (digest, _) in origins.items()}
    return texts | {f"{origin}.ids.tsv": digest for origin, (_, digest) in origins.items()}


_raw: Callable[..., Raw] = partial(
    Raw,
    language="en",
    citation="thirteen origins; the identifiers of the documents lead to their authors",
    archive="en-text",
    reader=_read,
    pattern="*.txt",
    notes=(
        "A document is an abstract with its title, a section of an article, a question with its answer, or a case.",
        (
            "No line holds a test sentence (8 tokens or more) of NCBI disease, BC5CDR, BC2GM, JNLPBA, LINNAEUS, CRAFT, "
            "AnatEM, the six BioNLP corpora or Ex-PTM; other test sets, as those of Giorgi & Bader, may be in it."
        ),
        "hallmarks-of-cancer and chemical-exposure are tokenised, the rest is not.",
        "The archive holds extracted text, not the original files: it cannot be downloaded elsewhere.",
    ),
)

TEXTS = (
    _raw(
        name="en-text",
        title="English biomedical texts: articles, abstracts, questions, cases",
        licence="CC BY, CC0, GPL-3, MIT, CC BY-SA 3.0 or unstated, by origin",
        files=_files(_OPEN | _UNSTATED),
        documents=68532,
    ),
    _raw(
        name="en-text-open",
        title="English biomedical texts, only those with a licence to pass them on",
        licence="CC BY, CC0, GPL-3, MIT or CC BY-SA 3.0, by origin",
        files=_files(_OPEN),
        documents=46708,
    ),
)
