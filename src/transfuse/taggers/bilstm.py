"""The encoder of kind ``bilstm``, as settings, and building it from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from transfuse.context import Context, find_gazetteer
from transfuse.encoders import pretrained
from transfuse.encoders.pieces import MOST, Pieces
from transfuse.nn.encoder import Encoder
from transfuse.nn.forms import CharCNN, CharLSTM, FormEncoder
from transfuse.nn.transformer import AnyEncoder, Transformer
from transfuse.ranges import check_ranges
from transfuse.taggers.layers import PIECE_LAYERS, within
from transfuse.taggers.mixed import AnyVocabulary, MixedTable, MixedVocabulary
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vocabulary import FormTable, Vocabulary
from transfuse.text import ConfigError

__all__ = ["BiLSTMEncoder"]


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
            return MixedTable(vocabulary, most=min(MOST, encoder.transformer.capacity))
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
