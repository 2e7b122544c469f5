"""What a network is made of, as settings, and building it from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
from pydantic import Discriminator, Tag
from torch import Tensor, nn

from transfuse import tags as tagging
from transfuse.context import Context, find_gazetteer
from transfuse.encoders import pretrained
from transfuse.encoders.pieces import Pieces, PieceTable
from transfuse.mirror import cache_folder
from transfuse.nn.encoder import Encoder
from transfuse.nn.forms import CharCNN, CharLSTM, FormEncoder
from transfuse.nn.head import CRFHead, Head, MLPHead, SoftmaxHead
from transfuse.nn.kept import KeptStates, fingerprint
from transfuse.nn.pieced import PieceHead
from transfuse.nn.transformer import Transformer
from transfuse.ranges import check_ranges
from transfuse.taggers.layers import LAYERS, PIECE_LAYERS, layer_of, slices, within
from transfuse.taggers.mixed import MixedTable, MixedVocabulary
from transfuse.taggers.vocabulary import FormTable, Vocabulary
from transfuse.text import ConfigError

__all__ = [
    "AnyEncoder",
    "AnyTable",
    "AnyVocabulary",
    "Architecture",
    "BiLSTMEncoder",
    "Lora",
    "TagSet",
    "TransformerEncoder",
]

AnyEncoder = Encoder | Transformer
AnyVocabulary = Vocabulary | Pieces | MixedVocabulary
AnyTable = FormTable | PieceTable | MixedTable


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


@dataclass(frozen=True)
class BiLSTMEncoder:
    """Word vectors, characters and features of each word, side by side, then a bidirectional LSTM.

    With part of speech, lists of names and a pre-trained model beside them, each a switch, these are the concatenated
    features of Kumar & Eluri (2024, eq. 3.1 to 3.4).

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
        words: read word vectors at all.
        pos: read the part of speech (English).
        gazetteers: lists of names; a word is told its place in the names of each. Lexicons, ``terms:FILE``, or folders
            as ``transfuse silver gazetteer`` leaves them; see `transfuse.context.find_gazetteer`.
        context_width: columns for the part of speech, and for each list of names.
        corpus_width: columns for the corpus that a sentence is of, where corpora are learned together.
        transformer: a pre-trained model whose states are read beside all that.
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
    words: bool = True
    pos: bool = False
    gazetteers: tuple[str, ...] = ()
    context_width: int = 25
    transformer: TransformerEncoder | None = None
    corpus_width: int | None = None  # None, so that recipes of before have the hash that they had

    def __post_init__(self) -> None:
        sizes = ("hidden", "word_width", "char_width", "char_filters", "char_widths", "feature_width", "context_width")
        check_ranges(self, "encoder", corpus_width="[1, inf)")
        shares = ("dropout", "recurrent_dropout")
        check_ranges(self, "encoder", **dict.fromkeys(sizes, "[1, inf)"), **dict.fromkeys(shares, "[0, 1)"))
        check_ranges(self, "encoder", word_rate="[0, inf)", word_dropout="[0, inf)")
        if self.buckets < 0 or self.buckets == 1:
            raise ConfigError(f"encoder.buckets is 0 or at least 2, not {self.buckets}")
        if not self.char_widths:
            raise ConfigError('encoder.char_widths is empty: without characters say encoder.characters = "none"')
        if self.transformer and self.transformer.unit:
            raise ConfigError(
                "encoder.transformer.unit: the BiLSTM over it gives one state a word, so words are the unit"
            )
        told = self.pos or self.gazetteers or self.transformer
        if not (self.words or self.characters != "none" or self.buckets or told):
            raise ConfigError("encoder: without words, characters, features and a transformer there is nothing to read")

    def context(self, corpora: Iterable[str] = ()) -> Context:
        """What is told of the places of words. Raises as `transfuse.context.find_gazetteer` does.

        Args:
            corpora: names of those that are told apart if `corpus_width` is set.
        """
        told = tuple(corpora) if self.corpus_width else ()
        return Context(tuple(find_gazetteer(spec) for spec in self.gazetteers), self.pos, told)

    def load(self) -> tuple[Transformer | None, Pieces | None, dict[str, str]]:
        """The pre-trained part, if there is one; see `TransformerEncoder.load`."""
        return self.transformer.load() if self.transformer else (None, None, {})

    def build(self, vocabulary: Vocabulary, vectors: Tensor, transformer: Transformer | None = None) -> Encoder:
        """A fresh encoder.

        Args:
            vocabulary: rows of its tables.
            vectors: ``[words + 1, width]`` fixed vectors, row 0 for unknown words; width 0 for none.
            transformer: the pre-trained part.
        """
        widths = [self.context_width] * len(vocabulary.context.sizes)
        if vocabulary.context.corpora:
            widths[-1] = self.corpus_width or 0
        forms = FormEncoder(
            vectors,
            trained=len(vocabulary.trained) + 1,
            trained_width=self.word_width,
            chars=self._characters(vocabulary.alphabet),
            buckets=vocabulary.buckets,
            feature_width=self.feature_width,
            context=list(zip(vocabulary.context.sizes, widths, strict=True)),
            words=self.words,
        )
        if forms.correction is not None and not self.word_rate and vectors.shape[1]:
            forms.correction.weight.requires_grad_(False)
        return Encoder(
            forms,
            hidden=self.hidden,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            variational=self.variational,
            transformer=transformer,
        )

    def table(self, vocabulary: AnyVocabulary, encoder: AnyEncoder) -> FormTable | MixedTable:
        """Numbers the words of texts."""
        assert isinstance(encoder, Encoder)
        if isinstance(vocabulary, MixedVocabulary):
            return MixedTable(vocabulary, most=min(_MOST, encoder.transformer.capacity))
        assert isinstance(vocabulary, Vocabulary)
        return FormTable(vocabulary)

    def rate_of(self, layer: str, encoder: AnyEncoder) -> float:
        """Factor on the learning rate of a layer group: that of the correction where vectors are given."""
        assert isinstance(encoder, Encoder)
        if self.transformer and within(layer, PIECE_LAYERS[:2]):
            return self.transformer.rate
        return self.word_rate if layer == "words" and encoder.forms.vectors.shape[1] > 0 else 1.0

    def save(self, folder: Path, encoder: AnyEncoder, vocabulary: AnyVocabulary, *, prefix: str) -> dict[str, Tensor]:
        """Write what `restore` needs beside the weights; what is to be kept with those is returned."""
        assert isinstance(encoder, Encoder)
        if isinstance(vocabulary, MixedVocabulary):
            pretrained.write(encoder.transformer.model, vocabulary.pieces, folder, prefix=prefix)
            vocabulary = vocabulary.words
        assert isinstance(vocabulary, Vocabulary)
        vocabulary.save(folder / f"{prefix}vocabulary.json")
        return {"vectors": encoder.forms.vectors.cpu()}

    def restore(
        self, folder: Path, tensors: dict[str, Tensor], *, prefix: str
    ) -> tuple[Encoder, Vocabulary | MixedVocabulary]:
        """An encoder whose weights are still to be filled in, and its vocabulary; what `save` returned is taken out."""
        words = Vocabulary.load(folder / f"{prefix}vocabulary.json")
        vectors = tensors.pop("vectors")
        if not self.transformer:
            return self.build(words, vectors), words
        transformer, pieces = self.transformer.restore(folder, tensors, prefix=prefix)
        return self.build(words, vectors, transformer), MixedVocabulary(words, pieces)

    def _characters(self, alphabet: int) -> CharCNN | CharLSTM | None:
        if self.characters == "cnn":
            return CharCNN(alphabet, width=self.char_width, widths=self.char_widths, filters=self.char_filters)
        if self.characters == "lstm":
            return CharLSTM(alphabet, width=self.char_width, hidden=self.char_filters)
        return None


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
        return PieceTable(vocabulary, most=min(_MOST, encoder.capacity))

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


_MOST = 32
"""Pieces of a word that a transformer reads, at most."""


def _kind(encoder: Any) -> str:
    """Which encoder settings are for; without a word about it they are for the BiLSTM."""
    return str(encoder.get("kind", "bilstm") if isinstance(encoder, Mapping) else encoder.kind)


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


NO_VECTORS = torch.zeros(1, 0)
"""For encoders without given word vectors."""
