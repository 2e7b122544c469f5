"""Silver corpora from the taggers to the cleaned folder, by library and by command line."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from transfuse import bundle, formats
from transfuse.cli import main
from transfuse.data.task import resolve
from transfuse.ensembles.ensemble import Agreement
from transfuse.gazetteer import Gazetteer
from transfuse.labels import LabelMap
from transfuse.silver.annotators import Annotator, Naming, find_annotator, find_terms, texts
from transfuse.silver.blacklist import blacklist, clean
from transfuse.silver.build import build
from transfuse.text import BundleError, ConfigError, Corpus, DataError, Document, Entity, LabelError

TEXTS = (
    Document("1", "Asthma and measles were seen; asthma returned after influenza in the second winter."),
    Document("2", "No disease was found in any of the forty volunteers who were examined."),
    Document("3", "BRCA1 was silent in measles."),
)


def marked(text: str, *names: str, label: str = "Disease", id: str = "d") -> Document:
    entities = []
    for name in names:
        start = text.index(name)
        entities.append(Entity(start, start + len(name), label))
    return Document(id, text, tuple(entities))


def annotator(name: str, *names: str, label: str = "Disease") -> Annotator:
    gazetteer = Gazetteer([(found, label) for found in names])
    return Annotator(name, "gazetteer", gazetteer.sha256, gazetteer.labels, gazetteer.tag)


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRANSFUSE_MIRROR", raising=False)
    formats.write(TEXTS, "texts.jsonl", "jsonl")
    Path("one.txt").write_text("asthma\nmeasles\n", "utf-8")
    for name, names in {"a": ("asthma", "measles"), "b": ("asthma", "influenza"), "c": ("asthma", "measles")}.items():
        bundle.save(Gazetteer([(found, "Disease") for found in names]), Path(name))
    return tmp_path


@pytest.fixture
def run(capsys):
    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        printed = capsys.readouterr()
        return int(left.value.code or 0), printed.out, printed.err

    return call


class TestBuild:
    def test_mentions_provenance_and_record(self, tmp_path):
        taggers = [
            annotator("a", "asthma", "measles"),
            annotator("b", "asthma", "influenza"),
            annotator("c", "measles"),
        ]
        record = build(taggers, TEXTS, tmp_path / "silver", Agreement(2), facts={"text": ["mine"]})
        silver = list(formats.read(tmp_path / "silver" / "train.jsonl"))
        assert [[d.mention(e) for e in d.entities] for d in silver] == [
            ["Asthma", "measles", "asthma"],
            [],
            ["measles"],
        ]
        assert [(d.id, d.text) for d in silver] == [(d.id, d.text) for d in TEXTS]
        first, second, third = lines(tmp_path / "silver" / "provenance.jsonl")
        assert first["mentions"][1] == {"start": 11, "end": 18, "label": "Disease", "taggers": ["a", "c"]}
        assert (second["mentions"], third["id"]) == ([], "3")
        assert record == json.loads((tmp_path / "silver" / "silver.json").read_text("utf-8"))
        assert record["text"] == ["mine"]
        assert [each["mentions"] for each in record["taggers"]] == [{"Disease": 4}, {"Disease": 3}, {"Disease": 2}]
        assert record["mentions"] == {"Disease": 4} and record["mentions_by_votes"] == {"2": 4}
        assert (record["documents"], record["documents_without_mention"]) == (3, 1)
        assert record["agreement"] == {"threshold": 2, "boundary": "exact", "weights": None}

    def test_is_a_source_like_any_other(self, tmp_path):
        documents = [Document(str(i), f"asthma number {i}") for i in range(20)]
        build([annotator("a", "asthma")], documents, tmp_path / "silver", Agreement(1))
        corpus = resolve(str(tmp_path / "silver"))
        assert (len(corpus.train) + len(corpus.dev), corpus.labels) == (20, ("Disease",))

    def test_the_same_twice_and_the_hashes_tell_what_changed(self, tmp_path):
        def made(name: str, *names: str, documents=TEXTS) -> tuple[bytes, dict]:
            record = build([annotator("a", *names)], documents, tmp_path / name, Agreement(1))
            return (tmp_path / name / "train.jsonl").read_bytes(), record

        one, first = made("1", "asthma")
        two, again = made("2", "asthma")
        _, other = made("3", "measles")
        _, shorter = made("4", "asthma", documents=TEXTS[:1])
        assert one == two and first["text_sha256"] == again["text_sha256"] == other["text_sha256"]
        assert first["taggers"][0]["sha256"] == again["taggers"][0]["sha256"] != other["taggers"][0]["sha256"]
        assert shorter["text_sha256"] != first["text_sha256"]

    def test_labels_are_renamed_dropped_and_masked(self, tmp_path):
        naming = Naming(LabelMap({"DISO": "Disease"}, drop=("Age",), mask=("Family",)))
        text = "asthma of forty in p53 kinases"
        row = [
            marked(text, "asthma", label="DISO"),
            marked(text, "forty", label="Age"),
            marked(text, "p53", label="Family"),
        ]
        made = [naming.apply([document], source="x")[0] for document in row]
        assert [[e.label for e in d.entities] for d in made] == [["Disease"], [], []]
        assert made[2].unknown == ((19, 22),)
        with pytest.raises(LabelError, match=r"x.*says nothing about Odd"):
            naming.apply([marked(text, "forty", label="Odd")], source="x")

    def test_common_names_and_one_type_alone(self):
        document = marked("asthma in mice", "asthma", label="DISO")
        document = document.with_entities([*document.entities, Entity(10, 14, "Organism"), Entity(7, 9, "Mine")])
        assert [e.label for e in Naming().apply([document], source="")[0].entities] == ["Disease", "Mine", "Species"]
        assert [e.label for e in Naming(only=("Species",)).apply([document], source="")[0].entities] == ["Species"]

    def test_memory_does_not_grow_with_the_text(self, tmp_path):
        def peak(number: int) -> int:
            documents = (Document(str(i), f"asthma {i} " + "word " * 400) for i in range(number))
            taggers = [annotator("a", "asthma"), annotator("b", "asthma")]
            tracemalloc.start()
            build(taggers, documents, tmp_path / str(number), Agreement(2))
            reached = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return reached

        assert peak(600) < 1.5 * peak(150)

    def test_a_failure_leaves_nothing(self, tmp_path):
        def broken(documents):
            yield from documents
            raise DataError("broken")

        tagger = Annotator("x", "file", "", None, broken)
        with pytest.raises(DataError, match="broken"):
            build([tagger], TEXTS, tmp_path / "silver", Agreement(1))
        assert not list(tmp_path.iterdir())

    def test_refuses_what_makes_no_sense(self, tmp_path):
        a = annotator("a", "asthma")
        with pytest.raises(ConfigError, match="twice"):
            build([a, a], TEXTS, tmp_path / "silver", Agreement(2))
        with pytest.raises(ConfigError, match="2 have to agree, but all together weigh 1"):
            build([a], TEXTS, tmp_path / "silver", Agreement(2))
        (tmp_path / "silver").mkdir()
        (tmp_path / "silver" / "file").touch()
        with pytest.raises(DataError, match="is there already"):
            build([a], TEXTS, tmp_path / "silver", Agreement(1))


class TestAnnotators:
    def test_annotations_in_a_file_in_another_order_and_more_of_them(self, here):
        formats.write([Document("0", "x"), *reversed(TEXTS)], "there.jsonl", "jsonl")
        found = find_annotator("jsonl:there.jsonl")
        assert (found.kind, found.labels) == ("file", None)
        assert [d.id for part in (TEXTS[:2], TEXTS[2:]) for d in found.tag(part)] == ["1", "2", "3"]
        with pytest.raises(DataError, match=r"jsonl:there.jsonl: has no document 4"):
            list(find_annotator("jsonl:there.jsonl").tag([Document("4", "x")]))

    def test_a_file_of_another_text_is_refused(self, here):
        formats.write([Document("1", "Another text.")], "there.jsonl", "jsonl")
        with pytest.raises(DataError, match=r"there.jsonl has another text of document 1"):
            build([find_annotator("there.jsonl")], TEXTS[:1], here / "silver", Agreement(1))

    def test_discontinuous_mentions_of_a_file_do_not_break_the_build(self, here):
        text = "breast and lung cancer"
        Path("notes").mkdir()
        Path("notes/1.txt").write_text(text, "utf-8")
        Path("notes/1.ann").write_text("T1\tDISO 0 6;16 22\tbreast cancer\nT2\tDISO 11 22\tlung cancer\n", "utf-8")
        record = build([find_annotator("brat:notes")], [Document("1", text)], here / "silver", Agreement(1))
        (document,) = formats.read("silver/train.jsonl")
        assert [document.mention(e) for e in document.entities] == ["breast and lung cancer"]
        assert record["taggers"][0]["mentions"] == {"Disease": 2}

    def test_bundles_and_names(self, here):
        assert find_annotator("a").kind == "gazetteer"
        assert find_annotator("a").sha256 == find_annotator("a").sha256 != find_annotator("b").sha256
        assert list(find_terms("terms:one.txt", "Disease")) == [("asthma", "Disease"), ("measles", "Disease")]
        train = set(find_terms("train:demo-neurology"))
        corpus = resolve("demo-neurology")
        assert train == {(d.mention(e), e.label) for d in corpus.train for e in d.entities}
        with pytest.raises(ConfigError, match="no lexicon"):
            find_terms("diseases")

    def test_texts_lose_their_labels_and_are_drawn_in_their_order(self, here):
        formats.write([marked("asthma again", "asthma", id=str(i)) for i in range(50)], "many.jsonl", "jsonl")
        drawn = list(texts(["many.jsonl", "texts.jsonl"], limit=20, seed=1))
        assert [d.entities for d in drawn] == [()] * 20
        numbers = [int(d.id) if d.text == "asthma again" else 50 + int(d.id) for d in drawn]
        assert numbers == sorted(set(numbers))
        assert [d.id for d in texts(["many.jsonl"], limit=5, seed=1)] != [
            d.id for d in texts(["many.jsonl"], limit=5, seed=2)
        ]
        assert len(list(texts(["many.jsonl"], limit=500))) == 50


GOLD = Corpus(
    "gold",
    {
        "train": (
            marked(
                "Measles and cancer of the lung: the disease was treated.", "Measles", "cancer of the lung", id="t1"
            ),
            marked("The disease, and a cough with measles; GENES vary.", "measles", id="gold-2"),
        ),
        "dev": (Document("v1", "The syndrome and the winter fever were untreated in those years."),),
        "test": (Document("x1", "This outbreak of headache was never annotated by anybody here."),),
    },
    ("Disease",),
)


def listed(*names: str, gold: Corpus = GOLD, label: str = "Disease", times: int = 1) -> set[str]:
    return {name for name, _ in blacklist([(name, label) for name in names], gold, times=times)}


class TestBlacklist:
    def test_names_that_train_passes_over(self):
        assert listed("disease", "measles", "cough", "plague") == {"disease", "cough"}
        assert blacklist([("disease", "Disease"), ("cough", "Disease")], GOLD) == {
            ("disease", "Disease"): 2,
            ("cough", "Disease"): 1,
        }
        assert listed("disease", "cough", times=2) == {"disease"}

    @pytest.mark.parametrize("name", ["syndrome", "fever", "outbreak", "headache"])
    def test_what_only_dev_or_test_hold_is_not_on_it(self, name):
        # The paper took its list from all splits, test included; so did the lists that it published.
        assert listed(name) == set()
        moved = GOLD.with_split("train", [*GOLD.train, *GOLD.dev, *GOLD.test])
        assert listed(name, gold=moved) == {name}

    def test_part_of_a_mention_is_not_passed_over(self):
        assert listed("cancer", "lung") == set()

    def test_only_whole_words_count(self):
        assert listed("ease", "isease") == set()

    def test_acronyms_as_they_are_spelled_and_all_else_in_any_case(self):
        assert listed("THE") == set()
        assert listed("Disease", "Cough") == {"Disease", "Cough"}
        assert listed("MEASLES") == set()

    def test_other_labels_are_left_alone(self):
        assert listed("disease", label="Gene") == set()

    def test_unknown_ranges_say_nothing(self):
        masked = Document("t", "A disease here.", unknown=((2, 9),))
        assert listed("disease", gold=GOLD.with_split("train", [masked])) == set()


class TestClean:
    SILVER = (
        marked("A new disease was seen near the lake, and measles with it.", "disease", "measles", id="s1"),
        marked("The disease of the old town was not seen again.", "disease", id="s2"),
        marked("This outbreak of headache was never annotated by anybody here. More.", "headache", id="s3"),
        marked("The syndrome and the winter fever were untreated in those years. Fine.", "fever", id="s4"),
        marked("Measles and cancer of the lung: the disease was treated. So it goes.", "Measles", id="s5"),
        marked("The disease, and a cough with measles; GENES vary.", "measles", id="gold-2"),
    )

    def test_documents_of_every_split_and_blacklisted_mentions_go(self):
        cleaned = clean(self.SILVER, GOLD)
        assert [d.id for d in cleaned.documents] == ["s1", "s2"]
        assert [[d.mention(e) for e in d.entities] for d in cleaned.documents] == [["measles"], []]
        assert cleaned.blacklist == {("disease", "Disease"): 2}
        assert cleaned.counts == {
            "documents": {"before": 6, "by_id": 1, "by_text": 3, "without mention": 1, "after": 2},
            "mentions": {"before": 7, "in removed documents": 4, "blacklisted": 2, "after": 1},
        }
        assert [d.id for d in clean(self.SILVER, GOLD, drop_empty=True).documents] == ["s1"]

    def test_the_list_comes_from_the_labelled_share_alone(self):
        kept = GOLD.sample(0.5, seed=3).train
        assert [d.id for d in kept] in (["t1"], ["gold-2"])
        cleaned = clean(self.SILVER[:2], GOLD, share=0.5, seed=3)
        assert cleaned.blacklist == {("disease", "Disease"): 1}

    def test_labels_must_meet(self):
        with pytest.raises(LabelError, match="no label in common"):
            clean([marked("a gene", "gene", label="Gene")], GOLD)
        assert clean([Document("1", "nothing")], GOLD).documents == (Document("1", "nothing"),)


class TestCommandLine:
    def test_build_and_clean(self, here, run):
        Path("gold").mkdir()
        for split, documents in GOLD.splits.items():
            formats.write(documents, f"gold/{split}.jsonl", "jsonl")
        formats.write([*TEXTS, Document("4", GOLD.test[0].text), Document("5", "A cough again.")], "all.jsonl", "jsonl")
        bundle.save(Gazetteer([("cough", "Disease"), ("measles", "Disease"), ("outbreak", "Disease")]), Path("d"))
        status, printed, said = run(
            "silver", "build", "a", "d", "--agreement", "1", "--text", "all.jsonl", "--out", "s"
        )
        assert status == 0 and "5 documents, 1 without a mention" in printed, said
        status, printed, _ = run("silver", "clean", "s", "--target", "gold", "--drop-empty", "--out", "s2", "--json")
        record = json.loads(printed)
        assert status == 0 and record == json.loads(Path("s2/clean.json").read_text("utf-8"))
        assert record["counts"] == {
            "documents": {"before": 5, "by_id": 0, "by_text": 1, "without mention": 2, "after": 2},
            "mentions": {"before": 6, "in removed documents": 1, "blacklisted": 1, "after": 4},
        }
        assert Path("s2/blacklist.tsv").read_text("utf-8") == "cough\tDisease\t1\n"
        assert [d.id for d in formats.read("s2/train.jsonl")] == ["1", "3"]
        told = [json.loads(line) for line in Path("s2/provenance.jsonl").read_text("utf-8").splitlines()]
        for line, document in zip(told, formats.read("s2/train.jsonl"), strict=True):
            assert line["id"] == document.id
            spans = [(m["start"], m["end"], m["label"]) for m in line["mentions"]]
            assert spans == [(e.start, e.end, e.label) for e in document.entities]
            assert all(mention["taggers"] for mention in line["mentions"])
        assert "blacklist: 1 name: cough (1)" in run("silver", "clean", "s", "--target", "gold", "--out", "s3")[1]

        Path("s/provenance.jsonl").write_text('{"id": "0", "mentions": []}\n', "utf-8")
        status, _, said = run("silver", "clean", "s", "--target", "gold", "--out", "s4")
        assert status == 2 and "says nothing of document" in said and not Path("s4").exists()

    def test_corpora_for_annotators_are_kept_apart_from_the_target(self, here, run):
        Path("gold").mkdir()
        for split, documents in GOLD.splits.items():
            formats.write(documents, f"gold/{split}.jsonl", "jsonl")
        Path("other").mkdir()
        mixed = [Document("new", "A cat with asthma.", (Entity(2, 5, "Species"), Entity(11, 17, "DISO")))]
        for split, documents in GOLD.splits.items():
            formats.write([*mixed, *documents], f"other/{split}.jsonl", "jsonl")
        arguments = ("silver", "apart", "other", "--target", "gold", "--out", "apart", "--only")
        status, _, said = run(*arguments, "Disease")
        assert status == 0 and "1 by id, 3 by text" in said
        for split in ("train", "dev", "test"):
            (document,) = formats.read(f"apart/{split}.jsonl")
            assert (document.id, document.entities) == ("new", (Entity(11, 17, "Disease"),))
        assert run(*arguments, "Plant")[0] == 2
        status, _, said = run("silver", "apart", "gold", "--target", "gold", "--out", "none")
        assert status == 2 and "the target's own text" in said and not Path("none").exists()

    def test_record_as_json_with_weights(self, here, run):
        status, printed, _ = run(
            "silver", "build", "a", "b", "--text", "texts.jsonl", "--weight", "a=2", "--json", "-o", "s"
        )
        record = json.loads(printed)
        assert status == 0 and record["mentions"] == {"Disease": 4}
        assert record == json.loads(Path("s/silver.json").read_text("utf-8"))

    def test_gazetteer_is_a_bundle_that_tags(self, here, run):
        Path("stop.txt").write_text("Measles\n", "utf-8")
        status, _, said = run(
            *("silver", "gazetteer", "terms:one.txt", "--label", "Disease", "--stop", "stop.txt", "--out", "g"),
            *("--stop-text", "texts.jsonl", "--stop-share", "1"),
        )
        assert status == 0 and "1 name of Disease" in said and "name on the stop list" in said
        status, printed, _ = run("tag", "g", "texts.jsonl")
        assert [len(json.loads(line)["entities"]) for line in printed.splitlines()] == [2, 0, 0]
        assert run("tag", "g", "texts.jsonl", "--confidence")[0] == 2

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (["build", "a", "--text", "texts.jsonl"], "2 have to agree"),
            (["build", "a", "a", "--text", "texts.jsonl"], "twice"),
            (["build", "a", "none", "--text", "texts.jsonl"], "none: no such run"),
            (["build", "a", "b", "--text", "none.jsonl"], "none.jsonl: no such file"),
            (["build", "a", "b", "--text", "texts.jsonl", "--boundary", "widest"], "widest"),
            (["build", "a", "b", "--text", "texts.jsonl", "--agreement", "0"], "agreement"),
            (["build", "a", "b", "--text", "texts.jsonl", "--weight", "a"], "TAGGER=2"),
            (["build", "a", "b", "--text", "texts.jsonl", "--weight", "z=2"], "no tagger is called z"),
            (["build", "a", "b", "--text", "texts.jsonl", "--labels", "none.toml"], "none.toml"),
            (["build", "a", "b", "--text", "texts.jsonl", "--only", "Diseas"], "Diseas"),
            (["clean", "texts.jsonl", "--target", "nowhere"], "nowhere"),
            (["clean", "none", "--target", "demo-cardiology"], "none"),
            (["gazetteer", "nowhere"], "no lexicon"),
            (["gazetteer", "terms:one.txt"], "one.txt:1: the name has no label"),
            (["gazetteer", "terms:one.txt", "--label", "D", "--case", "odd"], "odd"),
        ],
        ids=" ".join,
    )
    def test_a_mistake_is_one_line_and_leaves_nothing(self, here, run, arguments, said):
        before = sorted(here.rglob("*"))
        status, _, error = run("silver", *arguments, "--out", "out")
        assert status == 2 and said in error and "Traceback" not in error
        assert len([line for line in error.splitlines() if line.startswith("error: ")]) == 1
        assert sorted(here.rglob("*")) == before

    def test_an_altered_bundle_is_refused(self, here):
        Path("a/terms.tsv").write_text("x\tDisease\n", "utf-8")
        with pytest.raises(BundleError, match="altered"):
            find_annotator("a")


@pytest.mark.mirror
def test_four_public_systems_make_a_silver_corpus(tmp_path):
    names = ("tmvar3-bent", "tmvar3-bern", "tmvar3-hunflair2", "tmvar3-pubtator")
    sizes = []
    for least in (2, 3, 4):
        taggers = [find_annotator(name) for name in names]
        record = build(
            taggers, texts(["tmvar3-gold"]), tmp_path / str(least), Agreement(least), naming=Naming(only=("Gene",))
        )
        assert record["documents"] == 500
        sizes.append(record["mentions"]["Gene"])
    assert sizes == sorted(sizes, reverse=True) and sizes[-1] > 1000


def test_what_annotations_lost_is_told_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("text", "one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.txt").write_text("asthma and measles")
    for name in ("one", "two"):
        (tmp_path / name / "1.ann").write_text("T1\tDisease 0 6;11 18\tasthma measles\n")
    with pytest.raises(SystemExit) as left:
        main(
            [
                "silver",
                "build",
                f"{tmp_path}/one",
                f"{tmp_path}/two",
                "--text",
                f"{tmp_path}/text",
                "--out",
                f"{tmp_path}/out",
            ]
        )
    assert not left.value.code
    assert capsys.readouterr().err.count(": 1 joined: ") == 2
    record = json.loads((tmp_path / "out" / "silver.json").read_text())
    assert [sum(each["losses"].values()) for each in record["taggers"]] == [1, 1]


def test_an_agreement_is_a_number() -> None:
    with pytest.raises(ConfigError, match="agreement is a number of taggers"):
        Agreement(float("nan"))
