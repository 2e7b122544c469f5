"""What every registered corpus promises, and the readers of forms that only one corpus has, on invented text."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse import corpora
from transfuse.losses import Losses
from transfuse.mirror import ORIGINS
from transfuse.published import Published, Split, hold_out
from transfuse.text import SPLITS, ConfigError, Corpus, Document, Entity

SPECIAL = {
    name: published.splits[next(iter(published.splits))].format
    for name in corpora.names()
    if callable((published := corpora.info(name)).splits[next(iter(published.splits))].format)
}


def read(name: str, paths: Sequence[Path], losses: Losses | None = None, split: str | None = None) -> list[Document]:
    reader = corpora.info(name).splits[split].format if split else SPECIAL[name]
    assert callable(reader)
    return list(reader(paths, losses if losses is not None else Losses()))


def written(folder: Path, content: str, name: str = "file") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8", newline="")
    return path


def mentions(document: Document) -> list[tuple[str, str]]:
    return [(document.mention(entity), entity.label) for entity in document.entities]


class TestRegistry:
    def test_holds_the_names_that_the_papers_ask_for(self) -> None:
        wanted = "ncbi-disease bc5cdr-disease bc5cdr-chem bc2gm linnaeus jnlpba biored weibo cehrner gb-cdr-disease"
        assert set(wanted.split()) <= set(corpora.names())

    @pytest.mark.parametrize("name", corpora.names())
    def test_facts_are_complete(self, name: str) -> None:
        published = corpora.info(name)
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
        assert published.title and published.licence and published.citation and published.units
        assert published.language in {"en", "zh"}
        assert published.archive in ORIGINS and published.origin
        assert set(published.splits) <= set(SPLITS) and published.splits
        assert not published.folder or published.folder.endswith("/")
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in published.sha256.values())
        assert all(split.documents > 0 and split.entities > 0 for split in published.splits.values())
        assert len(set(published.labels)) == len(published.labels)
        assert all(note.endswith(".") for note in published.notes)
        if "train" in published.splits and "dev" not in published.splits:
            assert re.search("development split|in train, since|one train split|Train only", " ".join(published.notes))

    @pytest.mark.parametrize("name", corpora.names())
    def test_every_label_has_a_common_name(self, name: str) -> None:
        published = corpora.info(name)
        assert set(published.common.rename) == set(published.labels)

    def test_texts_are_complete(self) -> None:
        for name in corpora.raw_names():
            facts = corpora.raw_info(name)
            assert facts.licence and facts.citation and facts.archive in ORIGINS and facts.documents > 0
            assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in facts.files.values())

    def test_an_unknown_name_is_told_with_its_neighbours(self) -> None:
        with pytest.raises(ConfigError, match="did you mean ncbi-disease"):
            corpora.load("ncbi-diseases")
        with pytest.raises(ConfigError, match="transfuse corpora list"):
            corpora.info("zzzzz")
        with pytest.raises(ConfigError, match="did you mean"):
            corpora.raw("en-texts")

    def test_only_origins_that_a_corpus_uses_are_named(self) -> None:
        assert corpora.info("wnut17").origin == ("https://github.com/leondz/emerging_entities_17",)
        assert corpora.info("msra-words").origin == ("https://github.com/InsaneLife/ChineseNLPCorpus",)


class TestReaders:
    def test_bc2gm_counts_characters_without_blanks(self, tmp_path: Path) -> None:
        texts = written(tmp_path, "S1 The ab c kinase  and Xyz.\nS2 Nothing here\n")
        spans = written(tmp_path, "S1|3 11|ab c kinase\nS1|15 17|Xyz\n", "spans")
        losses = Losses()
        first, second = read("bc2gm-original", [texts, spans], losses)
        assert mentions(first) == [("ab c kinase", "GENE"), ("Xyz", "GENE")]
        assert (first.id, second.id, second.entities, len(losses)) == ("S1", "S2", (), 0)

    def test_genetag_counts_words_and_keeps_slashes(self, tmp_path: Path) -> None:
        texts = written(tmp_path, "@@7 the/TAG A/B/TAG gene/TAG and/TAG C/TAG\n")
        gold = written(tmp_path, "@@7|1 2|A/B gene\n@@7|4 4C\n", "gold")
        losses = Losses()
        (document,) = read("genetag", [texts, gold], losses)
        assert document.text == "the A/B gene and C"
        assert (mentions(document), len(losses)) == ([("A/B gene", "GENE"), ("C", "GENE")], 0)

    def test_bern_meets_its_texts(self, tmp_path: Path) -> None:
        texts = written(tmp_path, "0|t|Gene abc\n0|a|helps.\n\n1|t|Nothing\n1|a|here\n\n")
        marks = written(tmp_path, "0\t5\t8\tabc\tgene\tX:1\n\n", "marks")
        first, second = read("tmvar3-bern", [texts, marks])
        assert mentions(first) == [("abc", "gene")]
        assert (second.id, second.entities) == ("1", ())

    def test_craft_reads_both_forms_and_pieces(self, tmp_path: Path) -> None:
        listed = written(tmp_path, "11\n", "ids.txt")
        written(tmp_path, "naïve cells\nand big old mice", "txt/11.txt")
        old = (
            '<annotations><annotation><mention id="a"/><span start="6" end="11"/></annotation>'
            '<annotation><mention id="b"/><span start="16" end="19"/><span start="24" end="28"/></annotation>'
            "</annotations>"
        )
        new = (
            '<p><document><annotation><class id="x"/><span start="20" end="20"/></annotation>'
            '<annotation><class id="y"/><span end="28" start="24">mice</span></annotation></document></p>'
        )
        names = corpora.info("craft-v5").labels
        for label in names:
            written(tmp_path, new if label == "MONDO" else old if label == "CL" else "<a/>", f"{label}/11.txt.xml")
        losses = Losses()
        (document,) = read(
            "craft-v5", [listed, tmp_path / "txt", *(tmp_path / label for label in names)], losses, "train"
        )
        assert mentions(document) == [("cells", "CL"), ("big old mice", "CL"), ("mice", "MONDO")]
        assert losses.counts == {"dropped: empty span": 1, "joined: discontinuous mention": 1}

    def test_pgr_reads_what_is_no_xml_too(self, tmp_path: Path) -> None:
        entity = '<entity id="e" charOffset="{}"\n\t\t\ttype="{}" text="{}" ontology_id="1"/>\n'
        good = '<document id="1"><sentence id="s1" text="p &lt; 1 in AB">\n' + entity.format("9-11", "GENE", "AB")
        good += '</sentence><sentence id="s2" text="tumor">\n' + entity.format("0-5", "HP", "tumor")
        good += entity.format("1-3", "HP", "xx") + entity.format("2-2", "HP", "") + "</sentence></document>"
        bad = '<document id="2"><sentence id="s1" text="CD8<sup>+</sup> & AB">\n' + entity.format("18-20", "GENE", "AB")
        written(tmp_path, good, "1.xml")
        written(tmp_path, bad, "2.xml")
        losses = Losses()
        first, second = read("pgr-2018", [tmp_path], losses)
        assert first.text == "p < 1 in AB\ntumor" and mentions(first) == [("AB", "GENE"), ("tumor", "HP")]
        assert second.text == "CD8<sup>+</sup> & AB" and mentions(second) == [("AB", "GENE")]
        assert losses.counts == {
            "dropped: empty span": 1,
            "dropped: mention differs from the text": 1,
            "altered: not well-formed XML, read nevertheless": 1,
        }

    def test_cmdd_makes_one_document_of_a_dialogue(self, tmp_path: Path) -> None:
        turns = [{"sentence": "有点咳嗽", "label": "OOBI"}, {"sentence": "好的", "label": "OO"}]
        turns.append({"sentence": "发热", "label": "BI"})
        written(tmp_path, json.dumps({"example-id": "9", "dialogue-content": turns}), "train_0.json")
        (document,) = read("cmdd", [tmp_path])
        assert document.id == "9" and document.text.splitlines() == ["有点咳嗽", "好的", "发热"]
        assert mentions(document) == [("咳嗽", "symptom"), ("发热", "symptom")]

    def test_msra_reads_parallel_files_and_tagged_words(self, tmp_path: Path) -> None:
        texts, tags = written(tmp_path, "我 在 北 京\n", "s/t.txt"), written(tmp_path, "O O B-LOC I-LOC\n", "s/g.txt")
        (document,) = read("msra-partial", [texts, tags])
        assert (document.id, document.text, mentions(document)) == ("s/1", "我在北京", [("北京", "LOC")])
        (document,) = read("msra-words", [written(tmp_path, "我在/o 北京/ns 1/2/o \n")])
        assert (document.text, mentions(document)) == ("我在北京1/2", [("北京", "ns")])

    def test_texts_go_with_their_identifiers(self, tmp_path: Path) -> None:
        path = written(tmp_path, "one\u2028line\ntwo\nthree\n", "a.txt")
        written(tmp_path, "P1\tCC BY\t\tsec\nP1\tCC BY\t\tsec\nP2\t\t\tqa\n", "a.ids.tsv")
        documents = list(corpora.raw_info("en-text").reader(path))
        assert [(d.id, d.text) for d in documents] == [("P1", "one\u2028line"), ("P1#2", "two"), ("P2", "three")]

    def test_chinese_texts_come_once(self, tmp_path: Path) -> None:
        reader = corpora.raw_info("zh-medical-text").reader
        table = written(tmp_path, '0\t问题\t"答""案"\n1\t问题\t别的\n', "cMedQA/dev.txt")
        assert [d.text for d in reader(table)] == ["问题", '答"案', "别的"]
        lines = '{"query": "牙", "documents": [{"title": "牙"}, {"title": "病 "}]}\n'
        assert [(d.id, d.text) for d in reader(written(tmp_path, lines, "cMedIR/dev.json"))] == [
            ("cMedIR/dev/1", "牙"),
            ("cMedIR/dev/2", "病"),
        ]


def corpus_of(number: int) -> Corpus:
    documents = tuple(Document(str(i), f"text {i}", (Entity(0, 4, "X"),)) for i in range(number))
    return Corpus("toy", {"train": documents, "test": documents[:1]}, ("X",))


class TestHoldOut:
    @given(st.integers(2, 40), st.floats(0.01, 0.99), st.integers(0, 5))
    def test_parts_the_train_split_and_nothing_else(self, number: int, share: float, seed: int) -> None:
        corpus = corpus_of(number)
        held = hold_out(corpus, share, seed=seed)
        assert held.train and held.dev and held.test == corpus.test
        assert sorted([*held.train, *held.dev], key=lambda d: int(d.id)) == list(corpus.train)
        assert abs(len(held.dev) - share * number) <= 1
        assert held == hold_out(corpus, share, seed=seed)

    def test_another_seed_draws_otherwise(self) -> None:
        assert len({hold_out(corpus_of(50), 0.2, seed=seed).dev for seed in range(5)}) == 5

    @pytest.mark.parametrize("share", [0, 1, -0.1, 1.5])
    def test_refuses_a_share_that_leaves_nothing(self, share: float) -> None:
        with pytest.raises(ConfigError, match="strictly between"):
            hold_out(corpus_of(9), share, seed=0)

    def test_never_replaces_a_split(self) -> None:
        with pytest.raises(ConfigError, match="has a test split already"):
            hold_out(corpus_of(9), 0.1, seed=0, split="test")
        with pytest.raises(ConfigError, match="too few"):
            hold_out(corpus_of(1), 0.5, seed=0)


def test_a_corpus_is_loaded_through_mirror_and_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from test_mirror import pack, sha

    content = b"Aspirin\tB-Chemical\nhelps\tO\n\n"
    pack(tmp_path / "mirror", {"toy/a/train.tsv": content})
    monkeypatch.setenv("TRANSFUSE_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    splits = {"train": Split(1, 1, {"train.tsv": sha(content)})}
    published = Published("toy", "Toy", "en", ("Chemical",), "MIT", "nobody", "toy", splits, "a/")
    corpus = published.load()
    assert corpus.train == (Document("train/1", "Aspirin helps", (Entity(0, 7, "Chemical"),)),)


@pytest.mark.mirror
@pytest.mark.parametrize("name", corpora.names())
def test_published_corpora_hold_what_they_promise(name: str) -> None:
    published, losses = corpora.info(name), Losses()
    corpus = published.load(losses)
    for split, expected in published.splits.items():
        documents = corpus.splits[split]
        assert (len(documents), sum(len(d.entities) for d in documents)) == (expected.documents, expected.entities)
        assert len({d.id for d in documents}) == len(documents)
    found = {entity.label for documents in corpus.splits.values() for d in documents for entity in d.entities}
    unseen = set(corpus.labels) - found
    assert not unseen or any(label in note for label in unseen for note in published.notes)
    assert corpus.language == published.language
    common = published.common.apply_corpus(corpus)
    assert sum(len(d.entities) for d in common.train) <= sum(len(d.entities) for d in corpus.train)


@pytest.mark.mirror
@pytest.mark.parametrize("name", corpora.raw_names())
def test_published_texts_hold_what_they_promise(name: str) -> None:
    documents = 0
    for document in corpora.raw(name):
        assert document.text and not document.entities
        documents += 1
    assert documents == corpora.raw_info(name).documents
