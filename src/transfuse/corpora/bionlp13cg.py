"""BioNLP13CG: cancer genetics, sixteen types."""

from __future__ import annotations

from functools import partial

from transfuse.published import Published, Split

__all__ = ["CORPORA"]

_published = partial(
    Published,
    language="en",
    licence="Creative Commons (see the LICENSE beside the data), CC BY 4.0 (conversion)",
    citation="Pyysalo, Ohta, Ananiadou: Overview of the cancer genetics (CG) task of BioNLP shared task 2013",
)

CORPORA = (
    _published(
        name="bionlp13cg",
        title="BioNLP 2013 shared task, cancer genetics, sixteen types",
        labels=(
            "Amino_acid",
            "Anatomical_system",
            "Cancer",
            "Cell",
            "Cellular_component",
            "Developing_anatomical_structure",
            "Gene_or_gene_product",
            "Immaterial_anatomical_entity",
            "Multi-tissue_structure",
            "Organ",
            "Organism",
            "Organism_subdivision",
            "Organism_substance",
            "Pathological_formation",
            "Simple_chemical",
            "Tissue",
        ),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13CG-IOB/",
        splits={
            "train": Split(
                3033, 10826, {"train.tsv": "016ee311428431433c46ceeebeba5fce9c3da9bfd05fafcc484e57a736ea91e7"}
            ),
            "dev": Split(1003, 3616, {"devel.tsv": "6c834f3a16ed080940e7e12d831ca8f79458d08db5d6f0c1fdbfe85c3c7a072c"}),
            "test": Split(1906, 6881, {"test.tsv": "9ee374ba1b93af177ba3d39dfda4c7e1602bd703d8011bae46a34f3d719cd338"}),
        },
        notes=(
            "99.07 % of the mentions of the source are kept.",
            "Of overlapping mentions the shorter was kept.",
            (
                "Sentences without document boundaries: documents cannot be told apart, and a drawn share may "
                "split an article."
            ),
            "Characters outside ASCII were mapped to ASCII, so offsets do not fit the PubMed text.",
            "All test sentences stand in AnatEM (in its test, the splits are aligned).",
        ),
    ),
    _published(
        name="bionlp13cg-cc",
        title="BioNLP 2013 shared task, cancer genetics, cellular components only",
        labels=("Cellular_component",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13CG-cc-IOB/",
        splits={
            "train": Split(
                3033, 294, {"train.tsv": "2751018339c78b3e78e95f99042415d9a9e2b72d50d60be5dfc5a877ec6029be"}
            ),
            "dev": Split(1003, 95, {"devel.tsv": "e8fb22259d2960f17e7b7aeb2b576a9dd5161817715ff674ca7e67d2ba39e6ff"}),
            "test": Split(1906, 180, {"test.tsv": "4d9694d1f75be10a5987c352b943af5cefe5593fddf83f0586b44db56dd07f5d"}),
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
        name="bionlp13cg-cell",
        title="BioNLP 2013 shared task, cancer genetics, cells only",
        labels=("Cell",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13CG-cell-IOB/",
        splits={
            "train": Split(
                3033, 1939, {"train.tsv": "622b6f6d177d5ee44924d3d3b54b444cd21e863c1c261f0f6c1a272fa1678d01"}
            ),
            "dev": Split(1003, 540, {"devel.tsv": "6611f43ad4680e6b29a3097b451cf53f5a5c63addb66ac7b9ce1ebd8bf57f738"}),
            "test": Split(1906, 1013, {"test.tsv": "88c40be1314fd801a7413b779c0c00758cd08d60f27357fecb73afaf0a1e2f0c"}),
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
        name="bionlp13cg-chem",
        title="BioNLP 2013 shared task, cancer genetics, chemicals only",
        labels=("Simple_chemical",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13CG-chem-IOB/",
        splits={
            "train": Split(
                3033, 1097, {"train.tsv": "efc0513f346e46dc8699bf87ed69ed21acac350d323d655b9e7ed67428d3b8c5"}
            ),
            "dev": Split(1003, 446, {"devel.tsv": "2d7c6ad64d6ad1102d97afc0ded1939c66d22e2aca61ef7a12553edc1d9a5a7b"}),
            "test": Split(1906, 727, {"test.tsv": "45df8f868329fd504fc29f1aff5bce7be60382d8be21539d8f2264b22f395007"}),
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
        name="bionlp13cg-ggp",
        title="BioNLP 2013 shared task, cancer genetics, genes and gene products only",
        labels=("Gene_or_gene_product",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13CG-ggp-IOB/",
        splits={
            "train": Split(
                3033, 4028, {"train.tsv": "eae03b77052f057aec0bb9d5f5eff60584ac008d1743d2ffac5a5a6114425b8c"}
            ),
            "dev": Split(1003, 1360, {"devel.tsv": "97f59ef34444fe40eea3efde6637dc3b3bfe53232a51ae50dab0be373897b102"}),
            "test": Split(1906, 2520, {"test.tsv": "44489463c00ff75a2f3868ba4c9950b8a1ad13c8e9524d968a0e50dda93669e4"}),
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
        name="bionlp13cg-species",
        title="BioNLP 2013 shared task, cancer genetics, organisms only",
        labels=("Organism",),
        archive="en-mtl-bioinformatics-2016",
        units="sentences",
        folder="data/BioNLP13CG-species-IOB/",
        splits={
            "train": Split(
                3033, 901, {"train.tsv": "848fe7fd814eda8df96481151e3aba7a994d8a1a5a8a6368f0618fa8bfed5ebb"}
            ),
            "dev": Split(1003, 296, {"devel.tsv": "3b909b9fda5896ceea3f2a847efcee608faf02fe31c3c4d3aa7b0558b4ea97c2"}),
            "test": Split(1906, 518, {"test.tsv": "fc051ee7ae9e1a77ce74a6c9c029a2e1023d3fb8c5145d5c003ab8e4498633ef"}),
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
