"""Train a tagger on one corpus: the piece that methods share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from transfuse.losses import Losses
from transfuse.nn.domain import DomainHead
from transfuse.nn.encoder import Batch, Encoder
from transfuse.nn.head import CRFHead, Head, MLPHead
from transfuse.nn.pieced import PieceHead
from transfuse.run import Stage
from transfuse.scoring import score as scoring
from transfuse.taggers.architecture import TagSet
from transfuse.taggers.encoding import Encoding
from transfuse.taggers.layers import layer_of, within
from transfuse.taggers.neural import NeuralTagger, Sentence, batches, read_sentences
from transfuse.text import ConfigError, Corpus, Document, Tagger
from transfuse.train import Training, fit

__all__ = [
    "Domain",
    "Penalty",
    "Step",
    "balanced",
    "copy_head",
    "dev_score",
    "first_states",
    "head_loss",
    "parameter_groups",
    "pull_back",
    "read_domain",
    "run_fit",
    "set_precision",
    "target_batches",
    "train_domain",
]

Penalty = Callable[[], dict[str, Tensor]]
"""Further weighted loss terms of the weights as they stand."""


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
    stage.run.list_losses(corpus.name, losses)
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
    items = balanced(domain.items, domain.tagset, training)
    while not found or len(found) < least:
        seed = f"{stage.name}/{stage.seed}/{epoch}/{len(found)}"
        found += batches(items, size=training.batch, words_at_most=training.words, seed=seed)
    return found


def balanced(items: Sequence[Sentence], tagset: TagSet, training: Training) -> Sequence[Sentence]:
    """Sentences as much as they count: see `transfuse.train.Training.balance`."""
    if training.balance is None:
        return items
    labels = [name.partition("-")[2] for name in tagset.names]
    held = [{labels[tag] for tag in item.tags} - {""} for item in items]
    number = Counter(label for some in held for label in some)
    most = max(number.values(), default=1)
    weights = [max(((most / number[label]) ** training.balance for label in some), default=1.0) for some in held]
    mean = sum(weights) / len(weights)
    return [replace(item, weight=item.weight * w / mean) for item, w in zip(items, weights, strict=True)]


def train_domain(
    encoding: Encoding,
    domain: Domain,
    training: Training,
    *,
    stage: Stage,
    penalty: Penalty | None = None,
    frozen: Sequence[str] = (),
) -> dict[str, Any]:
    """Train the encoder and a domain's head on its sentences, choosing the epoch on its development split.

    Args:
        encoding: trained in place.
        domain: its head is trained in place.
        training: the loop.
        stage: its part of the run.
        penalty: further loss terms.
        frozen: layer groups that keep their weights.

    Returns:
        What `transfuse.train.fit` does.
    """

    def feed(epoch: int) -> list[Step]:
        return [Step(b) for b in target_batches(domain, training, stage=stage, epoch=epoch, least=training.least)]

    def objective(step: Step) -> dict[str, Tensor]:
        batch = encoding.batch(step.target, domain.tagset)
        return {"crf": head_loss(domain.head, encoding.encoder(batch), batch)} | (penalty() if penalty else {})

    return run_fit(encoding, [domain], objective, feed, training, stage=stage, frozen=frozen)


def pull_back(
    encoding: Encoding, head: Head | DomainHead, weight: float, *, layers: Sequence[str], frozen: Sequence[str] = ()
) -> Penalty:
    """Hold weights near what they are now: L2-SP of Li et al. (2018), the word table apart.

    Args:
        encoding: whose weights.
        head: whose weights, too.
        weight: of the squared distance.
        layers: layer groups that are held.
        frozen: those that keep their weights anyway.

    Raises:
        ConfigError: no weight is left that could be held.
    """
    network = nn.ModuleDict({"encoder": encoding.encoder, "head": head})
    held = [
        (parameter, parameter.detach().clone())
        for name, parameter in network.named_parameters()
        if within(layer_of(name), layers) and not within(layer_of(name), ("words", *frozen))
    ]
    if not held:
        raise ConfigError("source_l2: no layer that is carried over is trained, the word table apart")

    def distance() -> dict[str, Tensor]:
        gaps = [(parameter - value).square().sum() for parameter, value in held]
        return {"source_l2": weight * torch.stack(gaps).sum()}

    return distance


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
    set_precision(encoding, training)
    first = domains[0]
    heads = {"head": first.head, **{f"source-{i}": domain.head for i, domain in enumerate(domains[1:], 1)}}
    network = nn.ModuleDict({"encoder": encoding.encoder, **heads})
    groups = parameter_groups(network, rate_of=encoding.rate_of, frozen=frozen)
    evaluate = (lambda: first.score(encoding) or 0.0) if first.corpus.dev else None
    summary = fit(network, objective, feed, training, stage=stage, evaluate=evaluate, groups=groups)
    stage.record("trained", corpus=first.corpus.name, **summary)
    return summary


def set_precision(encoding: Encoding, training: Training) -> None:
    """How a transformer computes in training. Raises ConfigError where none is there for another precision."""
    encoder = encoding.encoder
    part = encoder.transformer if isinstance(encoder, Encoder) else encoder
    if training.precision and (part is None or part.still):
        raise ConfigError("training.precision is a transformer's, and there is none that is trained")
    if part is not None:
        part.precision = training.precision


def first_states(head: Head | DomainHead, states: Tensor) -> Tensor:
    """``[..., width]`` states of the first pieces of words: all there is, unless a CRF reads more than them.

    Args:
        head: whatever reads the states.
        states: ``[..., width]``, or wider where `transfuse.nn.pieced.PieceHead` reads them.
    """
    return states[..., : head.projection.in_features] if isinstance(head, PieceHead) else states


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
        network: its names are those that `transfuse.taggers.layers.layer_of` knows.
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
