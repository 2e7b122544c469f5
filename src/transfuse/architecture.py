"""What a network is made of, as settings, and building it from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn

from transfuse import tags as tagging
from transfuse.nn.encoder import Encoder
from transfuse.nn.forms import CharCNN, CharLSTM, FormEncoder
from transfuse.nn.head import CRFHead, Head, MLPHead, SoftmaxHead
from transfuse.text import ConfigError
from transfuse.vocabulary import Vocabulary

__all__ = ["LAYERS", "Architecture", "BiLSTMEncoder", "TagSet", "layer_of"]

LAYERS = ("words", "characters", "features", "lstm", "projection", "crf")
"""The layer groups of a tagger, by which transfer names what it carries over, freezes or starts afresh."""

_PREFIXES = {
    "encoder.forms.correction": "words",
    "encoder.forms.chars": "characters",
    "encoder.forms.features": "features",
    "encoder.lstm": "lstm",
}


def layer_of(parameter: str) -> str:
    """The layer group of a parameter, by its name in ``{"encoder": ..., "head": ...}``; there may be further heads."""
    for prefix, layer in _PREFIXES.items():
        if parameter.startswith(prefix):
            return layer
    if parameter.startswith("encoder."):
        raise ValueError(f"{parameter} belongs to no layer group")
    return "crf" if ".crf." in parameter else "projection"


@dataclass(frozen=True)
class TagSet:
    """The tags of some labels in a scheme.

    Attributes:
        labels: entity types.
        scheme: one of `transfuse.tags.Scheme`.
    """

    labels: tuple[str, ...]
    scheme: str = "BIOES"

    @property
    def names(self) -> tuple[str, ...]:
        """All tags, ``O`` first."""
        return tagging.tag_names(self.labels, self.scheme)


@dataclass(frozen=True)
class BiLSTMEncoder:
    """Word vectors, characters and features of each word form, then a bidirectional LSTM.

    Attributes:
        kind: ``bilstm``.
        hidden: units a direction.
        word_width: columns of the trained word vectors where none are given.
        word_rate: factor on the learning rate of the correction that is added to given vectors; 0 leaves them fixed.
        characters: ``cnn`` (Ma & Hovy 2016), ``lstm`` (Lample et al. 2016) or ``none``.
        char_width: of a character's vector.
        char_filters: filters of each width, or units a direction.
        char_widths: of the filters, in characters.
        buckets: rows of the hashed affix and shape features; 0 for none.
        feature_width: columns of the features.
        dropout: share of the LSTM's inputs and of its states that is dropped in training.
        recurrent_dropout: share of the recurrent connections that is dropped, one mask a sentence.
        variational: one dropout mask a sentence rather than one a word (Gal & Ghahramani 2016).
        word_dropout: a word that training holds n times is shown as unknown with probability ``a / (a + n)``.
    """

    kind: Literal["bilstm"] = "bilstm"
    hidden: int = 128
    word_width: int = 100
    word_rate: float = 0.2
    characters: Literal["cnn", "lstm", "none"] = "cnn"
    char_width: int = 25
    char_filters: int = 30
    char_widths: tuple[int, ...] = (2, 3, 4, 5)
    buckets: int = 0
    feature_width: int = 50
    dropout: float = 0.5
    recurrent_dropout: float = 0.0
    variational: bool = False
    word_dropout: float = 1.0

    def __post_init__(self) -> None:
        for name in ("dropout", "recurrent_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"encoder.{name} lies in [0, 1), not at {getattr(self, name)}")
        if self.hidden < 1 or (self.buckets and self.buckets < 2):
            raise ConfigError("encoder.hidden is at least 1, encoder.buckets 0 or at least 2")

    def build(self, vocabulary: Vocabulary, vectors: Tensor) -> Encoder:
        """A fresh encoder.

        Args:
            vocabulary: rows of its tables.
            vectors: ``[words + 1, width]`` fixed vectors, row 0 for unknown words; width 0 for none.
        """
        forms = FormEncoder(
            vectors,
            trained=len(vocabulary.trained) + 1,
            trained_width=self.word_width,
            chars=self._characters(vocabulary.alphabet),
            buckets=vocabulary.buckets,
            feature_width=self.feature_width,
        )
        if not self.word_rate and vectors.shape[1]:
            forms.correction.weight.requires_grad_(False)
        return Encoder(
            forms,
            hidden=self.hidden,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            variational=self.variational,
        )

    def _characters(self, alphabet: int) -> CharCNN | CharLSTM | None:
        if self.characters == "cnn":
            return CharCNN(alphabet, width=self.char_width, widths=self.char_widths, filters=self.char_filters)
        if self.characters == "lstm":
            return CharLSTM(alphabet, width=self.char_width, hidden=self.char_filters)
        return None


@dataclass(frozen=True)
class Architecture:
    """The whole network.

    Attributes:
        encoder: words to states.
        head: ``crf``, or ``softmax`` where every word decides for itself, or ``mlp``: that behind a hidden layer.
        scheme: tag scheme.
    """

    encoder: BiLSTMEncoder = field(default_factory=BiLSTMEncoder)
    head: Literal["crf", "softmax", "mlp"] = "crf"
    scheme: Literal["BIO", "BIOES", "IO"] = "BIOES"

    def build_head(self, width: int, tagset: TagSet, kind: str = "") -> Head:
        """A fresh head over states of a width, of this architecture's kind or of another."""
        kind = kind or self.head
        if kind == "softmax":
            return SoftmaxHead(width, len(tagset.names))
        return (MLPHead if kind == "mlp" else CRFHead)(width, *tagging.legal(tagset.names, tagset.scheme))

    def network(self, encoder: Encoder, head: Head, *more: Head) -> nn.ModuleDict:
        """Encoder and heads under the names that `layer_of` knows."""
        return nn.ModuleDict({"encoder": encoder, "head": head} | {f"head-{i}": h for i, h in enumerate(more, 2)})


NO_VECTORS = torch.zeros(1, 0)
"""For encoders without given word vectors."""
