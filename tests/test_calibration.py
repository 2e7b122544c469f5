"""Calibration: maps against scikit-learn and scipy, errors by hand, thresholds by trying all, halves apart."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import isotonic_regression
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from transfuse import bundle, formats
from transfuse.cli import main
from transfuse.ensembles import calibrated
from transfuse.ensembles.calibrated import CalibratedTagger, calibrate
from transfuse.ensembles.calibration import (
    METHODS,
    Bin,
    Isotonic,
    Temperature,
    bins,
    expected_error,
    fit_map,
    load_map,
    save_map,
)
from transfuse.ensembles.opinions import LEAST
from transfuse.ensembles.parts import Part
from transfuse.ensembles.thresholds import Demand, choose_threshold
from transfuse.gazetteer import Gazetteer, training_terms
from transfuse.reporting.reliability import reliability
from transfuse.scoring.score import score
from transfuse.synthetic import department
from transfuse.taggers.linear import LinearCRF, train_linear
from transfuse.text import BundleError, ConfigError, Corpus, Document, Entity

Judged = tuple[Any, Any]


@st.composite
def judged(draw: st.DrawFn, *, both: bool = True) -> Judged:
    """Confidences in twentieths, so that ties are frequent, and whether each is right."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=2 if both else 0, max_size=30))
    if both:
        pairs += [(draw(st.integers(1, 9)), False), (draw(st.integers(10, 19)), True)]
    return np.array([n / 20 for n, _ in pairs]), np.array([right for _, right in pairs], dtype=bool)


# Maps


@given(judged())
def test_temperature_is_a_regression_on_the_log_odds(data: Judged) -> None:
    confidences, right = data
    learned = Temperature.fit(confidences, right)
    clipped = confidences.clip(1e-6, 1 - 1e-6)
    odds = np.log(clipped / (1 - clipped))[:, None]
    assert 0.0199 < learned.temperature < 50.1
    signed = odds[:, 0] * np.where(right, 1, -1)
    if not (signed < 0).any() or signed.sum() <= 0:
        return  # the best factor is infinite, or negative, and no temperature is
    model = LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=10_000).fit(odds, right)
    factor = min(50, max(0.02, model.coef_[0, 0]))
    assert 1 / learned.temperature == pytest.approx(factor, rel=1e-3, abs=1e-4)
    if factor != model.coef_[0, 0]:
        return
    assert learned(confidences) == pytest.approx(model.predict_proba(odds)[:, 1], abs=1e-3)


@given(judged())
def test_isotonic_is_the_best_rising_fit(data: Judged) -> None:
    confidences, right = data
    learned = Isotonic.fit(confidences, right)
    places, number = np.unique(confidences, return_inverse=True)
    weights = np.bincount(number)
    means = np.bincount(number, weights=right) / weights
    assert learned(places) == pytest.approx(isotonic_regression(means, weights=weights).x, abs=1e-9)


@given(judged(), st.sampled_from(sorted(METHODS)))
def test_maps_keep_order_and_come_back(data: Judged, method: str) -> None:
    learned = fit_map(method, *data)
    values = learned(np.linspace(0, 1, 101))
    assert ((values >= 0) & (values <= 1)).all() and (np.diff(values) >= -1e-12).all()
    again = load_map(json.loads(json.dumps(save_map(learned))))
    assert again == learned and (again(data[0]) == learned(data[0])).all()


@pytest.mark.parametrize(
    ("confidences", "right", "message"),
    [
        ([], [], "of 0 spans 0 are right"),
        ([0.2, 0.4], [True, True], "of 2 spans 2 are right"),
        ([0.2, 0.4], [False, False], "of 2 spans 0 are right"),
        ([0.3, 0.3], [True, False], r"every span has the confidence 0\.3"),
    ],
)
def test_nothing_to_calibrate(confidences: list[float], right: list[bool], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        fit_map("isotonic", np.array(confidences), np.array(right, dtype=bool))
    with pytest.raises(ConfigError, match="unknown calibration 'platt': choose one of temperature, isotonic"):
        fit_map("platt", np.array([0.1, 0.2]), np.array([True, False]))


# How far off


def test_the_expected_error_by_hand() -> None:
    confidences = np.array([0.05, 0.15, 0.15, 0.95, 0.85, 1.0])
    right = np.array([False, True, False, True, False, True])
    parts = bins(confidences, right)
    # 0 to 0.1: |0.05 - 0|; 0.1 to 0.2: |0.15 - 1/2|; 0.8 to 0.9: |0.85 - 0|; 0.9 to 1: |0.975 - 1|
    expected = (1 * 0.05 + 2 * 0.35 + 1 * 0.85 + 2 * 0.025) / 6
    assert [part.spans for part in parts] == [1, 2, 1, 2]
    assert expected_error(parts) == pytest.approx(expected)
    assert expected_error([]) == 0


@given(judged(both=False), st.integers(1, 12))
def test_the_expected_error_bin_by_bin(data: Judged, number: int) -> None:
    confidences, right = data
    total = 0.0
    for step in range(number):
        low, high = step / number, (step + 1) / number
        here = [i for i, c in enumerate(confidences) if low <= c < high or (c == 1 and high == 1)]
        here = [i for i in here if min(int(confidences[i] * number), number - 1) == step] or here
        if here:
            total += abs(sum(confidences[here]) - sum(right[here]))
    parts = bins(confidences, right, number=number)
    assert sum(part.spans for part in parts) == len(right)
    if all(abs(c * number - round(c * number)) > 1e-9 or c in {0, 1} for c in confidences):
        assert expected_error(parts) == pytest.approx(total / len(right) if len(right) else 0)


@given(st.integers(1, 60), st.integers(0, 60))
def test_intervals_of_the_drawing_are_those_of_scipy(spans: int, right: int) -> None:
    right = min(spans, right)
    wilson = binomtest(right, spans).proportion_ci(0.95, method="wilson")
    part = Bin(spans, 0.5, right / spans)
    from transfuse.reporting.reliability import _point

    point = _point(part)
    assert (point.low, point.high) == pytest.approx((wilson.low, wilson.high), abs=1e-9)


def test_a_drawing_holds_both_curves(tmp_path: Path) -> None:
    before, after = [Bin(10, 0.2, 0.5), Bin(20, 0.9, 0.7)], [Bin(30, 0.6, 0.63)]
    reliability(before, after).save(tmp_path / "drawn")
    drawn = (tmp_path / "drawn.svg").read_text("utf-8")
    assert all(text in drawn for text in ("calibrated", "as the tagger says", "as it should be"))
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


# Thresholds


def every_threshold(scores: Any, right: Any, gold: int) -> dict[float, tuple[float, float, float]]:
    """Precision, recall and F1 at each threshold that makes a difference and lets something through."""
    found = {}
    for threshold in sorted(set(scores.tolist())):
        kept = right[scores >= threshold]
        precision, recall = kept.sum() / len(kept), kept.sum() / max(gold, 1)
        total = precision + recall
        found[threshold] = (precision, recall, 2 * precision * recall / total if total else 0.0)
    return found


@settings(max_examples=400)
@given(judged(both=False), st.integers(0, 5), st.sampled_from(["f1", "precision", "recall"]), st.integers(1, 10))
def test_the_best_threshold_of_all(data: Judged, missed: int, kind: str, tenths: int) -> None:
    scores, right = data
    gold = int(right.sum()) + missed
    tried = every_threshold(scores, right, gold)
    least = tenths / 10
    column = {"precision": 0, "recall": 1}.get(kind, 0)
    meets = {t: row for t, row in tried.items() if kind == "f1" or row[column] >= least}
    demand = Demand(kind, 0.0 if kind == "f1" else least)
    if kind != "f1" and not meets:
        highest = max((row[column] for row in tried.values()), default=0.0)
        with pytest.raises(
            ConfigError, match=f"no threshold has a {kind} of {least:g} on dev: the highest is {highest:.4f}"
        ):
            choose_threshold(scores, right, gold, demand)
        return
    threshold = choose_threshold(scores, right, gold, demand)
    if kind == "f1" and not right.any():
        assert threshold == 0.5
        return
    aim = 2 if kind == "f1" else 1 - column
    best = max(row[aim] for row in meets.values())
    kept = scores >= threshold
    got = tried[min(scores[kept].tolist())]
    assert got[aim] == pytest.approx(best) and (kind == "f1" or got[column] >= least)
    # of equal ones the highest
    assert not any(t > min(scores[kept]) and row[aim] > got[aim] - 1e-12 for t, row in meets.items() if t > threshold)
    assert threshold not in scores.tolist() or threshold == 0


def test_scores_that_are_neighbours() -> None:
    low = 0.3
    high = np.nextafter(low, 1)
    scores, right = np.array([high, low]), np.array([True, False])
    assert (scores >= choose_threshold(scores, right, 1, Demand())).tolist() == [True, False]


@pytest.mark.parametrize(
    "text", ["f2", "precision", "recall=", "precision=0", "recall=1.1", "precision=high", "f1=0.5"]
)
def test_demands_that_nobody_understands(text: str) -> None:
    with pytest.raises(ConfigError, match=r"write f1, precision=0\.9 or recall=0\.9"):
        Demand.parse(text)


def test_demands() -> None:
    assert Demand.parse("f1") == Demand()
    assert Demand.parse("precision=0.9") == Demand("precision", 0.9)
    assert Demand.parse("recall=1") == Demand("recall", 1.0)


# Taggers


class Shaky:
    """Finds every capital letter, and says of a digit after it how sure it is; it is right less often than it says."""

    kind, labels = "shaky", ("A", "B")

    def tag(self, documents: Any, *, confidence: bool = False) -> Any:
        for document in documents:
            text = document.text
            places = [i for i, c in enumerate(text) if c in "AB"]
            yield document.with_entities(
                Entity(i, i + 1, text[i], int(text[i + 1]) / 10 if confidence else None) for i in places
            )


def shaky_documents(number: int, truth: Callable[[float], float] = lambda said: said**2) -> list[Document]:
    """Mentions; ``truth`` gives the share that is right of those of which a confidence is said."""
    draw = np.random.default_rng(number)
    found = []
    for n in range(number):
        text, gold = "", []
        for _ in range(30):
            digit, label = int(draw.integers(1, 10)), "AB"[int(draw.integers(2))]
            if draw.random() < truth(digit / 10):
                gold.append(Entity(len(text), len(text) + 1, label))
            text += f"{label}{digit} "
        found.append(Document(str(n), text, tuple(gold)))
    return found


def flatter(said: float) -> float:
    """What a temperature of 3 makes of it."""
    return float(1 / (1 + (1 / said - 1) ** (1 / 3)))


@pytest.mark.parametrize(
    ("method", "truth", "wrong"),
    [("isotonic", lambda said: said**2, 0.14), ("isotonic", flatter, 0.1), ("temperature", flatter, 0.1)],
)
def test_what_is_said_becomes_true(method: str, truth: Callable[[float], float], wrong: float) -> None:
    dev = shaky_documents(40, truth)
    done = calibrate(Part("shaky", Shaky()), dev, annotated="AB", method=method)
    before, after = expected_error(done.before), expected_error(done.after)
    assert before > wrong and after < 0.05
    assert done.found == (1200, pytest.approx(before), pytest.approx(after))
    values = done.tagger.learned(np.array([0.3, 0.6, 0.9]))
    assert values == pytest.approx([truth(said) for said in (0.3, 0.6, 0.9)], abs=0.12)
    for document in done.tagger.tag(shaky_documents(3), confidence=True):
        for e in document.entities:
            digit = int(document.text[e.start + 1])
            assert e.score == pytest.approx(float(done.tagger.learned(np.array([digit / 10]))[0]))


@pytest.mark.parametrize("per_label", [False, True])
@pytest.mark.parametrize("demand", ["f1", "precision=0.6", "recall=0.7"])
def test_demands_are_met(demand: str, per_label: bool) -> None:
    dev, wanted = shaky_documents(40), Demand.parse(demand)
    done = calibrate(Part("shaky", Shaky()), dev, annotated="AB", demand=wanted, per_label=per_label)
    tagged = list(done.tagger.tag(dev))
    counts = score(dev, tagged, kinds=("strict",))
    assert done.tuned == counts.micro()
    assert done.held_out is not None and done.held_out.f1 == pytest.approx(done.tuned.f1, abs=0.08)
    assert done.plain == score(dev, Shaky().tag(dev), kinds=("strict",)).micro()
    limits = done.tagger.thresholds
    assert list(limits) == ["A", "B"] and (per_label or len(set(limits.values())) == 1)
    for part in counts.types().values() if per_label else [counts.micro()]:
        assert getattr(part, wanted.kind) >= wanted.least
    if demand == "f1":
        best = counts.types()
        for limit in np.arange(0, 1, 0.04):
            other = CalibratedTagger(done.tagger.member, done.tagger.learned, {"A": limit, "B": limit})
            rows = score(dev, other.tag(dev), kinds=("strict",))
            assert rows.micro().f1 <= done.tuned.f1 + 1e-12
            assert not per_label or all(rows.types()[label].f1 <= best[label].f1 + 1e-12 for label in "AB")


def test_halves_do_not_look_at_each_other() -> None:
    # One half is wrong about everything below 0.5, the other about everything above: no map serves both.
    dev = shaky_documents(20)
    half = calibrated._halves(dev)
    assert half.sum() == 10
    odd = []
    for document, first in zip(dev, half, strict=True):
        wanted = [i for i, c in enumerate(document.text) if c.isdigit() and (int(c) >= 5) == first]
        odd.append(document.with_entities(Entity(i - 1, i, document.text[i - 1]) for i in wanted))
    done = calibrate(Part("shaky", Shaky()), odd, annotated="AB")
    assert expected_error(done.after) > 0.45  # what one half teaches is false in the other
    assert done.held_out is not None and done.held_out.f1 < done.tuned.f1 - 0.1


def test_copies_of_a_text_lie_in_one_half() -> None:
    texts = [str(i % 6) for i in range(60)]
    half = calibrated._halves([Document(str(i), text) for i, text in enumerate(texts)])
    homes = {(text, bool(first)) for text, first in zip(texts, half, strict=True)}
    assert len(homes) == 6 and half.sum() == 30
    with pytest.raises(ConfigError, match="dev has 3 different documents: 4 are the fewest"):
        calibrate(Part("shaky", Shaky()), shaky_documents(3) * 4, annotated="AB")


def test_a_demand_that_one_half_alone_cannot_meet() -> None:
    # Nearly all of dev's spans are in the one half, and right; in the other, at each confidence, every other one is.
    dev = []
    for number, first in enumerate(calibrated._halves([Document(str(i), str(i)) for i in range(8)])):
        text = "A9 B8 " * 15 if first else "A9 A9 B8 B8 "
        right = range(0, len(text), 3 if first else 6)
        text += "x" * number  # no two alike
        dev.append(Document(str(number), text, tuple(Entity(i, i + 1, text[i]) for i in right)))
    done = calibrate(Part("shaky", Shaky()), dev, annotated="AB", demand=Demand("precision", 0.9))
    assert done.tuned.precision >= 0.9 and done.held_out is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Corpus, Part, Part]:
    corpus = department("cardiology", documents=60)
    few = corpus.with_split("train", corpus.train[:8])
    folder = tmp_path_factory.mktemp("crf")
    crf = train_linear(few.train, few.labels, settings=LinearCRF(iterations=25), folder=folder)
    return corpus, Part("crf", crf, "# crf\n"), Part("names", Gazetteer(training_terms(few)))


def test_a_lower_threshold_brings_in_what_the_best_path_passes_over(trained: tuple[Corpus, Part, Part]) -> None:
    corpus, crf, _ = trained
    plain = score(corpus.dev, crf.tagger.tag(corpus.dev), kinds=("strict",)).micro()
    more = plain.recall + 0.01
    done = calibrate(crf, corpus.dev, annotated=corpus.labels, demand=Demand("recall", more))
    assert done.plain == plain and done.tuned.recall >= more
    before = {(d.id, e) for d in crf.tagger.tag(corpus.dev) for e in d.entities}
    after = {(d.id, e) for d in done.tagger.tag(corpus.dev) for e in d.entities}
    assert after - before
    for document in done.tagger.tag(corpus.test, confidence=True):
        assert not any(a.overlaps(b) for a, b in itertools.combinations(document.entities, 2))
        limits = [done.tagger.thresholds[e.label] for e in document.entities]
        assert all(e.score is not None and e.score >= t for e, t in zip(document.entities, limits, strict=True))
    assert LEAST < 0.05


def test_what_cannot_be_calibrated(trained: tuple[Corpus, Part, Part]) -> None:
    corpus, crf, names = trained
    for member, dev, annotated, demand, message in (
        (names, corpus.dev, corpus.labels, Demand(), "names gives no probabilities"),
        (crf, corpus.dev[:3], corpus.labels, Demand(), "dev has 3 different documents: 4 are the fewest"),
        (crf, corpus.dev, ["Gene"], Demand(), "dev has Gene, crf finds .*: no label fits"),
        (
            crf,
            corpus.dev,
            corpus.labels,
            Demand("recall", 1.0),
            r"no threshold has a recall of 1 on dev: the highest is 0\.\d{4}$",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            calibrate(member, dev, annotated=annotated, demand=demand)
    with pytest.raises(ConfigError, match=r"^\w+: no threshold has a recall of 1"):
        calibrate(crf, corpus.dev, annotated=corpus.labels, demand=Demand("recall", 1.0), per_label=True)


def test_what_dev_does_not_annotate_does_not_come_out(trained: tuple[Corpus, Part, Part]) -> None:
    corpus, crf, _ = trained
    dev = [d.with_entities(e for e in d.entities if e.label == "Test") for d in corpus.dev]
    done = calibrate(crf, dev, annotated=["Test"])
    assert done.tagger.labels == ("Test",)
    assert "Problem is not annotated in dev and does not come out." in done.notes
    assert {e.label for d in done.tagger.tag(corpus.test) for e in d.entities} == {"Test"}


def said(documents: Any) -> list[list[tuple[Entity, float | None]]]:
    return [[(e, e.score) for e in document.entities] for document in documents]


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_calibrated_tagger_comes_back(method: str, trained: tuple[Corpus, Part, Part], tmp_path: Path) -> None:
    corpus, crf, _ = trained
    tagger = calibrate(crf, corpus.dev, annotated=corpus.labels, method=method, per_label=True).tagger
    bundle.save(tagger, tmp_path / "b")
    again = bundle.load(tmp_path / "b")
    assert isinstance(again, CalibratedTagger) and again.labels == tagger.labels
    assert said(again.tag(corpus.test, confidence=True)) == said(tagger.tag(corpus.test, confidence=True))
    assert again.member.card == "# crf\n"
    path = tmp_path / "b" / "member" / "model.crfsuite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(BundleError, match="altered"):
        bundle.load(tmp_path / "b")


@given(st.lists(st.text(st.sampled_from("aé  .\n\u0301😀中Aspirin fever,1"), max_size=40), max_size=4))
def test_any_text_goes_through(trained: tuple[Corpus, Part, Part], texts: list[str]) -> None:
    corpus, crf, _ = trained
    tagger = CalibratedTagger(crf, Temperature(1.5), dict.fromkeys(corpus.labels, 0.1))
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    tagged = list(tagger.tag(documents, confidence=True))
    assert [(d.id, d.text) for d in tagged] == [(d.id, d.text) for d in documents]
    assert all(0.1 <= (e.score or 0) <= 1 for d in tagged for e in d.entities)
    small = CalibratedTagger(crf, tagger.learned, tagger.thresholds, chunk=1)
    assert said(small.tag(documents, confidence=True)) == said(tagged)
    assert all(e.score is None for d in tagger.tag(documents) for e in d.entities)


# The command line


@pytest.fixture
def call(trained: tuple[Corpus, Part, Part], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    corpus, crf, names = trained
    bundle.save(crf.tagger, tmp_path / "crf", card="# crf\n")
    bundle.save(names.tagger, tmp_path / "names")
    formats.write(corpus.dev, tmp_path / "dev.jsonl", "jsonl")

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        return int(left.value.code or 0), *capsys.readouterr()

    return call


def test_calibrate_on_the_command_line(call: Any) -> None:
    status, out, err = call(
        "calibrate", "crf", "--dev", "dev.jsonl", "--for", "precision=0.9", "--plot", "drawn/r", "--out", "b"
    )
    assert status == 0, err
    card, known = Path("b/README.md").read_text("utf-8"), bundle.describe(Path("b"))["facts"]
    assert "Expected calibration error" in card and "Expected calibration error" in out
    assert known["tuned"]["precision"] >= 0.9 and known["for"] == "precision=0.9"
    assert Path("drawn/r.svg").is_file() and Path("drawn/r.png").is_file()
    assert Path("b/member/README.md").read_text("utf-8") == "# crf\n"
    status, out, _ = call("tag", "b", "dev.jsonl", "--confidence")
    assert status == 0
    scores = [e["score"] for line in out.splitlines() for e in json.loads(line)["entities"]]
    assert scores and min(scores) >= min(known["thresholds"].values())
    status, out, _ = call("calibrate", "b", "--dev", "dev.jsonl", "--out", "c", "--method", "temperature", "--json")
    assert status == 0 and json.loads(out)["map"]["kind"] == "temperature"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["crf", "--for", "recall=1"], "error: no threshold has a recall of 1 on dev: the highest is 0."),
        (["crf", "--for", "accuracy=1"], "error: cannot tune for 'accuracy=1'"),
        (["crf", "--method", "platt"], "error: unknown calibration 'platt'"),
        (["names"], "error: names gives no probabilities"),
        (["nowhere"], "error: nowhere: no such run or bundle"),
    ],
)
def test_mistakes_are_one_line(call: Any, arguments: Sequence[str], message: str) -> None:
    status, out, err = call("calibrate", *arguments, "--dev", "dev.jsonl", "--out", "b")
    (line,) = [line for line in err.splitlines() if line.startswith("error")]
    assert (status, out) == (2, "") and line.startswith(message)
    assert not Path("b").exists()
