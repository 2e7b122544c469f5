"""A run killed at any moment ends in the same bytes; the loop's rules."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from transfuse.experiments.recipe import make_recipe
from transfuse.experiments.running import run_recipe
from transfuse.run import Run
from transfuse.text import DataError, TransfuseError
from transfuse.train import Training, fit

LEARNED = {"epochs": 3, "steps": 60, "batch": 8, "average": 0.9}
RECIPE = {
    "data": {"target": "demo-cardiology", "sources": ["demo-neurology"], "share": 0.15, "limit": 30},
    "method": {
        "name": "la-dtl",
        "init": "source",
        "source_epochs": 2.5,
        "architecture": {"encoder": {"hidden": 12, "char_filters": 4, "recurrent_dropout": 0.2}},
        "training": LEARNED,
        "source_training": LEARNED,
        "vectors": {"kind": "none"},
    },
    "run": {"seed": 7},
}


def live(folder: Path) -> None:
    """With a cache of its own: what another has learned from the source would spare it that stage."""
    os.environ["TRANSFUSE_CACHE"] = str(folder.with_suffix(".cache"))
    torch.set_num_threads(1)
    run_recipe(make_recipe(RECIPE), folder, checkpoint_seconds=0.05)


def start(folder: Path) -> BaseProcess:
    """A process that begins with everything imported, what optimizers need included."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "torch._dynamo"])
    child = context.Process(target=live, args=(folder,))
    child.start()
    return child


def finish(child: BaseProcess) -> None:
    child.join(120)
    assert child.exitcode == 0


def wait_for_checkpoint(folder: Path, child: BaseProcess) -> None:
    """Until this child has saved its state, or has ended."""
    began = time.time()
    while child.is_alive():
        if any(path.stat().st_mtime > began for path in folder.glob("checkpoint/*.safetensors")):
            return
        time.sleep(0.01)


def test_killed_at_five_random_moments_it_ends_in_the_same_bytes(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(whole))
    draw = random.Random(5)
    for _ in range(5):
        child = start(killed)
        # each life saves once at least, and so gets further than the one before it
        wait_for_checkpoint(killed, child)
        time.sleep(draw.uniform(0, 0.1))
        child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL, "it ended before it was killed: give it more to do"
    finish(start(killed))
    for name in ("bundle/weights.safetensors", "bundle/vocabulary.json", "scores.json"):
        assert (whole / name).read_bytes() == (killed / name).read_bytes(), name
    assert any('"resumed"' in line for line in (killed / "records.jsonl").read_text().splitlines())


def toy(tmp_path: Path, training: Training, **how: object) -> tuple[nn.Module, dict[str, object]]:
    torch.manual_seed(0)
    network = nn.Linear(2, 1)
    batches = [torch.randn(4, 2) for _ in range(5)]

    def objective(batch: Tensor) -> dict[str, Tensor]:
        return {"fit": (network(batch) - batch.sum(1, keepdim=True)).square().mean()}

    stage = Run(tmp_path).stage("toy")
    return network, fit(network, objective, lambda epoch: batches, training, stage=stage, **how)  # type: ignore[arg-type]


def test_a_broken_checkpoint_is_told_with_what_to_do(tmp_path: Path) -> None:
    place = Run(tmp_path).stage("toy").checkpoint
    place.parent.mkdir()
    for content in (b"", b"no tensors at all"):
        place.write_bytes(content)
        with pytest.raises(DataError, match=r"toy\.safetensors: not a sound checkpoint: .*; delete it"):
            toy(tmp_path, Training(epochs=1))


def test_best_epoch_is_restored(tmp_path: Path) -> None:
    seen: list[Tensor] = []
    scores = iter([0.1, 0.9, 0.3])
    holder: list[nn.Module] = []

    def evaluate() -> float:
        seen.append(holder[0].weight.detach().clone())  # type: ignore[operator]
        return next(scores)

    torch.manual_seed(0)
    network = nn.Linear(2, 1)
    holder.append(network)
    batch = torch.ones(4, 2)
    stage = Run(tmp_path).stage("toy")
    objective = lambda x: {"fit": network(x).square().mean()}  # noqa: E731
    summary = fit(network, objective, lambda epoch: [batch], Training(epochs=3), stage=stage, evaluate=evaluate)
    assert summary["best_epoch"] == 2
    assert torch.equal(network.weight, seen[1])
    assert not torch.equal(seen[1], seen[2])


def test_patience_stops(tmp_path: Path) -> None:
    scores = iter([0.5, 0.4, 0.4, 0.9])
    _, summary = toy(tmp_path, Training(epochs=9, patience=2, schedule="constant"), evaluate=lambda: next(scores))
    assert (summary["epochs"], summary["best_epoch"]) == (3, 1)


def test_a_finished_stage_keeps_its_weights_and_nothing_that_was_for_going_on(tmp_path: Path) -> None:
    scores = iter([0.5, 0.9, 0.4])
    network, summary = toy(tmp_path, Training(epochs=3, average=0.5), evaluate=lambda: next(scores))
    held = load_file(tmp_path / "checkpoint" / "toy.safetensors")
    assert {name.partition(".")[0] for name in held} == {"network", "generator"}
    again, same = toy(tmp_path, Training(epochs=3, average=0.5), evaluate=lambda: 1.0)
    assert same == summary and summary["best_epoch"] == 2
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(("seconds", "lasts", "saves"), [(7.0, 0.0, 13), (7.0, 1.0, 6), (0.0, 1.0, 100)])
def test_what_takes_long_to_save_is_saved_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, lasts: float, saves: int
) -> None:
    now, saved = [0.0], []

    def save(*_: object) -> None:
        now[0] += lasts
        saved.append(now[0])

    def objective(_: object) -> dict[str, Tensor]:
        now[0] += 1.0
        return {"w": network.weight.sum()}

    monkeypatch.setattr("transfuse.train.save_checkpoint", save)
    monkeypatch.setattr("transfuse.train.time.monotonic", lambda: now[0])
    network = nn.Linear(1, 1)
    stage = Run(tmp_path, checkpoint_seconds=seconds).stage("toy")
    fit(network, objective, lambda epoch: [1] * 100, Training(epochs=1), stage=stage)
    assert len(saved) == saves  # the last of them at the end


def test_a_loss_that_is_not_finite_is_named(tmp_path: Path) -> None:
    network = nn.Linear(2, 1)
    stage = Run(tmp_path).stage("toy")

    def objective(_: object) -> dict[str, Tensor]:
        return {"crf": network.weight.sum(), "mmd": torch.tensor(float("nan"))}

    with pytest.raises(TransfuseError, match=r"toy, epoch 1: the loss term 'mmd' is nan"):
        fit(network, objective, lambda epoch: [1], Training(epochs=1), stage=stage)


def test_terms_add_up_in_the_record(tmp_path: Path) -> None:
    toy(tmp_path, Training(epochs=2))
    epochs = Run(tmp_path).records("epoch")
    assert [record["epoch"] for record in epochs] == [1, 2]
    assert epochs[0]["losses"]["fit"] > epochs[1]["losses"]["fit"] > 0


def test_average_is_the_moving_average(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1.0)
    expected, weight = 1.0, 1.0
    stage = Run(tmp_path).stage("toy")
    training = Training(epochs=3, optimizer="sgd", rate=0.1, schedule="constant", average=0.5, clip=1e9)
    fit(network, lambda x: {"w": network.weight.sum()}, lambda epoch: [1], training, stage=stage)
    for step in range(1, 4):
        weight -= 0.1
        decay = min(0.5, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * weight
    assert float(network.weight.detach()) == pytest.approx(expected)
