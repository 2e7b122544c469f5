"""The encoder of kind ``transformer``, a pre-trained model: its settings, and loading it as they say."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from torch import Tensor, nn

from transfuse.encoders import pretrained
from transfuse.encoders.pieces import MOST, Pieces, PieceTable
from transfuse.mirror import cache_folder
from transfuse.nn.kept import KeptStates, fingerprint
from transfuse.nn.transformer import AnyEncoder, Transformer
from transfuse.ranges import check_ranges
from transfuse.taggers.layers import layer_of, slices
from transfuse.taggers.mixed import AnyVocabulary
from transfuse.text import ConfigError

__all__ = ["Lora", "TransformerEncoder"]


@dataclass(frozen=True)
class Lora:
    """Low-rank adapters beside each linear map in the layers; they are trained in its place (Hu et al. 2022, eq. 3).

    Attributes:
        rank: of the update.
        alpha: what is added is scaled by ``alpha / rank``.
        dropout: share of an adapter's inputs that is dropped in training.
    """

    rank: int = 8
    alpha: int = 16
    dropout: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, "encoder.lora", rank="[1, inf)", alpha="[1, inf)", dropout="[0, 1)")


@dataclass(frozen=True)
class TransformerEncoder:
    """A pre-trained transformer over the pieces of words. It reads no word vectors.

    Attributes:
        kind: ``transformer``.
        name: of the model; see `transfuse.encoders.known.find`.
        layers: of which the lowest are kept; 0 for all.
        frozen: how much keeps its weights, from below: 1 the embedding, 2 the lowest layer too, and so on. With
            ``all`` nothing is dropped inside the model either, so each sentence has the same states always: they are
            computed once and kept on disk.
        rate: factor on the learning rate of all that is pre-trained, or of its adapters.
        dropout: share of the states that is dropped in training; inside, the model has its own.
        window: pieces that are read at once, at most; longer sentences are read in overlapping windows.
        checkpointing: true keeps less in memory while training, and computes it again: same losses, more time.
        lora: what is pre-trained keeps its weights, and adapters in its layers are trained.
        unit: what the CRF runs over: ``word``, that is first pieces, which is the default; ``piece``, all pieces, where
            a mention is tagged piece by piece; ``continuation``, all pieces, of which those behind a word's first have
            a tag of their own (``X``).
    """

    kind: Literal["transformer"] = "transformer"
    name: str = "minilm-l6"
    layers: int = 0
    frozen: int | Literal["all"] = 0
    rate: float = 0.05
    dropout: float = 0.1
    window: int = 512
    checkpointing: Literal[True] | None = None  # None, so that recipes of before have the hash that they had
    lora: Lora | None = None
    unit: Literal["word", "piece", "continuation"] | None = None  # see checkpointing

    word_dropout: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, "encoder", layers="[0, inf)", rate="[0, inf)")
        if self.frozen == "all" and (self.checkpointing or self.lora):
            raise ConfigError('encoder.frozen = "all" leaves nothing to train: no checkpointing, no lora')
        if self.frozen != "all":
            check_ranges(self, "encoder", frozen="[0, inf)")
        check_ranges(self, "encoder", dropout="[0, 1)", window="[16, inf)")
        if self.unit == "word":
            object.__setattr__(self, "unit", None)

    def load(self) -> tuple[Transformer, Pieces, dict[str, str]]:
        """The encoder as it was pre-trained, its vocabulary, and what it was loaded from.

        Raises:
            ConfigError: it cannot be had or loaded, or has fewer layers than are to be kept or frozen.
        """
        found = pretrained.load(self.name, layers=self.layers)
        encoder = self._around(found.model, found.pieces)
        if encoder.still:
            unit = {"unit": self.unit} if self.unit else {}
            about = fingerprint(found.model, window=encoder.capacity, marks=encoder.marks, **unit)
            encoder.kept = KeptStates(cache_folder() / "states" / about[:32])
        return encoder, found.pieces, found.origin

    def table(self, vocabulary: AnyVocabulary, encoder: AnyEncoder) -> PieceTable:
        """Numbers the words of texts."""
        assert isinstance(encoder, Transformer)
        assert isinstance(vocabulary, Pieces)
        return PieceTable(vocabulary, most=min(MOST, encoder.capacity))

    def rate_of(self, layer: str, encoder: AnyEncoder) -> float:
        """Factor on the learning rate of a layer group."""
        return 1.0 if layer in {"projection", "crf"} else self.rate

    def save(self, folder: Path, encoder: AnyEncoder, vocabulary: AnyVocabulary, *, prefix: str) -> dict[str, Tensor]:
        """Write what `restore` needs beside the weights; what is to be kept with those is returned."""
        assert isinstance(encoder, Transformer)
        assert isinstance(vocabulary, Pieces)
        pretrained.write(encoder.model, vocabulary, folder, prefix=prefix)
        return {}

    def restore(self, folder: Path, tensors: dict[str, Tensor], *, prefix: str) -> tuple[Transformer, Pieces]:
        """An encoder whose weights are still to be filled in, and its vocabulary; what `save` returned is taken out."""
        model, vocabulary = pretrained.blank(folder, prefix=prefix)
        return self._around(model, vocabulary), vocabulary

    def _around(self, model: nn.Module, pieces: Pieces) -> Transformer:
        window = min(self.window, pretrained.positions(model))
        if self.checkpointing:
            pretrained.save_memory(model)
        if self.lora:
            pretrained.adapt(model, rank=self.lora.rank, alpha=self.lora.alpha, dropout=self.lora.dropout)
        still = self.frozen == "all"
        unit = self.unit or "word"
        encoder = Transformer(model, pieces.marks(), window=window, dropout=self.dropout, still=still, unit=unit)
        there = slices(encoder)
        number = len(there) if self.frozen == "all" else self.frozen
        held = there[:number]
        if number > len(there):
            raise ConfigError(f"encoder.frozen = {self.frozen}: there are {len(there) - 1} layers and an embedding")
        for name, parameter in encoder.named_parameters():
            ours = not self.lora or pretrained.is_adapter(name)
            parameter.requires_grad_(ours and layer_of(f"encoder.{name}") not in held)
        return encoder
