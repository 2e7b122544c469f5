"""One model over all corpora (MTL-XC), and taggers that begin with its lower layers (MTL-LS): Chai et al. 2022."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import nn

from transfuse.ensembles.votes import VoteTagger
from transfuse.nn.encoder import Encoder
from transfuse.ranges import check_ranges
from transfuse.run import Run, Stage
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.encoding import Encoding, Supervised
from transfuse.taggers.layers import slices
from transfuse.taggers.reading import Reader
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.text import ConfigError, Tagger, Task
from transfuse.train import Training, last_epochs
from transfuse.transfer.sources import identity, need_sources, network_of, train_once
from transfuse.transfer.supervised import Domain, read_domain, train_domain
from transfuse.transfer.together import Start, begin_afresh, pool, record_pool, share_head

__all__ = [
    "PAPER",
    "XLNET",
    "End",
    "Layered",
    "averaged",
    "begin_slice",
    "sliced",
    "train_again",
    "train_shared",
    "voting",
]

XLNET = Architecture(TransformerEncoder(name="xlnet/xlnet-large-cased", rate=1.0))
"""The paper's encoder; it has one learning rate for what is pre-trained and what is fresh."""

PAPER = Training(
    epochs=30,
    steps=0,
    batch=16,
    rate=3e-5,
    epsilon=1e-6,
    schedule="constant",
    average=0.0,
    select="last",
    last=5,
)
"""The paper's loop; of batches and clipping it says nothing."""


@dataclass(frozen=True)
class Layered(Supervised):
    """Settings of methods that treat lower and upper layers of the encoder differently.

    Attributes:
        layer_decay: factor on the learning rate from each layer of the encoder to the one below it; the highest layer
            has the full rate, which is the head's times ``encoder.rate`` for a pre-trained model.
    """

    layer_decay: float = 0.9

    def __post_init__(self) -> None:
        check_ranges(self, layer_decay="(0, 1]")


def train_shared(
    task: Task, settings: Layered, training: Training, *, run: Run, name: str, unlabelled: bool = False
) -> Start:
    """MTL-XC: encoder and head over the labels of all corpora, learned from their sentences shuffled together.

    The same training is done once: its weights are kept as those of sources are.

    Args:
        task: sources and target.
        settings: network, vectors and layer decay.
        training: the loop; where it selects, by the target's development split.
        run: seed and records.
        name: of the stage.
        unlabelled: the target may have no labelled sentence.

    Raises:
        ConfigError: the task has no source, or nothing to learn from.
    """
    need_sources(task)
    begun = share_head(begin_afresh(task, settings, run=run, unlabelled=unlabelled), run=run)
    begun = replace(begun, encoding=replace(begun.encoding, layer_decay=settings.layer_decay))
    stage, mixed = run.stage(name), pool(begun)
    done = train_once(
        begun.encoding,
        network_of(begun.encoding, [mixed]),
        lambda: [train_domain(begun.encoding, mixed, training, stage=stage)],
        stages=[stage],
        corpora=[mixed.corpus.name],
        known_by={"training": asdict(training), "pool": [identity(c) for c in (task.target, *task.sources)]},
    )
    record_pool(begun, done.summaries[0]["sentences"], stage=stage)
    return begun


def sliced(encoding: Encoding, rate: float) -> tuple[str, ...]:
    """The layer groups up to ``k = rate * n``, rounded, n being the number of layers above the embedding.

    What words are looked up in is always among them: at rate 0 the paper's model still shares its embedding.

    Raises:
        ConfigError: the layers of the encoder cannot be told apart.
    """
    order = slices(encoding.encoder)
    if len(order) == 1:
        raise ConfigError("the layers of this encoder cannot be told apart by their names: there is nothing to slice")
    return order[: 1 + int(rate * (len(order) - 1) + 0.5)]


def begin_slice(
    shared: Encoding, task: Task, layers: Sequence[str], *, run: Run, stage: Stage
) -> tuple[Encoding, Domain]:
    """An encoder with some layers of the shared one, the others as they were pre-trained or fresh, and a fresh head.

    Args:
        shared: of MTL-XC.
        task: whose target is to be learned.
        layers: layer groups that are taken over.
        run: its seed decides what is fresh.
        stage: for the record.
    """
    encoding = shared.extended((), run=run, layers=layers)
    target = read_domain(encoding, task.target, stage=stage)
    stage.record("transferred", layers=layers, frozen=(), tags=(), fresh=target.tagset.names)
    return encoding, target


@dataclass(frozen=True)
class End:
    """What a training ended in.

    Attributes:
        encoding: the encoder.
        domain: with the head.
        stage: of the training.
        dev_f1: strict micro F1 on the development split; None where there is none.
        selection: the rule by which the weights were chosen.
    """

    encoding: Encoding
    domain: Domain
    stage: Stage
    dev_f1: float | None
    selection: str

    @property
    def network(self) -> nn.ModuleDict:
        """Under the names that `transfuse.transfer.supervised.run_fit` gives."""
        return nn.ModuleDict({"encoder": self.encoding.encoder, "head": self.domain.head})


def train_again(
    encoding: Encoding, domain: Domain, training: Training, restarts: int, *, run: Run, name: str
) -> list[End]:
    """Train, then train so many times more, each time anew from where the first training ended (30 + 3 x 30 epochs).

    Args:
        encoding: trained in place.
        domain: its head is trained in place.
        training: the loop, each time.
        restarts: how many times more.
        run: where it happens.
        name: of the first stage.

    Returns:
        The ends of the last trainings: of the restarts where there are any.
    """
    first = _train(encoding, domain, training, run.stage(name))
    ends = []
    for number in range(1, restarts + 1):
        again, head = copy.deepcopy((encoding.encoder, domain.head))
        part = replace(encoding, encoder=again), replace(domain, head=head)
        ends.append(_train(*part, training, run.stage(f"{name}-again-{number}")))
    return ends or [first]


def _train(encoding: Encoding, domain: Domain, training: Training, stage: Stage) -> End:
    summary = train_domain(encoding, domain, training, stage=stage)
    return End(encoding, domain, stage, summary["dev_f1"], summary["selection"])


def averaged(ends: Sequence[End]) -> Tagger:
    """One tagger with the mean of the weights; those of the first end are replaced."""
    if len(ends) > 1:
        with torch.no_grad():
            for row in zip(*(end.network.parameters() for end in ends), strict=True):
                if row[0].requires_grad:  # a mean of what is the same may be off by rounding
                    row[0].copy_(torch.stack(row).mean(0))
    return ends[0].domain.tagger(ends[0].encoding)


def voting(ends: Sequence[End]) -> VoteTagger:
    """A tagger of taggers: the mean tag probabilities of all ends, and of the last epochs of each where kept."""
    readers = []
    for end in ends:
        for weights in last_epochs(end.stage) or [{}]:
            network = copy.deepcopy(end.network)
            network.load_state_dict({**network.state_dict(), **weights})
            readers.append(_reader(network, end))
    first = ends[0]
    for reader in readers:
        if isinstance(reader.encoder, Encoder) and isinstance(first.encoding.encoder, Encoder):
            reader.encoder.forms.vectors = first.encoding.encoder.forms.vectors  # one table is enough for all
    kinds = [(first.encoding.architecture.head,)] * len(readers)
    return VoteTagger(readers, first.domain.corpus.labels, kinds=kinds, rule="mean")


def _reader(network: nn.ModuleDict, end: End) -> Reader:
    table, architecture = end.encoding.table, end.encoding.architecture
    encoder, head = network["encoder"], network["head"]
    return Reader(encoder, [head], table.vocabulary, end.domain.tagset, architecture)  # type: ignore[arg-type, list-item]
