"""Pre-trained encoders: read, cut, adapted and written.

Weights are read from safetensors alone, and no code that comes with a model is ever run. Where an encoder is looked for
by its name stands in `transfuse.encoders.known`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfuse.encoders.known import IN_LAYER, TOKENIZER, find, need_library
from transfuse.text import BundleError, ConfigError

if TYPE_CHECKING:
    from torch import nn

    from transfuse.encoders.pieces import Pieces

__all__ = [
    "Pretrained",
    "adapt",
    "blank",
    "is_adapter",
    "load",
    "positions",
    "save_memory",
    "write",
]

_POSITIONS = 512
"""Pieces of a window for a model that knows no end of positions."""

_OURS = "transfuse"
"""Under which name ``config.json`` of a bundle holds what the tokenizer's own file does not."""


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


@contextmanager
def _quiet() -> Iterator[Any]:
    """The library without its own words about what it loads."""
    library = need_library("transformers")
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
        name: see `transfuse.encoders.known.find`.
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
    from transfuse.encoders.pieces import Pieces

    with _quiet() as library:
        try:
            settings = json.loads((folder / f"{prefix}config.json").read_text(encoding="utf-8"))
            marks = settings.pop(_OURS)
            config = library.AutoConfig.for_model(**settings)
            model = _bare(library.AutoModel.from_config(config, trust_remote_code=False))
            tokenizer = need_library("tokenizers").Tokenizer.from_file(str(folder / f"{prefix}tokenizer.json"))
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
    from transfuse.encoders.pieces import Pieces

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
    for path in sorted(path for pattern in TOKENIZER for path in folder.glob(pattern)):
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
        ConfigError: the library is not installed, or there is no such map.
    """
    from torch import nn

    peft = need_library("peft", "encoder.lora", "lora")
    linear = [name for name, part in model.named_modules() if isinstance(part, nn.Linear) and IN_LAYER.search(name)]
    if not linear:
        kind: Any = model.config
        raise ConfigError(f"encoder.lora: {kind.model_type} has no linear map in its layers to stand beside")
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
