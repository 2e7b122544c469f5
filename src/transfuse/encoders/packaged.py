"""Encoders that come in Python packages: as a folder of one, or as an archive cut into slices over several."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

from filelock import FileLock

from transfuse.files import write_beside
from transfuse.mirror import cache_folder
from transfuse.text import DataError

__all__ = ["Packaged", "made_once"]

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Packaged:
    """Where a model lies in packages.

    Attributes:
        packages: as they are called where packages come from.
        folder: of the model, in the package or in the archive; or a single file in the package.
        archive: name of a zip archive whose slices ``.001``, ``.002`` and so on are in the packages, in order.
        sha256: of the whole archive.
    """

    packages: tuple[str, ...]
    folder: str
    archive: str = ""
    sha256: str = ""

    def find(self) -> Path | None:
        """The model's folder, put together in the cache where it comes in slices; None where a package is missing.

        Raises:
            DataError: the slices are not what they were.
        """
        if not self.archive:
            return self.place()
        places = self._slices()
        return made_once(self.sha256, (lambda folder: self._unpack(places, folder)) if places else None)

    def place(self) -> Path | None:
        """The folder or file in a package; None where it is missing."""
        files = _files(self.packages[0])
        return next((path for path in files if path.as_posix().endswith(f"/{self.folder}")), None) or next(
            (path.parent for path in files if path.parent.as_posix().endswith(f"/{self.folder}")), None
        )

    def _slices(self) -> list[Path]:
        """All of them; nothing where any is missing."""
        found = [
            path
            for number, package in enumerate(self.packages, 1)
            for path in _files(package)
            if path.name == f"{self.archive}.{number:03}"
        ]
        return found if len(found) == len(self.packages) else []

    def _unpack(self, slices: Sequence[Path], folder: Path) -> None:
        with _joined(slices, folder.parent) as (whole, sha256):
            if sha256 != self.sha256:
                raise DataError(
                    f"the slices are not those of {self.archive}: install {', '.join(self.packages)} again",
                    path=str(slices[0].parent),
                )
            with zipfile.ZipFile(whole) as archive:
                folder.mkdir()
                for name in _NEEDED:
                    with archive.open(f"{self.folder}/{name}") as source, (folder / name).open("wb") as target:
                        shutil.copyfileobj(source, target, _CHUNK)


def made_once(sha256: str, make: Callable[[Path], None] | None) -> Path | None:
    """A model's folder in the cache, made when it is first asked for; None where it is not there and cannot be made.

    Args:
        sha256: of what it is made of.
        make: writes a new folder.
    """
    folder = cache_folder() / "encoders" / sha256[:12]
    if not folder.exists() and make:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not folder.exists():
                with write_beside(folder) as part:
                    make(part)
    return folder if folder.exists() else None


def _files(package: str) -> list[Path]:
    """What an installed package has on disk."""
    try:
        files = distribution(package).files or []
    except PackageNotFoundError:
        return []
    return [path for file in files if (path := Path(str(file.locate()))).is_file()]


@contextmanager
def _joined(slices: Sequence[Path], folder: Path) -> Iterator[tuple[IO[bytes], str]]:
    """The slices as one file, and its SHA-256."""
    digest = hashlib.sha256()
    with tempfile.TemporaryFile(dir=folder) as whole:
        for path in slices:
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    whole.write(chunk)
                    digest.update(chunk)
        whole.seek(0)
        yield whole, digest.hexdigest()
