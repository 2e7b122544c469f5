"""What a network is made of, as settings, and building it from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag
from torch import nn

from transfuse import tags as tagging
from transfuse.nn.head import CRFHead, Head, MLPHead, SoftmaxHead
from transfuse.nn.pieced import PieceHead
from transfuse.nn.transformer import AnyEncoder
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.layers import LAYERS, PIECE_LAYERS
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.text import ConfigError

__all__ = ["Architecture", "TagSet"]


@dataclass(frozen=True)
class TagSet:
    """The tags of some labels in a scheme.

    Attributes:
        labels: entity types.
        scheme: one of `transfuse.tags.Scheme`.
    """

    labels: tuple[str, ...]
    scheme: str = "BIOES"

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All tags, ``O`` first."""
        return tagging.tag_names(self.labels, self.scheme)


def _kind(encoder: Any) -> str:
    """Which encoder settings are for; without a word about it they are for the BiLSTM."""
    return str(encoder.get("kind", "bilstm") if isinstance(encoder, Mapping) else getattr(encoder, "kind", "bilstm"))


EncoderSettings = Annotated[
    Annotated[BiLSTMEncoder, Tag("bilstm")] | Annotated[TransformerEncoder, Tag("transformer")], Discriminator(_kind)
]


@dataclass(frozen=True)
class Architecture:
    """The whole network.

    Attributes:
        encoder: words to states: a BiLSTM, or with ``kind = "transformer"`` a pre-trained model.
        head: ``crf``, or ``softmax`` where every word decides for itself, or ``mlp``: that behind a hidden layer.
        scheme: tag scheme.
    """

    encoder: EncoderSettings = field(default_factory=BiLSTMEncoder)
    head: Literal["crf", "softmax", "mlp"] = "crf"
    scheme: Literal["BIO", "BIOES", "IO"] = "BIOES"

    def __post_init__(self) -> None:
        if self.head != "crf":
            self.need_words(f'head = "{self.head}"')

    @property
    def unit(self) -> str:
        """What the head runs over; see `TransformerEncoder`."""
        return (isinstance(self.encoder, TransformerEncoder) and self.encoder.unit) or "word"

    def need_words(self, what: str) -> None:
        """Raises ConfigError, naming what reads one state a word, where the unit is another."""
        if self.unit != "word":
            raise ConfigError(f'{what} reads one state a word and goes with encoder.unit = "word", not "{self.unit}"')

    @property
    def layers(self) -> tuple[str, ...]:
        """The layer groups of the network."""
        if isinstance(self.encoder, TransformerEncoder):
            return PIECE_LAYERS
        return (*PIECE_LAYERS[:2], *LAYERS) if self.encoder.transformer else LAYERS

    def build_head(self, width: int, tagset: TagSet, kind: str = "") -> Head:
        """A fresh head over states of a width, of this architecture's kind or of another."""
        kind = kind or self.head
        if kind != "crf":
            self.need_words(f"a head {kind}")
        if kind == "softmax":
            return SoftmaxHead(width, len(tagset.names))
        legal = tagging.legal(tagset.names, tagset.scheme)
        if self.unit == "word":
            return (MLPHead if kind == "mlp" else CRFHead)(width, *legal)
        parts = tagging.over_pieces(tagset.names, tagset.scheme) if self.unit == "piece" else None
        return PieceHead(width, *legal, parts=parts)

    def network(self, encoder: AnyEncoder, head: Head, *more: Head) -> nn.ModuleDict:
        """Encoder and heads under the names that `layer_of` knows."""
        return nn.ModuleDict({"encoder": encoder, "head": head} | {f"head-{i}": h for i, h in enumerate(more, 2)})
