"""States of a model that never changes, computed once for each sentence and kept on disk.

A folder belongs to one model; its files are safetensors, each named after the sentences in it, written beside and
renamed. Several processes may add to a folder at once: what two of them compute is the same.
"""

from __future__ import annotations

import hashlib
import json
import weakref
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from transfuse.files import write_beside
from transfuse.text import DataError

__all__ = ["KeptStates", "fingerprint"]

_FILE = 64 << 20
"""Bytes of states that wait in memory, at most, before they become a file."""

_MOST = 8 << 30
"""Bytes that a folder holds, about; sentences beyond it are computed whenever they are read."""


def fingerprint(model: nn.Module, **more: Any) -> str:
    """What tells a model from others: weights, settings, and the machine's arithmetic, which decides the last bit.

    Args:
        model: of the `transformers` library.
        more: what else its states depend on, as the window.
    """
    config: Any = model.config
    settings = {name: value for name, value in config.to_dict().items() if not name.startswith("_")}
    arithmetic = [torch.__version__, torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()]
    told = hashlib.sha256(json.dumps([settings, arithmetic, more], sort_keys=True, default=str).encode())
    for name, value in model.state_dict().items():
        told.update(name.encode())
        told.update(value.detach().cpu().contiguous().numpy().tobytes())
    return told.hexdigest()


class KeptStates:
    """A folder of states.

    Args:
        folder: of one model; it is made when there is something to keep.
        most: bytes in it, about, beyond which nothing is added.

    Raises:
        DataError: a file in it is damaged.
    """

    def __init__(self, folder: Path, *, most: int = _MOST) -> None:
        self._folder, self._most = folder, most
        self._files: list[Any] = []
        self._places: dict[bytes, tuple[int, int, int]] = {}
        self._pending: dict[bytes, Tensor] = {}
        self._size = self._waiting = 0
        for path in sorted(folder.glob("[!.]*.safetensors")):
            self._open(path)
        self._at_end = weakref.finalize(self, _write_quietly, folder, self._pending)

    def __deepcopy__(self, _: Any) -> Self:
        return self  # copies of a model that never changes have the same states

    def __len__(self) -> int:
        return len(self._places) + len(self._pending)

    def get(self, key: bytes) -> Tensor | None:
        """``[words, width]`` states, or None where they are not kept."""
        place = self._places.get(key)
        if place is None:
            return self._pending.get(key)
        file, start, end = place
        states: Tensor = self._files[file][start:end]
        return states

    def put(self, key: bytes, states: Tensor) -> None:
        """Keep ``[words, width]`` states under 32 bytes."""
        size = states.numel() * states.element_size()
        if key in self._places or key in self._pending or self._size + size > self._most:
            return
        self._pending[key] = states.detach().cpu().clone()
        self._size += size
        self._waiting += size
        if self._waiting >= _FILE:
            self.flush()

    def flush(self) -> None:
        """Write what waits in memory. Raises DataError where that cannot be done."""
        path = _write(self._folder, self._pending)
        self._pending.clear()
        if path:
            self._size -= self._waiting
            self._open(path)
        self._waiting = 0

    def _open(self, path: Path) -> None:
        try:
            with safe_open(path, "pt") as file:
                keys = file.get_tensor("keys").numpy()
                ends = file.get_tensor("ends").tolist()
                states = file.get_slice("states")
                words, width = states.get_shape()
        except (SafetensorError, OSError) as error:
            raise DataError("these kept states are damaged: delete the file", path=str(path)) from error
        for key, start, end in zip(keys, [0, *ends], ends, strict=False):
            self._places.setdefault(key.tobytes(), (len(self._files), start, end))
        self._files.append(states)
        self._size += 4 * words * width


def _write(folder: Path, pending: Mapping[bytes, Tensor]) -> Path | None:
    if not pending:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    keys = b"".join(pending)
    path = folder / f"{hashlib.sha256(keys).hexdigest()[:32]}.safetensors"
    tensors = {
        "keys": torch.frombuffer(bytearray(keys), dtype=torch.uint8).view(-1, 32),
        "ends": torch.tensor([len(states) for states in pending.values()]).cumsum(0),
        "states": torch.cat(list(pending.values())),
    }
    with write_beside(path) as part:
        save_file(tensors, part)
    return path


def _write_quietly(folder: Path, pending: Mapping[bytes, Tensor]) -> None:
    """At the end of all, where nobody listens any more; what is lost is computed again."""
    with suppress(OSError, DataError):
        _write(folder, pending)
