"""Train a tagger on one corpus: the piece that methods share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from transfuse import score as scoring
from transfuse.architecture import AnyEncoder, AnyTable, Architecture, BiLSTMEncoder, TagSet, TransformerEncoder
from transfuse.layers import layer_of, slices, within
from transfuse.losses import Losses
from transfuse.mixed import MixedVocabulary
from transfuse.neural import NeuralTagger, Sentence, batches, collate, read_sentences
from transfuse.nn.domain import DomainHead
from transfuse.nn.encoder import Batch, Encoder
from transfuse.nn.head import CRFHead, Head, MLPHead
from transfuse.pieces import Pieces
from transfuse.run import Run, Stage
from transfuse.text import ConfigError, Corpus, Document, Tagger, Task
from transfuse.train import Training, fit
from transfuse.vectors import Vectors, get_vectors
from transfuse.vocabulary import Vocabulary
from transfuse.words import words

__all__ = [
    "Domain",
    "Encoding",
    "Step",
    "Supervised",
    "copy_head",
    "dev_score",
    "head_loss",
    "new_encoding",
    "parameter_groups",
    "read_domain",
    "run_fit",
    "set_dropout",
    "target_batches",
    "train_domain",
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
            assert isinstance(self.encoder, Encoder)
            known = self.table.vocabulary
            words = known.words if isinstance(known, MixedVocabulary) else known
            assert isinstance(words, Vocabulary)
            words = words.extended(_forms(corpora))
            transformer, more, _ = settings.load()
            encoder = settings.build(words, self.encoder.forms.vectors.cpu(), transformer)
            table = settings.table(MixedVocabulary(words, more) if more else words, encoder)
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


@dataclass(frozen=True)
class Domain:
    """A corpus with the head that tags it and the sentences to learn from.

    Attributes:
        corpus: whose labels may come out.
        head: over the tag set; several domains may share one.
        tagset: the head's tags; more than the corpus' own where the head is shared.
        items: the training split.
    """

    corpus: Corpus
    head: Head | DomainHead
    tagset: TagSet
    items: Sequence[Sentence]

    def tagger(self, encoding: Encoding) -> NeuralTagger:
        """The encoder with this head, put to work; only the corpus' labels come out."""
        head = self.head.folded() if isinstance(self.head, DomainHead) else self.head
        return encoding.tagger(head, self.tagset, self.corpus.labels, corpus=self.corpus.name)

    def score(self, encoding: Encoding) -> float | None:
        """Strict micro F1 on the development split; None where there is none."""
        return dev_score(self.tagger(encoding), self.corpus.dev) if self.corpus.dev else None


def read_domain(
    encoding: Encoding,
    corpus: Corpus,
    *,
    stage: Stage,
    head: Head | DomainHead | None = None,
    tagset: TagSet | None = None,
    unlabelled: bool = False,
) -> Domain:
    """A corpus' training split as sentences; what does not fit flat tags over words is recorded with its counts.

    Args:
        encoding: numbers the forms.
        corpus: what to learn from.
        stage: where it is recorded.
        head: of the tag set; a fresh one by default.
        tagset: the tags of the corpus' labels by default.
        unlabelled: there may be no training sentence.

    Raises:
        ConfigError: the corpus has no training sentence.
    """
    tagset = tagset or encoding.tagset(corpus.labels)
    losses = Losses()
    found = read_sentences(
        corpus.train, encoding.table, tagset, annotated=corpus.labels, corpus=corpus.name, losses=losses
    )
    stage.record(
        "read",
        corpus=corpus.name,
        documents=len(corpus.train),
        sentences=len(found),
        mentions=sum(len(d.entities) for d in corpus.train),
        losses=losses.counts,
    )
    if not found and not unlabelled:
        raise ConfigError(f"{corpus.name} has no training sentence to learn from")
    return Domain(corpus, head or encoding.head(tagset), tagset, found)


@dataclass(frozen=True)
class Step:
    """Sentences that become batches when the step comes; they count as seen.

    Attributes:
        target: of the domain that is learned.
        source: of a source, where the step has any.
        number: which source.
    """

    target: list[Sentence]
    source: list[Sentence] = field(default_factory=list)
    number: int = 0

    @property
    def sentences(self) -> int:
        """How many."""
        return len(self.target) + len(self.source)


def target_batches(domain: Domain, training: Training, *, stage: Stage, epoch: int, least: int) -> list[list[Sentence]]:
    """The batches of an epoch: whole passes over the domain's sentences until there are at least so many batches."""
    found: list[list[Sentence]] = []
    while not found or len(found) < least:
        seed = f"{stage.name}/{stage.seed}/{epoch}/{len(found)}"
        found += batches(domain.items, size=training.batch, words_at_most=training.words, seed=seed)
    return found


def train_domain(
    encoding: Encoding,
    domain: Domain,
    training: Training,
    *,
    stage: Stage,
) -> dict[str, Any]:
    """Train the encoder and a domain's head on its sentences, choosing the epoch on its development split.

    Args:
        encoding: trained in place.
        domain: its head is trained in place.
        training: the loop.
        stage: its part of the run.

    Returns:
        What `transfuse.train.fit` does.
    """

    def feed(epoch: int) -> list[Step]:
        return [Step(b) for b in target_batches(domain, training, stage=stage, epoch=epoch, least=training.least)]

    def objective(step: Step) -> dict[str, Tensor]:
        batch = encoding.batch(step.target, domain.tagset)
        return {"crf": head_loss(domain.head, encoding.encoder(batch), batch)}

    return run_fit(encoding, [domain], objective, feed, training, stage=stage)


def run_fit(
    encoding: Encoding,
    domains: Sequence[Domain],
    objective: Callable[[Step], dict[str, Tensor]],
    feed: Callable[[int], list[Step]],
    training: Training,
    *,
    stage: Stage,
    frozen: Iterable[str] = (),
) -> dict[str, Any]:
    """Train an encoder and the heads of domains, choosing the epoch on the first one's development split.

    Args:
        encoding: trained in place.
        domains: their heads are trained in place.
        objective: a step in, weighted loss terms out.
        feed: the steps of an epoch; the same epoch always gives the same steps.
        training: the loop.
        stage: its part of the run.
        frozen: layer groups that keep their weights.

    Returns:
        What `transfuse.train.fit` does.

    Raises:
        ConfigError: there is no transformer to compute in another precision.
    """
    _set_precision(encoding, training)
    first = domains[0]
    heads = {"head": first.head, **{f"source-{i}": domain.head for i, domain in enumerate(domains[1:], 1)}}
    network = nn.ModuleDict({"encoder": encoding.encoder, **heads})
    groups = parameter_groups(network, rate_of=encoding.rate_of, frozen=frozen)
    evaluate = (lambda: first.score(encoding) or 0.0) if first.corpus.dev else None
    summary = fit(network, objective, feed, training, stage=stage, evaluate=evaluate, groups=groups)
    stage.record("trained", corpus=first.corpus.name, **summary)
    return summary


def _set_precision(encoding: Encoding, training: Training) -> None:
    encoder = encoding.encoder
    part = encoder.transformer if isinstance(encoder, Encoder) else encoder
    if training.precision and (part is None or part.still):
        raise ConfigError("training.precision is a transformer's, and there is none that is trained")
    if part is not None:
        part.precision = training.precision


def head_loss(head: Head | DomainHead, states: Tensor, batch: Batch) -> Tensor:
    """Mean negative log-likelihood of a batch's sentences in nats, each by its weight: a scalar.

    Args:
        head: over the batch's tags.
        states: ``[batch, time, width]`` of the encoder.
        batch: on the states' device, with tags.
    """
    assert batch.tags is not None
    losses = head.loss(states, batch.lengths, tags=batch.tags, allowed=batch.allowed)
    return losses.mean() if batch.weights is None else (losses * batch.weights).mean()


def dev_score(tagger: Tagger, documents: Sequence[Document]) -> float:
    """Strict micro F1."""
    return scoring.score(documents, tagger.tag(documents), tagger.labels, kinds=("strict",)).micro().f1


def parameter_groups(
    network: nn.Module, *, rate_of: Callable[[str], float] = lambda _: 1.0, frozen: Iterable[str] = ()
) -> Iterator[dict[str, Any]]:
    """Parameters by layer group for the optimiser, without those of frozen groups.

    Args:
        network: its names are those that `transfuse.layers.layer_of` knows.
        rate_of: factor on the learning rate of a layer group.
        frozen: layer groups that keep their weights.
    """
    by_layer: dict[str, list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            by_layer.setdefault(layer_of(name), []).append(parameter)
    for layer, parameters in by_layer.items():
        if not within(layer, frozen):
            yield {"params": parameters, "factor": rate_of(layer)}


def set_dropout(encoding: Encoding, share: float) -> None:
    """Change the share that is dropped of an encoder's states, and of a BiLSTM's inputs."""
    encoding.encoder.share = share


def copy_head(source: Domain, target: Domain, layers: Sequence[str]) -> list[str]:
    """Copy the rows of tags that both heads have; the others stay as they are.

    Args:
        source: to copy from.
        target: to copy to, in place.
        layers: layer groups that are transferred; ``projection`` and ``crf`` count here.

    Returns:
        The tags whose rows were copied.
    """
    ours, theirs = target.tagset.names, source.tagset.names
    shared = [name for name in ours if name in theirs]
    a = torch.tensor([theirs.index(name) for name in shared])
    b = torch.tensor([ours.index(name) for name in shared])
    one, two = source.head, target.head
    assert isinstance(one, Head)
    assert isinstance(two, Head)
    with torch.no_grad():
        if "projection" in layers:
            two.projection.weight[b] = one.projection.weight[a]
            two.projection.bias[b] = one.projection.bias[a]
            if isinstance(one, MLPHead) and isinstance(two, MLPHead):
                two.hidden.load_state_dict(one.hidden.state_dict())
        if "crf" in layers and isinstance(one, CRFHead) and isinstance(two, CRFHead):
            further = torch.arange(len(two.crf.start) - len(ours))  # what no label has: a tag for continuations
            a, b = torch.cat([a, len(theirs) + further]), torch.cat([b, len(ours) + further])
            two.crf.start[b] = one.crf.start[a]
            two.crf.end[b] = one.crf.end[a]
            two.crf.transition[b[:, None], b[None]] = one.crf.transition[a[:, None], a[None]]
    return shared if {"projection", "crf"} & set(layers) else []
