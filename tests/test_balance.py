"""Rare labels: a sentence counts by the rarest label in it."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from transfuse.methods.pooled import Pooled
from transfuse.methods.target_only import TargetOnly
from transfuse.nn.encoder import Encoder
from transfuse.run import Run
from transfuse.scoring.score import score
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.neural import Sentence
from transfuse.taggers.vectors import Vectors
from transfuse.text import ConfigError, Corpus, Document, Entity, Task
from transfuse.train import Training
from transfuse.transfer.supervised import balanced, head_loss, read_domain, target_batches
from transfuse.transfer.together import begin_afresh

TAGS = TagSet(("Often", "Rarely"), "BIO")
OFTEN, RARELY = TAGS.names.index("B-Often"), TAGS.names.index("B-Rarely")
ITEMS = [
    *(Sentence((n,), (OFTEN,)) for n in range(6)),
    Sentence((6, 7), (OFTEN, RARELY)),
    Sentence((8,), (RARELY,), weight=0.5),
    Sentence((9,), (0,)),
]


@pytest.mark.parametrize("power", [0.5, 1.0])
def test_weights_by_hand(power: float) -> None:
    # 7 sentences hold Often, 2 hold Rarely, one holds neither
    raw = [1.0] * 6 + [3.5**power, 3.5**power, 1.0]
    mean = sum(raw) / 9
    found = balanced(ITEMS, TAGS, Training(balance=power))
    assert [item.weight for item in found] == pytest.approx(
        [w / mean * (0.5 if i == 7 else 1.0) for i, w in enumerate(raw)]
    )
    assert [replace(item, weight=0.0) for item in found] == [replace(item, weight=0.0) for item in ITEMS]
    assert balanced(ITEMS, TAGS, Training()) is ITEMS


def test_a_share_out_of_range_is_refused() -> None:
    for wrong in (0.0, 1.5, -1.0):
        with pytest.raises(ConfigError, match=r"training\.balance"):
            Training(balance=wrong)


def corpus(count: int, seed: int) -> tuple[Document, ...]:
    """Two kinds of names in like places; one in ten sentences has the rare kind."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        rare = draw.random() < 0.1
        name = f"{draw.choice('bdg')}{draw.choice('aeiou')}{draw.choice('klm')}" + ("ix" if rare else "on")
        text = f"{draw.choice(('old', 'new', 'my', 'one'))} {name} {draw.choice(('came', 'went', 'sat'))}"
        start = text.index(" ") + 1
        kind = "Rarely" if rare else "Often"
        found.append(Document(str(number), text, (Entity(start, start + len(name), kind),)))
    return tuple(found)


TASK = Task(Corpus("two", {"train": corpus(60, 1), "dev": corpus(20, 2), "test": corpus(200, 3)}, ("Often", "Rarely")))


def method(balance: float | None) -> TargetOnly:
    encoder = BiLSTMEncoder(hidden=8, word_width=8, char_filters=4, dropout=0.0, word_dropout=0.0)
    training = Training(epochs=2, steps=20, rate=1e-2, average=0.0, select="last", balance=balance)
    return TargetOnly(Architecture(encoder), training, Vectors(kind="none"))


def test_the_loss_of_a_step_is_the_weighted_mean(tmp_path: Path) -> None:
    run, how = Run(tmp_path, seed=1), method(1.0)
    begun = begin_afresh(TASK, how, run=run)
    stage = run.stage("again")
    domain = read_domain(begun.encoding, TASK.target, stage=stage, head=begun.target.head)
    found = target_batches(domain, how.training, stage=stage, epoch=0, least=1)
    first = next(batch for batch in found if len({item.weight for item in batch}) == 2)
    assert isinstance(begun.encoding.encoder, Encoder)
    begun.encoding.encoder.eval()

    def loss(some: list[Sentence]) -> torch.Tensor:
        batch = begun.encoding.batch(some, domain.tagset)
        return head_loss(domain.head, begun.encoding.encoder(batch), batch).detach()

    alone = [float(loss([replace(item, weight=1.0)])) for item in first]
    by_hand = sum(item.weight * each for item, each in zip(first, alone, strict=True)) / len(first)
    assert float(loss(first)) == pytest.approx(by_hand, rel=1e-5)


def test_pooled_corpora_are_weighed_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(items: list[Sentence], tagset: TagSet, training: Training) -> list[Sentence]:
        seen.append(len(items))
        return list(balanced(items, tagset, training))

    monkeypatch.setattr("transfuse.transfer.supervised.balanced", counted)
    other = Corpus("other", {"train": corpus(30, 4)}, ("Often", "Rarely"))
    how = method(1.0)
    Pooled(how.architecture, how.training, how.vectors).fit(replace(TASK, sources=(other,)), run=Run(tmp_path, seed=1))
    assert set(seen) == {90}


def test_a_rare_label_is_found_more(tmp_path: Path) -> None:
    recall = []
    for balance in (None, 1.0):
        tagger = method(balance).fit(TASK, run=Run(tmp_path / str(balance), seed=1))
        found = score(TASK.target.test, tagger.tag(TASK.target.test), kinds=["strict"])
        recall.append(found.types()["Rarely"].recall)
    assert recall[1] > recall[0]
