"""A source's view of the target, for learning from several sources (Gan & Wang 2026): extractor, heads, filter.

Views share nothing. So the paper's total loss, a sum over sources, falls apart into one loss a view, and views can be
trained one after another.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from torch import Tensor, nn

from transfuse.nn.divergence import Kernel, mmd
from transfuse.nn.domain import DomainHead, Gate
from transfuse.nn.encoder import Batch
from transfuse.nn.head import Head
from transfuse.nn.padding import inside
from transfuse.run import Run, Stage
from transfuse.taggers.architecture import TagSet
from transfuse.taggers.encoding import Encoding, Supervised, new_encoding
from transfuse.taggers.neural import Sentence, batches
from transfuse.taggers.reading import Piece, Reader, pieces
from transfuse.text import Corpus, Document, Task
from transfuse.train import Training, fit
from transfuse.transfer.sources import identity, train_once
from transfuse.transfer.supervised import (
    Domain,
    balanced,
    first_states,
    head_loss,
    parameter_groups,
    read_domain,
    set_precision,
)

__all__ = [
    "Alignment",
    "RawText",
    "View",
    "begin_view",
    "part_raw",
    "train_view",
    "view_losses",
    "warm_up",
]

_HELD = 200
"""Raw sentences, about, that are held out to look at at most; a tenth of the documents where that is less."""


@dataclass(frozen=True)
class RawText:
    """Raw documents, read into sentences once for all views.

    Attributes:
        documents: without entities.
        pieces: their sentences.
    """

    documents: tuple[Document, ...]
    pieces: tuple[Piece, ...]

    @classmethod
    def of(cls, documents: Sequence[Document]) -> RawText:
        """Documents as raw text; their entities are not looked at."""
        bare = tuple(Document(document.id, document.text) for document in documents)
        return cls(bare, tuple(pieces(bare)))

    def forms(self, encoding: Encoding) -> list[list[str]]:
        """The words of each sentence, as an encoder reads them."""
        return [encoding.table.spell(self.documents[number].text, offsets) for number, offsets in self.pieces]

    def items(self, encoding: Encoding) -> list[Sentence]:
        """The sentences as an encoder takes them; their tags mean nothing."""
        numbers = [tuple(encoding.table.numbers(forms)) for forms in self.forms(encoding)]
        return [Sentence(row, (0,) * len(row)) for row in numbers]

    @property
    def sha256(self) -> str:
        """Of all texts."""
        return hashlib.sha256("\0".join(document.text for document in self.documents).encode()).hexdigest()


def part_raw(documents: Sequence[Document], *, limit: int, seed: int) -> tuple[RawText, RawText]:
    """Raw text to learn from, and some of it to look at, in an order drawn with the seed.

    Args:
        documents: of the task; a single one is both.
        limit: sentences to learn from, about; 0 for all.
        seed: decides the draw.
    """
    order = list(documents)
    random.Random(f"raw/{seed}").shuffle(order)
    at_most = max(1, len(order) // 10)
    held = _until(order[:at_most], _HELD)
    rest = order[at_most:] or order
    return RawText.of(_until(rest, limit) if limit else rest), RawText.of(held)


def _until(documents: Sequence[Document], count: int) -> list[Document]:
    """The first documents that hold so many sentences."""
    found: list[Document] = []
    for document in documents:
        if count <= 0:
            break
        found.append(document)
        count -= len(pieces([document]))
    return found


@dataclass(frozen=True)
class Alignment:
    """How a view draws the states of its source and of the target's raw text together.

    Attributes:
        weight: lambda of the squared MMD between the words' states; 0 for none.
        kernel: of the MMD.
        batch: raw sentences a step.
    """

    weight: float
    kernel: Kernel
    batch: int


@dataclass(frozen=True)
class View:
    """A source with an extractor and heads of its own.

    Attributes:
        source: its sentences, and the first head.
        encoding: the extractor.
        heads: over one tag set; behind a gate they share, if there is one.
        kinds: of the heads, in order.
        items: all that is labelled: the source's sentences, those of other sources, and those of the target as often
            as they count.
        counts: how many of them are of which source, by name.
        raw: the target's raw sentences; their tags mean nothing.
        made_of: corpora and settings on which it depends what the view learns from, to tell it from others.
        gate: what lets units of the states through, or None.
    """

    source: Domain
    encoding: Encoding
    heads: tuple[Head | DomainHead, ...]
    kinds: tuple[str, ...]
    items: Sequence[Sentence]
    counts: Mapping[str, int]
    raw: Sequence[Sentence]
    made_of: Mapping[str, Any]
    gate: Gate | None = None

    @property
    def tagset(self) -> TagSet:
        """The tags of the heads."""
        return self.source.tagset

    @property
    def network(self) -> nn.ModuleDict:
        """Extractor and heads under names that `transfuse.taggers.layers.layer_of` knows."""
        heads = {f"head-{i}": head for i, head in enumerate(self.heads, 1)}
        return nn.ModuleDict({"encoder": self.encoding.encoder, **heads})

    def reader(self) -> Reader:
        """The view put to work, with the weights that it has now."""
        heads = [head.folded() if isinstance(head, DomainHead) else head for head in self.heads]
        vocabulary, architecture = self.encoding.table.vocabulary, self.encoding.architecture
        return Reader(self.encoding.encoder, heads, vocabulary, self.tagset, architecture)

    def states(self, items: Sequence[Sentence]) -> tuple[Tensor, Batch]:
        """What the extractor gives the heads, before any gate: ``[batch, time, width]``."""
        batch = self.encoding.batch(items, self.tagset)
        return self.encoding.encoder(batch), batch

    def words(self, states: Tensor, batch: Batch) -> Tensor:
        """``[words, width]`` states of all real words, behind the gate; see `first_states`."""
        real = first_states(self.heads[0], states)[inside(batch.lengths, states.shape[1])]
        return real if self.gate is None else self.gate(real)


def begin_view(
    source: Corpus,
    task: Task,
    settings: Supervised,
    *,
    kinds: Sequence[str],
    raw: RawText,
    run: Run,
    stage: Stage,
    gate: bool = False,
    passes: int = 1,
    others: float = 0.0,
    alike: bool = False,
) -> View:
    """A fresh extractor over the words of a source, and of the target where it is labelled, with fresh heads.

    The heads know the source's labels, those of other sources that are learned beside it, and the target's where it has
    labelled documents: what a source does not annotate cannot be learned from it.

    Args:
        source: labelled.
        task: whose target may have labelled training documents.
        settings: network and vectors.
        kinds: of the heads.
        raw: the target's raw text.
        run: seed and records.
        stage: where it is recorded what was read.
        gate: put one between extractor and heads.
        passes: how often a labelled sentence of the target is learned for each time that one of the source is.
        others: share of the other sources' sentences, drawn with the seed, that are learned beside.
        alike: words and labels are those of all sources, so that views of any of them can take over each other's
            weights.
    """
    if gate:
        settings.architecture.need_words("a gate")
    target = task.target
    read = [each for each in task.sources if others or alike or each.name == source.name]
    encoding = new_encoding([*read, target], settings, task=task, run=run)
    known = [*read, *([target] if target.train else [])]
    tagset = encoding.tagset(tuple(dict.fromkeys(label for corpus in known for label in corpus.labels)))
    encoder = encoding.encoder
    heads = [encoding.architecture.build_head(encoder.width, tagset, kind).to(encoder.device) for kind in kinds]
    gated = Gate(encoder.width).to(encoder.device) if gate else None
    fronts: tuple[Head | DomainHead, ...] = tuple(heads)
    if gated is not None:
        fronts = tuple(DomainHead(head, gated) for head in heads)
    first, *rest = (
        read_domain(encoding, each, stage=stage, head=fronts[0], tagset=tagset)
        for each in (source, *(each for each in read if others and each.name != source.name))
    )
    drawn = [_drawn(domain, others, stage) for domain in rest]
    counts = {d.corpus.name: len(items) for d, items in zip((first, *rest), (first.items, *drawn), strict=True)}
    items = [item for part in (first.items, *drawn) for item in part]
    if target.train:
        items += passes * list(read_domain(encoding, target, stage=stage, head=fronts[0], tagset=tagset).items)
    made_of = {
        "stage": [stage.name, stage.seed],
        "sources": [identity(corpus) for corpus in read],
        "target": identity(target) if target.train else list(target.labels),
        "raw": raw.sha256,
        "kinds": kinds,
        "gate": gate,
        "passes": passes,
        "others": others,
    }
    return View(first, encoding, fronts, tuple(kinds), items, counts, raw.items(encoding), made_of, gated)


def _drawn(domain: Domain, share: float, stage: Stage) -> list[Sentence]:
    """A share of a corpus' sentences."""
    found = list(domain.items)
    random.Random(f"{stage.name}/{stage.seed}/{domain.corpus.name}").shuffle(found)
    return found[: round(share * len(found))]


@dataclass(frozen=True)
class _Step:
    """Sentences to learn from, and raw ones whose states theirs are drawn to; the former count as seen."""

    learned: list[Sentence]
    raw: list[Sentence] = field(default_factory=list)

    @property
    def sentences(self) -> int:
        return len(self.learned)


def train_view(
    view: View, pseudo: Sequence[Sentence], training: Training, *, alignment: Alignment, stage: Stage
) -> dict[str, Any]:
    """Train extractor and heads on what is labelled and on pseudo-labelled sentences; the last weights stay.

    Args:
        view: trained in place.
        pseudo: sentences of the target that join the training set.
        training: the loop.
        alignment: the MMD term.
        stage: its part of the run.

    Returns:
        What `transfuse.train.fit` does.
    """
    items = balanced([*view.items, *pseudo], view.source.tagset, training)

    def passes(sentences: Sequence[Sentence], size: int, what: str, least: int) -> list[list[Sentence]]:
        found: list[list[Sentence]] = []
        while not found or len(found) < least:
            found += batches(sentences, size=size, words_at_most=training.words, seed=f"{what}/{len(found)}")
        return found

    def feed(epoch: int) -> list[_Step]:
        seed = f"{stage.name}/{stage.seed}/{epoch}"
        learned = passes(items, training.batch, seed, training.least)
        if not alignment.weight:
            return [_Step(batch) for batch in learned]
        raw = passes(view.raw, alignment.batch, f"{seed}/raw", len(learned))
        return [_Step(batch, beside) for batch, beside in zip(learned, raw, strict=False)]

    def objective(step: _Step) -> dict[str, Tensor]:
        return view_losses(view, step.learned, step.raw, alignment)

    set_precision(view.encoding, training)
    groups = parameter_groups(view.network, rate_of=view.encoding.rate_of)
    summary = fit(view.network, objective, feed, training, stage=stage, groups=groups)
    stage.record("trained", corpus=" and ".join(view.counts), **summary)
    return summary


def warm_up(view: View, training: Training, *, alignment: Alignment, stage: Stage) -> dict[str, Any]:
    """`train_view` before anything is pseudo-labelled: done once for all methods in which a view begins so.

    Args:
        view: fresh; gets the weights.
        training: the loop.
        alignment: the MMD term.
        stage: its part of the run.
    """
    done = train_once(
        view.encoding,
        view.network,
        lambda: [train_view(view, (), training, alignment=alignment, stage=stage)],
        stages=[stage],
        corpora=[" and ".join(view.counts)],
        known_by={"training": asdict(training), "alignment": asdict(alignment), "view": view.made_of},
    )
    return done.summaries[0]


def view_losses(
    view: View, learned: Sequence[Sentence], raw: Sequence[Sentence], alignment: Alignment
) -> dict[str, Tensor]:
    """A view's part of the total loss (Gan & Wang 2026, equation 10), as weighted terms.

    Args:
        view: extractor and heads.
        learned: labelled and pseudo-labelled sentences, longest first.
        raw: of the target, longest first; without any there is no MMD.
        alignment: the MMD term.
    """
    items = [*learned, *raw]
    order = sorted(range(len(items)), key=lambda i: -len(items[i].forms))
    together, all_of_it = view.states([items[i] for i in order])  # in one pass, which costs little more than one alone

    def part(numbers: range) -> tuple[Tensor, Batch]:
        rows = [order.index(i) for i in numbers]
        batch = all_of_it.rows(rows)
        return together[rows, : batch.places.shape[1]], batch

    states, batch = part(range(len(learned)))
    found = {kind: head_loss(head, states, batch) for kind, head in zip(view.kinds, view.heads, strict=True)}
    if raw:
        words = view.words(*part(range(len(learned), len(items))))
        found["mmd"] = alignment.weight * mmd(view.words(states, batch), words, alignment.kernel)
    return found
