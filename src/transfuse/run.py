"""The run folder: records that only grow, checkpoints, and what the run was made with.

``recipe.toml`` what was asked, ``environment.json`` what it ran on, ``records.jsonl`` what happened, ``checkpoint/``
where it stands, ``losses/`` every mention that did not come through unchanged, ``scores.json``, ``predictions/`` and
``bundle/`` what came out, and ``done``, written last.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transfuse.files import records_in, write_beside
from transfuse.losses import Losses
from transfuse.text import DataError

__all__ = ["Run", "Stage", "environment"]


def environment(device: str) -> dict[str, Any]:
    """Versions and machine, for the record; ``device`` is where torch computes."""
    from importlib.metadata import version

    import torch

    import transfuse

    return {
        "transfuse": transfuse.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "torch": version("torch"),
        "threads": torch.get_num_threads(),
        "device": device,
        "argv": sys.argv,
    }


def _processor() -> str:
    """As ``AMD EPYC, AVX512``: other processors add up in another order, and matrix units round another way."""
    import torch

    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.6 has none
    units = ["AMX"] if able.get("amx_bf16") else []
    name = able.get("cpu_name") or platform.processor() or platform.machine()
    return ", ".join([name, torch.backends.cpu.get_cpu_capability(), *units])


@dataclass(frozen=True)
class Stage:
    """A part of a run that trains something, with a checkpoint of its own.

    Attributes:
        run: the run it belongs to.
        name: unique within the run, as ``source`` or ``target``.
    """

    run: Run
    name: str

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.run.seed

    @property
    def checkpoint(self) -> Path:
        """Where the stage keeps its state."""
        return self.run.folder / "checkpoint" / f"{self.name}.safetensors"

    def record(self, event: str, **values: Any) -> None:
        """Append to the run's records, with the stage's name."""
        self.run.record(event, stage=self.name, **values)

    def progress(self, text: str, done: float) -> None:
        """Tell a watching person how far the stage is, ``done`` in [0, 1]."""
        self.run.progress(f"{self.name}: {text}", done)


@dataclass
class Run:
    """A folder in which one training happens; the same command goes on where it was killed.

    Attributes:
        folder: the run folder.
        seed: decides every draw of the run.
        device: torch device.
        checkpoint_seconds: how often a stage saves its state, at most; it changes no number. 0 for every step.
        watch: called with a line of text and the share done; None to be silent.
        finished: gives the folder of a finished run by a method, as ``[method]`` has it, that differs from this run in
            nothing else, or None where there is none at hand.

    Raises:
        DataError: the folder cannot be made.
    """

    folder: Path
    seed: int = 0
    device: str = "cpu"
    checkpoint_seconds: float = 30.0
    watch: Any = field(default=None, repr=False)
    finished: Callable[[Mapping[str, Any]], Path | None] = field(default=lambda method: None, repr=False)

    def __post_init__(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise DataError(f"cannot be a run folder: {fault.strerror}", path=str(self.folder)) from None

    @property
    def done(self) -> bool:
        """Whether the run has ended well."""
        return (self.folder / "done").exists()

    def stage(self, name: str) -> Stage:
        """A named part of the run."""
        return Stage(self, name)

    def record(self, event: str, **values: Any) -> None:
        """Append one line to ``records.jsonl``, below a last one that a kill cut short."""
        line = json.dumps({"event": event, "time": round(time.time(), 3), **values}, ensure_ascii=False)
        with (self.folder / "records.jsonl").open("ab+") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            whole = file.read(1) in {b"", b"\n"}
            file.write(f"{'' if whole else chr(10)}{line}\n".encode())

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """What was recorded, of one event or of all; a last line that a kill cut short is passed over."""
        path = self.folder / "records.jsonl"
        if not path.exists():
            return []
        found = records_in(path.read_text(encoding="utf-8"))
        return [record for record in found if event is None or record["event"] == event]

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder, whole or not at all."""
        with write_beside(self.folder / name) as path:
            path.write_text(text, encoding="utf-8")

    def write_json(self, name: str, data: Any) -> None:
        """Write a JSON file of the folder, whole or not at all."""
        self.write(name, json.dumps(data, indent=2, ensure_ascii=False) + "\n")

    def list_losses(self, of: str, losses: Losses) -> None:
        """Write ``losses/OF.json``, with the place of each; nothing where there are none."""
        if len(losses):
            (self.folder / "losses").mkdir(exist_ok=True)
            self.write_json(f"losses/{of}.json", losses.to_dict())

    def progress(self, text: str, done: float) -> None:
        """Tell a watching person how far the run is."""
        if self.watch is not None:
            self.watch(text, done)

    def finish(self) -> None:
        """Mark the run as done; checkpoints and what kills left half-written are no longer needed and go."""
        for folder in (self.folder, *self.folder.glob("members/*")):
            shutil.rmtree(folder / "checkpoint", ignore_errors=True)
        for rest in self.folder.glob(".*.part"):
            shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
        descriptor = os.open(self.folder / "done", os.O_CREAT | os.O_WRONLY, 0o644)
        os.close(descriptor)
