"""Fusion: every rule against brute force, cross-fitting that never looks, bundles in bundles, lists, the verdict."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transfuse import bundle, formats, methods
from transfuse import tags as tagging
from transfuse.cli import main
from transfuse.cli.fusing import _annotated
from transfuse.data.folding import Fold
from transfuse.data.task import resolve, resolve_target
from transfuse.ensembles import fusion
from transfuse.ensembles.ballots import Ballot, elect
from transfuse.ensembles.calibrated import calibrate
from transfuse.ensembles.evidence import Evidence, gather
from transfuse.ensembles.fusion import FusedTagger, Lists, fuse
from transfuse.ensembles.opinions import LEAST, Opinion, WordTags, _Marginals, voice
from transfuse.ensembles.parts import Part, read_part
from transfuse.ensembles.rules import (
    RULES,
    Single,
    Spans,
    Stack,
    Tags,
    Vote,
    _weightings,
    fit_rule,
    load_rule,
    save_rule,
)
from transfuse.ensembles.thresholds import overlapping, prevailing
from transfuse.explaining.explain import Explaining, explain
from transfuse.gazetteer import Gazetteer, Matching, training_terms
from transfuse.methods.crfsuite import Crfsuite
from transfuse.methods.fusion import Fusion
from transfuse.nn.crf import CRF
from transfuse.run import Run
from transfuse.scoring.score import score
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.linear import LinearCRF, train_linear
from transfuse.taggers.neural import NeuralTagger
from transfuse.taggers.reading import Reading, Window
from transfuse.taggers.vocabulary import Vocabulary
from transfuse.tags import Span
from transfuse.text import BundleError, ConfigError, Corpus, DataError, Document, Entity, Task
from transfuse.words import words

LABELS = ("A", "B")
TEXT = "uno dos tres cuatro cinco seis"
OFFSETS = words(TEXT)

# What members think


def spans_of(length: int, labels: Sequence[str] = LABELS) -> Iterator[Span]:
    for first, last in itertools.combinations(range(length + 1), 2):
        for label in labels:
            yield first, last, label


@pytest.mark.parametrize("scheme", ["BIO", "BIOES", "BMES"])
@pytest.mark.parametrize("seed", range(4))
def test_every_probable_span_is_found_and_no_other(scheme: str, seed: int) -> None:
    torch.manual_seed(seed)
    tagset, length = TagSet(LABELS, scheme), 4
    crf = CRF(*tagging.legal(tagset.names, scheme))
    torch.nn.init.normal_(crf.transition)
    emissions, lengths = 2 * torch.randn(1, length, len(tagset.names)), torch.tensor([length])
    path = crf.decode(emissions, lengths)[0].tolist()
    reading = Reading(tagset, (Window(0, length, path, crf.lattice(emissions, lengths), 0),))
    start, end, move = tagging.legal(tagset.names, scheme)
    totals: dict[Span, float] = {}
    whole = 0.0
    for tags in itertools.product(range(len(tagset.names)), repeat=length):
        if start[tags[0]] and end[tags[-1]] and all(move[a][b] for a, b in itertools.pairwise(tags)):
            weight = float(crf.score(emissions, lengths, torch.tensor([tags])).detach().exp())
            whole += weight
            for span in tagging.decode([tagset.names[tag] for tag in tags], scheme):
                totals[span] = totals.get(span, 0.0) + weight
    for least in (0.02, 0.2, 0.6):
        found = reading.candidates(least)
        wanted = {span: total / whole for span, total in totals.items() if total / whole >= least}
        assert set(found) == set(wanted) | set(reading.spans)
        assert all(found[span] == pytest.approx(chance, abs=1e-5) for span, chance in wanted.items())


@given(st.lists(st.lists(st.sampled_from([0, 0, 1, 9]), min_size=5, max_size=5).filter(any), min_size=1, max_size=5))
def test_what_tag_marginals_say_of_spans(table: list[list[int]]) -> None:
    tags = ("O", "B-A", "I-A", "B-B", "I-B")
    values = torch.tensor(table, dtype=torch.float64)
    values /= values.sum(1, keepdim=True)
    read = _Marginals(tags, values)

    def chance(span: Span) -> float:
        first, last, label = span
        begin, inside = tags.index(f"B-{label}"), tags.index(f"I-{label}")
        steps = [values[first, begin], *values[first + 1 : last, inside]]
        return float(min(*steps, 1 - values[last, inside] if last < len(values) else 1.0))

    wanted = {span: chance(span) for span in spans_of(len(table)) if chance(span) >= 0.1}
    assert read.candidates(0.1) == pytest.approx(wanted)


def network(seed: int, scheme: str = "BIOES", labels: Sequence[str] = LABELS) -> NeuralTagger:
    """An untrained network that finds a lot."""
    torch.manual_seed(seed)
    architecture = Architecture(BiLSTMEncoder(hidden=4, word_width=4, char_filters=2), scheme=scheme)
    vocabulary = Vocabulary.of((), TEXT.split() * 3, buckets=0)
    encoder = architecture.encoder.build(vocabulary, torch.zeros(1, 0))
    tagset = TagSet(tuple(labels), scheme)
    head = architecture.build_head(encoder.width, tagset, "crf")
    torch.nn.init.normal_(head.projection.weight, std=20)  # type: ignore[union-attr, arg-type]
    return NeuralTagger(encoder, head, vocabulary, tagset, architecture=architecture)


@pytest.fixture(scope="module")
def taggers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two linear CRFs, a list of names and a network, and the corpus they are for."""
    corpus, other = (department(name, documents=40) for name in ("cardiology", "neurology"))
    folder = tmp_path_factory.mktemp("crf")
    few = corpus.with_split("train", corpus.train[:8])
    crf = LinearCRF(iterations=25)
    return {
        "corpus": corpus,
        "good": train_linear(few.train, few.labels, settings=crf, folder=folder),
        "far": train_linear(other.train, other.labels, settings=crf, folder=folder),
        "names": Gazetteer(training_terms(few)),
        "network": network(0, labels=corpus.labels),
    }


def test_taggers_say_what_they_find_as_when_they_tag(taggers: dict[str, Any]) -> None:
    documents = [*taggers["corpus"].dev[:4], Document("empty", ""), Document("blank", " \n ")]
    for name in ("good", "names", "network"):
        tagger = taggers[name]
        for briefly in (False, True):
            opinions = voice(tagger, briefly=briefly).opinions(documents)
            tagged = list(tagger.tag(documents))
            assert [sorted(o.found) for o in opinions] == [list(d.entities) for d in tagged]
            for opinion in opinions:
                assert set(opinion.found) <= set(opinion.candidates)
                assert all(opinion.chance(e) == pytest.approx(p) for e, p in opinion.candidates.items())
                rest = {e: p for e, p in opinion.candidates.items() if e not in opinion.found}
                assert all(LEAST <= p <= 1 for p in rest.values())
        assert any(o.found for o in opinions)
    # a span that begins inside a word, or runs over a sentence, is no span of words
    (opinion,) = voice(taggers["network"]).opinions([Document("1", "uno dos. Tres\ncuatro")])
    assert opinion.chance(Entity(1, 3, "Problem")) == opinion.chance(Entity(9, 20, "Problem")) == 0
    assert opinion.chance(Entity(0, 7, "Problem")) > 0


# Rules


class Told:
    """A voice that says what it was told to say about documents of one sentence."""

    sure, scheme = True, ""
    tags: tuple[str, ...] = ()

    def __init__(self, chances: Sequence[dict[Entity, float]], found: Sequence[Iterable[Entity]]) -> None:
        self.chances, self.found = chances, found

    def opinions(self, documents: Sequence[Document]) -> list[Opinion]:
        assert len(documents) == len(self.chances)
        return [
            Opinion(tuple(sorted(found)), chances, lambda e, known=chances: known.get(e, 0.0))
            for chances, found in zip(self.chances, self.found, strict=True)
        ]


def entity(span: Span) -> Entity:
    return Entity(OFFSETS[span[0]][0], OFFSETS[span[1] - 1][1], span[2])


ENTITIES = [entity(span) for span in spans_of(len(OFFSETS))]


@st.composite
def panels(draw: st.DrawFn, *, steps: int = 8) -> Evidence:
    """Two or three members, some looking for A alone, about a few documents; few steps give many ties."""
    number, members = draw(st.integers(1, 3)), draw(st.integers(2, 3))
    known = [draw(st.sampled_from([("A",), LABELS])) for _ in range(members)]
    told = []
    for labels in known:
        chances: list[dict[Entity, float]] = []
        found: list[list[Entity]] = []
        for _ in range(number):
            mine = [e for e in ENTITIES if e.label in labels]
            some = draw(st.dictionaries(st.sampled_from(mine), st.integers(1, steps), max_size=6))
            chances.append({e: n / steps for e, n in some.items()})
            kept: list[Entity] = []
            for e in some:
                if draw(st.booleans()) and not any(e.overlaps(other) for other in kept):
                    kept.append(e)
            found.append(kept)
        told.append(Told(chances, found))
    golds = [draw(st.lists(st.sampled_from(ENTITIES), unique=True, max_size=3)) for _ in range(number)]
    documents = [Document(str(i), TEXT, tuple(gold)) for i, gold in enumerate(golds)]
    return gather(told, known, documents, LABELS)


def by_greed(scored: list[tuple[float, Entity]]) -> list[Entity]:
    kept: list[Entity] = []
    for _, e in sorted(scored, key=lambda pair: (-pair[0], pair[1])):
        if not any(e.overlaps(other) for other in kept):
            kept.append(e)
    return sorted(kept)


@given(panels())
@settings(max_examples=60)
def test_a_vote_is_that_on_the_whole_document(evidence: Evidence) -> None:
    answer = Vote().answer(evidence)
    for row in range(len(evidence.documents)):
        here = [i for i in range(len(evidence.spans)) if evidence.rows[i] == row]
        number = {(evidence.spans[i].start, evidence.spans[i].end, evidence.spans[i].label): i for i in here}
        ballots = [
            Ballot(
                [span for span, i in number.items() if evidence.found[m, i]],
                [label for j, label in enumerate(LABELS) if evidence.able[m, j]],
                lambda span, m=m, number=number: evidence.chances[m, number[span]],
            )
            for m in range(evidence.members)
        ]
        elected = elect(ballots)
        assert [(e.start, e.end, e.label) for e in answer[row]] == [one.span for one in elected]
        assert [e.score for e in answer[row]] == pytest.approx([one.score for one in elected])


def mean_of(evidence: Evidence, i: int, weights: Sequence[float]) -> float:
    column = LABELS.index(evidence.spans[i].label)
    able = [m for m in range(evidence.members) if evidence.able[m, column]]
    total = sum(weights[m] for m in able)
    return sum(weights[m] * evidence.chances[m, i] for m in able) / total if total else 0.0


def spans_by_hand(evidence: Evidence, weights: Sequence[float], threshold: float) -> list[list[Entity]]:
    found = []
    for row in range(len(evidence.documents)):
        here = [i for i in range(len(evidence.spans)) if evidence.rows[i] == row]
        scored = [(round(mean_of(evidence, i, weights), 9), evidence.spans[i]) for i in here]
        found.append(by_greed([pair for pair in scored if pair[0] >= threshold - 1e-9]))
    return found


@given(panels(steps=1009), st.lists(st.integers(0, 4), min_size=3, max_size=3), st.integers(0, 9))
@settings(max_examples=60)
def test_a_mean_of_spans_is_the_one_by_hand(evidence: Evidence, parts: list[int], tenths: int) -> None:
    weights = tuple(1.0 + part for part in parts[: evidence.members])
    threshold = tenths / 10 + 0.01
    answer = Spans(weights, threshold).answer(evidence)
    # equal means may differ in their last digit, and then another of two equals stays
    means = [round(mean_of(evidence, i, weights), 9) for i in range(len(evidence.spans))]
    if len(set(means)) == len(means):
        assert answer == spans_by_hand(evidence, weights, threshold)
    for row, found in enumerate(answer):
        assert not any(a.overlaps(b) for a, b in itertools.combinations(found, 2))
        for e in found:
            (i,) = (i for i, s in enumerate(evidence.spans) if s == e and evidence.rows[i] == row)
            assert e.score == pytest.approx(mean_of(evidence, i, weights))
        assert all(e.score is not None and threshold <= e.score <= 1 for e in found)


@given(panels())
@settings(max_examples=30)
def test_weights_and_threshold_are_the_best_there_are(evidence: Evidence) -> None:
    inside = np.ones(len(evidence.documents), dtype=bool)
    rule = Spans.fit(evidence, inside)
    best = evidence.counts(rule.answer(evidence), inside).f1
    for weights in _weightings(evidence.members):
        means = sorted({mean_of(evidence, i, weights) for i in range(len(evidence.spans))})
        for threshold in [0.0, *means]:
            other = Spans(weights, threshold)
            assert evidence.counts(other.answer(evidence), inside).f1 <= best + 1e-12


@pytest.mark.parametrize("members", range(1, 9))
def test_weights_sum_to_one_and_are_few(members: int) -> None:
    found = _weightings(members)
    assert all(len(weights) == members and sum(weights) == pytest.approx(1) for weights in found)
    assert len(found) <= 22 and len(set(found[1:])) == len(found) - 1
    single = {tuple(float(i == j) for j in range(members)) for i in range(members)}
    assert single <= set(found)


@given(st.lists(st.tuples(st.sampled_from(ENTITIES), st.integers(0, 9)), unique_by=lambda pair: pair[0]), st.data())
def test_a_threshold_may_come_before_or_after(pairs: list[tuple[Entity, int]], data: st.DataObject) -> None:
    pairs = sorted(pairs)
    entities, scores = [e for e, _ in pairs], np.array([n / 10 for _, n in pairs])
    stays = prevailing(scores, overlapping(entities, [0] * len(entities)))
    assert [e for e, stay in zip(entities, stays, strict=True) if stay] == by_greed(
        [(s, e) for e, s in zip(entities, scores.tolist(), strict=True)]
    )
    limit = data.draw(st.integers(0, 10)) / 10
    high = [(e, s) for e, s in zip(entities, scores.tolist(), strict=True) if s >= limit]
    before = prevailing(np.array([s for _, s in high]), overlapping([e for e, _ in high], [0] * len(high)))
    after = [e for e, stay, s in zip(entities, stays, scores, strict=True) if stay and s >= limit]
    assert [e for (e, _), stay in zip(high, before, strict=True) if stay] == after


class Tagged(Told):
    """A voice that gives tags probabilities too."""

    def __init__(self, scheme: str, labels: Sequence[str], chances: torch.Tensor, offsets: Any = OFFSETS) -> None:
        super().__init__([{}], [()])
        self.scheme, self.tags = scheme, tagging.tag_names(labels, scheme)
        self.sentence = WordTags(offsets, chances)

    def opinions(self, documents: Sequence[Document]) -> list[Opinion]:
        return [replace(super().opinions(documents)[0], sentences=(self.sentence,))]


def random_tags(seed: int, scheme: str, labels: Sequence[str] = LABELS, length: int = len(OFFSETS)) -> torch.Tensor:
    torch.manual_seed(seed)
    return (2 * torch.randn(length, len(tagging.tag_names(labels, scheme)), dtype=torch.float64)).softmax(1)


@pytest.mark.parametrize("schemes", [("BIO", "BIOES"), ("BIOES", "BMES"), ("BIO", "BIO"), ("BIOES", "BIOES")])
@pytest.mark.parametrize("seed", range(3))
def test_a_mean_of_tags_is_the_best_legal_path(schemes: tuple[str, str], seed: int) -> None:
    length, text = 4, " ".join(TEXT.split()[:4])
    offsets = words(text)
    known = (LABELS, ("B",))
    tables = [
        random_tags(10 * seed + i, s, labels, length) for i, (s, labels) in enumerate(zip(schemes, known, strict=True))
    ]
    voices = [Tagged(s, k, t, offsets) for s, k, t in zip(schemes, known, tables, strict=True)]
    evidence = gather(voices, known, [Document("1", text)], LABELS)
    scheme = schemes[0] if schemes[0] == schemes[1] else "BIO"
    assert evidence.tagset == TagSet(LABELS, scheme)
    names, weights = tagging.tag_names(LABELS, scheme), (0.3, 0.7)
    fold = {"S": "B", "E": "I", "M": "I"} if scheme == "BIO" else {}
    mean = torch.zeros(length, len(names), dtype=torch.float64)
    for column, name in list(enumerate(names))[1:]:
        able = [i for i, labels in enumerate(known) if name.partition("-")[2] in labels]
        for i in able:
            for other, tag in enumerate(voices[i].tags):
                sign, _, label = tag.partition("-")
                if label and f"{fold.get(sign, sign)}-{label}" == name:
                    mean[:, column] += weights[i] * tables[i][:, other]
        mean[:, column] /= sum(weights[i] for i in able)
    mean[:, 0] = (1 - mean.sum(1)).clamp(min=0)
    logs = (mean / mean.sum(1, keepdim=True)).clamp(min=1e-12).log()
    start, end, move = tagging.legal(names, scheme)
    legal = [
        path
        for path in itertools.product(range(len(names)), repeat=length)
        if start[path[0]] and end[path[-1]] and all(move[a][b] for a, b in itertools.pairwise(path))
    ]
    best = max(legal, key=lambda path: float(sum(logs[i, tag] for i, tag in enumerate(path))))
    spans = tagging.decode([names[tag] for tag in best], scheme)
    (found,) = Tags(weights).answer(evidence)
    assert [(e.start, e.end, e.label) for e in found] == [(offsets[a][0], offsets[b - 1][1], c) for a, b, c in spans]


def test_tags_have_no_mean_where_words_differ_or_nobody_gives_them() -> None:
    document = Document("1", TEXT)
    one = Tagged("BIO", LABELS, random_tags(0, "BIO"))
    other = Tagged("BIO", LABELS, random_tags(1, "BIO", length=1), [(0, len(TEXT))])
    for voices in ([one, other], [one, Told([{}], [()])], [one, Tagged("IOB1", LABELS, random_tags(1, "IOB1"))]):
        evidence = gather(voices, [LABELS, LABELS], [document], LABELS)
        assert evidence.tagset is None
        with pytest.raises(BundleError, match="their tags have no mean"):
            Tags((0.5, 0.5)).answer(evidence)


def test_a_judge_is_the_regression_of_scikit_learn(taggers: dict[str, Any]) -> None:
    from sklearn.linear_model import LogisticRegression

    corpus = taggers["corpus"]
    members = [taggers["good"], taggers["names"]]
    evidence = gather([voice(m) for m in members], [m.labels for m in members], corpus.dev, corpus.labels)
    inside = np.arange(len(corpus.dev)) % 2 == 0
    rows = []
    for i, span in enumerate(evidence.spans):
        here = [j for j in range(len(evidence.spans)) if evidence.rows[j] == evidence.rows[i] and j != i]
        rivals = [j for j in here if evidence.spans[j].overlaps(span)]
        p = [min(max(c, 1e-4), 1 - 1e-4) for c in evidence.chances[:, i]]
        able = [span.label in m.labels for m in members]
        row = [a * np.log(c / (1 - c)) for c, a in zip(p, able, strict=True)]
        row += [*evidence.found[:, i], *(any(evidence.found[m, j] for j in rivals) for m in (0, 1))]
        rows.append([*row, np.log(span.end - span.start), *(span.label == label for label in corpus.labels[1:])])
    table = np.array(rows, dtype=float)
    learned = LogisticRegression(max_iter=2000).fit(table[inside[evidence.rows]], evidence.right[inside[evidence.rows]])
    rule = Stack.fit(evidence, inside)
    assert rule._scores(evidence) == pytest.approx(learned.predict_proba(table)[:, 1], abs=1e-9)
    assert 0 < rule.threshold < 1
    assert rule.answer(evidence) != Vote().answer(evidence)


def test_a_judge_with_nothing_to_tell_apart(taggers: dict[str, Any]) -> None:
    document = Document("1", TEXT)
    told = Told([{ENTITIES[0]: 0.9}], [[ENTITIES[0]]])
    for gold, found in (((), []), ((ENTITIES[0],), [ENTITIES[0]])):
        evidence = gather([told, told], [LABELS, LABELS], [document.with_entities(gold)], LABELS)
        assert Stack.fit(evidence, np.array([True])).answer(evidence) == [found]


@given(panels())
@settings(max_examples=25)
def test_rules_come_back_from_json(evidence: Evidence) -> None:
    inside = np.ones(len(evidence.documents), dtype=bool)
    for rule in (Single(1), *(fit_rule(name, evidence, inside) for name in RULES if name != "tags"), Tags((0.5, 0.5))):
        again = load_rule(json.loads(json.dumps(save_rule(rule))))
        assert again == rule
        if not isinstance(rule, Tags):
            assert again.answer(evidence) == rule.answer(evidence)


# Choosing


def parts(taggers: dict[str, Any], *names: str) -> list[Part]:
    return [Part(name, taggers[name], f"# {name}\n", {"name": name}) for name in names]


class Cheat:
    """A rule that knows the gold of what it learned from, and nothing of anything else."""

    kind = "cheat"

    def __init__(self, inside: Any) -> None:
        self.inside = inside

    def answer(self, evidence: Evidence) -> list[list[Entity]]:
        return [list(gold) if known else [] for gold, known in zip(evidence.gold, self.inside, strict=True)]


@pytest.mark.parametrize("held_out", [0, 6])
def test_nobody_answers_what_he_learned_from(
    taggers: dict[str, Any], held_out: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus, members = taggers["corpus"], parts(taggers, "good", "names")
    learned: list[frozenset[int]] = []

    def cheat(name: str, evidence: Evidence, inside: Any) -> Cheat:
        learned.append(frozenset(np.flatnonzero(inside).tolist()))
        return Cheat(inside)

    monkeypatch.setattr(fusion, "fit_rule", cheat)
    outcome = fuse(members, corpus.dev, annotated=corpus.labels, held_out=corpus.train[:held_out])
    assert [outcome.scores[rule].predicted for rule in RULES if rule != "tags"] == [0, 0, 0]
    assert outcome.chosen == "good" and outcome.fair == outcome.scores["good"]
    dev = len(corpus.dev)
    if held_out:
        assert set(learned) == {frozenset(range(dev, dev + held_out))}
    else:
        # a fold is left out, or two where the choice is made anew, and nothing else ever
        fold = fusion._folds(corpus.dev, 0)
        left = {frozenset(np.unique(fold[[i for i in range(dev) if i not in some]]).tolist()) for some in learned}
        assert {len(folds) for folds in left} == {1, 2} and len(left) == 5 + 10
        assert all({i for i in range(dev) if fold[i] not in folds} in learned for folds in left)


def test_the_choice_is_never_worse_than_the_best_member_on_dev(taggers: dict[str, Any]) -> None:
    corpus = taggers["corpus"]
    members = parts(taggers, "good", "far")
    outcome = fuse(members, corpus.dev, annotated=corpus.labels)
    assert list(outcome.scores) == ["good", "far", *RULES]
    for part in members:
        alone = score(corpus.dev, part.tagger.tag(corpus.dev), kinds=("strict",)).micro()
        assert (outcome.scores[part.name].tp, outcome.scores[part.name].fp) == (alone.tp, alone.fp)
    best = max(counts.f1 for counts in outcome.scores.values())
    assert outcome.best == "good" and outcome.scores[outcome.chosen].f1 == best
    assert outcome.helps and outcome.verdict().startswith("The fusion helps: ")
    assert f"{100 * best:.2f} F1 on dev, cross-fitted" in outcome.verdict()
    asked = fuse(members, corpus.dev, annotated=corpus.labels, rule="vote")
    assert asked.chosen == "vote" and asked.tagger.rule == Vote() and asked.fair is None
    if asked.scores["vote"].f1 <= asked.scores["good"].f1:
        assert asked.verdict().startswith("The fusion does not help: vote has ")


def test_where_no_fusion_helps_the_best_member_stays(taggers: dict[str, Any], tmp_path: Path) -> None:
    corpus = taggers["corpus"]
    (good,) = parts(taggers, "good")
    members = [good, replace(good, name="its twin")]  # of whom nothing can be learned that one does not say
    outcome = fuse(members, corpus.dev, annotated=corpus.labels, rule="vote")
    assert outcome.scores["vote"] == outcome.scores["good"] and not outcome.helps
    twins = fuse(members, corpus.dev, annotated=corpus.labels)  # a threshold is nothing that a second member brings
    assert twins.tuned["good"] == twins.tuned["its twin"] and not twins.helps
    silent = Part("silent", Gazetteer([("nobody writes this", "Problem")]))
    dev = [
        d.with_entities(e for e in tagged.entities)
        for d, tagged in zip(corpus.dev, good.tagger.tag(corpus.dev), strict=True)
    ]
    kept = fuse([silent, good], dev, annotated=corpus.labels)
    assert kept.chosen == kept.best == "good" and kept.tagger.rule == Single(0) and len(kept.tagger.members) == 1
    assert kept.verdict() == "No fusion beats the best member, good (100.00 F1 on dev): its answer is kept."
    assert list(kept.tagger.tag(corpus.test)) == list(good.tagger.tag(corpus.test))


def test_what_dev_does_not_annotate_does_not_come_out(taggers: dict[str, Any]) -> None:
    corpus = taggers["corpus"]
    dev = [d.with_entities(e for e in d.entities if e.label in {"Test", "Problem"}) for d in corpus.dev]
    outcome = fuse(parts(taggers, "good", "names"), dev, annotated=["Test", "Problem"])
    assert set(outcome.tagger.labels) == {"Test", "Problem"}
    assert "Anatomy is not annotated in dev and does not come out." in outcome.notes
    assert any("meet in spans alone" in line for line in outcome.notes) and "tags" not in outcome.scores
    assert {e.label for d in outcome.tagger.tag(corpus.test) for e in d.entities} == {"Test", "Problem"}


def test_what_the_held_out_documents_do_not_annotate_does_not_come_out_either(taggers: dict[str, Any]) -> None:
    corpus, members = taggers["corpus"], parts(taggers, "good", "far")
    taught = [label for label in corpus.labels if label != "Anatomy"]
    held = [d.with_entities(e for e in d.entities if e.label != "Anatomy") for d in corpus.train[:6]]
    outcome = fuse(members, corpus.dev, annotated=corpus.labels, held_out=held, taught=taught)
    assert "Anatomy" not in outcome.tagger.labels
    assert "Anatomy is not annotated in held-out documents and does not come out." in outcome.notes


def test_lists_are_scored_as_the_tagger_that_is_left_uses_them() -> None:
    lines = [f"gout{i} treated with aspirin{i}." for i in range(20)]
    dev = [
        Document(line, line, (Entity(0, line.index(" "), "Disease"), Entity(line.index("asp"), len(line) - 1, "Drug")))
        for line in lines
    ]
    diseases = Part("diseases", Gazetteer([(line.split()[0], "Disease") for line in lines]))
    wrong = Part("wrong", Gazetteer([("treated", "Disease"), ("with", "Drug")]))
    drugs = Part("drugs", Gazetteer([(line.split()[-1].strip("."), "Drug") for line in lines]))
    outcome = fuse([diseases, wrong], dev, annotated=("Disease", "Drug"), lists=Lists(add=drugs))
    assert outcome.scores["diseases + lists"].tp == 20  # the member knows no drug, so that none comes out
    tagged = list(outcome.tagger.tag(dev))
    assert score(dev, tagged, kinds=("strict",)).micro().f1 == pytest.approx(outcome.scores[outcome.chosen].f1)


def test_copies_of_a_text_lie_in_one_fold() -> None:
    texts = [str(i % 7) for i in range(70)]
    fold = fusion._folds([Document(str(i), text) for i, text in enumerate(texts)], 3).tolist()
    assert len({(text, number) for text, number in zip(texts, fold[:70], strict=True)}) == 7
    assert set(fold[:70]) == set(range(5)) and fold[70:] == [-1] * 3


@pytest.mark.parametrize(
    ("members", "rule", "dev", "message"),
    [
        (["good"], "auto", 9, "takes two members or more, or one with a list"),
        (["good", "far"], "mean", 9, "unknown rule 'mean': choose one of auto, vote, spans, tags, stack"),
        (["good", "far"], "auto", 4, "dev has 4 different documents: 5 are the fewest"),
        (["good", "names"], "tags", 9, "not all members give tags"),
    ],
)
def test_what_cannot_be_fused(taggers: dict[str, Any], members: list[str], rule: str, dev: int, message: str) -> None:
    corpus = taggers["corpus"]
    with pytest.raises(ConfigError, match=message):
        fuse(parts(taggers, *members), corpus.dev[:dev], annotated=corpus.labels, rule=rule)


def test_nothing_to_choose_by(taggers: dict[str, Any]) -> None:
    two, documents = parts(taggers, "good", "far"), [Document(str(i), f"x{i}") for i in range(9)]
    with pytest.raises(ConfigError, match="dev has no entity"):
        fuse(two, documents, annotated=["Test"])
    with pytest.raises(ConfigError, match="no label fits"):
        fuse(two, [d.with_entities([Entity(0, 1, "Gene")]) for d in documents], annotated=["Gene"])


# Lists

LIST = Gazetteer([("fever", "Problem"), ("aspirin", "Treatment")], Matching(case="exact", minimum=1))


def test_lists_filter_and_complete() -> None:
    document = Document("1", "fever and aspirin after chills")
    fever, aspirin, chills = Entity(0, 5, "Problem"), Entity(10, 17, "Treatment"), Entity(24, 30, "Problem")
    longer, test = Entity(10, 23, "Treatment"), Entity(24, 30, "Test")
    part, labels = Part("list", LIST), ("Problem", "Treatment", "Test")

    def changed(found: list[Entity], labels: Sequence[str] = labels, **lists: Part) -> list[Entity]:
        (answer,) = Lists(**lists).apply([document], [found], labels)
        return answer

    assert changed([fever, chills, longer, test], only_in=part) == [fever, test]  # the list knows nothing of tests
    assert changed([Entity(0, 5, "Treatment")], only_in=part) == []
    assert changed([longer], add=part) == [fever, longer]
    assert changed([], ("Problem",), add=part) == [fever]
    assert changed([chills], only_in=part, add=part) == [fever, aspirin]
    assert changed([chills]) == [chills]


def test_lists_are_taken_where_they_help_or_are_asked_for(taggers: dict[str, Any]) -> None:
    corpus = taggers["corpus"]
    names = Part("names", Gazetteer(training_terms(corpus)))
    junk = Part("junk", Gazetteer([(word, "Test") for d in corpus.dev for word in d.text.split()], Matching(minimum=1)))
    good = parts(taggers, "good")
    helped = fuse(good, corpus.dev, annotated=corpus.labels, lists=Lists(add=names))
    assert helped.chosen == "good + lists" and helped.helps and helped.tagger.lists.add is names
    hurt = fuse(good, corpus.dev, annotated=corpus.labels, lists=Lists(add=junk))
    assert hurt.chosen == "good" and not hurt.tagger.lists
    forced = fuse(good, corpus.dev, annotated=corpus.labels, rule="vote", lists=Lists(add=junk))
    assert forced.chosen == "good + lists" and forced.verdict().startswith("The fusion does not help: good + lists")
    tagged = list(forced.tagger.tag(corpus.dev))
    assert score(corpus.dev, tagged, kinds=("strict",)).micro().f1 == pytest.approx(forced.scores["good + lists"].f1)
    with pytest.raises(ConfigError, match="far is no list of names but a LinearTagger"):
        fuse(good, corpus.dev, annotated=corpus.labels, lists=Lists(only_in=parts(taggers, "far")[0]))


# Bundles


@pytest.fixture(scope="module")
def fused(taggers: dict[str, Any]) -> dict[str, FusedTagger]:
    corpus = taggers["corpus"]
    listed = Lists(add=Part("names", taggers["names"]))
    found = {}
    for rule in RULES:
        members = parts(taggers, *(("good", "network") if rule == "tags" else ("good", "names", "network")))
        found[rule] = fuse(members, corpus.dev, annotated=corpus.labels, rule=rule, lists=listed).tagger
    return found


@pytest.mark.parametrize("rule", [*RULES, "single", "calibrated", "fusion of fusions"])
def test_a_fusion_is_explained_and_is_as_sure_as_when_it_tags(
    rule: str, fused: dict[str, FusedTagger], taggers: dict[str, Any], tmp_path: Path
) -> None:
    corpus: Corpus = taggers["corpus"]
    bundle.save(fused[rule if rule in RULES else "vote"], tmp_path / "copy")
    tagger: Any = bundle.load(tmp_path / "copy")  # what the fused ones keep of texts is for the other tests alone
    if rule == "single":
        tagger = FusedTagger(parts(taggers, "good"), Single(0), corpus.labels)
    elif rule == "calibrated":
        tagger = calibrate(Part("good", taggers["good"]), corpus.dev, annotated=corpus.labels).tagger
    elif rule not in RULES:
        members = [Part("vote", tagger), Part("good", taggers["good"])]
        tagger = FusedTagger(members, Spans((0.5, 0.5), 0.5), corpus.labels)
    found = [d for d in tagger.tag(corpus.test[:12], confidence=True) if d.entities]
    for document, entity in ((d, e) for d in found for e in d.entities[:4]):
        told = explain(tagger, document, entity, Explaining(by="lime", samples=2))
        if rule == "single":  # a linear CRF by itself says less of where a mention ends
            assert told.probability <= (entity.score or 0) + 1e-9
        else:
            assert told.probability == pytest.approx(1.0 if entity.score is None else entity.score, abs=1e-6)
    told = explain(tagger, found[0], found[0].entities[0], Explaining(samples=120))
    assert told.complete and told.baseline == "unknown"


def test_names_that_are_no_list_make_a_span_impossible() -> None:
    names = Gazetteer([("fever", "Disease")])
    finder = Gazetteer([("fever", "Disease"), ("cough", "Disease")])
    text = Document("x", "fever and cough")
    strict = FusedTagger([Part("all", finder)], Single(0), ["Disease"], lists=Lists(only_in=Part("names", names)))
    spans = [Entity(0, 5, "Disease"), Entity(10, 15, "Disease")]
    assert strict.chances([text, text], spans) == [1.0, 0.0]
    added = FusedTagger([Part("names", names)], Single(0), ["Disease"], lists=Lists(add=Part("all", finder)))
    assert added.chances([text, text], spans) == [1.0, 1.0]
    assert added.chances([text], [Entity(6, 9, "Disease")]) == [0.0]


def facts(documents: Iterable[Document]) -> list[list[tuple[Any, ...]]]:
    return [[(e, e.score) for e in document.entities] for document in documents]


@pytest.mark.parametrize("rule", RULES)
def test_a_fusion_comes_back(fused: dict[str, FusedTagger], rule: str, taggers: dict[str, Any], tmp_path: Path) -> None:
    tagger, documents = fused[rule], taggers["corpus"].test[:3]
    bundle.save(tagger, tmp_path / "b")
    again = bundle.load(tmp_path / "b")
    assert isinstance(again, FusedTagger) and again.labels == tagger.labels
    assert facts(again.tag(documents, confidence=True)) == facts(tagger.tag(documents, confidence=True))
    assert [part.card for part in again.members] == [part.card for part in tagger.members]
    assert [part.facts for part in again.members] == [part.facts for part in tagger.members]
    bundle.save(again, tmp_path / "c")  # and what came back can be saved again
    assert facts(bundle.load(tmp_path / "c").tag(documents)) == facts(tagger.tag(documents))
    assert not any(path.is_symlink() for path in (tmp_path / "b").rglob("*"))


@given(st.lists(st.text(st.sampled_from("aé  .\n\u0301😀中Aspirin fever,1"), max_size=40), max_size=4))
@settings(max_examples=8)
def test_any_text_goes_through(fused: dict[str, FusedTagger], texts: list[str]) -> None:
    documents = [Document(str(i), text) for i, text in enumerate(texts)]
    for tagger in fused.values():
        tagged = list(tagger.tag(documents, confidence=True))
        assert [(d.id, d.text) for d in tagged] == [(d.id, d.text) for d in documents]
        assert all(e.score is None or 0 <= e.score <= 1 for d in tagged for e in d.entities)
        assert all(e.label in tagger.labels for d in tagged for e in d.entities)
        small = FusedTagger(tagger.members, tagger.rule, tagger.labels, lists=tagger.lists, chunk=1)
        assert [d.entities for d in small.tag(documents)] == [d.entities for d in tagged]
        assert all(e.score is None for d in tagger.tag(documents) for e in d.entities)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path: Path) -> None:
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


def drop(path: Path) -> None:
    for child in path.iterdir():
        child.unlink()
    path.rmdir()


@pytest.mark.parametrize(
    ("place", "harm", "message"),
    [
        ("member-1/model.crfsuite", flip, r"model\.crfsuite: altered"),
        ("member-2/terms.tsv", flip, r"terms\.tsv: altered"),
        ("member-1/bundle.json", flip, r"bundle\.json: altered since the bundle around it"),
        ("add/bundle.json", flip, r"bundle\.json: altered since the bundle around it"),
        ("member-3", link, "missing or is no plain folder"),
        ("member-2", drop, "missing or is no plain folder"),
    ],
)
def test_altered_parts_are_refused(
    fused: dict[str, FusedTagger], tmp_path: Path, place: str, harm: Callable[[Path], None], message: str
) -> None:
    bundle.save(fused["vote"], tmp_path / "b")
    harm(tmp_path / "b" / place)
    with pytest.raises(BundleError, match=message):
        bundle.load(tmp_path / "b")


def test_a_fusion_of_fusions(fused: dict[str, FusedTagger], taggers: dict[str, Any], tmp_path: Path) -> None:
    corpus = taggers["corpus"]
    bundle.save(fused["stack"], tmp_path / "one")
    members = [read_part(tmp_path / "one"), *parts(taggers, "far")]
    assert isinstance(members[0].tagger, FusedTagger)
    outcome = fuse(members, corpus.dev, annotated=corpus.labels, rule="vote")
    bundle.save(outcome.tagger, tmp_path / "two")
    assert facts(bundle.load(tmp_path / "two").tag(corpus.test)) == facts(outcome.tagger.tag(corpus.test))
    flip(tmp_path / "two" / "member-1" / "member-2" / "terms.tsv")
    with pytest.raises(BundleError, match="altered"):
        bundle.load(tmp_path / "two")


# The command line


@pytest.fixture
def call(taggers: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    monkeypatch.chdir(tmp_path)
    for name in ("good", "far", "names"):
        bundle.save(taggers[name], tmp_path / name, card=f"# {name}\n")
    formats.write(taggers["corpus"].dev, tmp_path / "dev.jsonl", "jsonl")
    (tmp_path / "drugs.txt").write_text("aspirin\tDrug\n", "utf-8")

    def call(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(list(arguments))
        return int(left.value.code or 0), *capsys.readouterr()

    return call


def test_fuse_on_the_command_line(call: Any, taggers: dict[str, Any]) -> None:
    status, out, err = call("fuse", "good", "far", "--dev", "dev.jsonl", "--add", "names", "--out", "b")
    assert status == 0, err
    card, known = Path("b/README.md").read_text("utf-8"), bundle.describe(Path("b"))["facts"]
    rows = ["good", "far", *RULES]
    assert [line.split(" |")[0][2:] for line in card.splitlines() if line.startswith("| ")][2:-1] == [
        *rows,
        *(f"{row} + lists" for row in rows),
        *(f"{row}, own threshold" for row in rows[:2]),
    ]
    assert "The fusion helps: " in card and "The fusion helps: " in out and known["helps"] is True
    assert known["scores"][known["chosen"]]["f1"] == max(row["f1"] for row in known["scores"].values())
    assert known["documents"] == len(taggers["corpus"].dev) and "auto" in out
    assert Path("b/member-1/README.md").read_text("utf-8") == "# good\n"
    status, out, _ = call("tag", "b", "dev.jsonl", "--confidence")
    assert status == 0 and len(out.splitlines()) == len(taggers["corpus"].dev)
    status, out, _ = call("fuse", "good", "far", "--dev", "dev.jsonl", "--out", "b", "--rule", "vote", "--json")
    assert status == 0 and json.loads(out)["chosen"] == "vote"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["good", "nowhere", "--dev", "dev.jsonl"], "error: nowhere: no such run or bundle"),
        (["good", "far", "--dev", "nowhere"], "error: nowhere: no such file, and no registered corpus"),
        (["good", "far", "--dev", "dev.jsonl", "--rule", "best"], "error: unknown rule 'best'"),
        (["good", "far", "--dev", "dev.jsonl", "--add", "far"], "error: far is no list of names"),
        (["good", "--dev", "dev.jsonl", "--add", "terms:drugs.txt"], "error: terms:drugs.txt has names of Drug"),
        (["good", "good", "--dev", "dev.jsonl"], "error: good is named twice"),
        (["good", "--dev", "dev.jsonl"], "error: a fusion takes two members or more"),
        (["good", "far", "--dev", "dev.jsonl", "--out", "good"], "error: good is an input"),
        (["good", "far", "--dev", "dev.jsonl", "--out", "dev.jsonl"], "error: dev.jsonl is there and is no bundle"),
    ],
)
def test_mistakes_are_one_line(call: Any, arguments: list[str], message: str) -> None:
    before = sorted(Path().rglob("*"))
    status, out, err = call("fuse", "--out", "b", *arguments)
    (line,) = [line for line in err.splitlines() if line.startswith("error")]
    assert (status, out) == (2, "") and line.startswith(message)
    assert sorted(Path().rglob("*")) == before


def test_names_that_are_not_looked_for_are_told(call: Any) -> None:
    Path("names.txt").write_text("aspirin\tTreatment\naspirin\tDrug\nMI\tProblem\n", "utf-8")
    status, out, err = call("fuse", "good", "--dev", "dev.jsonl", "--add", "terms:names.txt", "--out", "b")
    assert status == 0 and "terms:names.txt has names of Drug, too, which does not come out." in out
    assert "terms:names.txt: 1 skipped: name" in err


@pytest.mark.parametrize("verb", [["fuse", "run", "good", "--rule", "vote"], ["calibrate", "run"]])
def test_a_file_that_a_member_was_trained_on_is_divided_as_it_was_then(call: Any, verb: list[str]) -> None:
    corpus = department("cardiology", documents=50)
    formats.write((d for split in corpus.splits.values() for d in split), Path("notes.jsonl"), "jsonl")
    assert call("train", "--target", "notes.jsonl", "--method", "crfsuite", "--out", "run")[0] == 0
    status, out, err = call(*verb, "--dev", "notes.jsonl", "--out", "b", "--json")
    assert status == 0, err
    assert json.loads(out)["documents"] == len(resolve("notes.jsonl").dev) < 10
    status, out, err = call("calibrate", "b", "--dev", "notes.jsonl", "--out", "c", "--json")  # a member of a member
    assert status == 0 and json.loads(out)["dev"] == "the dev split of notes.jsonl, on which a member was trained", err


def test_the_tagger_of_a_fold_is_judged_on_what_it_did_not_learn(call: Any) -> None:
    corpus = department("cardiology", documents=90)
    formats.write((d for split in corpus.splits.values() for d in split), Path("notes.jsonl"), "jsonl")
    command = ("cross-validate", "--target", "notes.jsonl", "--method", "crfsuite", "--folds", "3", "--out", "cv")
    assert call(*command)[0] == 0
    folds = sorted(Path("cv/cells").iterdir(), key=lambda run: (run / "recipe.toml").read_text())
    for number, run in enumerate(folds, 1):
        status, out, err = call("calibrate", str(run), "--dev", "notes.jsonl", "--out", f"b{number}", "--json")
        assert status == 0, err
        held = resolve_target("notes.jsonl", fold=Fold(number, 3)).dev
        assert json.loads(out)["documents"] == len(held) < 10
    status, out, err = call("fuse", *map(str, folds), "--dev", "notes.jsonl", "--out", "c")
    assert status == 2 and "what one member was not trained on, another was" in err and not Path("c").exists()


def test_the_dev_split_of_a_corpus_is_taken_and_never_its_test(call: Any) -> None:
    status, out, err = call("fuse", "good", "far", "--dev", "demo-cardiology", "--out", "b", "--json", "--rule", "vote")
    assert status == 0, err
    dev = department("cardiology").dev
    assert json.loads(out)["documents"] == len(dev)
    labels = bundle.load(Path("b")).labels
    assert json.loads(out)["scores"]["vote"]["gold"] == sum(e.label in labels for d in dev for e in d.entities)


# As a method


SMALL = {
    "architecture": {"encoder": {"hidden": 12, "word_width": 12, "char_filters": 4}},
    "training": {"epochs": 2, "steps": 15, "rate": 0.01},
    "vectors": {"kind": "none"},
}
MEMBERS = (
    {"name": "retrain", "source_epochs": 1.0, "source_training": SMALL["training"], **SMALL},
    {"name": "crfsuite", "iterations": 15},
)


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(department("neurology", documents=30), (department("cardiology", documents=12),))


def trained(run: Run) -> dict[str, float]:
    return {record["stage"]: record["cpu_seconds"] for record in run.records("trained")}


def test_members_are_what_their_methods_make_alone_and_cost_as_much(task: Task, tmp_path: Path) -> None:
    run = Run(tmp_path / "fused", seed=3)
    tagger = Fusion(MEMBERS, rule="spans").fit(task, run=run)
    for number, (member, part) in enumerate(zip(MEMBERS, tagger.members, strict=True), 1):
        name, method = methods.make(member)
        alone = Run(tmp_path / name, seed=3)
        assert facts(method.fit(task, run=alone).tag(task.target.test)) == facts(part.tagger.tag(task.target.test))
        stages = {stage.partition("/")[2] for stage in trained(run) if stage.startswith(f"{number}-{name}/")}
        assert stages == set(trained(alone)) and part.name == name
    told = run.records("exposure")
    assert {record["stage"].partition("/")[0] for record in told} == {"1-retrain"} and told[0]["passes"] > 0
    (fused,) = run.records("fused")
    assert (fused["chosen"], set(fused["dev_f1"])) == ("spans", {"retrain", "crfsuite", "spans"})
    assert any(run.folder.glob("members/*/checkpoint"))
    run.finish()
    assert not any(run.folder.rglob("checkpoint"))


def test_killed_in_its_second_member_it_ends_as_if_it_had_not_been(
    task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = Fusion(MEMBERS)
    whole = method.fit(task, run=Run(tmp_path / "whole", seed=3))
    run = Run(tmp_path / "killed", seed=3)
    with monkeypatch.context() as patch:
        patch.setattr(Crfsuite, "fit", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            method.fit(task, run=run)
    assert not run.records("fused")
    again = method.fit(task, run=run)
    assert facts(again.tag(task.target.test)) == facts(whole.tag(task.target.test))
    assert trained(run).keys() == trained(Run(tmp_path / "whole")).keys()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"members": MEMBERS[:1]}, "method.members: a fusion takes two or more"),
        ({"rule": "mean"}, "method.rule: choose one of auto, vote"),
        ({"members": ({"name": "retrian"}, *MEMBERS)}, r"unknown method 'retrian'; did you mean retrain\?"),
        ({"members": (*MEMBERS, {"name": "retrain", "frosen": 1})}, r"unknown key method\.members\[2\]\.frosen"),
        ({"members": (*MEMBERS, {"name": "retrain", "source_batch": 0})}, "source_batch"),
    ],
)
def test_members_that_cannot_be(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Fusion(**settings)


def test_without_development_data_nothing_is_trained(task: Task, tmp_path: Path) -> None:
    bare = replace(task, target=task.target.with_split("dev", ()))
    with pytest.raises(ConfigError, match="dev has 0 different documents: 5 are the fewest"):
        Fusion(MEMBERS).fit(bare, run=Run(tmp_path))
    assert not any(tmp_path.iterdir())


def test_what_teaches_a_rule_does_not_judge_it(taggers: dict[str, Any]) -> None:
    corpus = taggers["corpus"]
    with pytest.raises(ConfigError, match="2 of the held-out documents stand in dev"):
        fuse(parts(taggers, "good", "far"), corpus.dev, annotated=corpus.labels, held_out=corpus.dev[:2])


def test_a_folder_of_splits_chooses_by_its_dev_alone(tmp_path: Path) -> None:
    corpus = resolve("demo-neurology")
    for split in ("Train", "Dev", "Test"):
        formats.write(corpus.splits[split.lower()][:9], tmp_path / f"{split}.jsonl", "jsonl")
    for spec in (str(tmp_path), f"jsonl:{tmp_path}"):
        assert [d.id for d in _annotated(spec, None, [])[0]] == [d.id for d in corpus.dev[:9]]
    (tmp_path / "Train.jsonl").unlink()
    assert [d.id for d in _annotated(str(tmp_path), None, [])[0]] == [d.id for d in corpus.dev[:9]]
    (tmp_path / "Dev.jsonl").unlink()
    with pytest.raises(DataError, match="holds test documents alone"):
        _annotated(str(tmp_path), None, [])
