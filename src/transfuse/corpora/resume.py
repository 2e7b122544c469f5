"""Resume NER: Chinese résumés."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="zh",
    archive="zh-resume",
    licence="unstated",
    units="sentences",
    citation="Zhang, Yang: Chinese NER using lattice LSTM, ACL 2018",
)

CORPORA = (
    _published(
        name="resume",
        title="Resume NER",
        labels=(
            "CONT",
            "EDU",
            "LOC",
            "NAME",
            "ORG",
            "PRO",
            "RACE",
            "TITLE",
        ),
        folder="ResumeNER/",
        splits={
            "train": Split(
                3821,
                13440,
                {"train.char.bmes": "93b9bb0be5dd4730121587f9dc1378de3fbbe55cba1c575edec271f822c27be7"},
                'conll[scheme=BMES,separator=blank,joiner="none"]',
            ),
            "dev": Split(
                463,
                1497,
                {"dev.char.bmes": "1b0d67153e6e8543e9444936ed1b107bd843078c282533898085e1a9aa293952"},
                'conll[scheme=BMES,separator=blank,joiner="none"]',
            ),
            "test": Split(
                477,
                1630,
                {"test.char.bmes": "c4a9f42622819a4b59f66e184d446ebfa89b2f1dbba06e11d70675e59fe7e79b"},
                'conll[scheme=BMES,separator=blank,joiner="none"]',
            ),
        },
        notes=("Four mentions with illegal tags (two of them M-ORG after O) are repaired.",),
    ),
)
