"""Scores: laws, oracles, other scorers where definitions agree, and an example of each listed difference."""

from __future__ import annotations

import json
import operator
import subprocess
import sys
import time
import warnings
from functools import reduce
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nervaluate import Evaluator
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from seqeval.metrics import sequence_labeling, v1
from seqeval.scheme import IOB2

from transfuse.scoring import score as module
from transfuse.scoring.counts import Counts, mean_rates
from transfuse.scoring.matching import maximum_matching
from transfuse.scoring.score import KINDS, Scores, pair, score, score_tags
from transfuse.tags import encode
from transfuse.text import ConfigError, DataError, Document, Entity

LABELS = ("A", "B", "C")
TEXT = "ab cd, e-f 12 gh ij kl mn"
RATES = ("precision", "recall", "f1")
pytestmark = pytest.mark.filterwarnings("ignore:gold .* share no label:UserWarning")


def spans_of(*spans: tuple[int, int, str]) -> tuple[Entity, ...]:
    return tuple(Entity(*span) for span in spans)


def doc(*spans: tuple[int, int, str], name: str = "d", text: str = TEXT, unknown: tuple = ()) -> Document:
    return Document(name, text, spans_of(*spans), unknown)


def counts_of(gold: tuple, predicted: tuple, kind: str, **options: object) -> Counts:
    return score([doc(*gold)], [doc(*predicted)], kinds=[kind], **options).micro(kind)


@st.composite
def entity_sets(draw: st.DrawFn, flat: bool = False, text: str = TEXT) -> tuple[Entity, ...]:
    entities: list[Entity] = []
    for _ in range(draw(st.integers(0, 5))):
        start = draw(st.integers(0, len(text) - 1))
        end = draw(st.integers(start + 1, min(len(text), start + 8)))
        entity = Entity(start, end, draw(st.sampled_from(LABELS)))
        if entity not in entities and not (flat and any(entity.overlaps(other) for other in entities)):
            entities.append(entity)
    return tuple(entities)


@st.composite
def corpora(draw: st.DrawFn, flat: bool = False) -> tuple[list[Document], list[Document]]:
    number = draw(st.integers(1, 4))
    sides = ([], [])
    for i in range(number):
        for side in sides:
            side.append(Document(f"d{i}", TEXT, draw(entity_sets(flat=flat))))
    return sides


def rates(scores: Scores, kind: str) -> list[float]:
    """Every fraction of a kind: micro, macro and by type."""
    tables = scores.to_dict()[kind]
    rows = [tables["micro"], tables["macro"], *tables["types"].values()]
    return [row[name] for row in rows for name in RATES]


# Laws


@given(corpora())
def test_identity_scores_one(sides: tuple[list[Document], list[Document]]) -> None:
    gold, _ = sides
    scores = score(gold, gold)
    for kind in KINDS:
        total = scores.micro(kind)
        assert (total.fp, total.fn, total.surplus) == (0, 0, 0)
        countable = [
            d.mention(e) for d in gold for e in d.entities if kind != "conlleval" or not d.mention(e).isspace()
        ]
        expected = 1.0 if countable else 0.0
        assert [getattr(total, name) for name in RATES] == [expected] * 3
        assert [getattr(scores.macro(kind), name) for name in RATES] == [expected] * 3


@given(corpora())
def test_swapping_gold_and_prediction_swaps_precision_and_recall(sides: tuple[list[Document], list[Document]]) -> None:
    there, back = score(*sides), score(*reversed(sides))
    for kind in KINDS:
        parts = [(there.micro(kind), back.micro(kind)), (there.macro(kind), back.macro(kind))]
        parts += [(there.types(kind)[label], back.types(kind)[label]) for label in there.labels]
        for one, two in parts:
            assert (one.precision, one.recall, one.f1) == pytest.approx((two.recall, two.precision, two.f1))


@given(corpora(), st.randoms(use_true_random=False))
def test_order_does_not_matter(sides: tuple[list[Document], list[Document]], rng: object) -> None:
    gold, predicted = sides
    before = score(gold, predicted).to_dict()
    turned = [Document(d.id, d.text, tuple(rng.sample(d.entities, len(d.entities)))) for d in predicted]
    assert score(rng.sample(gold, len(gold)), rng.sample(turned, len(turned))).to_dict() == before


@given(corpora())
def test_kinds_are_ordered(sides: tuple[list[Document], list[Document]]) -> None:
    scores = score(*sides)
    for low, high in [
        ("strict", "left"),
        ("strict", "right"),
        ("left", "relaxed"),
        ("right", "relaxed"),
        ("relaxed", "relaxed-set"),
        ("strict", "span"),
    ]:
        assert all(a <= b + 1e-12 for a, b in zip(rates(scores, low), rates(scores, high), strict=True)), (low, high)


@given(corpora())
def test_shards_add(sides: tuple[list[Document], list[Document]]) -> None:
    gold, predicted = sides
    labels = sorted({e.label for side in sides for d in side for e in d.entities})
    whole = score(gold, predicted)
    parts = [score([a], [b]) for a, b in zip(gold, predicted, strict=True)]
    added = reduce(operator.add, parts)
    assert added.to_dict() == whole.to_dict()
    assert added.labels == tuple(labels)
    for kind in KINDS:
        assert (added.array(kind) == whole.array(kind)).all()


@given(corpora())
def test_counts_agree_with_the_documents(sides: tuple[list[Document], list[Document]]) -> None:
    scores = score(*sides)
    for kind in set(KINDS) - {"conlleval"}:
        for label, counts in scores.types(kind).items():
            assert (counts.gold, counts.predicted) == tuple(
                sum(e.label == label for d in side for e in d.entities) for side in sides
            )
            assert min(counts.tp, counts.fp, counts.fn, counts.tp + counts.surplus) >= 0
        if kind != "relaxed-set":
            assert scores.micro(kind).surplus == 0


def test_shards_that_share_a_document_are_refused() -> None:
    one = score([doc()], [doc()])
    with pytest.raises(DataError, match="share documents: d;"):
        one + one
    with pytest.raises(DataError, match="different kinds"):
        one + score([doc(name="e")], [doc(name="e")], kinds=["strict"])


# Oracles


def brute_force(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> int:
    """The largest matching, by trying everything."""
    edges = [(i, j) for i, a in enumerate(left) for j, b in enumerate(right) if a[0] < b[1] and b[0] < a[1]]
    for size in range(min(len(left), len(right)), 0, -1):
        for chosen in combinations(edges, size):
            if len({i for i, _ in chosen}) == len({j for _, j in chosen}) == size:
                return size
    return 0


ranges = st.builds(lambda a, n: (a, a + n), st.integers(0, 12), st.integers(1, 8))


@given(st.lists(ranges, max_size=4), st.lists(ranges, max_size=4))
def test_matching_is_maximum_by_enumeration(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    assert len(maximum_matching(left, right)) == brute_force(left, right)


@given(st.lists(ranges, max_size=30), st.lists(ranges, max_size=30))
def test_matching_is_maximum_by_hopcroft_karp(left: list[tuple[int, int]], right: list[tuple[int, int]]) -> None:
    pairs = maximum_matching(left, right)
    assert all(left[i][0] < right[j][1] and right[j][0] < left[i][1] for i, j in pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    if left and right:
        graph = csr_matrix([[a[0] < b[1] and b[0] < a[1] for b in right] for a in left], dtype=int)
        assert len(pairs) == (maximum_bipartite_matching(graph) >= 0).sum()


@given(corpora())
def test_every_kind_against_its_definition(sides: tuple[list[Document], list[Document]]) -> None:
    scores = score(*sides)
    for label, counts in scores.types("relaxed-set").items():
        tp = found = 0
        for truth, guess in zip(*sides, strict=True):
            a, b = ([e for e in d.entities if e.label == label] for d in (truth, guess))
            tp += sum(any(e.overlaps(other) for other in a) for e in b)
            found += sum(any(e.overlaps(other) for other in b) for e in a)
        assert (counts.tp, counts.tp + counts.surplus) == (tp, found)
    for kind, key in {
        "strict": lambda e: (e.start, e.end, e.label),
        "left": lambda e: (e.start, e.label),
        "right": lambda e: (e.end, e.label),
        "span": lambda e: (e.start, e.end),
    }.items():
        expected = 0
        for truth, guess in zip(*sides, strict=True):
            a, b = ([key(e) for e in d.entities] for d in (truth, guess))
            expected += sum(min(a.count(value), b.count(value)) for value in set(a))
        assert scores.micro(kind).tp == expected


# seqeval and conlleval

tag = st.sampled_from(["O", *(f"{sign}-{label}" for sign in "BI" for label in LABELS)])
tagged = st.lists(st.lists(st.tuples(tag, tag), min_size=1, max_size=9), min_size=1, max_size=5)


def sides_of(pairs: list) -> list[list[list[str]]]:
    """Gold and predicted sentences from sentences of pairs of tags."""
    return [[[pair_[side] for pair_ in sentence] for sentence in pairs] for side in (0, 1)]


def seqeval_rates(gold: list[list[str]], predicted: list[list[str]], average: str | None, **mode: object) -> list:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        score_with = v1 if mode else sequence_labeling
        return score_with.precision_recall_fscore_support(gold, predicted, average=average, **mode)


def assert_equals_seqeval(scores: Scores, gold: list[list[str]], predicted: list[list[str]], **mode: object) -> None:
    kind = "conlleval"
    if not scores.labels:
        return
    for average, ours in (("micro", scores.micro(kind)), ("macro", scores.macro(kind))):
        theirs = seqeval_rates(gold, predicted, average, **mode)[:3]
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs)
    rows = [(c.precision, c.recall, c.f1, c.gold) for c in scores.types(kind).values()]
    theirs = seqeval_rates(gold, predicted, None, **mode)
    assert np.array(rows) == pytest.approx(np.array(theirs).T)


@given(tagged)
def test_tags_score_as_in_seqeval_default_which_reads_as_conlleval_does(pairs: list) -> None:
    gold, predicted = sides_of(pairs)
    assert_equals_seqeval(score_tags(gold, predicted), gold, predicted)


@given(tagged)
def test_tags_score_as_in_seqeval_strict_where_illegal_mentions_are_dropped(pairs: list) -> None:
    gold, predicted = sides_of(pairs)
    scores = score_tags(gold, predicted, policy="drop")
    assert_equals_seqeval(scores, gold, predicted, scheme=IOB2)


SPLIT = "one two three four five six seven eight"
OFFSETS = [(i, i + len(w)) for i, w in ((SPLIT.index(w), w) for w in SPLIT.split())]


@st.composite
def word_spans(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    cuts = sorted(draw(st.sets(st.integers(0, len(OFFSETS)), max_size=7)))
    chosen = [(a, b, draw(st.sampled_from(["", *LABELS]))) for a, b in pairwise(cuts)]
    return [span for span in chosen if span[2]]


def on_text(name: str, spans: list[tuple[int, int, str]]) -> Document:
    return doc(*((OFFSETS[a][0], OFFSETS[b - 1][1], label) for a, b, label in spans), name=name, text=SPLIT)


@given(st.lists(st.tuples(word_spans(), word_spans()), min_size=1, max_size=4))
def test_documents_score_as_seqeval_in_every_mode_where_entities_are_whole_words(sides: list) -> None:
    documents = [[on_text(str(i), spans) for i, spans in enumerate(side)] for side in zip(*sides, strict=True)]
    gold, predicted = ([encode(spans, len(OFFSETS), "BIO") for spans in side] for side in zip(*sides, strict=True))
    scores = score(*documents)
    assert scores.to_dict()["strict"] == scores.to_dict()["conlleval"]
    for mode in ({}, {"scheme": IOB2}):
        assert_equals_seqeval(scores, gold, predicted, **mode)
        assert_equals_seqeval(score_tags(gold, predicted), gold, predicted, **mode)


def test_example_from_the_conll_2000_page_is_read_as_there() -> None:
    """Counted by hand with the rules of the script: an I- of another type, or after O, opens a chunk."""
    gold = ["B-A", "I-A", "O", "I-B", "I-B", "B-B", "O"]
    predicted = ["B-A", "I-A", "I-B", "I-B", "I-B", "B-B", "I-A"]
    assert score_tags([gold], [predicted]).types("conlleval") == {
        "A": Counts(tp=1, fp=1, fn=0),
        "B": Counts(tp=1, fp=1, fn=1),
    }


def test_tags_of_different_lengths_are_refused() -> None:
    with pytest.raises(DataError, match="sentence 2: gold and prediction differ in length"):
        score_tags([["O"], ["O", "O"]], [["O"], ["O"]])
    with pytest.raises(DataError, match="sentence 2"):
        score_tags([["O"], ["O"]], [["O"]])
    with pytest.raises(DataError, match="no BIO tag"):
        score_tags([["B"]], [["B"]])


# nervaluate


def nervaluate_of(sides: tuple[list[Document], list[Document]]) -> dict:
    gold, predicted = (
        [[{"label": e.label, "start": e.start, "end": e.end - 1} for e in d.entities] for d in side] for side in sides
    )
    return Evaluator(gold, predicted, tags=list(LABELS), loader="dict").evaluate()


@given(corpora(flat=True))
def test_strict_and_span_agree_with_nervaluate_on_flat_entities(sides: tuple[list[Document], list[Document]]) -> None:
    scores, theirs = score(*sides), nervaluate_of(sides)
    for kind, name in (("strict", "strict"), ("span", "exact")):
        ours, result = scores.micro(kind), theirs["overall"][name]
        assert (ours.tp, ours.predicted, ours.gold) == (result.correct, result.actual, result.possible)
        assert (ours.precision, ours.recall, ours.f1) == pytest.approx((result.precision, result.recall, result.f1))
    for label, results in theirs["entities"].items():
        ours = scores.types("strict")[label]
        for name in ("strict", "exact"):
            assert (ours.precision, ours.recall) == pytest.approx((results[name].precision, results[name].recall))
        assert scores.types("span")[label].f1 >= results["exact"].f1 - 1e-12


@given(corpora())
def test_no_kind_is_below_its_neighbour_in_nervaluate(sides: tuple[list[Document], list[Document]]) -> None:
    scores, theirs = score(*sides), nervaluate_of(sides)["overall"]
    for kind, name in (("strict", "strict"), ("span", "exact"), ("relaxed", "ent_type")):
        assert scores.micro(kind).tp >= theirs[name].correct
        assert scores.micro(kind).f1 >= theirs[name].f1 - 1e-12


# Each difference listed in the docstring, by example


def test_difference_a_wrong_boundary_inside_a_word_is_invisible_to_conlleval() -> None:
    sides = [doc((0, 6, "A"), text="tumour")], [doc((0, 5, "A"), text="tumour")]
    assert (score(*sides).micro("strict").f1, score(*sides).micro("conlleval").f1) == (0, 1)


def test_difference_overlapping_entities_are_counted_each_but_not_by_conlleval() -> None:
    gold, predicted = ((0, 5, "A"), (0, 2, "B")), ((0, 5, "A"),)
    assert counts_of(gold, predicted, "strict") == Counts(tp=1, fn=1)
    assert counts_of(gold, predicted, "conlleval") == Counts(tp=1)


def test_difference_an_entity_over_a_sentence_break_is_one() -> None:
    whole = doc((0, 5, "A"), text="ab\ncd")
    assert score([whole], [whole]).micro("conlleval").gold == 1
    assert score_tags([["B-A"], ["I-A"]], [["B-A"], ["I-A"]]).micro("conlleval").gold == 2


def test_difference_seqeval_strict_drops_what_begins_with_an_inside_tag() -> None:
    gold, predicted = [["B-A", "O"]], [["I-A", "O"]]
    assert score_tags(gold, predicted).micro("conlleval").f1 == 1 == seqeval_rates(gold, predicted, "micro")[2]
    assert score_tags(gold, predicted, policy="drop").micro("conlleval").f1 == 0
    assert seqeval_rates(gold, predicted, "micro", scheme=IOB2)[2] == 0


def test_difference_span_by_type_is_above_nervaluate_exact_by_type() -> None:
    sides = [doc((0, 2, "A"))], [doc((0, 2, "B"))]
    assert score(*sides).types("span")["A"] == Counts(tp=0, fp=0, fn=0, surplus=1)
    assert score(*sides).types("span")["A"].recall == 1
    assert nervaluate_of(sides)["entities"]["A"]["exact"].recall == 0
    assert score(*sides).micro("span").f1 == 1 == nervaluate_of(sides)["overall"]["exact"].f1


def test_difference_nervaluate_types_are_matched_greedily() -> None:
    greedy = [doc((0, 15, "A"), (10, 12, "A"))], [doc((0, 12, "A"), (12, 15, "A"))]
    assert score(*greedy).micro("relaxed").tp == 2
    assert nervaluate_of(greedy)["overall"]["ent_type"].correct == 1
    used_up = [doc((0, 5, "A"))], [doc((0, 2, "B"), (3, 5, "A"))]
    assert score(*used_up).micro("relaxed").tp == 1
    assert nervaluate_of(used_up)["overall"]["ent_type"].correct == 0


def test_difference_nervaluate_wants_one_per_cent_of_overlap_and_inclusive_ends() -> None:
    text = "x" * 300
    barely = [doc((0, 200, "A"), text=text)], [doc((199, 300, "A"), text=text)]
    assert score(*barely).micro("relaxed").tp == 1
    assert nervaluate_of(barely)["overall"]["ent_type"].correct == 0
    touching = [doc((0, 5, "A"))], [doc((5, 9, "A"))]
    assert score(*touching).micro("relaxed").tp == 0
    ends = [[[{"label": e.label, "start": e.start, "end": e.end} for e in d.entities] for d in s] for s in touching]
    assert Evaluator(*ends, tags=["A"], loader="dict").evaluate()["overall"]["ent_type"].correct == 1


def test_difference_nervaluate_uses_up_overlapping_entities() -> None:
    sides = [doc((0, 5, "A"), (0, 9, "A"))], [doc((0, 4, "A"), (0, 5, "A"))]
    assert score(*sides).micro("strict").tp == 1
    assert nervaluate_of(sides)["overall"]["strict"].correct == 0


def test_difference_one_long_prediction_finds_all_only_in_the_set_form_of_ccks() -> None:
    gold, predicted = ((0, 2, "A"), (3, 5, "A"), (7, 8, "A")), ((0, 9, "A"),)
    assert counts_of(gold, predicted, "relaxed") == Counts(tp=1, fn=2)
    in_sets = counts_of(gold, predicted, "relaxed-set")
    assert (in_sets.precision, in_sets.recall, in_sets.gold, in_sets.predicted) == (1, 1, 3, 1)


def test_difference_ccks_inclusive_overlap_on_half_open_ends_takes_touching_for_overlap() -> None:
    (b1, e1), (b2, e2) = (0, 5), (5, 9)
    assert max(b1, b2) <= min(e1, e2)
    assert counts_of(((b1, e1, "A"),), ((b2, e2, "A"),), "relaxed-set").tp == 0


# Conventions


def test_nothing_to_find_and_nothing_found_is_zero_and_has_no_part_in_macro() -> None:
    empty = score([doc()], [doc()], labels=["A"])
    assert empty.to_dict()["strict"]["micro"]["f1"] == 0
    assert empty.macro().f1 == 0
    scores = score([doc((0, 2, "A"))], [doc((0, 2, "A"))], labels=["A", "B"])
    assert scores.to_dict()["strict"]["types"]["B"]["f1"] == 0
    assert scores.macro().f1 == 1
    assert score([], []).micro().f1 == 0


def test_macro_f1_is_the_mean_of_the_f1s() -> None:
    gold = doc((0, 2, "A"), (3, 5, "A"), (7, 8, "B"))
    predicted = doc((0, 2, "A"), (7, 8, "B"), (11, 13, "C"))
    macro = score([gold], [predicted]).macro()
    assert macro.f1 == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert (macro.precision, macro.recall) == pytest.approx((2 / 3, 0.5))
    assert mean_rates([]).f1 == 0


def test_unknown_ranges_are_not_counted_on_either_side() -> None:
    gold = doc((0, 2, "A"), (7, 8, "A"), (14, 16, "B"), unknown=((7, 10),))
    predicted = doc((0, 2, "A"), (6, 8, "B"), (9, 13, "B"), (14, 16, "A"))
    scores = score([gold], [predicted])
    assert scores.micro() == Counts(tp=1, fp=1, fn=1)
    assert scores.ignored == (1, 2)
    assert scores.to_dict()["relaxed"]["ignored"] == {"gold": 1, "predicted": 2}
    assert score([predicted], [gold]).ignored == (0, 0)
    neighbours = doc((3, 7, "A"), (10, 11, "A"), unknown=((7, 10),))
    assert score([neighbours], [neighbours]).micro() == Counts(tp=2)


def test_labels_that_were_not_asked_for_are_not_counted() -> None:
    scores = score([doc((0, 2, "A"), (3, 5, "B"))], [doc((0, 2, "B"), (3, 5, "B"))], labels=["B"])
    assert scores.labels == ("B",)
    assert scores.micro() == Counts(tp=1, fp=1)
    assert scores.ignored == (1, 0)


def test_words_may_be_chosen_for_conlleval() -> None:
    sides = [doc((0, 3, "A"), text="p53-null")], [doc((0, 8, "A"), text="p53-null")]
    assert score(*sides).micro("conlleval").tp == 0
    blanks = score(*sides, words=lambda text: [(0, len(text))])
    assert blanks.micro("conlleval").tp == 1


def test_json_form() -> None:
    table = score([doc((0, 2, "A"), (3, 5, "B"))], [doc((0, 2, "A"), (7, 8, "A"))]).to_dict()
    assert list(table) == list(KINDS)
    assert json.loads(json.dumps(table)) == table
    for kind in KINDS:
        assert list(table[kind]) == ["micro", "macro", "types", "ignored"]
        assert set(RATES) <= set(table[kind]["micro"])
        assert set(RATES) == set(table[kind]["macro"])
        assert list(table[kind]["types"]) == ["A", "B"]
    assert table["strict"]["types"]["A"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "tp": 1,
        "fp": 1,
        "fn": 0,
        "gold": 1,
        "predicted": 2,
    }


def test_shared_label_warning() -> None:
    with pytest.warns(UserWarning, match=r"gold \(Disease\) and prediction \(DISEASE\) share no label"):
        score([doc((0, 2, "Disease"))], [doc((0, 2, "DISEASE"))])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score([doc((0, 2, "A"))], [doc()])
        score([doc((0, 2, "A"), (3, 5, "B"))], [doc((3, 5, "A"))])


# Mistakes


def test_missing_and_extra_documents_are_named() -> None:
    gold = [doc(name=f"d{i}") for i in range(8)]
    with pytest.raises(DataError, match="lacks documents d1, d2, d3, d4, d5 and 2 more: tag them"):
        score(gold, gold[:1])
    with pytest.raises(DataError, match="gold lacks documents d7: take them out"):
        score(gold[:7], gold)
    with pytest.raises(DataError, match="document d0 is twice in the prediction"):
        score(gold, [*gold, gold[0]])


def test_differing_texts_are_refused_with_the_place() -> None:
    with pytest.raises(DataError, match=r"document d: the texts .* from character 3 on"):
        score([doc(text="abcd")], [doc(text="abcx")])
    with pytest.raises(DataError, match="from character 4 on"):
        list(pair([doc(text="abcd")], [doc(text="abcde")]))


def test_unknown_kinds_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"loose; choose from strict, relaxed"):
        score([], [], kinds=["loose"])
    with pytest.raises(ConfigError, match="no scores of kind 'relaxed'"):
        score([], [], kinds=["strict"]).micro("relaxed")


# Time


def test_five_thousand_documents_take_about_a_second() -> None:
    rng = np.random.default_rng(0)
    text = " ".join("word" for _ in range(30))

    def entities() -> tuple[Entity, ...]:
        starts = rng.choice(25, size=2, replace=False) * 5
        return spans_of(*((int(start), int(start) + 4, LABELS[start % 3]) for start in starts))

    gold = [Document(str(i), text, entities()) for i in range(5000)]
    predicted = [Document(d.id, text, d.entities if rng.random() < 0.5 else entities()) for d in gold]
    start = time.process_time()
    score(gold, predicted).to_dict()
    assert time.process_time() - start < 2


def test_one_huge_document_is_no_trap() -> None:
    text = "x" * 40_000
    gold = doc(*((i, i + 3, "A") for i in range(0, 39_000, 4)), text=text)
    predicted = doc(*((i + 1, i + 4, "A") for i in range(0, 39_000, 4)), text=text)
    start = time.process_time()
    scores = score([gold], [predicted])
    assert scores.micro("relaxed").tp == 9750
    assert time.process_time() - start < 3


def test_nothing_heavy_is_imported() -> None:
    code = "import sys; from transfuse.scoring import analysis, score, significance; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "scipy", "torch", "regex"} & set(loaded)


def test_the_docstring_names_every_kind() -> None:
    assert module.__doc__
    for kind in KINDS:
        assert f"``{kind}``" in module.__doc__
