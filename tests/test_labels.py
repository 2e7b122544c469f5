"""Label maps: nothing changes its name, or goes, without being named and counted."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse.labels import CANONICAL, LabelMap, canonical
from transfuse.losses import Losses
from transfuse.text import ConfigError, Corpus, DataError, Document, Entity, LabelError

TEXT = "p53 and aspirin in mice"
MAP = LabelMap({"Protein": "Gene", "GGP": "Gene", "Species": "Species"}, drop=("Other",), mask=("FamilyName",))
DOCUMENT = Document(
    "1",
    TEXT,
    (
        Entity(0, 3, "Protein", 0.9),
        Entity(0, 3, "GGP"),
        Entity(8, 15, "Other"),
        Entity(8, 12, "FamilyName"),
        Entity(19, 23, "Species"),
    ),
    ((10, 14),),
)

LABELS = {
    "biomedical": "GENE Protein GGP Gene_or_gene_product protein NEWGENE NEWGENE1 PRGE Gene FamilyName DomainMotif PR "
    "Species Organism Taxon NCBITaxon LIVB organism species Chemical Simple_chemical CHEBI CHED chemical Amino_acid "
    "Disease DISO SpecificDisease DiseaseClass Modifier CompositeMention disease MONDO CellLine cell_line cellline "
    "CellType cell_type CL Cell SO GO GO_BP GO_CC GO_MF MOP UBERON DNA RNA HP ChromosomeLocation Complex "
    "Regulon-operon OTHER NonStandardRef Variant ProteinMutation DNAMutation OtherMutation SNP ProteinAllele "
    "AcidChange DNAAllele",
    "anatomy": "Anatomy Cancer Cell Multi-tissue_structure Organ Tissue Cellular_component Organism_substance "
    "Pathological_formation Organism_subdivision Immaterial_anatomical_entity Anatomical_system "
    "Developing_anatomical_structure",
    "general": "PER LOC ORG MISC person location creative-work product group corporation other geo-loc company "
    "facility musicartist sportsteam movie tvshow nr ns nt",
    "crossner": "task algorithm misc product field metrics organisation conference researcher university person "
    "location programlang country book writer award poem literarygenre magazine event album band musicalartist "
    "musicgenre song musicalinstrument politicalparty election politician scientist academicjournal "
    "astronomicalobject chemicalcompound protein enzyme discipline chemicalelement theory",
    "chinese": "PER.NAM PER.NOM ORG.NAM ORG.NOM GPE.NAM GPE.NOM LOC.NAM LOC.NOM NAME CONT RACE TITLE EDU ORG PRO LOC "
    "name position company address game organization government scene book movie "
    "disease body symptom treatment drug test crowd physiology time feature department "
    "疾病和诊断 解剖部位 手术 药物 症状 实验室检验 影像检查",
}


@pytest.mark.parametrize("group", LABELS)
def test_every_label_of_the_published_corpora_has_a_common_name(group: str) -> None:
    for label in LABELS[group].split():
        assert canonical(canonical(label)) == canonical(label)


def test_common_names_are_words_and_name_themselves() -> None:
    for name in set(CANONICAL.values()):
        assert canonical(name) == name
        assert name.isascii()
        assert name.isalpha()
        assert name[0].isupper()


def test_one_concept_has_one_name() -> None:
    assert {canonical(label) for label in ("GENE", "protein", "GGP", "Gene_or_gene_product", "PRGE", "NEWGENE1")} == {
        "Gene"
    }
    assert {canonical(label) for label in ("LIVB", "Organism", "Taxon", "NCBITaxon", "species")} == {"Species"}
    assert {canonical(label) for label in ("cellline", "Cell_Line", "cell line")} == {"CellLine"}
    assert canonical("Cell") == "CellType"
    assert canonical("PER.NAM") == canonical("nr") == "Person" != canonical("PER.NOM")


def test_a_label_without_a_common_name_is_named_with_the_nearest() -> None:
    with pytest.raises(LabelError, match="'Diseases'; did you mean Disease"):
        canonical("Diseases")
    with pytest.raises(LabelError, match=r"no common name for Zzz, Qqq$"):
        LabelMap.canonical(["Gene", "Zzz", "Qqq"])


def test_a_corpus_may_state_its_exceptions() -> None:
    given_map = LabelMap.canonical(["GO", "GGP", "Zzz"], {"GO": "CellularComponent", "Zzz": "Sleep"})
    assert dict(given_map.rename) == {"GO": "CellularComponent", "GGP": "Gene", "Zzz": "Sleep"}


def test_mentions_are_renamed_merged_dropped_and_masked_and_all_counted() -> None:
    counts: Counter[str] = Counter()
    (mapped,) = MAP.apply([DOCUMENT], counts=counts)
    assert mapped.entities == (Entity(0, 3, "Gene"), Entity(19, 23, "Species"))
    assert mapped.unknown == ((8, 12), (10, 14))
    assert mapped.text == TEXT
    assert mapped.id == "1"
    assert dict(counts) == {
        "altered: label Protein to Gene": 1,
        "altered: label GGP to Gene": 1,
        "joined: same span twice as Gene": 1,
        "dropped: label Other": 1,
        "altered: label FamilyName masked": 1,
    }
    losses = Losses()
    list(MAP.apply([DOCUMENT], counts=losses))
    assert losses.counts == dict(counts)
    assert {loss.document for loss in losses} == {"1"}


NAMES = ("Protein", "GGP", "Species", "Other", "FamilyName")


@given(st.sets(st.tuples(st.integers(0, 20), st.integers(1, 3), st.sampled_from(NAMES)), max_size=12))
def test_every_mention_is_somewhere(drawn: set[tuple[int, int, str]]) -> None:
    before = Document("1", TEXT, tuple(Entity(start, start + length, label) for start, length, label in drawn))
    counts: Counter[str] = Counter()
    (after,) = MAP.apply([before], counts=counts)
    number = Counter(entity.label for entity in before.entities)
    joined = sum(n for key, n in counts.items() if key.startswith("joined"))
    assert len(after.entities) == number["Protein"] + number["GGP"] + number["Species"] - joined
    assert counts["altered: label Protein to Gene"] == number["Protein"]
    assert counts["dropped: label Other"] == number["Other"]
    assert set(after.unknown) == {(e.start, e.end) for e in before.entities if e.label == "FamilyName"}
    spans = {(e.start, e.end) for e in before.entities if e.label in {"Protein", "GGP"}}
    assert {(e.start, e.end) for e in after.entities if e.label == "Gene"} == spans


def test_a_corpus_is_mapped_with_its_declared_labels() -> None:
    corpus = Corpus("tiny", {"train": (DOCUMENT,), "test": ()}, (*NAMES, "Protein"))
    counts: Counter[str] = Counter()
    mapped = MAP.apply_corpus(corpus, counts=counts)
    assert mapped.labels == ("Gene", "Species")
    assert set(mapped.splits) == {"train", "test"}
    assert counts.total() == 5
    assert corpus.train == (DOCUMENT,)


def test_labels_the_map_does_not_know_raise_and_are_named_with_their_place() -> None:
    stranger = Document("9", TEXT, (Entity(0, 3, "Bird"), Entity(4, 7, "Ape")))
    with pytest.raises(LabelError, match=r"^notes.txt, document 9: .* nothing about Ape, Bird; rename, keep"):
        list(MAP.apply([stranger], source="notes.txt"))
    with pytest.raises(LabelError, match=r"^corpus tiny: .* nothing about Bird; "):
        MAP.apply_corpus(Corpus("tiny", {}, ("Protein", "Bird")))


def test_a_map_streams() -> None:
    stream = MAP.apply(iter([DOCUMENT, Document("2", TEXT, (Entity(0, 1, "Bird"),))]))
    assert next(stream).id == "1"
    with pytest.raises(LabelError):
        next(stream)


def test_a_map_is_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        'keep = ["Species"]\ndrop = ["Other"]\nmask = ["FamilyName"]\n[rename]\nProtein = "Gene"\nGGP = "Gene"\n'
    )
    assert LabelMap.from_toml(path) == MAP


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ('renames = {}', ConfigError, "unknown key renames; there are rename, keep, drop and mask"),
        ('drop = "Gene"', ConfigError, "drop is a list of names"),
        ("mask = [1]", ConfigError, "mask is a list of names"),
        ("[rename]\nPER.NAM = 'Person'", ConfigError, "quote names with a dot"),
        ("[rename]\nA = ''", ConfigError, "a new name is empty"),
        ("drop = ['A']\nmask = ['A']", ConfigError, "A can only be one of"),
        ("keep = ['A']\n[rename]\nA = 'B'", ConfigError, "A can only be one of"),
        ("keep = ['A']\ndrop = ['A']", ConfigError, "A can only be one of"),
        ("drop = [\n\n'A'", DataError, r"map.toml:3: "),
        ("drop = ['\ud800']", DataError, "not UTF-8"),
    ],
)  # fmt: skip
def test_a_faulty_map_is_refused_in_one_line(
    tmp_path: Path, content: str, error: type[Exception], message: str
) -> None:
    path = tmp_path / "map.toml"
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(error, match=message) as caught:
        LabelMap.from_toml(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the label map: No such file"):
        LabelMap.from_toml(tmp_path / "none.toml")
