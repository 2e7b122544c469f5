"""Findings for every fault that a corpus was given on purpose; overlap against a comparison without any index."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transfuse import corpora
from transfuse.data.checks import Finding, check
from transfuse.data.overlap import overlap, without_overlap
from transfuse.losses import Losses
from transfuse.published import Published, Split
from transfuse.text import Corpus, Document, Entity

WORDS = ["alpha", "Beta", "gamma", "delta", "Epsilon", "zeta", "eta", "theta"]


NAMED = Document("named", "alpha", (Entity(0, 5, "X"),))


def sentence(number: int, length: int = 6) -> str:
    """A tokenised sentence that no other number gives."""
    return " ".join([WORDS[number % 8], f"n{number}", *(WORDS[(number + i) % 8] for i in range(length - 3)), "."])


def running(text: str) -> str:
    """The same as people write it."""
    return text[0].upper() + text[1:].replace(" .", ".")


def corpus(name: str = "toy", labels: tuple[str, ...] = ("X",), **splits: Iterable[Document]) -> Corpus:
    return Corpus(name, {split: tuple(documents) for split, documents in splits.items()}, labels)


def cut(name: str, numbers: Iterable[int]) -> list[Document]:
    """A document a sentence, numbered as they come."""
    return [Document(f"{name}/{place}", sentence(number)) for place, number in enumerate(numbers, 1)]


def articles(numbers: Iterable[int], first: int = 1000) -> list[Document]:
    """Running text, three sentences a document."""
    texts = [running(sentence(number)) for number in numbers]
    groups = [texts[place : place + 3] for place in range(0, len(texts), 3)]
    return [Document(str(first + place), " ".join(group)) for place, group in enumerate(groups)]


def kinds(findings: Iterable[Finding], severity: str = "") -> dict[tuple[str, str], int]:
    return {(f.split, f.kind): f.count for f in findings if severity in {"", f.severity}}


class TestCheck:
    def test_a_sound_corpus_has_no_findings(self) -> None:
        train = [Document(d.id, d.text, (Entity(0, 5, "X"),)) for d in cut("train", range(0, 40, 8))]
        assert check(corpus(train=train, test=cut("test", range(50, 60)))) == []

    def test_counts_are_held_against_the_published_ones(self) -> None:
        splits = {"train": Split(3, 2, {}), "test": Split(1, 0, {})}
        published = Published("toy", "Toy", "en", ("X",), "MIT", "nobody", "toy", splits)
        train = [Document("a", "Word.", (Entity(0, 4, "X"),)), Document("b", "Other.")]
        found = check(corpus(train=train), published)
        assert kinds(found, "error") == {
            ("train", "number of documents differs"): 1,
            ("train", "number of entities differs"): 1,
            ("test", "number of documents differs"): 1,
        }
        assert [finding.detail for finding in found if finding.split == "test"] == [("0 read, 1 expected",)]

    def test_losses_of_the_reader_come_by_reason(self) -> None:
        losses = Losses()
        for line in range(5):
            losses.add("altered", "illegal tag sequence", detail="O I-X", line=line)
        losses.add("skipped", "relation CID", document="7", detail="a b")
        found = check(corpus(train=[NAMED]), losses=losses)
        assert [(f.severity, f.kind, f.count, len(f.detail)) for f in found] == [
            ("warning", "altered: illegal tag sequence", 5, 3),
            ("note", "skipped: relation CID", 1, 1),
        ]

    def test_labels_that_never_occur_or_only_in_test(self) -> None:
        test = [Document("b", "word", (Entity(0, 4, "Y"),))]
        found = check(corpus(labels=("X", "Y"), train=[Document("a", "text")], test=test))
        assert kinds(found) == {("", "label that never occurs"): 1, ("test", "label that train lacks"): 1}
        assert [f.detail for f in found] == [("X",), ("Y",)]

    def test_borders_inside_words_and_on_blanks(self) -> None:
        marks = (Entity(0, 3, "X"), Entity(8, 11, "X"), Entity(11, 16, "X"))
        found = kinds(check(corpus(train=[Document("a", "aspirin and that pill", marks)])))
        assert found == {("train", "boundary inside a word"): 1, ("train", "boundary on a blank"): 1}

    def test_overlaps_and_mentions_over_lines(self) -> None:
        marks = (Entity(0, 9, "X"), Entity(0, 3, "X"), Entity(4, 9, "X"), Entity(10, 12, "X"))
        found = kinds(check(corpus(train=[Document("a", "one\ntwo x yz", marks)])))
        assert found[("train", "mention that overlaps another")] == 2
        assert found[("train", "mention across a line break")] == 1

    def test_texts_that_come_back(self) -> None:
        first, other = sentence(1), sentence(1).upper().replace(" ", "  ")
        train = [Document("a", first, (Entity(0, 4, "X"),)), Document("b", first, (Entity(0, 4, "X"),))]
        found = check(corpus(train=[*train, Document("c", other), Document("d", "too short")]))
        assert kinds(found) == {
            ("train", "text that is there before"): 2,
            ("train", "text that is annotated otherwise elsewhere"): 1,
        }

    def test_empty_documents_and_doubled_ids(self) -> None:
        found = kinds(check(corpus(train=[NAMED, Document("a", " \n"), Document("a", "text")])))
        assert found == {("train", "document without text"): 1, ("train", "document id that is there twice"): 1}

    @pytest.mark.parametrize(
        ("lines", "expected"),
        [
            (["Deficiency of the", "enzyme was found ."], 1),
            (["It was found .", "enzyme p53 did it ."], 0),
            (["Methods", "Enzymes were found ."], 0),
            (["It was found (twice).)", "enzyme p53 did it ."], 0),
        ],
    )
    def test_sentences_that_were_cut(self, lines: list[str], expected: int) -> None:
        kind = ("train", "sentence that seems cut in two")
        apart = [Document(f"train/{number}", line) for number, line in enumerate(lines)]
        assert kinds(check(corpus(labels=(), train=apart))).get(kind, 0) == expected
        whole = [Document("one", "\n".join(lines))]
        assert kinds(check(corpus(labels=(), train=whole))).get(kind, 0) == expected

    def test_documents_of_several_sentences_do_not_continue_each_other(self) -> None:
        texts = [f"First thing {i}. Second thing. Third thing without a stop" for i in range(4)]
        train = [Document(str(i), text if i % 2 else f"lower start. {text}") for i, text in enumerate(texts)]
        assert ("train", "sentence that seems cut in two") not in kinds(check(corpus(labels=(), train=train)))

    def test_mentions_that_go_on_behind_a_break(self) -> None:
        before = Document("t/1", "患者有急性", (Entity(3, 5, "X"),))
        for label, expected in (("X", 1), ("Y", 0)):
            after = Document("t/2", "胃炎多年。", (Entity(0, 2, label),))
            found = kinds(check(corpus(labels=("X", "Y"), train=[before, after])))
            assert found.get(("train", "mention that seems to go on behind a break"), 0) == expected

    def test_leaks_inside_a_corpus(self) -> None:
        shared = Document("12345678", running(sentence(3)) + " " + running(sentence(4)))
        train, test = articles(range(20, 32)), articles(range(40, 46), 2000)
        train = [NAMED, *train, shared]
        found = kinds(check(corpus(train=train, dev=articles([60], 3000), test=[shared, *test])))
        assert found == {("test", "document that train has too"): 1, ("test", "sentence that train has too"): 2}

    def test_findings_are_json(self) -> None:
        (finding,) = check(corpus(labels=("X", "Y"), train=[NAMED]))
        assert json.loads(json.dumps(finding.to_dict()))["detail"] == ["Y"]

    def test_a_corpus_without_a_mention_is_told(self) -> None:
        found = kinds(check(corpus(labels=(), train=[Document("a", "text")])), "error")
        assert found == {("", "no mention: was it read in the right format?"): 1}
        assert kinds(check(corpus(labels=(), train=[]))) == {("", "no document"): 1}


NUMBERS = st.lists(st.integers(0, 30), max_size=12)


class TestOverlap:
    @given(NUMBERS, NUMBERS, st.booleans(), st.booleans())
    def test_counts_as_a_comparison_without_index_does(
        self, mine: list[int], theirs: list[int], cut_first: bool, cut_second: bool
    ) -> None:
        first = corpus("a", test=cut("test", mine) if cut_first else articles(mine))
        second = corpus("b", train=cut("train", theirs) if cut_second else articles(theirs, 5000))
        (found,) = overlap(first, second)
        assert (found.split, found.other) == ("a/test", "b/train")
        assert found.sentences == len(mine)
        assert found.by_text == sum(number in theirs for number in mine)
        assert found.by_id == 0

    def test_share(self) -> None:
        first, second = corpus("a", test=cut("test", [1, 2, 3, 4])), corpus("b", train=cut("train", [3, 9]))
        assert overlap(first, second)[0].share == 0.25
        assert overlap(corpus("a", test=[]), second)[0].share == 0

    def test_all_pairs_of_splits_but_none_with_itself(self) -> None:
        one = corpus("a", train=cut("train", [1]), test=cut("test", [1]))
        assert [(f.split, f.other) for f in overlap(one, one)] == [("a/train", "a/test"), ("a/test", "a/train")]
        assert len(overlap(one, replace(one, name="b"))) == 4

    def test_short_sentences_do_not_count(self) -> None:
        both = [Document("x/1", "Materials and methods ."), Document("x/2", "材料方法")]
        assert overlap(corpus("a", test=both), corpus("b", train=both))[0].sentences == 0

    def test_chinese_and_width(self) -> None:
        first = corpus("a", test=[Document("x/1", "患者使用ＡＢＣ１２治疗三周。")])
        second = corpus("b", train=[Document("1", "没有问题。患者使用abc12治疗三周。好了。没有。")])
        assert overlap(first, second)[0].by_text == 1

    def test_a_sentence_is_not_found_inside_a_word_or_a_longer_one(self) -> None:
        text = "Of one thing we speak here. Of two things. Of three. Of four."
        other = corpus("b", train=[Document("9999", text)])
        for piece, expected in (
            ("one thing we speak here.", 1),
            ("ne thing we speak here.", 0),
            ("of one thing we sp", 0),
        ):
            first = corpus("a", test=[Document("x/1", piece)])
            assert overlap(first, other)[0].by_text == expected

    def test_ids_need_words_in_common_and_must_be_no_running_numbers(self) -> None:
        def by_id(name: str, mine: str, theirs: str, other: str = "") -> int:
            first = corpus("a", test=[Document(name, mine)])
            return overlap(first, corpus("b", train=[Document(other or name, theirs)]))[0].by_id

        assert by_id("10021369", "A text of old", "a Text of older times") == 1
        assert by_id("10021369#2", "A text of old", "a Text of older times", "10021369") == 1
        assert by_id("10021369", "A text of old", "something else altogether now") == 0
        assert by_id("train/12", "A text of old", "A text of old") == 0
        assert by_id("12", "A text of old", "A text of old") == 0


class TestWithoutOverlap:
    @given(NUMBERS, NUMBERS, NUMBERS, st.booleans(), st.booleans())
    @example(source=[1], dev=[0], test=[0, 0, 1, 0], cut_source=False, cut_target=False)
    def test_leaves_nothing_shared_and_takes_nothing_else(
        self, source: list[int], dev: list[int], test: list[int], cut_source: bool, cut_target: bool
    ) -> None:
        make = cut if cut_source else lambda _, numbers: articles(numbers)
        held = cut if cut_target else lambda _, numbers: articles(numbers, 5000)
        origin = corpus("a", train=make("train", source), dev=make("dev", source[:2]))
        target = corpus("b", train=held("train", source), dev=held("dev", dev), test=held("test", test))
        left, removed = without_overlap(origin, target)
        for split, documents in left.splits.items():
            shared = {running(sentence(number)).casefold() for number in {*dev, *test}}
            expected = [
                d for d in origin.splits[split] if not any(text in running(d.text).casefold() for text in shared)
            ]
            assert list(documents) == expected
        gone = sum(len(origin.splits[split]) - len(left.splits[split]) for split in left.splits)
        assert removed == {"by_id": 0, "by_text": gone}

    def test_goes_by_id_first(self) -> None:
        known = Document("10021369", "Some short text")
        target = corpus("b", test=[known, *articles([1, 2, 3])])
        source = corpus("a", train=[known, *articles([3, 4, 5], 7000), *articles([6, 7, 8], 8000)])
        left, removed = without_overlap(source, target)
        assert removed == {"by_id": 1, "by_text": 1}
        assert [d.id for d in left.train] == ["8000"]

    @pytest.mark.parametrize("cut_source", [True, False])
    def test_splitters_that_disagree_hide_nothing(self, cut_source: bool) -> None:
        both = f"{running(sentence(1))} {running(sentence(2))}"
        lines = [*cut("x", range(10, 20)), Document("x/99", both)]
        whole = [Document("7000", f"Before that. {both} After it."), *articles(range(30, 36), 8000)]
        source, target = (lines, whole) if cut_source else (whole, lines)
        left, removed = without_overlap(corpus("a", train=source), corpus("b", test=target))
        assert removed == {"by_id": 0, "by_text": 1}
        assert not {"x/99", "7000"} & {d.id for d in left.train}

    def test_a_target_without_dev_and_test_takes_nothing(self) -> None:
        source = corpus("a", train=cut("train", range(5)))
        assert without_overlap(source, replace(source, name="b")) == (source, {"by_id": 0, "by_text": 0})


@pytest.mark.mirror
@pytest.mark.parametrize(
    ("first", "split", "second", "other", "shared", "of"),
    [
        ("jnlpba-mtl", "test", "bionlp09", "train", 39, 3841),
        ("anatem", "test", "bionlp13cg", "train", 34, 3638),
        ("bionlp11epi", "test", "bionlp13pc", "train", 14, 4113),
        ("bc2gm", "test", "bc2gm", "train", 21, 4939),
        ("sighan-news", "test", "msra", "train", 4225, 4636),
        ("bionlp09", "test", "jnlpba", "train", 2430, 2445),
        ("bc5cdr", "test", "biored", "train", 794, 4774),
    ],
)
def test_leakage_between_published_corpora_is_found(
    first: str, split: str, second: str, other: str, shared: int, of: int
) -> None:
    """The counts of the corpora's documentation: exact between cut texts, at least as many in running text."""
    mine, theirs = corpora.load(first), corpora.load(second)
    mine, theirs = (
        replace(mine, splits={split: mine.splits[split]}),
        replace(theirs, splits={other: theirs.splits[other]}),
    )
    (found,) = overlap(mine, theirs)
    assert found.sentences == of
    if second in {"jnlpba", "biored"}:
        assert shared <= found.by_text <= shared + 10
    else:
        assert found.by_text == shared


@pytest.mark.mirror
def test_leakage_by_id_is_found() -> None:
    tests = {("tmvar3", "biored"): 75, ("biored", "tmvar3"): 24, ("bc5cdr-pubtator", "biored"): 69}
    for (first, second), expected in tests.items():
        found = overlap(corpora.load(first), corpora.load(second))
        assert [f.by_id for f in found if (f.split, f.other) == (f"{first}/test", f"{second}/train")] == [expected]


@pytest.mark.mirror
def test_findings_on_published_corpora() -> None:
    """What the documentation of the corpora says of two of them."""
    for name, severity, kind, count in (
        ("weibo", "warning", "altered: illegal tag sequence", 14),
        ("ncbi-disease-aioner", "note", "altered: document id is there twice", 1),
    ):
        losses = Losses()
        published = corpora.info(name)
        found = check(published.load(losses), published, losses)
        assert not [f for f in found if f.severity == "error"]
        assert [f.count for f in found if (f.severity, f.kind) == (severity, kind)] == [count]
