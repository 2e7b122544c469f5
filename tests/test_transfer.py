"""Learning from sources and target together: one step by hand, what each loss reaches, how much of a source is seen."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from transfuse import methods
from transfuse.methods.cd_learning import CdLearning
from transfuse.methods.la_dtl import LaDtl
from transfuse.methods.retrain import Retrain
from transfuse.nn.divergence import RELEASED, Kernel
from transfuse.nn.domain import DomainHead, LinearMap, Mask
from transfuse.nn.head import CRFHead
from transfuse.nn.padding import inside
from transfuse.run import Run
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.taggers.vocabulary import normalise
from transfuse.text import ConfigError, Corpus, DataError, Document, Task
from transfuse.train import Training
from transfuse.transfer.alignment import Aligned, crf_distance, shared_tags
from transfuse.transfer.supervised import Domain, Step, parameter_groups
from transfuse.transfer.together import Paired, Sample, Start, fit_together, share_head, source_batches, start, together
from transfuse.words import words

ONCE = Training(epochs=1, steps=0, batch=6, optimizer="sgd", rate=0.1, schedule="constant", average=0.0, clip=1e9)
ARCHITECTURE = Architecture(BiLSTMEncoder(hidden=6, word_width=8, char_filters=2, dropout=0.0, word_dropout=0.0))
COMMON: dict[str, Any] = {"architecture": ARCHITECTURE, "vectors": Vectors(kind="none"), "training": ONCE}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))


def small(name: str, documents: int, *, labels: tuple[str, ...] | None = None) -> Corpus:
    corpus = department(name, documents=documents)
    if labels is None:
        return corpus
    splits = {
        split: tuple(d.with_entities(e for e in d.entities if e.label in labels) for d in docs)
        for split, docs in corpus.splits.items()
    }
    return Corpus(corpus.name, splits, labels)


@pytest.fixture
def task() -> Task:
    target = small("cardiology", 4)
    return Task(target, (small("neurology", 6, labels=target.labels[:1]),))


def scalars(begun: Start) -> dict[str, Tensor]:
    heads = {"target": begun.target.head, **{f"source{i}": d.head for i, d in enumerate(begun.sources)}}
    network = nn.ModuleDict({"encoder": begun.encoding.encoder, **heads})
    return {name: p.detach().clone() for name, p in network.named_parameters()}


def every_path(head: CRFHead, emissions: Tensor, tags: Tensor) -> Tensor:
    """Negative log-likelihood of one sentence by the textbook's forward recursion in log space."""
    crf = head.crf
    never = torch.tensor(-torch.inf, dtype=emissions.dtype)
    move = crf.transition.where(crf.legal_transition, never)
    state = emissions[0] + crf.start.where(crf.legal_start, never)
    gold = emissions[0, tags[0]] + crf.start[tags[0]]
    for t in range(1, len(emissions)):
        state = torch.logsumexp(state[:, None] + move, 0) + emissions[t]
        gold = gold + crf.transition[tags[t - 1], tags[t]] + emissions[t, tags[t]]
    return torch.logsumexp(state + crf.end.where(crf.legal_end, never), 0) - gold - crf.end[tags[-1]]


def kernel_mean(a: Tensor, b: Tensor) -> Tensor:
    total = torch.zeros((), dtype=a.dtype)
    sigmas = torch.tensor(RELEASED, dtype=a.dtype)
    for x in a:
        for y in b:
            total = total + torch.exp(-(x - y).square().sum() / (2 * sigmas)).sum()
    return total / (len(a) * len(b))


def by_hand(settings: LaDtl, begun: Start, step: Step) -> Tensor:
    """Wang et al. 2018, the whole loss of one step, sentence by sentence and pair by pair."""
    encoding, target, source = begun.encoding, begun.target, begun.sources[0]
    losses, states = {}, {}
    for name, domain, items in (("t", target, step.target), ("s", source, step.source)):
        each, by_tag = [], {}
        for item in items:
            batch = encoding.batch([item], domain.tagset)
            hidden = encoding.encoder(batch)[0]
            head = domain.head
            assert isinstance(head, CRFHead)
            emissions = hidden @ head.projection.weight.T + head.projection.bias
            each.append(every_path(head, emissions, torch.tensor(item.tags)))
            for h, tag in zip(hidden, item.tags, strict=True):
                by_tag.setdefault(domain.tagset.names[tag], []).append(h)
        losses[name] = sum(each, torch.zeros(())) / len(each)
        states[name] = {tag: torch.stack(rows) for tag, rows in by_tag.items()}
    total = (1 - settings.source_weight) * losses["t"] + settings.source_weight * losses["s"]
    for tag in states["t"].keys() & states["s"].keys():
        a, b = states["s"][tag], states["t"][tag]
        gap = kernel_mean(a, a) + kernel_mean(b, b) - 2 * kernel_mean(a, b)
        total = total + settings.label_mmd * gap
    ours, theirs = target.tagset.names, source.tagset.names
    one, two = source.head, target.head
    assert isinstance(one, CRFHead)
    assert isinstance(two, CRFHead)
    for y in set(ours) & set(theirs):
        a, b = theirs.index(y), ours.index(y)
        total = total + settings.crf_l2 * (one.projection.weight[a] - two.projection.weight[b]).square().sum()
        for z in set(ours) & set(theirs):
            c, d = theirs.index(z), ours.index(z)
            if two.crf.legal_transition[b, d]:
                total = total + settings.crf_l2 * (one.crf.transition[a, c] - two.crf.transition[b, d]).square()
    return total


def test_one_step_is_the_step_written_by_hand(task: Task, tmp_path: Path) -> None:
    task = replace(task, target=task.target.with_split("train", task.target.train[:1]).with_split("dev", ()))
    task = replace(task, sources=(task.sources[0].with_split("train", task.sources[0].train[:1]),))
    settings = LaDtl(
        **COMMON, source_epochs=1, source_batch=6, source_weight=0.3, label_mmd=0.7, crf_l2=0.2, kernel=Kernel(cap=0)
    )
    run = Run(tmp_path / "run", seed=5)
    begun = start(task, settings, run=run)
    stage = run.stage("target")
    torch.set_default_dtype(torch.float64)
    try:
        for module in (begun.encoding.encoder, begun.target.head, begun.sources[0].head):
            module.double()
        steps = together(begun.target, begun.sources, settings, stage=stage, epoch=0)
        before = scalars(begun)
        network = nn.ModuleDict(
            {"encoder": begun.encoding.encoder, "head": begun.target.head, "source": begun.sources[0].head}
        )
        for step in steps:
            loss = by_hand(settings, begun, step)
            parameters = list(network.parameters())
            for parameter, slope in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
                with torch.no_grad():
                    parameter -= 0.1 * slope
        expected = scalars(begun)
        with torch.no_grad():
            for name, parameter in zip(before, network.parameters(), strict=True):
                parameter.copy_(before[name])
        fit_together(begun, settings, run=run, terms=settings.terms)
    finally:
        torch.set_default_dtype(torch.float32)
    for name, value in scalars(begun).items():
        torch.testing.assert_close(value, expected[name], rtol=1e-7, atol=1e-9)
        assert not torch.equal(value, before[name]), name


def sample(domain: Domain, begun: Start) -> Sample:
    items = sorted(domain.items, key=lambda s: -len(s.forms))[:6]
    batch = begun.encoding.batch(items, domain.tagset)
    return Sample(domain, begun.encoding.encoder(batch), batch)


def touched(loss: Tensor, begun: Start) -> set[str]:
    """Parts of the network that a loss has a slope in."""
    parts: dict[str, nn.Module] = {
        "encoder": begun.encoding.encoder,
        "W target": begun.target.head.projection,  # type: ignore[dict-item]
        "A target": begun.target.head.crf,  # type: ignore[dict-item]
        "W source": begun.sources[0].head.projection,  # type: ignore[dict-item]
        "A source": begun.sources[0].head.crf,  # type: ignore[dict-item]
    }
    for module in parts.values():
        module.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    return {
        name
        for name, module in parts.items()
        if any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())
    }


def test_each_term_reaches_what_the_paper_says_and_nothing_else(task: Task, tmp_path: Path) -> None:
    settings = LaDtl(**COMMON, label_mmd=1.0, mmd=1.0, crf_l2=1.0)
    begun = start(task, settings, run=Run(tmp_path))
    source, target = sample(begun.sources[0], begun), sample(begun.target, begun)
    terms = settings.terms(source, target)
    assert touched(terms["label_mmd"], begun) == {"encoder"}
    assert touched(settings.terms(sample(begun.sources[0], begun), target_again(begun))["mmd"], begun) == {"encoder"}
    assert touched(terms["crf_l2"], begun) == {"W target", "A target", "W source", "A source"}
    assert touched(sample(begun.target, begun).loss(), begun) == {"encoder", "W target", "A target"}
    assert touched(sample(begun.sources[0], begun).loss(), begun) == {"encoder", "W source", "A source"}


def target_again(begun: Start) -> Sample:
    return sample(begun.target, begun)


def test_parameter_transfer_draws_shared_rows_together_and_leaves_the_others(task: Task, tmp_path: Path) -> None:
    begun = start(task, LaDtl(**COMMON), run=Run(tmp_path))
    pairs = shared_tags(begun.sources[0].tagset, begun.target.tagset)
    assert 0 < len(pairs) < len(begun.target.tagset.names)
    crf_distance(begun.sources[0], begun.target).backward()  # type: ignore[no-untyped-call]
    slope = begun.target.head.projection.weight.grad  # type: ignore[union-attr]
    moved = {row for row in range(len(slope)) if bool(slope[row].any())}  # type: ignore[arg-type, index]
    assert moved == {row for _, row in pairs}
    assert float(crf_distance(begun.target, begun.target).detach()) == 0.0


def test_the_same_terms_are_switched_by_their_weights(task: Task, tmp_path: Path) -> None:
    """Three steps each: what differs in theory differs in effect, and what does not, does not."""
    names = [n for n in methods.names() if issubclass(methods.get(n), Paired)]
    ends: dict[str, Tensor] = {}
    for name in names:
        kind: Any = methods.get(name)
        method = kind(**COMMON | {"training": replace(ONCE, steps=3)}, source_epochs=3, source_batch=4)
        ends[name] = weights(method, task, tmp_path / name)
    alike = [(a, b) for a in names for b in names if a < b and torch.equal(ends[a], ends[b])]
    assert alike == []
    off = Aligned(**COMMON | {"training": replace(ONCE, steps=3)}, source_epochs=3, source_batch=4)
    assert torch.equal(weights(off, task, tmp_path / "off"), ends["joint"])


PAIRED = [name for name in methods.names() if issubclass(methods.get(name), Paired)]


@pytest.mark.parametrize("name", PAIRED)
def test_all_sources_are_learned_from_and_begun_with_where_that_is_asked(name: str, task: Task, tmp_path: Path) -> None:
    more = small("respiratory", 6, labels=task.target.labels[:1])
    two = replace(task, sources=(*task.sources, more))
    kind: Any = methods.get(name)
    brief = replace(ONCE, steps=3)
    fresh = kind(**COMMON | {"training": brief}, source_epochs=3, source_batch=4)
    ends = {"one": weights(fresh, task, tmp_path / "one"), "two": weights(fresh, two, tmp_path / "two")}
    warm = replace(fresh, init="source", source_training=replace(brief, select="last"))
    ends["warm"] = weights(warm, two, tmp_path / "warm")
    assert not any(torch.equal(a, b) for a, b in combinations(ends.values(), 2))
    for which, stages in (("two", ["target"]), ("warm", ["source", "target"])):
        seen = [(r["stage"].partition("-")[0], r["corpus"]) for r in Run(tmp_path / which).records("exposure")]
        assert sorted(set(seen)) == sorted((stage, source.name) for stage in stages for source in two.sources)


def weights(method: Any, task: Task, folder: Path) -> Tensor:
    tagger = method.fit(task, run=Run(folder, seed=1))
    return torch.cat([p.detach().flatten() for p in (*tagger.encoder.parameters(), *tagger.head.parameters())])


def domain_of(corpus: Corpus, items: int) -> Domain:
    from transfuse.taggers.neural import Sentence

    tagset = TagSet(corpus.labels)
    sentences = [Sentence((i,) * (1 + i % 7), (0,) * (1 + i % 7)) for i in range(items)]
    return Domain(corpus, CRFHead(2, [True], [True], [[True]]), tagset, sentences)


@given(
    st.integers(1, 40),
    st.lists(st.integers(1, 60), min_size=1, max_size=3),
    st.integers(1, 7),
    st.sampled_from([0.5, 1.0, 2.5, 4.0]),
    st.integers(0, 20),
)
def test_all_epochs_together_make_all_passes(
    target: int, sources: list[int], epochs: int, passes: float, least: int
) -> None:
    corpus = Corpus("c", {}, ("X",))
    settings = Paired(training=Training(epochs=epochs, steps=least, batch=4), source_epochs=passes, source_batch=5)
    theirs = [domain_of(corpus, n) for n in sources]
    stage = Run(Path("/tmp"), seed=1).stage("target")
    seen: Counter[tuple[int, int]] = Counter()
    for epoch in range(epochs):
        steps = together(domain_of(corpus, target), theirs, settings, stage=stage, epoch=epoch)
        assert steps == together(domain_of(corpus, target), theirs, settings, stage=stage, epoch=epoch)
        assert len(steps) >= least
        assert all(step.target for step in steps)
        expected = source_batches(theirs, settings, stage=stage, epoch=epoch)
        assert [(s.number, s.source) for s in steps if s.source] == expected
        seen.update((s.number, item.forms[0]) for s in steps for item in s.source)
    whole = int(passes)
    everything = {(i, j) for i, n in enumerate(sources) for j in range(n)}
    assert all(seen[key] in (whole, whole + 1) for key in everything)
    if passes == whole:
        assert all(seen[key] == whole for key in everything)
    else:
        extra = sum(seen.values()) - whole * len(everything)
        assert abs(extra - (passes - whole) * len(everything)) <= 5 * (1 + len(sources))


@pytest.mark.parametrize("kind", ["map", "mask"])
def test_a_folded_head_scores_as_the_head_behind_its_domain(kind: str) -> None:
    torch.manual_seed(0)
    shared = CRFHead(8, [True, False], [True, True], [[True, True], [False, True]])
    domain: nn.Module = LinearMap(8) if kind == "map" else Mask(8, shared=0.5, domains=2, number=1)
    for parameter in domain.parameters():
        nn.init.normal_(parameter)
    head = DomainHead(shared, domain)
    states = torch.randn(3, 5, 8)
    torch.testing.assert_close(head.folded().projection(states), shared.projection(domain(states)))
    lengths, tags = torch.tensor([5, 3, 1]), torch.zeros(3, 5, dtype=torch.long)
    torch.testing.assert_close(head.folded().loss(states, lengths, tags=tags), head.loss(states, lengths, tags=tags))


def test_masks_share_what_they_should() -> None:
    blocks = [Mask(24, shared=1 / 3, domains=2, number=i).units.bool() for i in range(2)]
    assert [int(b.sum()) for b in blocks] == [16, 16]
    assert int((blocks[0] & blocks[1]).sum()) == 8
    assert bool((blocks[0] | blocks[1]).all())


def test_a_shared_head_never_learns_that_what_nobody_annotated_is_outside(task: Task, tmp_path: Path) -> None:
    begun = share_head(start(task, Paired(**COMMON), run=Run(tmp_path)), run=Run(tmp_path))
    assert begun.target.head is begun.sources[0].head
    missing = set(begun.target.corpus.labels) - set(begun.sources[0].corpus.labels)
    names = begun.target.tagset.names
    for item in begun.sources[0].items:
        open_words = dict(item.open)
        for word, tag in enumerate(item.tags):
            if tag == 0:
                assert {names[row].partition("-")[2] for row in open_words[word]} == {"", *missing}


def records(folder: Path, event: str) -> Iterator[dict[str, Any]]:
    for line in (folder / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["event"] == event:
            yield record


def test_sources_are_trained_once_and_give_the_same_bits(task: Task, tmp_path: Path) -> None:
    method = Retrain(**COMMON, source_training=replace(ONCE, epochs=2))
    ends = []
    for name in ("first", "second"):
        tagger: Any = method.fit(task, run=Run(tmp_path / name, seed=2))
        ends.append(torch.cat([p.detach().flatten() for p in tagger.encoder.parameters()]))
    assert torch.equal(*ends)
    trained = [[r["stage"] for r in records(tmp_path / n, "epoch")] for n in ("first", "second")]
    assert trained[0].count("source-1-demo-neurology") == 2
    assert "source-1-demo-neurology" not in trained[1]
    for name in ("first", "second"):
        (exposure,) = records(tmp_path / name, "exposure")
        assert exposure["passes"] == 2.0
        (score,) = records(tmp_path / name, "source-score")
        assert 0 <= score["before"] <= 1 >= score["after"] >= 0
    other = replace(task, sources=(task.sources[0].with_split("train", task.sources[0].train[:-1]),))
    method.fit(other, run=Run(tmp_path / "other", seed=2))
    assert any(r["stage"] == "source-1-demo-neurology" for r in records(tmp_path / "other", "epoch"))


def test_what_any_source_knows_of_a_tag_is_handed_over(tmp_path: Path) -> None:
    target = small("cardiology", 4)
    first, second = target.labels[:2]
    sources = small("neurology", 6, labels=(first,)), small("respiratory", 6, labels=(second,))
    settings = Retrain(**COMMON, source_training=ONCE, source_epochs=0.0)
    run = Run(tmp_path, seed=0)
    settings.fit(Task(target, sources), run=run)
    [moved] = run.records("transferred")
    assert {tag.partition("-")[2] for tag in moved["tags"]} == {"", first, second}


def test_a_damaged_model_of_a_source_is_told(task: Task, tmp_path: Path) -> None:
    method = Retrain(**COMMON, source_training=ONCE)
    method.fit(task, run=Run(tmp_path / "a", seed=2))
    (kept,) = (Path(os.environ["TRANSFUSE_CACHE"]) / "sources").glob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(DataError, match="damaged: delete it"):
        method.fit(task, run=Run(tmp_path / "b", seed=2))


def test_a_target_only_word_gets_its_row_behind_those_of_the_source(task: Task, tmp_path: Path) -> None:
    method = Retrain(**COMMON, source_training=ONCE)
    tagger: Any = method.fit(task, run=Run(tmp_path, seed=2))
    rows = [word for word, _ in tagger.vocabulary.trained]
    known = {normalise(d.text[a:b]) for d in task.sources[0].train for a, b in words(d.text)}
    assert set(rows[: len(known)]) == known
    assert len(rows) > len(known)


@pytest.mark.parametrize("change", [{"source_l2": 0.1}, {"source_epochs": 1.0}, {"frozen": ("lstm",)}])
def test_what_keeps_a_model_near_its_source_has_an_effect(change: dict[str, Any], task: Task, tmp_path: Path) -> None:
    plain = Retrain(**COMMON, source_training=ONCE)
    changed = replace(plain, **change)
    assert not torch.equal(weights(plain, task, tmp_path / "a"), weights(changed, task, tmp_path / "b"))


def test_l2_to_source_pulls_towards_the_source(task: Task, tmp_path: Path) -> None:
    plain = Retrain(**COMMON | {"training": replace(ONCE, epochs=4)}, source_training=ONCE)
    ends = {}
    for strength in (0.0, 0.05, 1.0):
        tagger: Any = replace(plain, source_l2=strength).fit(task, run=Run(tmp_path / str(strength), seed=2))
        ends[strength] = tagger.encoder.lstm.weight_hidden.detach()
    frozen: Any = replace(plain, frozen=("lstm",)).fit(task, run=Run(tmp_path / "frozen", seed=2))
    source = frozen.encoder.lstm.weight_hidden.detach()
    gaps = [float((end - source).norm()) for end in ends.values()]
    assert gaps[0] > gaps[1] > gaps[2]


def test_each_similarity_weighs_source_sentences_in_its_own_way(task: Task, tmp_path: Path) -> None:
    task = replace(task, raw=(Document("raw", "HPI: chest pain at night.\nNo edema."),))
    vectors = Vectors(kind="task", width=6, count=1)
    found = []
    for kind in ("cross-entropy", "gaussian", "polynomial"):
        method = CdLearning(**COMMON | {"vectors": vectors}, similarity=kind, source_epochs=1)
        found.append(weights(method, task, tmp_path / kind))
        (record,) = records(tmp_path / kind, "similarity")
        assert 0.4 < record["mean"] < 0.5 + 1e-6
        assert record["deciles"][0] < record["deciles"][2]
    assert not any(torch.equal(a, b) for a, b in combinations(found, 2))
    with pytest.raises(ConfigError, match=r'similarity = "gaussian" compares word vectors'):
        weights(CdLearning(**COMMON, similarity="gaussian"), task, tmp_path / "none")


def test_words_of_a_sample_are_real_words_of_known_tags(task: Task, tmp_path: Path) -> None:
    begun = share_head(start(task, Paired(**COMMON), run=Run(tmp_path)), run=Run(tmp_path))
    ours, theirs = sample(begun.target, begun), sample(begun.sources[0], begun)
    real = inside(ours.batch.lengths, ours.states.shape[1])
    assert len(ours.words()[0]) == len(ours.words()[1]) == int(real.sum())
    assert not bool((theirs.words()[1] == 0).any())


def test_groups_hold_every_parameter_once(task: Task, tmp_path: Path) -> None:
    begun = start(task, Paired(**COMMON), run=Run(tmp_path))
    network = nn.ModuleDict({"encoder": begun.encoding.encoder, "head": begun.target.head})
    held = [id(p) for group in parameter_groups(network) for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in network.parameters())
