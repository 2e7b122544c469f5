"""AnatEM: anatomical entities in abstracts and full-text extracts."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    citation="Pyysalo, Ananiadou: Anatomical entity mention recognition at literature scale, Bioinformatics 2014",
)

CORPORA = (
    _published(
        name="anatem",
        title="AnatEM, its twelve types merged into one",
        labels=("Anatomy",),
        licence="CC BY-SA 3.0 (corpus), CC BY 4.0 (conversion)",
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/AnatEM-IOB/",
        splits={
            "train": Split(
                5861, 6946, {"train.tsv": "bd4235e9673f7c67667c1eb321903a51544a94cf481ba265b527b3104d6ba806"}
            ),
            "dev": Split(2118, 2139, {"devel.tsv": "0758bb2f26ec12fc717c1054b64ea00a40c7aae26b21a7541b86fbfba66119ec"}),
            "test": Split(3830, 4616, {"test.tsv": "a3d6555f6f5b7809fc014bee975be0db93c012d770ab60c190cf37d589e97fc9"}),
        },
        notes=(
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
            "53.5 % of the test sentences stand in BioNLP13CG; 8 stand in its own train.",
        ),
    ),
    _published(
        name="anatem-types",
        title="AnatEM, twelve types, as documents",
        labels=(
            "Anatomical_system",
            "Cancer",
            "Cell",
            "Cellular_component",
            "Developing_anatomical_structure",
            "Immaterial_anatomical_entity",
            "Multi-tissue_structure",
            "Organ",
            "Organism_subdivision",
            "Organism_substance",
            "Pathological_formation",
            "Tissue",
        ),
        licence="CC BY-SA 3.0",
        archive="en-anatem-anem",
        folder="original-data/standoff/",
        splits={
            "train": Split(
                606, 6946, {"train/": "daf91b678e111dc5182b67f0cfeadb641e4641ae2d4ba7aa0bdda89c2e9f64cf"}, "brat"
            ),
            "dev": Split(
                202, 2139, {"devel/": "2b7f01072c131c99bdbaf8cacd82a709492d437c522100f076378c909fccd82d"}, "brat"
            ),
            "test": Split(
                404, 4616, {"test/": "1247e4c4e3fdf5d11bf83444441f753539ef3e436c7f04be5b2e5bd81f829f4b"}, "brat"
            ),
        },
        notes=("Holds AnEM: 1,683 of the 1,685 AnEM test sentences are in this test.",),
    ),
)
