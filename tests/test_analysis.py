"""Error analysis: every count against its definition, and the token table against scikit-learn."""

from __future__ import annotations

import json
import operator
import warnings
from collections import Counter
from functools import reduce

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from transfuse.scoring.analysis import (
    ERRORS,
    SetAnalysis,
    TokenTable,
    error_counts,
    error_reduction,
    errors,
    mentions,
    outcome_overlap,
    seen_unseen,
    set_analysis,
    token_table,
)
from transfuse.scoring.counts import Counts, mean_rates
from transfuse.scoring.score import score
from transfuse.tags import encode
from transfuse.text import ConfigError, DataError, Document, Entity
from transfuse.words import align, flatten, words

LABELS = ("A", "B")
TEXT = "ab Ab cd, e-f ab gh CD ij"
pytestmark = pytest.mark.filterwarnings("ignore:gold .* share no label:UserWarning")


def doc(*spans: tuple[int, int, str], name: str = "d", text: str = TEXT, unknown: tuple = ()) -> Document:
    return Document(name, text, tuple(Entity(*span) for span in spans), unknown)


SPANS = [(i, j, label) for i in range(len(TEXT)) for j in range(i + 1, min(i + 7, len(TEXT) + 1)) for label in LABELS]
span_sets = st.lists(st.sampled_from(SPANS), max_size=5, unique=True)
range_sets = st.sampled_from([(), (), ((3, 5),), ((0, 1), (10, 14))])


@st.composite
def corpora(draw: st.DrawFn, sides: int = 2) -> list[list[Document]]:
    number = draw(st.integers(1, 3))
    return [
        [doc(*draw(span_sets), name=f"d{i}", unknown=draw(range_sets)) for i in range(number)] for _ in range(sides)
    ]


@given(corpora())
def test_every_wrong_entity_is_in_exactly_one_error(sides: list[list[Document]]) -> None:
    found = list(errors(*sides))
    scores = score(*sides).micro()
    expected = {"gold": Counter(), "predicted": Counter()}
    for truth, guess in zip(*sides, strict=True):
        kept = [
            {e for e in d.entities if not any(e.start < b and a < e.end for a, b in truth.unknown)}
            for d in (truth, guess)
        ]
        expected["gold"].update((truth.id, e) for e in kept[0] - kept[1])
        expected["predicted"].update((truth.id, e) for e in kept[1] - kept[0])
    assert Counter((e.document, e.gold) for e in found if e.gold) == expected["gold"]
    assert Counter((e.document, e.predicted) for e in found if e.predicted) == expected["predicted"]
    assert (scores.fn, scores.fp) == (expected["gold"].total(), expected["predicted"].total())
    assert sum(error_counts(found).values()) == len(found)


@given(corpora())
def test_errors_are_of_the_kind_they_are_called(sides: list[list[Document]]) -> None:
    found = list(errors(*sides))
    for error in found:
        a, b = error.gold, error.predicted
        if a is None or b is None:
            assert error.kind == ("spurious" if a is None else "missed")
        else:
            assert a.overlaps(b)
            same = (a.start, a.end) == (b.start, b.end), a.label == b.label
            assert (
                error.kind == {(False, True): "boundary", (True, False): "type", (False, False): "boundary+type"}[same]
            )
    left = [e.gold for e in found if e.kind == "missed"], [e.predicted for e in found if e.kind == "spurious"]
    if len(sides[0]) == 1:
        assert not any(a.overlaps(b) for a in left[0] for b in left[1])


@given(corpora())
def test_exchanging_gold_and_prediction_exchanges_missed_and_spurious(sides: list[list[Document]]) -> None:
    plain = [[Document(d.id, d.text, d.entities) for d in side] for side in sides]
    there, back = error_counts(errors(*plain)), error_counts(errors(*reversed(plain)))
    assert there["type"] == back["type"]
    # Greedy pairing may choose others from the other side, but never leaves a pair that overlaps.
    assert there["missed"] - there["spurious"] == back["spurious"] - back["missed"]


def test_error_kinds_by_example() -> None:
    gold = doc((0, 2, "A"), (3, 5, "A"), (6, 8, "A"), (10, 13, "B"), (14, 16, "A"))
    predicted = doc((0, 2, "A"), (3, 5, "B"), (5, 8, "A"), (10, 11, "A"), (20, 22, "B"))
    found = list(errors([gold], [predicted]))
    assert [(e.kind, e.gold and e.gold.start, e.predicted and e.predicted.start) for e in found] == [
        ("type", 3, 3),
        ("boundary", 6, 5),
        ("boundary+type", 10, 10),
        ("missed", 14, None),
        ("spurious", None, 20),
    ]
    assert error_counts(found) == dict.fromkeys(ERRORS, 1)


def test_the_same_span_is_paired_before_more_distant_ones() -> None:
    gold, predicted = doc((0, 5, "A"), (3, 8, "B")), doc((3, 8, "A"))
    assert [e.kind for e in errors([gold], [predicted])] == ["type", "missed"]


@given(corpora(sides=3), st.booleans())
def test_seen_and_unseen_add_up_to_the_strict_counts(sides: list[list[Document]], fold: bool) -> None:
    train, gold, predicted = sides
    parts = seen_unseen(train, gold, predicted, fold=fold)
    assert parts["seen"] + parts["unseen"] == score(gold, predicted).micro()
    everything = [d.with_entities({*d.entities, *p.entities}) for d, p in zip(gold, predicted, strict=True)]
    assert seen_unseen(everything, gold, predicted, fold=fold)["unseen"] == Counts()
    assert seen_unseen([], gold, predicted, fold=fold)["seen"] == Counts()


def test_seen_mentions_by_example() -> None:
    train = [doc((0, 2, "A"), (6, 8, "B"))]
    gold, predicted = doc((14, 16, "A"), (3, 5, "A"), (20, 22, "B")), doc((14, 16, "A"), (20, 22, "B"), (6, 8, "A"))
    assert mentions(train) == {("ab", "A"), ("cd", "B")}
    assert seen_unseen(train, [gold], [predicted]) == {"seen": Counts(tp=1), "unseen": Counts(tp=1, fp=1, fn=1)}
    folded = seen_unseen(train, [gold], [predicted], fold=True)
    assert folded == {"seen": Counts(tp=2, fn=1), "unseen": Counts(fp=1)}


def test_set_analysis_by_hand() -> None:
    text = "a b c d e f g h i"

    def over(letters: str) -> list[Document]:
        return [doc(*((text.index(x), text.index(x) + 1, "A") for x in letters), text=text)]

    found = set_analysis(over("abcd"), over("bcef"), over("bdeg"))
    # T = abcd, L = bcef, P = bdeg
    assert found == SetAnalysis({"T": 1, "L": 1, "P": 1, "TL": 1, "TP": 1, "LP": 1, "TLP": 1})
    by_name = {"unseen_found": 1 / 2, "coverage": 2 / 4, "forgotten": 1 / 2, "misled": 1 / 2, "excess": 0.0}
    assert found.quotients == by_name
    # of 6 in gold 4 are in training, of which 1 is missed; of the 2 others 1 is found; 3 are wrong, 2 of them known
    uneven = set_analysis(over("abcdgh"), over("abcdef"), over("abceghi"))
    wanted = {"unseen_found": 1 / 2, "coverage": 4 / 6, "forgotten": 1 / 4, "misled": 2 / 3, "excess": 1 / 6}
    assert uneven.quotients == pytest.approx(wanted)
    assert json.loads(json.dumps(found.to_dict()))["coverage"] == 0.5
    assert set_analysis([], over(""), over("")).to_dict()["excess"] == 0


@given(corpora(sides=3))
def test_set_analysis_agrees_with_its_regions(sides: list[list[Document]]) -> None:
    found = set_analysis(*sides)
    size = found.regions

    def total(*names: str) -> int:
        return sum(size[name] for name in names)

    def share(part: int, whole: int) -> float:
        return part / whole if whole else 0.0

    assert total("T", "TL", "TP", "TLP") == len(mentions(sides[0]))
    gold = total("L", "TL", "LP", "TLP")
    assert found.unseen_found == share(size["LP"], total("L", "LP"))
    assert found.coverage == share(total("TL", "TLP"), gold)
    assert found.forgotten == share(size["TL"], total("TL", "TLP"))
    assert found.misled == share(size["TP"], total("P", "TP"))
    assert found.excess == share(total("P", "TP", "LP", "TLP") - gold, gold)


@given(corpora(sides=3))
def test_outcomes_of_two_systems_overlap_as_counted(sides: list[list[Document]]) -> None:
    gold, first, second = sides
    found = outcome_overlap(gold, first, second)
    for side, predicted in (("first", first), ("second", second)):
        counts = score(gold, predicted).micro()
        assert {name: found[name][side] + found[name]["both"] for name in found} == {
            "tp": counts.tp,
            "fn": counts.fn,
            "fp": counts.fp,
        }
    assert all(part[side] == 0 for part in outcome_overlap(gold, first, first).values() for side in ("first", "second"))


def test_outcome_overlap_by_example() -> None:
    gold = [doc((0, 2, "A"), (3, 5, "A"), (6, 8, "A"))]
    first, second = [doc((0, 2, "A"), (3, 5, "A"), (10, 11, "B"))], [doc((0, 2, "A"), (10, 11, "A"))]
    assert outcome_overlap(gold, first, second) == {
        "tp": {"first": 1, "both": 1, "second": 0},
        "fn": {"first": 0, "both": 1, "second": 1},
        "fp": {"first": 1, "both": 0, "second": 1},
    }


def test_error_reduction_as_giorgi_and_bader_define_it() -> None:
    assert error_reduction(0.8073, 0.8209) == pytest.approx((82.09 - 80.73) / (100 - 80.73))
    assert error_reduction(0.5, 0.4) == pytest.approx(-0.2)
    with pytest.raises(DataError, match="makes no error"):
        error_reduction(1.0, 1.0)


def test_means_of_scores() -> None:
    mean = mean_rates([Counts(1, 1, 0), Counts(1, 0, 1)])
    assert (mean.precision, mean.recall, mean.f1) == pytest.approx((0.75, 0.75, 2 / 3))


# The token table


@given(corpora(), st.booleans(), st.sampled_from(["BIO", "BIOES"]))
def test_token_table_agrees_with_scikit_learn(sides: list[list[Document]], typed: bool, scheme: str) -> None:
    tags: list[list[str]] = [[], []]
    plain = [[Document(d.id, d.text, d.entities) for d in side] for side in sides]
    for side, found in zip(plain, tags, strict=True):
        for document in side:
            offsets = words(document.text)
            found += encode(flatten(align(offsets, document.entities)), len(offsets), scheme)
    if not typed:
        tags = [[tag[0] for tag in side] for side in tags]
    table = token_table(*plain, typed=typed, scheme=scheme)
    names = list(table.classes)
    assert names == sorted({*tags[0], *tags[1]})
    assert table.accuracy == accuracy_score(*tags)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = precision_recall_fscore_support(*tags, labels=names)
        for average, ours in (("macro", table.macro), ("weighted", table.weighted)):
            theirs = precision_recall_fscore_support(*tags, labels=names, average=average)[:3]
            assert (ours.precision, ours.recall, ours.f1) == pytest.approx(theirs)
    ours = [(c.precision, c.recall, c.f1, c.gold) for c in table.classes.values()]
    assert np.array(ours) == pytest.approx(np.array(rows).T)


@given(corpora())
def test_token_tables_add(sides: list[list[Document]]) -> None:
    parts = [token_table([a], [b]) for a, b in zip(*sides, strict=True)]
    assert reduce(operator.add, parts) == token_table(*sides)


@given(corpora())
def test_the_confusion_matrix_agrees_with_scikit_learn_and_is_the_table(sides: list[list[Document]]) -> None:
    plain = [[Document(d.id, d.text, d.entities) for d in side] for side in sides]
    table = token_table(*plain)
    names = list(table.classes)
    tags: list[list[str]] = [[], []]
    for side, found in zip(plain, tags, strict=True):
        for document in side:
            offsets = words(document.text)
            found += [t[0] for t in encode(flatten(align(offsets, document.entities)), len(offsets), "BIO")]
    ours = [[table.confusion[truth][guess] for guess in names] for truth in names]
    if len(names) > 1:
        assert ours == confusion_matrix(*tags, labels=names).tolist()
    again = TokenTable.of(json.loads(json.dumps(table.confusion)))
    assert again.to_dict() == table.to_dict()


def test_token_table_leaves_out_unknown_words() -> None:
    gold, predicted = doc((0, 5, "A"), unknown=((6, 25),)), doc((0, 2, "A"), (10, 13, "A"))
    table = token_table([gold], [predicted])
    assert table.pairs == Counter({("B", "B"): 1, ("I", "O"): 1})
    assert table.accuracy == 0.5


def test_token_table_to_json() -> None:
    table = token_table([doc((0, 5, "A"))], [doc((0, 2, "A"))]).to_dict()
    assert json.loads(json.dumps(table)) == table
    assert list(table["classes"]) == ["B", "I", "O"]
    assert table["confusion"]["I"] == {"B": 0, "I": 0, "O": 1}
    assert set(table) == {"classes", "accuracy", "macro", "weighted", "confusion"}
    assert TokenTable(Counter()).to_dict()["accuracy"] == 0


def test_token_table_takes_other_words_and_refuses_other_schemes() -> None:
    sides = [doc((0, 2, "A"))], [doc((0, 5, "A"))]
    assert token_table(*sides, words=lambda text: [(0, len(text))]).accuracy == 1
    with pytest.raises(ConfigError, match="unknown tag scheme"):
        token_table(*sides, scheme="XYZ")
