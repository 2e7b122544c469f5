"""Several processes are one: the same losses and weights, also where they were killed in between."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from transfuse.cli import main
from transfuse.team import Team, team

SETTINGS = {
    "training": "{epochs=3, steps=4, batch=4, accumulate=3, last=2, select='last'}",
    "source_training": "{epochs=1, steps=3, batch=4, accumulate=2, select='last'}",
    "architecture.encoder": "{hidden=8, word_width=8, char_filters=3, dropout=0.3}",
}


def training(settings: dict[str, str], *more: str) -> list[str]:
    """The command line of a run on two departments with a method's settings."""
    line = ["train", "--target", "demo-cardiology", "--source", "demo-neurology", "--vectors", "none", "--out", "run"]
    return [*line, *more, *(part for key, value in settings.items() for part in ("--set", f"method.{key}={value}"))]


TRAIN = training(SETTINGS)


def start(folder: Path, processes: int, *arguments: str) -> subprocess.Popen[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *launcher, "-m", "transfuse", *arguments]
    own = {"TRANSFUSE_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | own,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def train(folder: Path, processes: int) -> tuple[str, list[dict[str, Any]], dict[str, torch.Tensor]]:
    folder.mkdir(exist_ok=True)
    out, problems = (process := start(folder, processes, *TRAIN)).communicate()
    assert process.returncode == 0, problems
    return result(folder, out)


def result(folder: Path, out: str) -> tuple[str, list[dict[str, Any]], dict[str, torch.Tensor]]:
    records = [json.loads(line) for line in (folder / "run" / "records.jsonl").read_text().splitlines()]
    weights = {
        f"{part.parent.name}/{name}": value
        for part in sorted((folder / "run" / "bundle").rglob("*.safetensors"))
        for name, value in load_file(part).items()
    }
    return out, records, weights


def forked(folder: Path, processes: int, arguments: Sequence[str]) -> Any:
    """As `train`, in copies of this process, which has imported all that they need."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    own = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    own |= {"TRANSFUSE_CACHE": str(folder / "cache")}
    fork = multiprocessing.get_context("fork").Process
    members = [fork(target=member, args=(rank, folder, arguments, own)) for rank in range(processes)]
    for each in members:
        each.start()
    for each in members:
        each.join()
    assert [each.exitcode for each in members] == [0] * processes
    return result(folder, (folder / "out").read_text())


def member(rank: int, folder: Path, arguments: Sequence[str], own: dict[str, str]) -> None:
    os.environ.update(own, RANK=str(rank), LOCAL_RANK=str(rank))
    os.chdir(folder)
    team.cache_clear()
    with (folder / "out").open("a") as out, contextlib.redirect_stdout(out):
        sys.argv = ["transfuse", *arguments]
        main()


def losses(records: list[dict[str, Any]]) -> list[Any]:
    return [(r["stage"], r["epoch"], r["losses"], r["dev_f1"]) for r in records if r["event"] == "epoch"]


def same(alone: Any, together: Any) -> None:
    out, records, weights = together
    assert losses(records) == [
        (stage, epoch, pytest.approx(terms, rel=1e-4), pytest.approx(f1, abs=0.02))
        for stage, epoch, terms, f1 in losses(alone[1])
    ]
    assert weights.keys() == alone[2].keys()
    for name, value in alone[2].items():
        torch.testing.assert_close(weights[name], value, rtol=1e-3, atol=1e-4)
    assert out.count("bundle: ") == 1


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]], dict[str, torch.Tensor]]:
    return train(tmp_path_factory.mktemp("alone"), 1)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[dict[str, Any]], dict[str, torch.Tensor]]:
    pytest.importorskip("accelerate", reason="the extra 'devices' is not installed")
    return train(tmp_path_factory.mktemp("together"), 2)


def test_two_processes_have_the_losses_and_weights_of_one(alone: Any, together: Any) -> None:
    assert len(losses(together[1])) == 4
    same(alone, together)


SHORT = "{epochs=1, steps=4, batch=4, accumulate=2, select='last'}"
TRANSFORMERS = {
    "retrain": {"source_training": SHORT, "architecture.encoder.lora": "{rank=2}"},
    "mtl-ls": {"shared_training": SHORT, "rates": "[0.5]"},
}


@pytest.mark.parametrize("method", TRANSFORMERS)
def test_two_processes_train_a_transformer_as_one_does(method: str, tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="the extra 'devices' is not installed")
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")
    from tiny import make

    encoder = {"kind": "transformer", "name": make(tmp_path / "bert", "bert"), "dropout": "0.3", "window": "48"}
    settings = {f"architecture.encoder.{key}": value for key, value in encoder.items()}
    settings |= {"training": SHORT} | TRANSFORMERS[method]
    arguments = training(settings, "--method", method, "--set", "data.limit=40", "--set", "data.dev_limit=20")
    alone, together = (forked(tmp_path / str(n), n, arguments) for n in (1, 2))
    assert len(losses(alone[1])) == 2
    same(alone, together)


def test_two_killed_processes_go_on_where_they_were(together: Any, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    folder.mkdir()
    process = start(folder, 2, *TRAIN)
    while not (folder / "run" / "checkpoint" / "target.safetensors").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    process.terminate()
    process.communicate()
    assert not (folder / "run" / "done").exists()
    _, told, weights = train(folder, 2)
    assert any(r["event"] == "resumed" for r in told)
    assert all(torch.equal(weights[name], value) for name, value in together[2].items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", "--target", "demo-cardiology", "--out", "x"], "compare does not share its work between processes"),
        (["train", "--target", "demo-cardiology", "--vectors", "none", "--out", "x"], "set training.accumulate to 2"),
    ],
)
def test_what_processes_do_not_share_is_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="the extra 'devices' is not installed")
    process = start(tmp_path, 2, *arguments)
    _, problems = process.communicate()
    assert process.returncode
    (line,) = {line for line in problems.splitlines() if line.startswith("error: ")}
    assert message in line
    assert not (tmp_path / "x").exists()


def test_one_alone_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    assert team() == Team() and team().leads
    one = Team()
    assert list(one.mine(3)) == [0, 1, 2]
    assert one.same("x") == "x" and one.all("x") == ["x"]
    parameter = torch.nn.Parameter(torch.ones(2))
    one.add([parameter])
    assert parameter.grad is None
    assert [list(Team(rank, 3).mine(5)) for rank in range(3)] == [[0, 3], [1, 4], [2]]
