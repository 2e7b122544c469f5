"""An extractor and two heads a source, target text that they agree on, and a vote (MUCT, Gan & Wang 2026)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import tee
from statistics import fmean
from typing import Any, Literal

from torch import Tensor

from transfuse.ensembles.ballots import Ballot, agreement
from transfuse.ensembles.credit import Credit, estimate, observe
from transfuse.ensembles.votes import VoteRule, VoteTagger
from transfuse.nn.divergence import Kernel
from transfuse.nn.encoder import Encoder
from transfuse.ranges import check_ranges
from transfuse.run import Run, Stage
from transfuse.taggers.encoding import Supervised
from transfuse.taggers.neural import Sentence
from transfuse.text import ConfigError, Corpus, Document, Tagger, Task, UnusedSettingError
from transfuse.train import Training
from transfuse.transfer.filters import Accepted, filter_raw, filter_votes
from transfuse.transfer.sources import need_sources, record_exposure
from transfuse.transfer.supervised import dev_score
from transfuse.transfer.views import Alignment, RawText, View, begin_view, part_raw, train_view, warm_up

__all__ = ["Muct"]


@dataclass(frozen=True)
class Muct(Supervised):
    """Settings. ``training`` is the warm-up, before anything is pseudo-labelled.

    Attributes:
        rounds: of pseudo-labelling the raw text and training on; 0 for none (and with ``mmd = 0`` nothing of the target
            is looked at).
        round_training: the loop of a round, on from the weights of the one before it.
        heads: 2, a CRF (or what ``architecture.head`` says) and a token-wise network with one hidden layer; or 1, the
            paper's MUCT-SV, which accepts all of its own pseudo-labels.
        filter: False is the paper's MUCT-NC: every raw sentence joins, as the first head labels it.
        teacher: who pseudo-labels: each ``view`` for itself, as in the paper; or the ``vote`` of all, so that what one
            source teaches reaches the other views.
        lead: by how many votes, as a share of the voters, a vote has to be clear for its words to be learned; the
            others stay open.
        agreement: of the two heads, on the whole ``sentence``, or on the ``token``, the other words staying open.
        silent: weight of a pseudo-labelled sentence without a mention; at 0 it is dropped, so that nobody learns to
            say nothing.
        mmd: lambda, the weight of the squared MMD between a source's states and the target's; 0 for none.
        kernel: of the MMD. The paper names none.
        raw_batch: raw sentences a step for the MMD.
        raw_limit: raw sentences that may be pseudo-labelled, about; 0 for all.
        gate: the paper's feature selection layer: a learned share of each unit is let through to the heads.
        vote: see `transfuse.ensembles.votes.VoteRule`. ``credit``, which is not the paper's, takes three sources at
            least. Under ``mean``, what is told of rounds is the vote of the majority.
        select: the round that is kept: the best on ``dev``, where the target has a development split; or the one
            after which the voters agree best on held-out raw text, which is also the rule where there is no
            development split; or the ``last``.
        start: where views begin: each from a warm-up of its ``own``, as in the paper; or all from one warm-up on the
            sources ``pooled``, so that none knows only what its own source tells. Views that begin alike agree, so
            that without a development split the ``last`` round is kept.
        others: share of the other sources' sentences that a view learns beside its own; 0 in the paper. At 1 every view
            has all labels, and the vote is one of extractors and heads that differ by what they were drawn towards.
        target_passes: how often a labelled sentence of the target, if there is one, is learned for each time that one
            of the source is.
    """

    training: Training = field(default_factory=lambda: Training(epochs=4, steps=100, select="last"))
    rounds: int = 2
    round_training: Training = field(default_factory=lambda: Training(epochs=1, steps=100, rate=1e-3, select="last"))
    heads: Literal[1, 2] = 2
    filter: bool = True
    teacher: Literal["view", "vote"] = "view"
    lead: float = 1 / 3
    agreement: Literal["sentence", "token"] = "sentence"
    silent: float = 0.0
    mmd: float = 1.0
    kernel: Kernel = field(default_factory=lambda: Kernel(bandwidths="median"))
    raw_batch: int = 4
    raw_limit: int = 2000
    gate: bool = False
    vote: VoteRule = "majority"
    select: Literal["dev", "agreement", "last"] = "dev"
    start: Literal["own", "pooled"] = "own"
    others: float = 0.0
    target_passes: int = 4

    def __post_init__(self) -> None:
        check_ranges(self, rounds="[0, inf)", raw_limit="[0, inf)", raw_batch="[1, inf)", target_passes="[1, inf)")
        check_ranges(self, mmd="[0, inf)", silent="[0, 1]", lead="[0, 1]", others="[0, 1]")
        for name, loop in (("training", self.training), ("round_training", self.round_training)):
            if loop.select != "last":
                raise ConfigError(
                    f'{name}.select = "{loop.select}": a view ends with its last weights; `select` chooses the round'
                )
        if not self.kernel.outside:
            raise UnusedSettingError("kernel.outside", "the MMD is that of all words")
        if self.heads == 2 and self.architecture.head == "mlp":
            raise ConfigError('architecture.head = "mlp" is what the second head is: the two have to differ')
        if self.vote == "mean" and self.teacher == "vote":
            raise ConfigError(
                'vote = "mean" elects no mentions that could teach: take teacher = "view" or another vote'
            )
        if self.start == "pooled" and self.select == "agreement":
            raise ConfigError('select = "agreement" says nothing of views that begin alike: take "dev" or "last"')

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the heads."""
        return (self.architecture.head, "mlp")[: self.heads]

    @property
    def alignment(self) -> Alignment:
        """The MMD term."""
        return Alignment(self.mmd, self.kernel, self.raw_batch)

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Warm up each view, then in rounds filter the raw text and train on; all heads vote."""
        need_sources(task)
        if not task.raw and (self.rounds or self.mmd or self.vote == "credit"):
            instead = 'take another vote than "credit"' if self.vote == "credit" else "set rounds and mmd to 0"
            raise ConfigError(
                f"there is no raw text of {task.target.name}: set data.share below 1 or data.raw, or {instead}"
            )
        if self.vote == "credit" and len(task.sources) < 3:
            raise ConfigError('vote = "credit" takes three sources: of two that differ nobody can tell which one errs')
        text, held = part_raw(task.raw, limit=self.raw_limit, seed=run.seed)
        views = self._views(task, text, run)
        course = _Course(self, task, views, (text, held), run)
        pseudo: Sequence[Sequence[Sentence]] = [()] * len(views)
        for number in range(self.rounds + 1):
            if number:
                pseudo = course.pseudo_label(number)
            if self.start == "pooled" and not number:
                course.begin_together(self._view(task.sources[0], task, text, run.stage("pooled"), others=1.0))
            else:
                for i, extra in enumerate(pseudo):
                    course.train(i, extra, number)
            course.look(number)
        return course.end()

    def _views(self, task: Task, text: RawText, run: Run) -> list[View]:
        views: list[View] = []
        for number, source in enumerate(task.sources, 1):
            view = self._view(source, task, text, run.stage(f"source-{number}-{source.name}"), others=self.others)
            encoder, first = view.encoding.encoder, (views or [view])[0].encoding.encoder
            if isinstance(encoder, Encoder) and isinstance(first, Encoder):
                encoder.forms.vectors = first.forms.vectors  # one table of given vectors is enough for all
            views.append(view)
        return views

    def _view(self, source: Corpus, task: Task, text: RawText, stage: Stage, *, others: float) -> View:
        return begin_view(
            source,
            task,
            self,
            kinds=self.kinds,
            raw=text,
            run=stage.run,
            stage=stage,
            gate=self.gate,
            passes=self.target_passes,
            others=others,
            alike=self.start == "pooled",
        )


class _Course:
    """Where a run of `Muct` stands: its views, the weights of the best round, and what is told of each."""

    def __init__(
        self, settings: Muct, task: Task, views: Sequence[View], raw: tuple[RawText, RawText], run: Run
    ) -> None:
        self.settings, self.task, self.views, self.run = settings, task, views, run
        self.text, self.held = raw
        self.stage = run.stage("target")
        self.rule = settings.select
        if self.rule == "dev" and not task.target.dev:
            self.rule = "agreement"
        told = self.held.pieces and len(views) * settings.heads > 1 and settings.start == "own"
        if self.rule == "agreement" and not told:
            self.rule = "last"
        self.best, self.best_round = -1.0, 0
        self.weights: list[dict[str, Tensor]] = []
        self.credit: Credit | None = None
        self.best_credit: Credit | None = None
        self.votes: list[list[Ballot]] = []
        self.seconds = 0.0
        self.seen = Counter[str]()

    def _stage_name(self, i: int, number: int) -> str:
        return f"source-{i + 1}-{self.views[i].source.corpus.name}-round-{number}"

    def begin_together(self, pooled: View) -> None:
        """The warm-up of a view of all sources, which all others go on from."""
        self._count(pooled, 0, self._warm_up(pooled, self.run.stage("pooled-round-0")))
        weights = pooled.network.state_dict()
        for view in self.views:
            view.network.load_state_dict(weights)

    def train(self, i: int, pseudo: Sequence[Sentence], number: int) -> None:
        """A view's round; round 0 is the warm-up."""
        view, stage = self.views[i], self.run.stage(self._stage_name(i, number))
        if number:
            loop, alignment = self.settings.round_training, self.settings.alignment
            summary = train_view(view, pseudo, loop, alignment=alignment, stage=stage)
        else:
            summary = self._warm_up(view, stage)
        self._count(view, len(pseudo), summary)

    def _warm_up(self, view: View, stage: Stage) -> dict[str, Any]:
        return warm_up(view, self.settings.training, alignment=self.settings.alignment, stage=stage)

    def _count(self, view: View, pseudo: int, summary: Mapping[str, Any]) -> None:
        """What was seen of each source: all sentences of a view are seen equally often."""
        size = len(view.items) + pseudo
        for name, count in view.counts.items():
            self.seen[name] += round(summary["sentences"] * count / size)

    def pseudo_label(self, number: int) -> list[list[Sentence]]:
        """What each view learns of the raw text in a round, recorded with its precision where gold is known."""
        settings = self.settings
        began = time.process_time()
        tagger, lead = self._tagger(), settings.lead if settings.filter else 0.0
        votes = [(tagger.decide(ballots), tagger.doubt(ballots, lead)) for ballots in self.votes]
        found = []
        for i, view in enumerate(self.views):
            if settings.teacher == "vote":
                accepted = filter_votes(view, self.text, votes, silent=settings.silent)
            else:
                compared = settings.filter and settings.heads > 1
                agreement = settings.agreement if compared else "none"
                accepted = filter_raw(view, self.text, agreement=agreement, silent=settings.silent)
            told = dict(accepted.counts) | _precision(self.task, accepted)
            stage = self.run.stage(self._stage_name(i, number))
            stage.record("pseudo", corpus=view.source.corpus.name, round=number, **told)
            found.append(accepted.items)
        self.seconds += time.process_time() - began
        return found

    def look(self, number: int) -> None:
        """Record how the voters stand after a round, and keep the weights if it is the one to keep so far."""
        began = time.process_time()
        self._hear(number)
        tagger = self._tagger()
        one, other = tee(tagger.ballots(self.held.documents))
        margins = [elected.margin for ballots in one for elected in tagger.decide(ballots)]
        told: dict[str, Any] = {
            "mentions": len(margins),
            "margin": round(fmean(margins), 4) if margins else None,
            "agreement": round(agreement(other), 4),
            "dev_f1": dev_score(tagger, self.task.target.dev) if self.rule == "dev" else None,
        }
        value = {"dev": told["dev_f1"], "agreement": told["agreement"], "last": number}[self.rule]
        if not self.weights or value > self.best:
            self.best, self.best_round, self.best_credit = value, number, self.credit
            self.weights = [
                {name: value.detach().clone() for name, value in view.network.state_dict().items()}
                for view in self.views
            ]
        self.seconds += time.process_time() - began
        self.stage.record("round", round=number, **told)

    def end(self) -> VoteTagger:
        """The vote of the best round."""
        for view, weights in zip(self.views, self.weights, strict=True):
            view.network.load_state_dict(weights)
        self.credit = self.best_credit
        for i, view in enumerate(self.views):
            name = view.source.corpus.name
            record_exposure(self.run.stage(f"source-{i + 1}-{name}"), view.source, self.seen[name])
        self.stage.record(
            "trained",
            corpus=self.task.target.name,
            cpu_seconds=round(self.seconds, 2),
            round=self.best_round,
            selection=_RULES[self.rule],
        )
        return self._tagger()

    def _tagger(self) -> VoteTagger:
        readers, kinds = [view.reader() for view in self.views], [view.kinds for view in self.views]
        return VoteTagger(readers, self.task.target.labels, kinds=kinds, rule=self.settings.vote, credit=self.credit)

    def _hear(self, number: int) -> None:
        """The votes on the raw text as the views now stand, where anything depends on them, and what they are worth."""
        settings = self.settings
        if settings.vote != "credit" and settings.teacher == "view":
            return
        self.votes = list(self._tagger().ballots(self.text.documents))
        if settings.vote != "credit":
            return
        sizes = [len(view.kinds) for view in self.views]
        self.credit = estimate([seen for each in self.votes for seen in observe(each, sizes).values()], sizes)
        for view, mention, other in zip(self.views, self.credit.mention, self.credit.other, strict=True):
            told = {"finds": round(1 - mention[0], 4), "errs": round(1 - other[0], 4)}
            self.stage.record("credit", round=number, corpus=view.source.corpus.name, **told)


_RULES = {
    "dev": "round with the highest strict micro F1 of the vote on dev",
    "agreement": "round with the highest agreement of the voters on held-out raw text",
    "last": "last round",
}


def _precision(task: Task, accepted: Accepted) -> dict[str, Any]:
    """How many pseudo-labelled mentions of the target's labels are right, where anybody knows."""
    if task.judge is None:
        return {"right": None, "judged": None, "precision": None}
    right, judged = task.judge(_of_labels(accepted.documents, task.target.labels))
    return {"right": right, "judged": judged, "precision": round(right / judged, 4) if judged else None}


def _of_labels(documents: Iterable[Document], labels: Sequence[str]) -> Iterable[Document]:
    return (d.with_entities(e for e in d.entities if e.label in labels) for d in documents)
