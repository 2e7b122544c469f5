"""Splits: the files that a folder has for them, and how documents are drawn for those that it does not have."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from pathlib import Path

from transfuse import corpora, formats
from transfuse.data.folding import stratified
from transfuse.files import suffix_of
from transfuse.losses import Losses
from transfuse.mentions import kin
from transfuse.text import SPLITS, DataError, Document

__all__ = ["divide_evenly", "divide_published", "find_splits", "own_splits"]

_NAMES = {
    "train": ("train", "training", "trainset", "trainingset"),
    "dev": ("dev", "devel", "development", "developmentset", "valid", "validation", "val", "testa"),
    "test": ("test", "testset", "testb"),
}
_SPLIT_OF = {name: split for split, names in _NAMES.items() for name in names}
_LAST = re.compile(rf"(.+)[._-]({'|'.join(_SPLIT_OF)})(\..*)?", re.IGNORECASE)


def find_splits(folder: Path, losses: Losses | None = None) -> dict[str, Path]:
    """The file or folder of each split that a folder has one for; none where it is no such folder.

    They are called after their splits (``train.tsv``), or alike but for it (``notes_train.tsv``, ``notes_dev.tsv``;
    ``eng.train``, ``eng.testa``), of which there must be a training split and another one.

    Args:
        folder: any path.
        losses: collects files and folders that lie beside those of the splits and are read by nobody.

    Raises:
        DataError: two files, of the same ending, stand for one split.
    """
    children = sorted(folder.iterdir()) if folder.is_dir() else []
    found: dict[str, list[Path]] = {}
    for child in children:
        if split := _SPLIT_OF.get(child.name.partition(".")[0].lower()):
            found.setdefault(split, []).append(child)
    found = found or _alike(children, folder)
    chosen, read = {}, set()
    for split, paths in found.items():
        endings = [suffix_of(path.name) for path in paths]
        if len(set(endings)) < len(endings):
            names = " and ".join(p.name for p, ending in zip(paths, endings, strict=True) if endings.count(ending) > 1)
            raise DataError(f"holds {names}, both for {split}: put what belongs together into one", path=str(folder))
        chosen[split] = paths[0]
        read |= set(paths if set(endings) == {".txt", ".ann"} else paths[:1])  # those two are one, in brat
    if chosen and losses is not None:
        for path in children:
            if path not in read and (path.is_dir() or formats.by_suffix(path.name)) and path.name[0] != ".":
                losses.add("skipped", f"{'folder' if path.is_dir() else 'file'} beside the splits", detail=str(path))
    return {split: chosen[split] for split in SPLITS if split in chosen}


def _alike(children: Sequence[Path], folder: Path) -> dict[str, list[Path]]:
    """Files by split whose names differ in it alone."""
    alike: dict[str, dict[str, list[Path]]] = {}
    for child in children:
        if told := _LAST.fullmatch(child.name):
            alike.setdefault(told[1].lower(), {}).setdefault(_SPLIT_OF[told[2].lower()], []).append(child)
    several = [found for found in alike.values() if "train" in found and len(found) > 1]
    if len(several) > 1:
        names = " and ".join(found["train"][0].name for found in several)
        raise DataError(f"holds {names}, both for train: give each a folder of its own", path=str(folder))
    return several[0] if several else {}


def own_splits(spec: str) -> set[str]:
    """The splits that a corpus comes with, by what a user calls it: those that it has beyond them are drawn."""
    if spec in corpora.names():
        return set(corpora.info(spec).splits)
    place = Path(formats.parse_spec(spec)[2])
    return set(find_splits(place)) or {"train"} if place.exists() else set(SPLITS)  # of a built-in corpus


_FEWEST = 5
"""Different documents that can be divided."""

_SHARES = {"train": 6, "dev": 1, "test": 3}
"""Tenths of a collection that each split gets (Giorgi & Bader 2018)."""


def divide_evenly(documents: tuple[Document, ...], path: str) -> dict[str, tuple[Document, ...]]:
    """60 % train, 10 % dev, 30 % test by document, the same for everybody; mentions of each label spread evenly."""
    _need_several(documents, path)
    parts = stratified(documents, list(_SHARES.values()), seed=0, least=_FEWEST)
    return {split: tuple(documents[i] for i in part) for split, part in zip(_SHARES, parts, strict=True)}


def _need_several(documents: Sequence[Document], path: str) -> None:
    if (texts := len({document.text for document in documents})) < _FEWEST:
        raise DataError(f"too few different documents ({texts}) to be divided into train, dev and test", path=path)


def divide_published(documents: tuple[Document, ...], path: str) -> dict[str, tuple[Document, ...]]:
    """60 % train, 10 % dev, 30 % test of a published collection, the same for everybody: by document and nothing else.

    Documents of one text, and those that came under one id, go together. Numbers were made with these draws.
    """
    _need_several(documents, path)
    order = list(range(len(documents)))
    random.Random("divide/0").shuffle(order)
    groups = [[order[i] for i in group] for group in kin([documents[i] for i in order], _FEWEST)]
    dev, test = max(1, round(0.1 * len(order))), max(1, round(0.3 * len(order)))
    rows: dict[str, list[int]] = {"train": [], "dev": [], "test": []}
    place = 0
    for numbers in groups:
        rows["dev" if place < dev else "test" if place < dev + test else "train"] += numbers
        place += len(numbers)
    return {split: tuple(documents[i] for i in sorted(numbers)) for split, numbers in rows.items()}
