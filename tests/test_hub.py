"""Encoders by the name of a hub's repository: the hub's own library asks a server on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from serving import Reply, serving

DATE = "2026-01-01T00:00:00.000Z"


@dataclass
class Hub:
    """Repositories by name, the folders of their revisions, and what was asked for."""

    revisions: dict[str, dict[str, Path]]
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def reply(self, address: str) -> Reply:
        """What the library needs of an answer."""
        self.asked.append(address)
        path = [unquote(part) for part in urlsplit(address).path.strip("/").split("/")]
        listed = path[:2] == ["api", "models"]
        name = "/".join(path[2:4] if listed else path[:2])
        if name not in self.revisions:
            return 404, b"", {"X-Error-Code": "RepoNotFound"}
        folders = {commit(folder): folder for folder in self.revisions[name].values()}
        match path[4:] if listed else path[2:]:
            case ["revision", revision]:
                said: object = {"id": name, "sha": commit(self.revisions[name][revision])}
            case ["tree", sha]:
                said = [
                    {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": number(file.read_bytes())}
                    for file in folders[sha].iterdir()
                ]
            case ["discussions"]:
                offers = [each for each in self.revisions[name] if each != "main"]
                said = {"count": len(offers), "start": 0, "discussions": [offer(name, each) for each in offers]}
            case ["resolve", sha, file]:
                body = (folders[sha] / file).read_bytes()
                return 200, body, {"X-Repo-Commit": sha, "ETag": f'"{number(body)}"'}
            case _:
                return 500, b"", {}
        return 200, json.dumps(said).encode(), {"Content-Type": "application/json"}


def number(data: bytes) -> str:
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def commit(folder: Path) -> str:
    return number(str(folder).encode())


def offer(name: str, revision: str) -> dict[str, object]:
    """A pull request of the robot that converts weights."""
    return {
        "title": "Adding `safetensors` variant of this model",
        "num": int(revision.removeprefix("refs/pr/")),
        "author": {"name": "SFconvertbot"},
        "createdAt": DATE,
        "status": "open",
        "repo": {"name": name, "type": "model"},
        "isPullRequest": True,
    }


@pytest.fixture
def hub(made: dict[str, str], tmp_path: Path) -> Iterator[Hub]:
    whole, pickled = Path(made["bert"]), tmp_path / "pickled"
    shutil.copytree(whole, pickled)
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    hub = Hub(
        {
            "lab/tiny": {"main": whole},
            "lab/converted": {"main": pickled, "refs/pr/3": whole},
            "lab/pickled": {"main": pickled},
        }
    )

    with serving(hub.reply) as hub.address:
        yield hub


FIND = "import sys; from transfuse.encoders.known import find; print(find(sys.argv[1]))"


def run(hub: Hub, folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Python on a machine whose cache of the hub is in a folder."""
    pytest.importorskip("huggingface_hub")
    left_out = {"HF_HUB_OFFLINE", "TRANSFUSE_OFFLINE"}
    environment = {key: value for key, value in os.environ.items() if key not in left_out}
    environment |= {"HF_ENDPOINT": hub.address, "HF_HOME": str(folder / "hub"), "COLUMNS": "1000", **more}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def train(name: str) -> list[str]:
    settings = ["method.training.epochs=1", "method.training.steps=1", "method.vectors.kind=none"]
    setting = [word for each in settings for word in ("--set", each)]
    return ["-m", "transfuse", "train", "--target", "demo-cardiology", "--encoder", name, *setting, "--out", "run"]


@pytest.mark.parametrize("name", ["lab/tiny", "lab/converted"])
def test_an_encoder_is_fetched_once(name: str, hub: Hub, tmp_path: Path) -> None:
    first = run(hub, tmp_path, "-c", FIND, name)
    assert first.returncode == 0, first.stderr
    assert not any(address.endswith(".bin") for address in hub.asked)
    asked = len(hub.asked)
    again = run(hub, tmp_path, "-c", FIND, name, TRANSFUSE_OFFLINE="1")
    assert again.stdout == first.stdout
    assert len(hub.asked) == asked, "what is on this machine is not asked for again"
    assert (Path(first.stdout.strip()) / "tokenizer.json").is_file()


def test_a_tagger_is_trained_on_an_encoder_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    done = run(hub, tmp_path, *train("lab/tiny"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "bundle" / "weights.safetensors").is_file()
    listed = run(hub, tmp_path, "-m", "transfuse", "encoders").stdout
    assert any("lab/tiny" in line and "cache" in line for line in listed.splitlines())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("lab/pickled", "there is no model.safetensors; other kinds of weights can run code when they are read"),
        ("lab/nothing", "cannot be had from the hub (404 Client Error"),
    ],
)
def test_an_encoder_that_cannot_be_had_is_one_line(name: str, said: str, hub: Hub, tmp_path: Path) -> None:
    done = run(hub, tmp_path, *train(name))
    assert done.returncode == 2
    assert f"error: encoder.name = {name!r}" in done.stderr.splitlines()[-1]
    assert said in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
