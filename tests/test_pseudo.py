"""Pseudo-labels are what the model says, where it is sure of it; students learn from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from transfuse import tags as tagging
from transfuse.methods.self_training import SelfTraining
from transfuse.run import Run
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.encoding import Encoding, Supervised, new_encoding
from transfuse.taggers.vectors import Vectors
from transfuse.text import Document, Task
from transfuse.train import Training
from transfuse.transfer.pseudo import pseudo_label
from transfuse.transfer.supervised import Domain, read_domain, train_domain

SETTINGS = Supervised(
    Architecture(BiLSTMEncoder(hidden=12, word_width=12, char_filters=4, dropout=0.1)),
    Training(epochs=2, steps=15, rate=0.01),
    Vectors(kind="none"),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Encoding, Domain]:
    corpus = department("cardiology", documents=12)
    run = Run(tmp_path_factory.mktemp("run"))
    encoding = new_encoding([corpus], SETTINGS, task=Task(corpus), run=run)
    domain = read_domain(encoding, corpus, stage=run.stage("target"))
    train_domain(encoding, domain, SETTINGS.training, stage=run.stage("target"))
    return encoding, domain


RAW = [Document(d.id, d.text) for d in department("cardiology", documents=20).test]


def test_at_threshold_0_they_are_what_the_tagger_finds(trained: tuple[Encoding, Domain]) -> None:
    encoding, domain = trained
    found = pseudo_label(encoding, domain, RAW, threshold=0.0)
    assert found.sure == 1.0
    assert not any(item.open for item in found.items)
    names = domain.tagset.names
    ours = sum(len(tagging.decode([names[t] for t in item.tags], domain.tagset.scheme)) for item in found.items)
    theirs = sum(len(d.entities) for d in domain.tagger(encoding).tag(RAW))
    assert ours == theirs > 0
    spelt = encoding.table.names
    assert "".join(spelt[i] for item in found.items for i in item.forms) == "".join(
        "".join(d.text.split()) for d in RAW
    )


def test_a_word_is_open_exactly_where_its_marginal_is_too_low(trained: tuple[Encoding, Domain]) -> None:
    encoding, domain = trained
    everything = pseudo_label(encoding, domain, RAW, threshold=0.0)
    sure = pseudo_label(encoding, domain, RAW, threshold=0.8)
    assert 0 < sure.sure < 1
    head = domain.tagger(encoding).head
    with torch.no_grad():
        for item, all_of_it in zip(sure.items, everything.items, strict=True):
            assert item.tags == all_of_it.tags
            batch = replace(encoding.batch([item], domain.tagset), unknown=None, tags=None, allowed=None)
            marginals = head.lattice(head.projection(encoding.encoder(batch)), batch.lengths).marginals[0]
            low = {i for i, tag in enumerate(item.tags) if float(marginals[i, tag]) < 0.8}
            assert {i for i, _ in item.open} == low


def test_they_do_not_depend_on_order_or_company(trained: tuple[Encoding, Domain]) -> None:
    encoding, domain = trained
    together = pseudo_label(encoding, domain, RAW, threshold=0.7).items
    alone = [item for d in RAW for item in pseudo_label(encoding, domain, [d], threshold=0.7).items]
    assert together == alone


def fitted(task: Task, folder: Path, **changes: Any) -> Any:
    method = SelfTraining(
        SETTINGS.architecture, SETTINGS.training, SETTINGS.vectors, source_training=SETTINGS.training, **changes
    )
    return method.fit(task, run=Run(folder, seed=1))


def test_students_learn_with_or_without_sources_and_without_raw_text_the_teacher_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRANSFUSE_CACHE", str(tmp_path / "cache"))
    target, source = department("cardiology", documents=8), department("neurology", documents=8)
    raw = tuple(Document(d.id, d.text) for d in RAW[:6])
    ends = [
        fitted(Task(target, (source,), raw), tmp_path / "a"),
        fitted(Task(target, (), raw), tmp_path / "b"),
        fitted(Task(target, (source,), raw), tmp_path / "c", rounds=2),
        fitted(Task(target, (source,), ()), tmp_path / "d"),
    ]
    weights = [tagger.encoder.lstm.weight_hidden for tagger in ends]
    assert not any(torch.equal(a, b) for i, a in enumerate(weights) for b in weights[:i])
    stages = dict.fromkeys(r["stage"] for r in Run(tmp_path / "c").records("trained"))
    assert list(stages) == ["source-1-demo-neurology", "target", "student-1", "student-2"]
    assert "no raw text" in Run(tmp_path / "d").records("note")[0]["text"]
    assert {r["corpus"] for r in Run(tmp_path / "c").records("exposure")} == {"demo-neurology"}
