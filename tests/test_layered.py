"""MTL-XC, MTL-LS and multi-task learning: which layers come from where, at which rate they learn, and who chooses."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tomli_w
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from transfuse import bundle, formats, methods
from transfuse.encoders.known import depth
from transfuse.ensembles.votes import VoteTagger
from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.methods.joint import Joint
from transfuse.methods.mtl_ls import MtlLs
from transfuse.methods.mtl_xc import MtlXc
from transfuse.methods.multitask import Multitask
from transfuse.methods.pooled import Pooled
from transfuse.methods.retrain import Retrain
from transfuse.methods.target_only import TargetOnly
from transfuse.nn.head import CRFHead
from transfuse.run import Run
from transfuse.scoring.analysis import set_analysis
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.encoding import new_encoding
from transfuse.taggers.layers import layer_of, slices
from transfuse.taggers.neural import NeuralTagger, Sentence
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import ConfigError, Corpus, Task
from transfuse.train import Training, fit, last_epochs
from transfuse.transfer.layered import End, averaged, begin_slice, sliced, train_again, train_shared, voting
from transfuse.transfer.supervised import Domain, Step, head_loss, read_domain, run_fit, train_domain
from transfuse.transfer.together import begin_afresh

ONCE = Training(
    epochs=1, steps=0, batch=6, optimizer="sgd", rate=0.1, schedule="constant", average=0.0, clip=1e9, select="last"
)
THREE = replace(ONCE, epochs=3, rate=0.05)
BILSTM = Architecture(BiLSTMEncoder(hidden=5, word_width=6, char_filters=2, dropout=0.1, buckets=20, feature_width=3))
NONE = Vectors(kind="none")
RATE = 0.3
"""Of what is pre-trained."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Architecture:
    pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")
    from tiny import make

    name = make(tmp_path_factory.mktemp("bert"), "bert")
    return Architecture(TransformerEncoder(name=name, rate=RATE, dropout=0.1))


@pytest.fixture(params=["bilstm", "bert"])
def architecture(request: pytest.FixtureRequest) -> Architecture:
    return BILSTM if request.param == "bilstm" else request.getfixturevalue("bert")  # type: ignore[no-any-return]


def corpus(name: str, documents: int) -> Corpus:
    whole = department(name, documents=3 * documents)
    cut = {split: texts[:documents] for split, texts in whole.splits.items()}
    return replace(whole, name=name, splits=cut)


@pytest.fixture
def task() -> Task:
    return Task(corpus("cardiology", 4), (corpus("neurology", 6),))


def weights(tagger: Any) -> Tensor:
    return torch.cat([p.detach().flatten() for p in (*tagger.encoder.parameters(), *tagger.head.parameters())])


def layers(encoder: nn.Module) -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = {}
    for name, parameter in encoder.named_parameters():
        found.setdefault(layer_of(f"encoder.{name}"), []).append(parameter.detach().clone())
    return found


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def records(folder: Path, event: str) -> Iterator[dict[str, Any]]:
    for line in (folder / "records.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["event"] == event:
            yield record


# Layers


def stack(number: int) -> Any:
    """What has a table and so many layers, named as in a transformer."""
    model = nn.ModuleDict({"table": nn.Linear(1, 1), "layer": nn.ModuleList(nn.Linear(1, 1) for _ in range(number))})
    return SimpleNamespace(encoder=nn.ModuleDict({"model": model}))


@pytest.mark.parametrize(
    ("family", "order"),
    [
        ("albert", ("embedding", "layer.1")),  # all its layers are one
        ("distilbert", ("embedding", "layer.1", "layer.2")),
        ("gpt2", ("embedding", "layer.1", "layer.2")),
    ],
)
def test_layers_with_other_names_are_told_apart(family: str, order: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the extra 'transformers' is not installed")
    from tiny import make

    name = make(tmp_path, family)
    assert slices(TransformerEncoder(name=name).load()[0]) == order
    assert depth(name) == 2


def test_what_cannot_be_sliced_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be told apart by their names"):
        sliced(stack(0), 0.5)
    with pytest.raises(ConfigError, match="nothing to carry over"):
        MtlLs(Architecture(TransformerEncoder(frozen="all")))


def test_layers_are_named_from_below(bert: Architecture, tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert isinstance(bert.encoder, TransformerEncoder)
    assert slices(bert.encoder.load()[0]) == ("embedding", "layer.1", "layer.2")
    beside = BiLSTMEncoder(hidden=4, transformer=bert.encoder)
    learned = Task(corpus("cardiology", 2))
    encoding = new_encoding([learned.target], TargetOnly(Architecture(beside), vectors=NONE), task=learned, run=run)
    order = ("embedding", "layer.1", "layer.2", "words", "characters", "lstm")
    assert slices(encoding.encoder) == order
    again = encoding.extended((), run=replace(run, seed=7), layers=sliced(encoding, 0.6))
    one, other = layers(encoding.encoder), layers(again.encoder)
    assert [equal(one[name], other[name]) for name in order] == [True] * 4 + [False] * 2
    assert slices(stack(12).encoder) == ("embedding", *(f"layer.{i}" for i in range(1, 13)))


@pytest.mark.parametrize(
    ("number", "rate", "above"),
    [(24, 0.25, 6), (24, 1.0, 24), (6, 0.25, 2), (6, 0.5, 3), (6, 0.75, 5), (2, 0.25, 1), (2, 0.2, 0), (24, 0.0, 0)],
)
def test_a_rate_is_a_share_of_the_layers_above_the_embedding(number: int, rate: float, above: int) -> None:
    assert sliced(stack(number), rate) == ("embedding", *(f"layer.{i}" for i in range(1, above + 1)))


@pytest.mark.parametrize("rate", [0.0, 0.5, 1.0])
def test_below_the_cut_is_the_shared_model_and_above_it_is_not(
    rate: float, architecture: Architecture, task: Task, tmp_path: Path
) -> None:
    run = Run(tmp_path, seed=4)
    method = MtlLs(architecture, THREE, NONE)
    shared = train_shared(task, method, THREE, run=run, name="shared")
    common, order = layers(shared.encoding.encoder), slices(shared.encoding.encoder)
    torch.manual_seed(4)
    if isinstance(architecture.encoder, TransformerEncoder):
        before = layers(architecture.encoder.load()[0])
    else:
        assert order == ("words", "characters", "features", "lstm")
        vocabulary: Any = shared.encoding.table.vocabulary
        before = layers(architecture.encoder.build(vocabulary, shared.encoding.encoder.forms.vectors))  # type: ignore[union-attr]
    assert not any(equal(common[name], before[name]) for name in order)
    kept = sliced(shared.encoding, rate)
    assert len(kept) == 1 + round(rate * (len(order) - 1) + 1e-9)
    encoding, target = begin_slice(shared.encoding, task, kept, run=run, stage=run.stage("target"))
    begun = layers(encoding.encoder)
    for name in order:
        assert equal(begun[name], (common if name in kept else before)[name]), name
    for fresh, learned in zip(target.head.parameters(), shared.target.head.parameters(), strict=True):
        assert not torch.equal(fresh, learned)
    assert encoding.layer_decay == method.layer_decay == 0.9


def test_every_layer_learns_at_its_own_rate(architecture: Architecture, task: Task, tmp_path: Path) -> None:
    """One step of gradient descent, each layer's slope times its rate, told from below."""
    quiet = replace(architecture, encoder=replace(architecture.encoder, dropout=0.0))
    if isinstance(quiet.encoder, BiLSTMEncoder):
        quiet = replace(quiet, encoder=replace(quiet.encoder, word_dropout=0.0))
    run = Run(tmp_path, seed=1)
    encoding = replace(
        new_encoding([task.target], TargetOnly(quiet, vectors=NONE), task=task, run=run), layer_decay=0.5
    )
    encoding.encoder.eval()
    encoding.encoder.train = lambda mode=True: encoding.encoder  # type: ignore[method-assign, assignment]
    stage = run.stage("target")
    domain = read_domain(encoding, task.target, stage=stage)
    items = sorted(domain.items, key=lambda s: -len(s.forms))[:6]
    network = nn.ModuleDict({"encoder": encoding.encoder, "head": domain.head})
    batch = encoding.batch(items, domain.tagset)
    loss = head_loss(domain.head, encoding.encoder(batch), batch)
    slopes = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    own = RATE if isinstance(quiet.encoder, TransformerEncoder) else 1.0
    heights = {name: own * 0.5**below for below, name in enumerate(reversed(slices(encoding.encoder)))}
    rates = [heights.get(layer_of(name), 1.0) for name, _ in network.named_parameters()]
    assert len(set(rates)) >= 4 - (own == 1.0)
    expected = [
        p.detach() - 0.1 * rate * (0 if slope is None else slope)
        for p, rate, slope in zip(network.parameters(), rates, slopes, strict=True)
    ]

    def objective(step: Step) -> dict[str, Tensor]:
        batch = encoding.batch(step.target, domain.tagset)
        return {"crf": head_loss(domain.head, encoding.encoder(batch), batch)}

    run_fit(encoding, [domain], objective, lambda epoch: [Step(items)], ONCE, stage=stage)
    for (name, parameter), value in zip(network.named_parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.detach(), value, msg=lambda said, name=name: f"{name}: {said}")


# What equals what


def test_methods_that_differ_in_theory_differ_after_a_few_steps(
    architecture: Architecture, task: Task, tmp_path: Path
) -> None:
    together: dict[str, Any] = {"source_epochs": 1.0, "source_batch": 6}
    tried: dict[str, Any] = {
        "pooled": Pooled(architecture, ONCE, NONE),
        "mtl-xc": MtlXc(architecture, ONCE, NONE),
        **{f"mtl-ls {r}": MtlLs(architecture, ONCE, NONE, rates=(r,), shared_training=ONCE) for r in (0.0, 0.5, 1.0)},
        "multitask": Multitask(architecture, ONCE, NONE),
        "by size": Multitask(architecture, ONCE, NONE, mixing=1.0),
        "joint": Joint(architecture, ONCE, NONE, **together),
        "retrain": Retrain(architecture, ONCE, NONE, source_training=ONCE),
    }
    if architecture is not BILSTM:  # these build nothing of their own
        for name in ("joint", "retrain", "by size"):
            del tried[name]
    bare = replace(task, target=task.target.with_split("dev", ()))
    ends = {name: weights(method.fit(bare, run=Run(tmp_path / name, seed=1))) for name, method in tried.items()}
    assert [
        (a, b) for a, b in combinations(ends, 2) if ends[a].shape == ends[b].shape and torch.equal(ends[a], ends[b])
    ] == []
    level = MtlXc(architecture, ONCE, NONE, layer_decay=1.0).fit(bare, run=Run(tmp_path / "level", seed=1))
    assert torch.equal(weights(level), ends["pooled"])


def test_at_rate_1_all_of_mtl_xc_is_fine_tuned(architecture: Architecture, task: Task, tmp_path: Path) -> None:
    method = MtlLs(architecture, THREE, NONE, rates=(1.0,), shared_training=THREE, layer_decay=0.8)
    found = method.fit(task, run=Run(tmp_path / "ls", seed=3))
    common: Any = MtlXc(architecture, THREE, NONE, layer_decay=0.8).fit(task, run=Run(tmp_path / "xc", seed=3))
    run = Run(tmp_path / "hand", seed=3)
    begun = begin_afresh(task, method, run=run)
    begun.encoding.encoder.load_state_dict(common.encoder.state_dict())
    encoding, stage = replace(begun.encoding, layer_decay=0.8), run.stage("rate-1")
    torch.manual_seed(3)  # what the fresh head is drawn with: after the layers of an encoder
    if isinstance(architecture.encoder, TransformerEncoder):
        architecture.encoder.load()
    else:
        architecture.encoder.build(encoding.table.vocabulary, encoding.encoder.forms.vectors)  # type: ignore[arg-type, union-attr]
    target = read_domain(encoding, task.target, stage=stage)
    train_domain(encoding, target, THREE, stage=stage)
    assert torch.equal(weights(found), weights(target.tagger(encoding)))


def test_at_rate_0_a_frozen_embedding_leaves_nothing_of_the_sources(
    bert: Architecture, task: Task, tmp_path: Path
) -> None:
    """Only the embedding is shared there: where it may not learn, what is left is the pre-trained model."""
    frozen = replace(bert, encoder=replace(bert.encoder, frozen=1))
    method = MtlLs(frozen, THREE, NONE, rates=(0.0,), shared_training=THREE, layer_decay=1.0)
    found = method.fit(task, run=Run(tmp_path / "ls", seed=2))
    run = Run(tmp_path / "alone", seed=2)
    encoding = new_encoding([task.target], method, task=task, run=run)
    stage = run.stage("rate-0")  # the order of batches goes by the name
    target = read_domain(encoding, task.target, stage=stage)
    train_domain(encoding, target, THREE, stage=stage)
    assert torch.equal(weights(found), weights(target.tagger(encoding)))


# Who chooses


def test_the_rate_is_chosen_on_dev_and_never_on_test(task: Task, tmp_path: Path) -> None:
    method = MtlLs(BILSTM, replace(THREE, rate=0.3), NONE, rates=(0.0, 0.3, 0.4, 1.0), shared_training=THREE)
    found = method.fit(task, run=Run(tmp_path / "all", seed=5))
    (told,) = records(tmp_path / "all", "rates")
    assert list(told["dev_f1"]) == ["0", "0.3", "1"]  # 0.3 and 0.4 end at the same layer
    best = max(told["dev_f1"], key=told["dev_f1"].get)
    assert f"{told['rate']:g}" == best
    assert len(set(told["dev_f1"].values())) > 1
    alone = replace(method, rates=(told["rate"],)).fit(task, run=Run(tmp_path / "one", seed=5))
    assert torch.equal(weights(found), weights(alone))
    blind = replace(task, target=task.target.with_split("test", ()))
    assert torch.equal(weights(method.fit(blind, run=Run(tmp_path / "blind", seed=5))), weights(found))
    (*_, last) = records(tmp_path / "all", "trained")
    assert last["selection"].startswith(f"slicing rate {best} of 0, 0.3, 1 by strict micro F1 on dev; ")
    with pytest.raises(ConfigError, match="no development split to choose by: name one rate"):
        method.fit(replace(task, target=task.target.with_split("dev", ())), run=Run(tmp_path / "none"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rates": ()}, "rates: there is none"),
        ({"rates": (0.5, 1.5)}, "rates lies in"),
        ({"restarts": 1}, "restarts is 0, or at least 2"),
        ({"average": "scores"}, "needs something to average"),
        ({"layer_decay": 0.0}, r"layer_decay lies in \(0, 1\], not 0"),
    ],
)
def test_settings_out_of_range(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MtlLs(**change)
    with pytest.raises(ConfigError, match="mixing lies in"):
        Multitask(mixing=-1)
    with pytest.raises(ConfigError, match=r"training\.last goes with select"):
        Training(last=3)
    with pytest.raises(ConfigError, match=r"at most training\.epochs"):
        Training(epochs=2, select="last", last=3)
    with pytest.raises(ConfigError, match=r"training\.epsilon goes with"):
        Training(optimizer="sgd", epsilon=1e-6)


def test_the_shared_model_is_trained_once_for_both_methods(task: Task, tmp_path: Path) -> None:
    MtlXc(BILSTM, THREE, NONE).fit(task, run=Run(tmp_path / "xc", seed=1))
    MtlLs(BILSTM, THREE, NONE, rates=(0.5,), shared_training=THREE).fit(task, run=Run(tmp_path / "ls", seed=1))
    stages = {name: {r["stage"] for r in records(tmp_path / name, "epoch")} for name in ("xc", "ls")}
    assert stages == {"xc": {"target"}, "ls": {"rate-0.5"}}
    for name in ("xc", "ls"):
        (exposure,) = records(tmp_path / name, "exposure")
        assert exposure["passes"] == 3.0


def test_presets_are_the_papers_and_defaults_are_short() -> None:
    chai: Any = methods.presets("mtl-ls")["chai"]
    assert (chai.training.epochs, chai.restarts, chai.shared_training.epochs) == (30, 3, 30)
    assert (chai.training.rate, chai.training.epsilon, chai.training.warmup, chai.layer_decay) == (3e-5, 1e-6, 0, 0.9)
    assert chai.rates == (0.25, 0.5, 0.75, 1.0)
    assert chai.training == methods.presets("mtl-xc")["chai"].training  # type: ignore[attr-defined]
    assert MtlLs().training.epochs + MtlLs().restarts == 8


# Averages


def steady(folder: Path, training: Training, *, stop: int = 0) -> tuple[float, dict[str, Any]]:
    """A weight that falls from 1 by its rate a step, two steps an epoch."""
    network = nn.Linear(1, 1, bias=False)
    nn.init.ones_(network.weight)
    calls = Counter[str]()

    def objective(_: object) -> dict[str, Tensor]:
        calls["steps"] += 1
        if calls["steps"] == stop:
            raise KeyboardInterrupt
        return {"w": network.weight.sum()}

    stage = Run(folder, checkpoint_seconds=0).stage("toy[1]")
    evaluate = lambda: float(network.weight.detach())  # noqa: E731
    summary = fit(network, objective, lambda epoch: [1, 2], training, stage=stage, evaluate=evaluate)
    return float(network.weight.detach()), summary


@pytest.mark.parametrize("stop", range(13))
def test_the_mean_of_the_last_epochs_wherever_it_was_killed(stop: int, tmp_path: Path) -> None:
    training = replace(ONCE, epochs=6, rate=0.05, last=3)
    if stop:
        with pytest.raises(KeyboardInterrupt):
            steady(tmp_path, training, stop=stop)
    weight, summary = steady(tmp_path, training)
    assert weight == pytest.approx((0.6 + 0.5 + 0.4) / 3)
    assert summary["dev_f1"] == weight
    assert summary["selection"] == "mean of the weights of the last 3 epochs"
    kept = last_epochs(Run(tmp_path).stage("toy[1]"))
    assert [float(part["weight"]) for part in kept] == pytest.approx([0.6, 0.5, 0.4])
    assert steady(tmp_path, training)[0] == weight  # a finished stage


def ends_of(task: Task, folder: Path, training: Training, restarts: int) -> list[End]:
    run = Run(folder, seed=1)
    begun = begin_afresh(task, TargetOnly(BILSTM, vectors=NONE), run=run)
    return train_again(begun.encoding, begun.target, training, restarts, run=run, name="own")


def test_restarts_begin_where_the_first_training_ended(task: Task, tmp_path: Path) -> None:
    (first,) = ends_of(task, tmp_path / "first", THREE, 0)
    ends = ends_of(task, tmp_path / "again", THREE, 3)
    values = [weights(end.domain.tagger(end.encoding)) for end in (first, *ends)]
    assert not any(torch.equal(a, b) for a, b in combinations(values, 2))
    stages = [record["stage"] for record in records(tmp_path / "again", "trained")]
    assert stages == ["own", "own-again-1", "own-again-2", "own-again-3"]
    # learned on by hand, under the second restart's name
    train_domain(first.encoding, first.domain, THREE, stage=Run(tmp_path / "hand", seed=1).stage("own-again-2"))
    assert torch.equal(weights(first.domain.tagger(first.encoding)), values[2])
    mean = weights(averaged(ends))
    torch.testing.assert_close(mean, torch.stack(values[1:]).mean(0))


def test_scores_are_averaged_over_the_last_epochs_of_all_restarts(task: Task, tmp_path: Path) -> None:
    training = replace(THREE, last=2, rate=0.3)
    ends = ends_of(task, tmp_path / "run", training, 2)
    kept = [part for end in ends for part in last_epochs(end.stage)]
    tagger = voting(ends)
    assert isinstance(tagger, VoteTagger)
    assert len(tagger.readers) == len(kept) == 4
    for reader, part in zip(tagger.readers, kept, strict=True):
        network = nn.ModuleDict({"encoder": reader.encoder, "head": reader.heads[0]})
        assert all(torch.equal(value, part[name]) for name, value in network.named_parameters())
    bundle.save(tagger, tmp_path / "bundle")
    again = bundle.load(tmp_path / "bundle")
    assert list(again.tag(task.target.test)) == list(tagger.tag(task.target.test))
    one = ends_of(task, tmp_path / "one", THREE, 0)
    alone = one[0].domain.tagger(one[0].encoding)
    same = list(voting(one).tag(task.target.test, confidence=True))
    marginal = [e for d in same for e in d.entities]
    assert isinstance(alone, NeuralTagger)
    assert all(0 <= (e.score or 0) <= 1 for e in marginal)


# Multi-task


def domain_of(items: int) -> Domain:
    sentences = [Sentence((i,) * (1 + i % 7), (0,) * (1 + i % 7)) for i in range(items)]
    return Domain(Corpus("c", {}, ("X",)), CRFHead(2, [True], [True], [[True]]), None, sentences)  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 60), min_size=2, max_size=4), st.integers(0, 40), st.integers(0, 3))
@settings(max_examples=50)
def test_corpora_take_turns_as_the_mixing_says(sizes: list[int], least: int, epoch: int) -> None:
    domains = tuple(domain_of(size) for size in sizes)
    stage = Run(Path("/tmp"), seed=1).stage("target")
    for mixing in (0.0, 0.5, 1.0):
        method = Multitask(training=Training(steps=least, batch=4), mixing=mixing)
        steps = method.mixed(domains, stage=stage, epoch=epoch)
        assert steps == method.mixed(domains, stage=stage, epoch=epoch)
        turns = Counter(step.number for step in steps)
        assert set(turns) == set(range(len(sizes)))
        assert len(steps) >= least - len(sizes)
        batches = [-(-size // 4) for size in sizes]
        if mixing == 0:
            assert max(turns.values()) - min(turns.values()) <= 1
        elif mixing == 1 and sum(batches) >= least:
            seen = Counter((step.number, item.forms[0]) for step in steps for item in step.target)
            assert seen == Counter((i, j) for i, size in enumerate(sizes) for j in range(size))


def test_a_step_teaches_the_head_of_its_corpus_alone(task: Task, tmp_path: Path, monkeypatch: Any) -> None:
    only = lambda number: lambda *a, **k: [s for s in mixed(*a, **k) if s.number == number]  # noqa: E731
    mixed = Multitask.mixed
    method = Multitask(BILSTM, ONCE, NONE)
    run = Run(tmp_path / "fresh", seed=1)
    fresh = begin_afresh(task, method, run=run)
    ends = []
    for number in (0, 1):
        monkeypatch.setattr(Multitask, "mixed", only(number))
        ends.append(method.fit(task, run=Run(tmp_path / str(number), seed=1)))
    heads: list[Any] = [end.head for end in ends]  # type: ignore[attr-defined]
    before = list(fresh.target.head.parameters())
    assert not any(torch.equal(a, b) for a, b in zip(heads[0].parameters(), before, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(heads[1].parameters(), before, strict=True))
    assert not torch.equal(weights(ends[0]), weights(ends[1]))


def test_what_was_seen_of_each_source_is_recorded(task: Task, tmp_path: Path) -> None:
    Multitask(BILSTM, THREE, NONE, mixing=1.0).fit(task, run=Run(tmp_path))
    (exposure,) = records(tmp_path, "exposure")
    assert exposure["passes"] == 3.0
    (score,) = records(tmp_path, "source-score")
    assert score["after"] is not None


# Kills

CHILD = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from transfuse.experiments.recipe import load_recipe
from transfuse.experiments.running import run_recipe
run_recipe(load_recipe(Path(sys.argv[1])), Path(sys.argv[2]), checkpoint_seconds=0)
"""


def recipe(folder: Path, name: str, **how: Any) -> dict[str, Any]:
    for department_ in ("cardiology", "neurology"):
        small = corpus(department_, 4)
        for split, documents in small.splits.items():
            (folder / department_).mkdir(exist_ok=True)
            formats.write(documents, folder / department_ / f"{split}.jsonl", "jsonl")
    encoder = {"hidden": 6, "char_filters": 3, "word_width": 8}
    return {
        "data": {"target": str(folder / "cardiology"), "sources": [str(folder / "neurology")]},
        "method": {
            "name": name,
            "architecture": {"encoder": encoder},
            "vectors": {"kind": "none"},
            "training": {"epochs": 3, "steps": 4, "batch": 8, "average": 0.9, "select": "last", "last": 2},
            **how,
        },
    }


LS = {
    "rates": [0.0, 1.0],
    "restarts": 2,
    "average": "scores",
    "shared_training": {"epochs": 2, "steps": 4, "average": 0.9, "select": "last", "last": 2},
}


@pytest.mark.parametrize(("name", "how"), [("mtl-ls", LS), ("mtl-xc", {}), ("multitask", {"mixing": 0.5})])
def test_a_run_broken_off_anywhere_ends_in_the_same_bytes(
    name: str, how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_recipe(recipe(tmp_path, name, **how))
    calls = Counter[str]()

    def count(text: str, done: float) -> None:
        calls["all"] += 1

    run_recipe(made, tmp_path / "whole", watch=count)
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    every = calls["all"] // 5 or 1

    def stop(text: str, done: float) -> None:
        calls["killed"] += 1
        if calls["killed"] % every == 0:
            raise KeyboardInterrupt

    kills = 0
    while kills < 12:
        try:
            run_recipe(made, tmp_path / "killed", watch=stop, checkpoint_seconds=0)
            break
        except KeyboardInterrupt:
            kills += 1
    assert kills >= 3
    target, source = (corpus(name, 4) for name in ("cardiology", "neurology"))
    found = formats.read(tmp_path / "whole" / "predictions" / "test.jsonl", "jsonl")
    (told,) = records(tmp_path / "whole", "sets")
    assert told["regions"] == set_analysis([*target.train, *source.train], target.test, found).regions
    same(tmp_path / "whole", tmp_path / "killed")


def same(whole: Path, killed: Path) -> None:
    found = sorted(path.relative_to(whole) for path in (whole / "bundle").iterdir() if path.suffix == ".safetensors")
    assert found
    for name in (*found, Path("scores.json")):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name


def test_a_killed_process_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_recipe(recipe(tmp_path, "mtl-ls", **LS | {"rates": [1.0], "restarts": 0, "average": "weights"}))
    (tmp_path / "recipe.toml").write_text(tomli_w.dumps(made.to_dict()))
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    killed = tmp_path / "killed"
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "recipe.toml"), str(killed)])
    while child.poll() is None and not list(killed.glob("checkpoint/rate-*")):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (killed / "done").exists()
    run_recipe(made, killed)
    assert any(records(killed, "resumed"))
    run_recipe(made, tmp_path / "whole")
    same(tmp_path / "whole", killed)
