"""MUCT: votes and filters against brute force, what each loss reaches, every switch, any number of sources, a kill."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transfuse import bundle
from transfuse import tags as tagging
from transfuse.data.task import Data, build_task
from transfuse.ensembles.ballots import Ballot, agreement, doubted, elect
from transfuse.ensembles.votes import VoteTagger, mean_marginals
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.methods.muct import Muct
from transfuse.nn.divergence import Kernel, mmd
from transfuse.nn.domain import DomainHead, Gate
from transfuse.nn.head import MLPHead
from transfuse.run import Run
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.reading import Reader
from transfuse.taggers.vectors import Vectors
from transfuse.taggers.vocabulary import Vocabulary
from transfuse.tags import Scheme, Span
from transfuse.text import BundleError, ConfigError, Corpus, Document, Entity, Task
from transfuse.train import Training
from transfuse.transfer.filters import filter_raw, filter_votes
from transfuse.transfer.supervised import Domain, copy_head, dev_score
from transfuse.transfer.views import Alignment, RawText, View, begin_view, part_raw, train_view, view_losses

ENCODER = BiLSTMEncoder(hidden=8, word_width=8, char_filters=3, dropout=0.2)
BRIEF = Training(epochs=3, steps=8, batch=8, rate=0.04, average=0.5, select="last")
BASE = Muct(
    Architecture(ENCODER),
    BRIEF,
    Vectors(kind="none"),
    rounds=1,
    round_training=replace(BRIEF, epochs=1, steps=4),
    target_passes=1,
)
NAMES = ("cardiology", "neurology")


def corpus(name: str, documents: int = 12, **how: Any) -> Corpus:
    return department(name, documents=documents, **how)


def unlabelled(sources: int = 2, *, dev: bool = True) -> Task:
    """Raw text of cardiology, its labels hidden, and labelled notes of it and of another department."""
    target = corpus("cardiology", 20)
    raw = tuple(Document(d.id, d.text) for d in target.train)
    splits = {"train": (), "dev": target.dev if dev else (), "test": target.test}
    others = tuple(
        replace(corpus(NAMES[i % 2], 6, seed=9 + i), name=f"source-{i}").with_split("dev", ()) for i in range(sources)
    )
    return Task(replace(target, splits=splits), others, raw)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def task() -> Task:
    return unlabelled()


# Votes


@st.composite
def votings(draw: st.DrawFn) -> list[Ballot]:
    """A few voters on a sentence of six words; probabilities are multiples of 1/4, so that ties are frequent."""
    found = []
    for _ in range(draw(st.integers(1, 5))):
        labels = draw(st.sampled_from([("A",), ("A", "B")]))
        cuts = draw(st.lists(st.integers(0, 6), max_size=4, unique=True).map(sorted))
        spans = [(a, b, draw(st.sampled_from(labels))) for a, b in itertools.pairwise(cuts) if draw(st.booleans())]
        seed = draw(st.integers(0, 9))
        chances = {
            (a, b, label): ((3 * a + 5 * b + seed + (label == "A")) % 5) / 4
            for a in range(6)
            for b in range(a + 1, 7)
            for label in "AB"
        }
        found.append(Ballot(spans, labels, chances.__getitem__))
    return found


def by_hand(ballots: Sequence[Ballot], quorum: int = 0) -> set[Span]:
    """Place by place: who is for a span, who for a rival, who for nothing; written without looking at the other."""
    left = {span for ballot in ballots for span in ballot.spans}
    found: set[Span] = set()

    def meets(one: Span, other: Span) -> bool:
        return bool(set(range(one[0], one[1])) & set(range(other[0], other[1])))

    def pro(span: Span) -> list[Ballot]:
        return [b for b in ballots if span in b.spans]

    while left:
        order = []
        for span in left:
            alone = not any(meets(span, other) for other in {s for b in ballots for s in b.spans} - {span})
            belief = 0 if alone else sum(b.chance(span) for b in pro(span))
            order.append((len(pro(span)), belief, span[1] - span[0], -span[0], [-ord(c) for c in span[2]], span))
        best = max(order)[-1]
        left.remove(best)
        con = [b for b in ballots if best[2] in b.labels and not any(meets(best, s) for s in b.spans)]
        if quorum:
            if len(pro(best)) >= quorum and not any(meets(best, other) for other in found):
                found.add(best)
            continue
        if len(pro(best)) < len(con):
            continue
        if len(pro(best)) == len(con):
            doubt = sum(1 - b.chance(best) for b in con)
            if sum(b.chance(best) for b in pro(best)) <= doubt:
                continue
        if not any(meets(best, other) for other in found):
            found.add(best)
    return found


@given(votings(), st.integers(0, 3))
@settings(max_examples=300)
def test_the_vote_is_the_one_by_hand(ballots: list[Ballot], quorum: int) -> None:
    elected = elect(ballots, quorum=quorum)
    assert {one.span for one in elected} == by_hand(ballots, quorum)
    assert [one.span for one in elected] == sorted(one.span for one in elected)
    for one in elected:
        able = [b for b in ballots if one.span[2] in b.labels]
        assert one.score == pytest.approx(sum(b.chance(one.span) for b in able) / len(able))
        assert one.votes == sum(one.span in b.spans for b in ballots)
        assert 0 <= one.margin <= one.votes / len(able)
    assert {one.span for one in elect(ballots[::-1], scores=False, quorum=quorum)} == {one.span for one in elected}


@given(votings(), st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 1.0]))
def test_words_are_sure_where_a_vote_is_clear_enough(ballots: list[Ballot], lead: float) -> None:
    elected = elect(ballots)
    clear = {one.span: one.margin >= lead for one in elected}
    unsure = doubted(ballots, elected, lead)
    for word in range(30):
        over = {span for ballot in ballots for span in ballot.spans if span[0] <= word < span[1]}
        won = [clear[span] for span in over if span in clear]
        if won:
            assert (word in unsure) == (not won[0])
            continue
        shares = []
        for span in over:
            able = [b for b in ballots if span[2] in b.labels]
            none = [b for b in able if all(other[1] <= span[0] or span[1] <= other[0] for other in b.spans)]
            shares.append(len(none) - sum(span in b.spans for b in ballots) >= lead * len(able))
        assert (word in unsure) == (not all(shares))
    assert lead or not unsure & {word for span in clear for word in range(*span[:2])}


@given(votings(), st.integers(1, 3), st.sampled_from([0.0, 1 / 3, 1.0]))
def test_where_silence_is_no_vote_every_named_word_is_elected_or_doubted(
    ballots: list[Ballot], quorum: int, lead: float
) -> None:
    elected = elect(ballots, quorum=quorum)
    sure = {word for one in elected if one.margin >= lead for word in range(*one.span[:2])}
    named = {word for ballot in ballots for span in ballot.spans for word in range(*span[:2])}
    assert doubted(ballots, elected, lead, quorum=quorum) == named - sure
    for one in elected:
        able = sum(one.span[2] in b.labels for b in ballots)
        rivals = {s for b in ballots for s in b.spans if s != one.span and s[0] < one.span[1] and one.span[0] < s[1]}
        most = max([quorum - 1, *(sum(s in b.spans for b in ballots) for s in rivals)])
        assert one.margin == pytest.approx(max(0, one.votes - most) / able)


def test_a_vote_told_out() -> None:
    def voter(*spans: Span, sure: float = 0.9) -> Ballot:
        return Ballot(spans, ("A", "B"), lambda span: sure if span in spans else 0.2)

    two, three, one = (0, 2, "A"), (0, 3, "A"), (0, 1, "B")
    (won,) = elect([voter(two), voter(two), voter(three), voter()])
    assert (won.span, won.votes, won.margin) == (two, 2, 0.25)
    assert won.score == pytest.approx((0.9 + 0.9 + 0.2 + 0.2) / 4)
    assert elect([voter(two), voter(), voter()]) == []
    assert [e.span for e in elect([voter(two, sure=0.6), voter(three, sure=0.7)])] == [three]
    # one against one: 0.6 for it is less than 0.8 against it
    assert elect([voter(one, sure=0.6), voter()]) == []
    assert [e.span for e in elect([voter(one, sure=0.81), voter()])] == [one]
    # who does not look for B has no voice on it
    deaf = Ballot((), ("A",), lambda span: 0.0)
    assert [(e.span, e.score) for e in elect([voter(one), deaf, deaf])] == [(one, 0.9)]


def test_agreement_is_f1_over_pairs_and_silence_is_none() -> None:
    def voter(*spans: Span, labels: str = "AB") -> Ballot:
        return Ballot(spans, labels, lambda span: 1.0)

    a, b, c = (0, 1, "A"), (2, 3, "A"), (4, 5, "B")
    assert agreement([[voter(a, b), voter(a)], [voter(c), voter(c)]]) == pytest.approx(2 * 2 / (3 + 2))
    assert agreement([[voter(a, c), voter(a, labels="A")]]) == 1.0
    assert agreement([[voter(), voter()]]) == 0.0


# Reading


def reader(seed: int, labels: Sequence[str] = ("A", "B"), kinds: Sequence[str] = ("crf", "mlp")) -> Reader:
    """Untrained heads that find a lot."""
    torch.manual_seed(seed)
    architecture = Architecture(replace(ENCODER, hidden=4), scheme="BIO")
    vocabulary = Vocabulary.of((), ["fever", "after", "aspirin"] * 3, buckets=0)
    encoder = architecture.encoder.build(vocabulary, torch.zeros(1, 0))
    tagset = TagSet(tuple(labels), "BIO")
    heads = [architecture.build_head(encoder.width, tagset, kind) for kind in kinds]
    for head in heads:
        torch.nn.init.normal_(head.first.weight, std=2)
        torch.nn.init.normal_(head.projection.weight, std=2)
    return Reader(encoder, heads, vocabulary, tagset, architecture)


SENTENCES = [["fever", "after", "aspirin"], ["aspirin", "x"], ["after"], ["x", "fever", "fever", "after"]]


def paths(tagset: TagSet, length: int) -> Iterator[tuple[int, ...]]:
    start, end, move = tagging.legal(tagset.names, tagset.scheme)
    for path in itertools.product(range(len(tagset.names)), repeat=length):
        if start[path[0]] and end[path[-1]] and all(move[a][b] for a, b in itertools.pairwise(path)):
            yield path


@pytest.mark.parametrize("number", [0, 1])
def test_the_chance_of_any_span_is_the_sum_over_paths(number: int) -> None:
    voter = reader(3)
    voter.prepare()
    head = voter.heads[number]
    crf = head.crf if number == 0 else head.paths  # type: ignore[union-attr]
    names = voter.tagset.names
    for forms, readings in zip(SENTENCES, voter.read(SENTENCES, chances=True), strict=True):
        numbers = torch.tensor([voter._kept.table.numbers(forms)])
        lengths = torch.tensor([len(forms)])
        with torch.no_grad():
            emissions = head.emissions(voter._kept.states(numbers, lengths)).double()
            every = list(paths(voter.tagset, len(forms)))
            scores = [float(crf.score(emissions, lengths, torch.tensor([path]))) for path in every]  # type: ignore[operator]
        weights = torch.tensor(scores).softmax(0).tolist()
        best = every[max(range(len(every)), key=scores.__getitem__)]
        assert readings[number].path == list(best)
        for first, last in itertools.combinations(range(len(forms) + 1), 2):
            for label in voter.tagset.labels:
                spans = [tagging.decode([names[tag] for tag in path], "BIO") for path in every]
                expected = sum(w for w, found in zip(weights, spans, strict=True) if (first, last, label) in found)
                assert readings[number].chance((first, last, label)) == pytest.approx(expected, abs=1e-5)


def test_who_looks_for_a_label_has_a_say_on_tags_that_it_never_saw() -> None:
    tagset = TagSet(("A",), Scheme.BIO)
    network = (tagset.names, torch.tensor([[0.2, 0.8, 0.0], [0.4, 0.0, 0.6]], dtype=torch.float64))
    linear = torch.tensor([[0.2, 0.8], [1.0, 0.0]], dtype=torch.float64)
    mean = mean_marginals([network, (("O", "B-A"), linear)], tagset)
    assert torch.equal(mean, mean_marginals([network, (tagset.names, torch.nn.functional.pad(linear, (0, 1)))], tagset))
    assert mean[1].tolist() == pytest.approx([0.7, 0.0, 0.3])


def test_the_mean_decodes_the_best_legal_path_of_the_mean_marginals() -> None:
    readers = [reader(1), reader(2, ("B", "C"), ("crf",))]
    labels = ("A", "B")
    documents = [Document(str(i), " ".join(forms)) for i, forms in enumerate(SENTENCES)]
    tagger = VoteTagger(readers, labels, kinds=[("crf", "mlp"), ("crf",)], rule="mean")
    tagset = TagSet(labels, "BIO")
    tagged = list(tagger.tag(documents, confidence=True))
    assert any(document.entities for document in tagged)
    parts = [voter.read(SENTENCES, chances=True) for voter in readers]
    for i, forms in enumerate(SENTENCES):
        heads = [reading for part in parts for reading in part[i]]
        mean = torch.zeros(len(forms), len(tagset.names), dtype=torch.float64)
        for column, name in list(enumerate(tagset.names))[1:]:
            able = [h for h in heads if name in h.tagset.names]
            mean[:, column] = sum(h.marginals[:, h.tagset.names.index(name)] for h in able) / len(able)  # type: ignore[assignment]
        mean[:, 0] = (1 - mean.sum(1)).clamp(min=0)
        mean = (mean / mean.sum(1, keepdim=True)).clamp(min=1e-12).log()
        best = max(paths(tagset, len(forms)), key=lambda path: float(sum(mean[j, tag] for j, tag in enumerate(path))))
        spans = tagging.decode([tagset.names[tag] for tag in best], "BIO")
        offsets = [(m, m + len(w)) for w, m in zip(forms, itertools.accumulate([0, *(len(w) + 1 for w in forms)]))]  # noqa: B905
        expected = [Entity(offsets[a][0], offsets[b - 1][1], label) for a, b, label in spans]
        assert list(tagged[i].entities) == expected
        assert all(e.score is not None and 0 < e.score <= 1 for e in tagged[i].entities)


def test_the_second_head_learns_words_one_by_one_and_reads_legal_paths() -> None:
    torch.manual_seed(0)
    tagset = TagSet(("A",), "BIOES")
    head = Architecture(ENCODER, head="mlp").build_head(6, tagset)
    assert isinstance(head, MLPHead)
    states, lengths = torch.randn(3, 5, 6), torch.tensor([5, 4, 1])
    tags = torch.randint(0, 5, (3, 5))
    logs = (head.hidden(states).relu() @ head.projection.weight.T + head.projection.bias).log_softmax(-1)
    expected = [-sum(logs[i, t, tags[i, t]] for t in range(int(n))) for i, n in enumerate(lengths)]
    torch.testing.assert_close(head.loss(states, lengths, tags=tags), torch.stack(expected))  # type: ignore[arg-type]
    decoded = head.decode(5 * head.emissions(states), lengths)
    for row, length in zip(decoded.tolist(), lengths.tolist(), strict=True):
        assert not tagging.faults([tagset.names[tag] for tag in row[:length]], "BIOES")
    assert not any(parameter.requires_grad for parameter in head.paths.parameters())
    gate = Gate(6)
    torch.nn.init.normal_(gate.openness)
    torch.testing.assert_close(DomainHead(head, gate).folded().emissions(states), head.emissions(gate(states)))
    again = Architecture(ENCODER, head="mlp").build_head(6, tagset)
    domains = [Domain(Corpus("c", {}, ("A",)), one, tagset, ()) for one in (head, again)]
    copy_head(*domains, ("projection",))
    torch.testing.assert_close(again.emissions(states), head.emissions(states))


# Views


def views(task: Task, folder: Path, *, gate: bool = False, passes: int = 1) -> tuple[list[View], RawText, Run]:
    run = Run(folder, seed=1)
    text, _ = part_raw(task.raw, limit=0, seed=1)
    return (
        [
            begin_view(
                source,
                task,
                BASE,
                kinds=("crf", "mlp"),
                raw=text,
                run=run,
                stage=run.stage(source.name),
                gate=gate,
                passes=passes,
            )
            for source in task.sources
        ],
        text,
        run,
    )


def aligned(weight: float = 1.0) -> Alignment:
    return Alignment(weight, BASE.kernel, 4)


@pytest.mark.parametrize("gate", [False, True])
def test_the_discrepancy_reaches_one_extractor_and_no_head(task: Task, tmp_path: Path, gate: bool) -> None:
    (one, other), _, _ = views(task, tmp_path, gate=gate)
    learned = sorted(one.items[:8], key=lambda s: -len(s.forms))
    raw = sorted(one.raw[:4], key=lambda s: -len(s.forms))
    terms = view_losses(one, learned, raw, aligned())
    assert list(terms) == ["crf", "mlp", "mmd"]
    terms["mmd"].backward()  # type: ignore[no-untyped-call]
    moved = {name for name, p in one.network.named_parameters() if p.grad is not None and float(p.grad.abs().sum())}
    assert {name for name, _ in one.encoding.encoder.lstm.named_parameters()} <= {n.rpartition(".")[2] for n in moved}
    assert {name.partition(".")[0] for name in moved} - {"encoder"} == ({"head-1"} if gate else set())
    assert all(name.endswith("openness") for name in moved if not name.startswith("encoder"))
    assert all(p.grad is None for p in other.network.parameters())


def test_the_total_loss_is_equation_10(task: Task, tmp_path: Path) -> None:
    (view, _), _, _ = views(task, tmp_path)
    view.network.eval()
    view = replace(view, encoding=replace(view.encoding, architecture=Architecture(replace(ENCODER, word_dropout=0.0))))
    learned = sorted(view.items[:8], key=lambda s: -len(s.forms))
    raw = sorted(view.raw[:4], key=lambda s: -len(s.forms))
    every = Kernel(bandwidths="median", cap=0)
    parameters = list(view.encoding.encoder.lstm.parameters())

    torch.manual_seed(0)
    terms = view_losses(view, learned, raw, Alignment(0.5, every, 4))
    torch.manual_seed(0)
    (here, ours), (there, theirs) = view.states(learned), view.states(raw)
    cut = [
        torch.cat([row[:n] for row, n in zip(s, b.lengths, strict=True)]) for s, b in ((here, ours), (there, theirs))
    ]
    assert ours.tags is not None
    parts = [head.loss(here, ours.lengths, tags=ours.tags).mean() for head in view.heads]
    total = parts[0] + parts[1] + 0.5 * mmd(cut[0], cut[1], every)
    torch.testing.assert_close(sum(terms.values()), total)
    found = torch.autograd.grad(torch.stack(list(terms.values())).sum(), parameters)
    for one, other in zip(found, torch.autograd.grad(total, parameters), strict=True):
        torch.testing.assert_close(one, other)


def test_without_lambda_raw_text_is_not_even_looked_at(task: Task, tmp_path: Path) -> None:
    ends = []
    for name, raw, weight in (("a", task.raw, 0.0), ("b", (), 0.0), ("c", task.raw, 0.5)):
        (view, *_), _, run = views(replace(task, raw=raw, sources=task.sources[:1]), tmp_path / name)
        train_view(view, [], BRIEF, alignment=aligned(weight), stage=run.stage("x"))
        ends.append(view.network.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])
    assert not all(torch.equal(ends[0][name], ends[2][name]) for name in ends[0])


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> tuple[View, RawText]:
    task = unlabelled(1)
    (view,), text, run = views(task, tmp_path_factory.mktemp("warm"))
    train_view(view, [], replace(BRIEF, epochs=6), alignment=aligned(0.0), stage=run.stage("x"))
    return view, text


def sentences_by_hand(view: View, text: RawText) -> list[tuple[list[str], list[list[str]]]]:
    """Of each sentence its words, and the tags by each head alone: of the mentions that a tagger of that head finds."""
    whole = view.reader()
    alone = [
        VoteTagger(
            [Reader(whole.encoder, [head], whole.vocabulary, whole.tagset, whole.architecture)],
            view.tagset.labels,
            kinds=[[kind]],
        )
        for head, kind in zip(whole.heads, view.kinds, strict=True)
    ]
    tagged = [list(tagger.tag(text.documents)) for tagger in alone]
    found = []
    for piece in text.pieces:
        document = text.documents[piece.document]
        rows = []
        for documents in tagged:
            inside = documents[piece.document].entities
            row = ["O"] * len(piece.offsets)
            for entity in inside:
                places = [i for i, (a, b) in enumerate(piece.offsets) if entity.start <= a and b <= entity.end]
                for i in places:
                    sign = "S" if len(places) == 1 else "B" if i == places[0] else "E" if i == places[-1] else "I"
                    row[i] = f"{sign}-{entity.label}"
            rows.append(row)
        found.append(([document.text[a:b] for a, b in piece.offsets], rows))
    return found


@pytest.mark.parametrize("silent", [0.0, 0.25])
@pytest.mark.parametrize("rule", ["sentence", "token", "none"])
def test_the_filter_is_the_one_by_hand(warm: tuple[View, RawText], rule: Any, silent: float) -> None:
    view, text = warm
    accepted = filter_raw(view, text, agreement=rule, silent=silent)
    names, spelt = view.tagset.names, view.encoding.table.names
    expected = []
    by_hand = sentences_by_hand(view, text)
    for words, (one, two) in by_hand:
        known = [rule == "none" or a == b for a, b in zip(one, two, strict=True)]
        if rule == "sentence" and not all(known):
            continue
        spoken = any(tag != "O" and sure for tag, sure in zip(one, known, strict=True))
        if spoken or silent:
            expected.append((words, one, known, 1.0 if spoken else silent))
    got = []
    for item in accepted.items:
        unsure = dict(item.open)
        assert all(rows == tuple(range(len(names))) for rows in unsure.values())
        known = [i not in unsure for i in range(len(item.forms))]
        got.append(([spelt[n] for n in item.forms], [names[tag] for tag in item.tags], known, item.weight))
    assert got == expected
    assert got
    agreed = [one == two for _, (one, two) in by_hand]
    silences = [one == two == ["O"] * len(one) for _, (one, two) in by_hand]
    assert 0 < sum(agreed) < len(agreed)
    told = accepted.counts
    assert (told["sentences"], told["agreed"], told["silent"]) == (len(agreed), sum(agreed), sum(silences))
    assert (told["accepted"], told["mentions"]) == (len(got), sum(len(d.entities) for d in accepted.documents))
    begun = sum(
        tag[:2] in {"B-", "S-"}
        for _, tags, known, _ in got
        for tag, sure in zip(tags, known, strict=True)
        if sure or rule != "token"
    )
    assert told["mentions"] == begun if rule != "token" else told["mentions"] <= begun


@pytest.mark.parametrize("silent", [0.0, 0.25])
def test_a_vote_teaches_what_is_clear_in_it(warm: tuple[View, RawText], silent: float) -> None:
    view, text = warm
    kind = view.tagset.labels[0]

    def voter(*spans: Span) -> Ballot:
        return Ballot(spans, view.tagset.labels, lambda span: 1.0)

    def votes(size: int, number: int) -> list[Ballot]:
        first, last = (0, 1, kind), (size - 1, size, kind)
        clear, contested, none = [voter(first)] * 4, [voter(first)] * 3 + [voter()], [voter()] * 4
        return [clear, contested, none, [voter(first, last), *[voter(first)] * 3]][number % 4]

    ballots = [votes(len(piece.offsets), number) for number, piece in enumerate(text.pieces)]
    decided = [(elect(each), doubted(each, elect(each), 0.6)) for each in ballots]
    accepted = filter_votes(view, text, decided, silent=silent)
    names, spelt = view.tagset.names, view.encoding.table.names
    expected = []
    for number, (piece, words) in enumerate(zip(text.pieces, text.forms(view.encoding), strict=True)):
        size = len(piece.offsets)
        tags = ["O"] * size
        if number % 4 != 2:
            tags[0] = f"S-{kind}"
        open_ = {1: [0], 3: [size - 1]}.get(number % 4, []) if size > 1 or number % 4 != 3 else []
        weight = 1.0 if tags[0] != "O" and 0 not in open_ else silent
        if weight:
            expected.append((words, tags, open_, weight))
    got = [
        ([spelt[n] for n in i.forms], [names[tag] for tag in i.tags], [at for at, _ in i.open], i.weight)
        for i in accepted.items
    ]
    assert got == expected and got


def test_raw_text_is_parted_by_the_seed_and_a_tenth_is_held_out() -> None:
    documents = [Document(str(i), f"One fever {i}. Two more.\nThree.") for i in range(40)]
    text, held = part_raw(documents, limit=30, seed=1)
    assert len(held.documents) == 4
    assert len(text.pieces) == 30
    assert not {d.id for d in held.documents} & {d.id for d in text.documents}
    assert part_raw(documents, limit=30, seed=1)[0] == text != part_raw(documents, limit=30, seed=2)[0]
    assert len(part_raw(documents, limit=0, seed=1)[0].documents) == 36
    alone, same = part_raw(documents[:1], limit=5, seed=1)
    assert alone == same
    assert part_raw((), limit=5, seed=1)[0].pieces == ()


def test_labelled_target_sentences_are_one_more_corpus_of_every_view(tmp_path: Path) -> None:
    target = corpus("cardiology")
    labels = tuple(label for label in target.labels if label != target.labels[0])
    source = corpus("neurology")
    cut = [d.with_entities(e for e in d.entities if e.label in labels) for d in source.train]
    few = replace(source, splits={"train": tuple(cut)}, labels=labels)
    bare = replace(target, splits={**target.splits, "train": ()})
    raw = tuple(Document(d.id, d.text) for d in target.train)
    (without,), _, _ = views(Task(bare, (few,), raw), tmp_path / "a")
    (view,), _, _ = views(Task(target, (few,), raw), tmp_path / "b", passes=3)
    assert set(without.tagset.labels) == set(labels)
    assert set(view.tagset.labels) == set(target.labels)
    assert (len(view.items) - len(without.items)) % 3 == 0 < len(view.items) - len(without.items)
    # what the source does not annotate may be anything there, and is known in the target
    assert all(item.open for item in view.items[: len(without.items)] if 0 in item.tags)
    assert not any(item.open for item in view.items[len(without.items) :])


def test_a_view_learns_a_share_of_the_other_sources(tmp_path: Path) -> None:
    task = unlabelled(3)
    sizes = {}
    for share in (0.0, 0.5, 1.0):
        method = replace(BASE, others=share, rounds=0, training=replace(BRIEF, epochs=1, steps=0))
        _, run = fitted(task, tmp_path / str(share), method)
        read = {r["corpus"]: r["sentences"] for r in run.records("read")}
        passes = {r["corpus"]: r["sentences"] for r in run.records("exposure")}
        sizes[share] = [passes[source.name] / read[source.name] for source in task.sources]
    assert sizes[0.0] == [1.0] * 3
    assert sizes[1.0] == pytest.approx([3.0] * 3, rel=0.02)
    assert sizes[0.5] == pytest.approx([2.0] * 3, rel=0.05)


def test_views_of_one_start_go_on_from_the_weights_of_a_view_of_all_sources(tmp_path: Path) -> None:
    task = unlabelled(2, dev=False)
    start: dict[str, Any] = {"start": "pooled", "select": "last", "mmd": 0.0}
    tagger, run = fitted(task, tmp_path / "start", rounds=0, **start)
    one, other = (reader.encoder.state_dict() for reader in tagger.readers)
    assert all(torch.equal(one[name], other[name]) for name in one)
    # the same as MUCT of one source with the sentences of both
    raw, _ = part_raw(task.raw, limit=BASE.raw_limit, seed=1)
    alone = Run(tmp_path / "alone", seed=1)
    view = begin_view(
        task.sources[0], task, BASE, kinds=BASE.kinds, raw=raw, run=alone, stage=alone.stage("pooled"), others=1.0
    )
    train_view(view, (), BASE.training, alignment=Alignment(0.0, Kernel(), 4), stage=alone.stage("pooled-round-0"))
    hand = view.encoding.encoder.state_dict()
    assert all(torch.equal(one[name], hand[name]) for name in one)
    # each source was passed once an epoch, not once a view
    sizes = {r["corpus"]: r["sentences"] for r in run.records("read") if r["stage"].startswith("source-")}
    seen = {r["corpus"]: r["sentences"] for r in run.records("exposure")}
    (trained,) = (r for r in run.records("trained") if r["stage"] == "pooled-round-0")
    assert trained["corpus"] == "source-0 and source-1"
    total = trained["sentences"]
    assert seen == {name: pytest.approx(total * size / sum(sizes.values()), abs=1) for name, size in sizes.items()}
    # from there on each learns its own source
    tagger, run = fitted(task, tmp_path / "rounds", **start)
    first, second = (reader.encoder.state_dict() for reader in tagger.readers)
    assert any(not torch.equal(first[name], second[name]) for name in first)
    assert run.records("trained")[-1]["selection"] == "last round"


def test_views_that_begin_alike_are_not_judged_by_their_agreement(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="says nothing of views that begin alike"):
        replace(BASE, start="pooled", select="agreement")
    _, run = fitted(unlabelled(2, dev=False), tmp_path, start="pooled")
    assert run.records("trained")[-1]["selection"] == "last round"


# The method


def fitted(task: Task, folder: Path, method: Muct = BASE, **changes: Any) -> tuple[VoteTagger, Run]:
    run = Run(folder, seed=1)
    tagger = replace(method, **changes).fit(task, run=run)
    assert isinstance(tagger, VoteTagger)
    return tagger, run


AFTER_WARMUP = {"filter", "vote", "teacher", "lead", "agreement", "silent", "rounds"}
SWITCHES: dict[str, dict[str, Any]] = {
    "base": {"mmd": 1.0},
    "one head": {"heads": 1},
    "no filter": {"filter": False},
    "no mmd": {"mmd": 0.0},
    "mean": {"vote": "mean"},
    "plurality": {"vote": "plurality"},
    "gate": {"gate": True},
    "token": {"agreement": "token"},
    "teacher": {"teacher": "vote", "lead": 0.0},
    "silent": {"silent": 1.0},
    "no rounds": {"rounds": 0},
    "more rounds": {"rounds": 2},
    "less raw": {"raw_limit": 20},
    "raw batch": {"raw_batch": 2},
}


def test_every_switch_changes_the_result(tmp_path: Path) -> None:
    task = unlabelled(1)
    longer = replace(BASE, training=replace(BRIEF, epochs=3, steps=30, rate=0.05), raw_limit=50, select="last")
    found: dict[str, list[Any]] = {}
    for name, changes in SWITCHES.items():
        tagger, run = fitted(task, tmp_path / name, longer, **changes)
        assert [r["kept"] for r in run.records("shared")] == [name != "base" and set(changes) <= AFTER_WARMUP], name
        tagged = list(tagger.tag(task.target.test, confidence=True))
        found[name] = [[(e.start, e.end, e.label, e.score) for e in d.entities] for d in tagged]
        assert any(found[name]), name
    for one, other in itertools.combinations(found, 2):
        assert found[one] != found[other], (one, other)


def test_a_warm_up_is_learned_once_and_leaves_the_same_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = unlabelled()
    ends = []
    for name, cache in (("first", "a"), ("second", "a"), ("elsewhere", "b")):
        monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / cache))
        tagger, run = fitted(task, tmp_path / name, gate=True)
        ends.append([voter.encoder.state_dict() for voter in tagger.readers])
        warm = [f"source-{i + 1}-source-{i}-round-0" for i in range(2)]
        assert [(r["stage"], r["kept"]) for r in run.records("shared")] == [(s, name == "second") for s in warm]
        trained = {r["stage"]: r["cpu_seconds"] for r in run.records("trained")}
        assert all(trained[r["stage"]] == r["cpu_seconds"] for r in run.records("shared"))
        assert ({r["stage"] for r in run.records("epoch")} >= set(warm)) == (name != "second")
    for other in ends[1:]:
        for one, two in zip(ends[0], other, strict=True):
            assert all(torch.equal(one[key], two[key]) for key in one)
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "a"))
    less = replace(task.sources[0], splits={"train": task.sources[0].train[:-1]})
    for name, changed in (
        ("source", replace(task, sources=(less, *task.sources[1:]))),
        ("raw", replace(task, raw=task.raw[:-1])),
        ("labels", replace(task, target=task.target.with_split("train", task.target.dev[:1]))),
    ):
        _, run = fitted(changed, tmp_path / name, gate=True)
        kept = [r["kept"] for r in run.records("shared")]
        assert kept == ([False, True] if name == "source" else [False, False]), name


def test_one_view_is_taught_by_its_vote_what_its_heads_agree_on_by_token(tmp_path: Path) -> None:
    ends = []
    for name, changes in (("token", {"agreement": "token"}), ("vote", {"teacher": "vote"})):
        tagger, _ = fitted(unlabelled(1), tmp_path / name, **changes)
        ends.append(tagger.readers[0].encoder.state_dict())
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_views_learn_from_each_other_where_the_vote_teaches_and_count_as_far_as_they_are_believed(
    tmp_path: Path,
) -> None:
    task = unlabelled(3)
    longer = replace(BASE, training=replace(BRIEF, epochs=3, steps=25, rate=0.05), raw_limit=30, select="last")
    found = {}
    for name, changes in {
        "view": {},
        "vote": {"teacher": "vote"},
        "credit": {"teacher": "vote", "vote": "credit"},
    }.items():
        tagger, run = fitted(task, tmp_path / name, longer, **changes)
        found[name] = [tuple(d.entities) for d in tagger.tag(task.target.test, confidence=True)]
        told = list(run.records("credit"))
        assert any(found[name])
        assert bool(told) == (name == "credit")
    assert found["view"] != found["vote"] != found["credit"]
    assert {r["corpus"] for r in told} == {source.name for source in task.sources}
    assert all(0 < r["finds"] < 1 and 0 < r["errs"] < 1 for r in told)
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    assert [tuple(d.entities) for d in again.tag(task.target.test, confidence=True)] == found["credit"]
    assert isinstance(again, VoteTagger) and again.credit == tagger.credit
    with pytest.raises(ConfigError, match="takes three sources"):
        fitted(unlabelled(2), tmp_path / "two", vote="credit")


@pytest.mark.parametrize(("number", "rounds"), [(1, 1), (3, 0), (10, 0)])
def test_any_number_of_sources(number: int, rounds: int, tmp_path: Path) -> None:
    some = unlabelled(number)
    short = replace(BRIEF, epochs=1)
    tagger, run = fitted(some, tmp_path, rounds=rounds, training=short, round_training=short)
    assert len(tagger.readers) == number
    assert all(len(ballots) == 2 * number for ballots in tagger.ballots(some.target.test[:2]))
    assert tagger.labels == some.target.labels
    assert {r["corpus"] for r in run.records("exposure")} == {source.name for source in some.sources}
    vectors = {id(voter.encoder.forms.vectors) for voter in tagger.readers}
    assert len(vectors) == 1
    for mean in (False, True):
        tagger.rule = "mean" if mean else "majority"
        bundle.save(tagger, tmp_path / f"bundle-{mean}")
        again = bundle.load(tmp_path / f"bundle-{mean}")
        assert isinstance(again, VoteTagger)
        assert again.rule == tagger.rule
        documents = some.target.test[:3]
        own, theirs = (list(t.tag(documents, confidence=True)) for t in (tagger, again))
        assert own == theirs
        assert [e.score for d in own for e in d.entities] == [e.score for d in theirs for e in d.entities]


class Killed(Exception):
    """In the place of a signal: nothing of the process is left but its files."""


def test_a_killed_run_ends_in_the_same_bytes(task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = 0

    def count(*_: object) -> None:
        nonlocal ticks
        ticks += 1

    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "one"))
    whole = BASE.fit(task, run=Run(tmp_path / "whole", seed=1, watch=count))
    bundle.save(whole, tmp_path / "whole.bundle")
    stages = {r["stage"] for r in Run(tmp_path / "whole").records("trained")}
    assert len(stages) == 2 * 2 + 1
    lives = steps = 0
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "other"))

    def kill(*_: object) -> None:
        nonlocal steps
        steps += 1
        if steps > ticks // 5:
            raise Killed

    while True:
        lives, steps = lives + 1, 0
        try:
            run = Run(tmp_path / "killed", seed=1, checkpoint_seconds=0.0, watch=kill)
            killed = BASE.fit(task, run=run)
            break
        except Killed:
            torch.manual_seed(999)
    assert lives > 4
    assert run.records("resumed")
    bundle.save(killed, tmp_path / "killed.bundle")
    names = sorted(path.name for path in (tmp_path / "whole.bundle").iterdir())
    assert {"1-weights.safetensors", "2-weights.safetensors", "2-vocabulary.json"} <= set(names)
    for name in names:
        assert (tmp_path / "whole.bundle" / name).read_bytes() == (tmp_path / "killed.bundle" / name).read_bytes(), name


def test_the_round_is_chosen_by_a_named_rule(tmp_path: Path) -> None:
    rules = {}
    for dev, select in ((True, "dev"), (False, "dev"), (True, "agreement"), (True, "last")):
        some = unlabelled(1, dev=dev)
        tagger, run = fitted(some, tmp_path / f"{dev}-{select}", rounds=2, select=select)
        (ended,) = [r for r in run.records("trained") if r["stage"] == "target"]
        told = run.records("round")
        assert [r["round"] for r in told] == [0, 1, 2]
        name = {"dev": "dev_f1", "agreement": "agreement", "last": "round"}[select if dev else "agreement"]
        values = [r[name] for r in told]
        assert values[ended["round"]] == max(values)
        assert all((r["dev_f1"] is None) == (name != "dev_f1") for r in told)
        rules[dev, select] = ended["selection"]
        if name == "dev_f1":
            assert dev_score(tagger, some.target.dev) == max(values)
    assert rules[True, "dev"] == "round with the highest strict micro F1 of the vote on dev"
    assert rules[False, "dev"] == rules[True, "agreement"]
    assert rules[True, "agreement"] == "round with the highest agreement of the voters on held-out raw text"
    assert rules[True, "last"] == "last round"
    ruined = replace(BRIEF, epochs=1, rate=5.0)
    some = unlabelled(1)
    tagger, run = fitted(some, tmp_path / "ruined", training=replace(BRIEF, steps=40), round_training=ruined)
    told = run.records("round")
    assert run.records("trained")[-1]["round"] == 0
    assert dev_score(tagger, some.target.dev) == told[0]["dev_f1"] > told[1]["dev_f1"]
    tagger, run = fitted(unlabelled(1, dev=False), tmp_path / "alone", heads=1)
    assert run.records("trained")[-1]["selection"] == "last round"


def test_a_recipe_without_a_labelled_document_runs_and_judges_its_pseudo_labels(tmp_path: Path) -> None:
    method = {
        "name": "muct",
        "architecture": {"encoder": {"hidden": 8, "char_filters": 3, "dropout": 0.2}},
        "vectors": {"kind": "none"},
        "training": {"epochs": 2, "rate": 0.04, "average": 0.5, "batch": 8, "steps": 30},
        "rounds": 1,
        "round_training": {"epochs": 1, "batch": 16, "steps": 0},
    }
    data = {"target": "demo-cardiology", "sources": ["demo-neurology"], "share": 0, "limit": 120}
    scores = run_recipe(make_recipe({"data": data, "method": method}), tmp_path / "run")
    assert set(scores) == {"dev", "test"}
    run = Run(tmp_path / "run")
    (facts,) = run.records("data")
    assert (facts["labelled"], facts["annotations"]) == (0, 0)
    (told,) = run.records("pseudo")
    assert told["judged"] == told["mentions"] > 0
    assert told["precision"] == round(told["right"] / told["judged"], 4)
    pooled = {"name": "pooled", **{k: method[k] for k in ("architecture", "vectors", "training")}}
    assert set(run_recipe(make_recipe({"data": data, "method": pooled}), tmp_path / "pooled")) == {"dev", "test"}


def test_whoever_hides_labels_can_judge_and_does_not_tell_them() -> None:
    whole, _ = build_task(Data("demo-cardiology"), seed=0)
    assert whole.judge is None
    task, _ = build_task(Data("demo-cardiology", ("demo-neurology",), share=0), seed=0)
    assert not task.target.train
    assert task.judge is not None
    assert not any(document.entities for document in task.raw)
    gold = {document.id: document for document in whole.target.train}
    mentions = sum(len(document.entities) for document in gold.values())
    assert task.judge(gold.values()) == (mentions, mentions)
    shifted = [d.with_entities(Entity(e.start, e.end, "Other") for e in d.entities) for d in gold.values()]
    assert task.judge(shifted)[0] == 0
    assert task.judge([Document("stranger", "fever", (Entity(0, 5, "Disease"),))]) == (0, 0)


def test_at_share_0_no_source_tells_what_is_hidden() -> None:
    full, some = (build_task(Data("demo-cardiology", ("demo-cardiology",), share=s), seed=0)[0] for s in (0.5, 0))
    hidden = {document.text for document in some.raw}
    assert {d.text for d in full.sources[0].train} & hidden
    assert not {d.text for d in some.sources[0].train} & hidden


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": -1}, "rounds is at least 0"),
        ({"mmd": -0.1}, "mmd is at least 0"),
        ({"silent": 1.5}, r"silent lies in \[0, 1\]"),
        ({"vote": "mean", "teacher": "vote"}, 'vote = "mean" elects no mentions that could teach'),
        ({"architecture": Architecture(ENCODER, head="mlp")}, "the two have to differ"),
    ],
)
def test_settings_out_of_range(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(BASE, **changes)


def test_what_it_needs(task: Task, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no source"):
        fitted(replace(task, sources=()), tmp_path / "a")
    with pytest.raises(ConfigError, match=r"no raw text of demo-cardiology: set data\.share below 1 or data\.raw"):
        fitted(replace(task, raw=()), tmp_path / "b")
    with pytest.raises(ConfigError, match='or take another vote than "credit"'):
        fitted(replace(task, raw=()), tmp_path / "d", rounds=0, mmd=0.0, vote="credit")
    tagger, _ = fitted(replace(task, raw=()), tmp_path / "c", rounds=0, mmd=0.0)
    assert list(tagger.tag(task.target.test[:1]))


def test_a_bundle_whose_parts_do_not_fit(tmp_path: Path) -> None:
    tagger = VoteTagger([reader(1)], ("A",), kinds=[("crf", "mlp")])
    config = tagger.save(tmp_path)
    assert VoteTagger.load(tmp_path, config).labels == ("A",)
    for broken in ({**config, "readers": [{**config["readers"][0], "heads": ["crf", "crf"]}]}, {"readers": []}):
        with pytest.raises(BundleError, match="do not fit each other"):
            VoteTagger.load(tmp_path, broken)
