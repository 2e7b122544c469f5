"""Text to states: the settings of a network, and its encoder with the words that it knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from transfuse.encoders.pieces import Pieces
from transfuse.nn.encoder import Batch, Encoder
from transfuse.nn.head import Head
from transfuse.nn.transformer import AnyEncoder, Transformer
from transfuse.run import Run
from transfuse.taggers.architecture import Architecture, TagSet
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.taggers.layers import layer_of, slices, within
from transfuse.taggers.mixed import AnyTable, MixedVocabulary
from transfuse.taggers.neural import NeuralTagger, Sentence, collate
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors, get_vectors
from transfuse.taggers.vocabulary import Vocabulary
from transfuse.text import ConfigError, Corpus, Task
from transfuse.train import Training
from transfuse.words import words

__all__ = ["Encoding", "Supervised", "new_encoding", "set_dropout"]


@dataclass(frozen=True)
class Supervised:
    """Settings of a tagger trained on labelled sentences: what all neural methods have in common.

    Attributes:
        architecture: the network.
        training: the loop.
        vectors: where word vectors come from.
    """

    architecture: Architecture = field(default_factory=Architecture)
    training: Training = field(default_factory=Training)
    vectors: Vectors = field(default_factory=Vectors)


@dataclass(frozen=True)
class Encoding:
    """An encoder and the forms it reads, which methods may share between several heads.

    Attributes:
        encoder: the network.
        table: numbers the words that it reads.
        architecture: from which it was built.
        origin: of what is pre-trained, SHA-256 by name.
        layer_decay: factor on the learning rate from each layer to the one below it; the highest has the full one.
    """

    encoder: AnyEncoder
    table: AnyTable
    architecture: Architecture
    origin: Mapping[str, str] = field(default_factory=dict)
    layer_decay: float = 1.0

    def tagset(self, labels: Sequence[str]) -> TagSet:
        """The tags of some labels in the architecture's scheme."""
        return TagSet(tuple(labels), self.architecture.scheme)

    def head(self, tagset: TagSet) -> Head:
        """A fresh head."""
        return self.architecture.build_head(self.encoder.width, tagset).to(self.encoder.device)

    def tagger(
        self, head: Head, tagset: TagSet, outputs: Sequence[str] | None = None, *, corpus: str = ""
    ) -> NeuralTagger:
        """The encoder with one head, put to work on text of a corpus, by default of the target."""
        known = self.table.vocabulary
        known = known.at(corpus) if corpus and not isinstance(known, Pieces) else known
        return NeuralTagger(self.encoder, head, known, tagset, architecture=self.architecture, outputs=outputs)

    def batch(self, items: Sequence[Sentence], tagset: TagSet) -> Batch:
        """Training sentences, longest first, as a batch on the encoder's device."""
        dropped = self.architecture.encoder.word_dropout
        return collate(items, self.table, tagset, word_dropout=dropped).to(self.encoder.device)

    def rate_of(self, layer: str) -> float:
        """Factor on the learning rate of a layer group."""
        order = slices(self.encoder)
        below = len(order) - 1 - order.index(layer) if layer in order else 0
        return self.architecture.encoder.rate_of(layer, self.encoder) * self.layer_decay**below

    def extended(self, corpora: Sequence[Corpus], *, run: Run, layers: Sequence[str] | None = None) -> Encoding:
        """With rows for the words of more training splits; of the weights, those of some layer groups are kept.

        Args:
            corpora: whose training words get rows, behind the old ones; pieces know all words as they are.
            run: its seed decides what is fresh.
            layers: layer groups whose weights are kept, all by default; other groups and new rows start afresh, a
                transformer's as they were pre-trained.
        """
        torch.manual_seed(run.seed)
        settings = self.architecture.encoder
        encoder: AnyEncoder
        table: AnyTable
        if isinstance(settings, TransformerEncoder):
            encoder, pieces, _ = settings.load()
            table = settings.table(pieces, encoder)
        else:
            transformer, more, _ = settings.load()
            encoder, table = self._with_rows(corpora, settings, transformer, more)
        return self._carried(encoder, table, run, layers)

    def grown(self, corpora: Sequence[Corpus], *, run: Run) -> Encoding:
        """With rows for the words of more training splits, all weights kept; nothing pre-trained is loaded again.

        Args:
            corpora: see `extended`.
            run: see `extended`.
        """
        torch.manual_seed(run.seed)
        if not isinstance(self.encoder, Encoder):
            return replace(self, encoder=self.encoder.to(run.device))
        known, settings = self.table.vocabulary, self.architecture.encoder
        assert isinstance(settings, BiLSTMEncoder)
        pieces = known.pieces if isinstance(known, MixedVocabulary) else None
        return self._carried(*self._with_rows(corpora, settings, self.encoder.transformer, pieces), run)

    def _with_rows(
        self, corpora: Sequence[Corpus], settings: BiLSTMEncoder, transformer: Transformer | None, pieces: Pieces | None
    ) -> tuple[Encoder, AnyTable]:
        """A fresh BiLSTM encoder around what is pre-trained, with rows for words of more training splits."""
        assert isinstance(self.encoder, Encoder)
        known = self.table.vocabulary
        words = known.words if isinstance(known, MixedVocabulary) else known
        assert isinstance(words, Vocabulary)
        words = words.extended(_forms(corpora))
        encoder = settings.build(words, self.encoder.forms.vectors.cpu(), transformer)
        return encoder, settings.table(MixedVocabulary(words, pieces) if pieces else words, encoder)

    def _carried(self, encoder: AnyEncoder, table: AnyTable, run: Run, layers: Sequence[str] | None = None) -> Encoding:
        """With a fresh encoder that gets the weights of this one, of some layer groups or of all."""
        with torch.no_grad():
            for (name, new), old in zip(encoder.named_parameters(), self.encoder.parameters(), strict=True):
                if layers is None or within(layer_of(f"encoder.{name}"), layers):
                    new[: len(old)] = old.cpu()
        return replace(self, encoder=encoder.to(run.device), table=table)


def new_encoding(corpora: Sequence[Corpus], settings: Supervised, *, task: Task, run: Run) -> Encoding:
    """A pre-trained encoder, or a fresh one whose vocabulary is that of the corpora's training splits alone.

    Args:
        corpora: whose training texts fix the vocabulary.
        settings: the network, and its vectors.
        task: whose texts vectors may be trained on.
        run: seed and records.

    Raises:
        ConfigError: there is nothing to learn from, or a pre-trained encoder cannot be had.
    """
    torch.manual_seed(run.seed)
    if isinstance(settings.architecture.encoder, TransformerEncoder):
        return _pretrained(settings, settings.architecture.encoder, run)
    bilstm = settings.architecture.encoder
    if not bilstm.words and settings.vectors not in (Vectors(), Vectors(kind="none")):
        raise ConfigError("vectors: encoder.words is off, so there is nothing to set")
    context = bilstm.context(_told_apart(corpora, bilstm, task.target))
    vectors = get_vectors(settings.vectors, task, run)
    vocabulary = Vocabulary.of(vectors.words, _forms(corpora), buckets=bilstm.buckets, context=context)
    if not vocabulary.trained:
        raise ConfigError(f"there are no training words in {', '.join(c.name for c in corpora)}")
    transformer, pieces, origin = bilstm.load()
    if context:
        run.record("context", **context.facts())
    encoder = bilstm.build(vocabulary, vectors.tensor(), transformer)
    run.record(
        "vocabulary",
        vectors=len(vectors.words),
        trained=len(vocabulary.trained),
        characters=len(vocabulary.chars),
        parameters=sum(p.numel() for p in encoder.parameters()),
        **origin,
    )
    table = bilstm.table(MixedVocabulary(vocabulary, pieces) if pieces else vocabulary, encoder)
    return Encoding(encoder.to(run.device), table, settings.architecture, origin)


def _told_apart(corpora: Sequence[Corpus], bilstm: BiLSTMEncoder, target: Corpus) -> list[str]:
    """The names of the corpora that words are told by, the target's first; none where the settings want none."""
    if bilstm.corpus_width is None:
        return []
    names = [corpus.name for corpus in corpora]
    if target.name not in names or len(set(names)) < 2:
        raise ConfigError(
            "encoder.corpus_width: the target is not learned together with sources here, so no corpora are told apart; "
            'pooled, multitask, mtl-xc, mtl-ls, and joint with init = "fresh" do'
        )
    if not target.train:
        raise ConfigError(
            f"encoder.corpus_width: {target.name} has no labelled document, so nothing would be learned of its vector"
        )
    return list(dict.fromkeys([target.name, *names]))


def _pretrained(settings: Supervised, transformer: TransformerEncoder, run: Run) -> Encoding:
    if settings.vectors not in (Vectors(), Vectors(kind="none")):
        raise ConfigError("vectors: a transformer reads no word vectors, so there is nothing to set")
    encoder, pieces, origin = transformer.load()
    run.record(
        "encoder",
        name=transformer.name,
        capacity=encoder.capacity,
        width=encoder.width,
        parameters=sum(p.numel() for p in encoder.parameters()),
        **origin,
    )
    table = transformer.table(pieces, encoder)
    return Encoding(encoder.to(run.device), table, settings.architecture, origin)


def _forms(corpora: Sequence[Corpus]) -> Iterator[str]:
    return (document.text[a:b] for corpus in corpora for document in corpus.train for a, b in words(document.text))


def set_dropout(encoding: Encoding, share: float) -> None:
    """Change the share that is dropped of an encoder's states, and of a BiLSTM's inputs."""
    encoding.encoder.share = share
