"""Train a tagger on one corpus: the piece that methods share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from transfuse import score as scoring
from transfuse.architecture import Architecture, TagSet, layer_of
from transfuse.losses import Losses
from transfuse.neural import NeuralTagger, Sentence, batches, collate, read_sentences
from transfuse.nn.encoder import Batch, Encoder
from transfuse.nn.head import CRFHead, Head
from transfuse.run import Run, Stage
from transfuse.text import ConfigError, Corpus, Document, Tagger, Task
from transfuse.train import Training, fit
from transfuse.vectors import Vectors, get_vectors
from transfuse.vocabulary import FormTable, Vocabulary
from transfuse.words import words

__all__ = [
    "Encoding",
    "Supervised",
    "copy_head",
    "dev_score",
    "head_loss",
    "new_encoding",
    "parameter_groups",
    "read_corpus",
    "set_dropout",
    "train_head",
]


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
    """An encoder and the forms it reads, which methods may share between several heads."""

    encoder: Encoder
    table: FormTable
    architecture: Architecture

    def tagset(self, labels: Sequence[str]) -> TagSet:
        """The tags of some labels in the architecture's scheme."""
        return TagSet(tuple(labels), self.architecture.scheme)

    def head(self, tagset: TagSet) -> Head:
        """A fresh head."""
        return self.architecture.build_head(self.encoder.width, tagset).to(self.encoder.device)

    def tagger(self, head: Head, tagset: TagSet, outputs: Sequence[str] | None = None) -> NeuralTagger:
        """The encoder with one head, put to work."""
        return NeuralTagger(
            self.encoder, head, self.table.vocabulary, tagset, architecture=self.architecture, outputs=outputs
        )


def new_encoding(corpora: Sequence[Corpus], settings: Supervised, *, task: Task, run: Run) -> Encoding:
    """A fresh encoder whose vocabulary is that of the corpora's training splits, and of nothing else.

    Args:
        corpora: whose training texts fix the vocabulary.
        settings: the network, and its vectors.
        task: whose texts vectors may be trained on.
        run: seed and records.
    """
    torch.manual_seed(run.seed)
    vectors = get_vectors(settings.vectors, task, run)
    forms = (document.text[a:b] for corpus in corpora for document in corpus.train for a, b in words(document.text))
    bilstm = settings.architecture.encoder
    vocabulary = Vocabulary.of(vectors.words, forms, buckets=bilstm.buckets)
    if not vocabulary.trained:
        raise ConfigError(f"there are no training words in {', '.join(c.name for c in corpora)}")
    encoder = bilstm.build(vocabulary, vectors.tensor())
    run.record(
        "vocabulary",
        vectors=len(vectors.words),
        trained=len(vocabulary.trained),
        characters=len(vocabulary.chars),
        parameters=sum(p.numel() for p in encoder.parameters()),
    )
    return Encoding(encoder.to(run.device), FormTable(vocabulary), settings.architecture)


def read_corpus(encoding: Encoding, corpus: Corpus, tagset: TagSet, *, stage: Stage) -> list[Sentence]:
    """A corpus' training split as sentences; what does not fit flat tags over words is recorded with its counts."""
    losses = Losses()
    found = read_sentences(corpus.train, encoding.table, tagset, annotated=corpus.labels, losses=losses)
    stage.record(
        "read",
        corpus=corpus.name,
        documents=len(corpus.train),
        sentences=len(found),
        mentions=sum(len(d.entities) for d in corpus.train),
        losses=losses.counts,
    )
    return found


@dataclass(frozen=True)
class _Work:
    """Sentences that become a batch when the step comes; they count as seen."""

    items: list[Sentence]

    @property
    def sentences(self) -> int:
        """How many."""
        return len(self.items)


def train_head(
    encoding: Encoding,
    head: Head,
    tagset: TagSet,
    corpus: Corpus,
    training: Training,
    *,
    stage: Stage,
    frozen: Iterable[str] = (),
) -> dict[str, Any]:
    """Train the encoder with one head on a corpus' training split, choosing the epoch on its development split.

    Args:
        encoding: trained in place.
        head: trained in place.
        tagset: the head's.
        corpus: what to learn.
        training: the loop.
        stage: its part of the run.
        frozen: layer groups that keep their weights.

    Returns:
        What `transfuse.train.fit` does.

    Raises:
        ConfigError: the corpus has no training sentence.
    """
    items = read_corpus(encoding, corpus, tagset, stage=stage)
    if not items:
        raise ConfigError(f"{corpus.name} has no training sentence to learn from")
    network = encoding.architecture.network(encoding.encoder, head)
    word_dropout = encoding.architecture.encoder.word_dropout

    def feed(epoch: int) -> list[_Work]:
        found: list[_Work] = []
        while not found or len(found) < training.steps:
            seed = f"{stage.name}/{stage.seed}/{epoch}/{len(found)}"
            order = batches(items, size=training.batch, words_at_most=training.words, seed=seed)
            found += [_Work(batch) for batch in order]
        return found

    def objective(work: _Work) -> dict[str, Tensor]:
        batch = collate(work.items, encoding.table, tagset, word_dropout=word_dropout)
        return {"crf": head_loss(encoding.encoder, head, batch)}

    tagger = encoding.tagger(head, tagset, corpus.labels)
    evaluate = (lambda: dev_score(tagger, corpus.dev)) if corpus.dev else None
    groups = parameter_groups(encoding, head, frozen=frozen)
    summary = fit(network, objective, feed, training, stage=stage, evaluate=evaluate, groups=groups)
    stage.record("trained", corpus=corpus.name, **summary)
    return summary


def head_loss(encoder: Encoder, head: Head, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of a batch's sentences, in nats: a scalar."""
    batch = batch.to(encoder.device)
    assert batch.tags is not None
    return head.loss(encoder(batch), batch.lengths, tags=batch.tags, allowed=batch.allowed).mean()


def dev_score(tagger: Tagger, documents: Sequence[Document]) -> float:
    """Strict micro F1."""
    return scoring.score(documents, tagger.tag(documents), tagger.labels, kinds=("strict",)).micro().f1


def parameter_groups(encoding: Encoding, head: Head, *, frozen: Iterable[str] = ()) -> Iterator[dict[str, Any]]:
    """Parameters by layer group for the optimiser, without those of frozen groups.

    Args:
        encoding: the encoder.
        head: its head.
        frozen: names from `transfuse.architecture.LAYERS` that keep their weights.
    """
    network = encoding.architecture.network(encoding.encoder, head)
    by_layer: dict[str, list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            by_layer.setdefault(layer_of(name), []).append(parameter)
    given = encoding.encoder.forms.vectors.shape[1] > 0
    for layer, parameters in by_layer.items():
        if layer not in frozen:
            factor = encoding.architecture.encoder.word_rate if layer == "words" and given else 1.0
            yield {"params": parameters, "factor": factor}


def set_dropout(encoding: Encoding, share: float) -> None:
    """Change the share that is dropped before and after the LSTM."""
    encoding.encoder.before.share = encoding.encoder.after.share = share


def copy_head(source: Head, source_tags: TagSet, target: Head, target_tags: TagSet, layers: Sequence[str]) -> list[str]:
    """Copy the rows of tags that both heads have; the others stay as they are.

    Args:
        source: head to copy from.
        source_tags: its tags.
        target: head to copy to, in place.
        target_tags: its tags.
        layers: layer groups that are transferred; ``projection`` and ``crf`` count here.

    Returns:
        The tags whose rows were copied.
    """
    shared = [name for name in target_tags.names if name in source_tags.names]
    a = torch.tensor([source_tags.names.index(name) for name in shared])
    b = torch.tensor([target_tags.names.index(name) for name in shared])
    with torch.no_grad():
        if "projection" in layers:
            target.projection.weight[b] = source.projection.weight[a]
            target.projection.bias[b] = source.projection.bias[a]
        if "crf" in layers and isinstance(source, CRFHead) and isinstance(target, CRFHead):
            target.crf.start[b] = source.crf.start[a]
            target.crf.end[b] = source.crf.end[a]
            target.crf.transition[b[:, None], b[None]] = source.crf.transition[a[:, None], a[None]]
    return shared if {"projection", "crf"} & set(layers) else []
