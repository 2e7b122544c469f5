"""Several taggers made into one: a rule over what they say, and lists of names as filter and as completion.

Rules are those of `transfuse.ensembles.rules`. Kumar & Eluri (2024) fused two fine-tuned encoders and lost 15 points;
they name stacking and weighted averages as the cure. Here a fusion is held to its best member: every rule is scored by
cross-fitting on dev, by document, so that no document is answered by a rule that learned from it; and ``auto``, which
takes the rule with the highest F1 and the best member where no rule beats it, is scored with that choice made anew in
every fold.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from transfuse.ensembles.evidence import Answer, Evidence, Mask, gather
from transfuse.ensembles.opinions import voice
from transfuse.ensembles.parts import Part, load_part, save_part
from transfuse.ensembles.rules import RULES, Rule, Single, fit_rule, load_rule, save_rule
from transfuse.gazetteer import Gazetteer
from transfuse.scoring.counts import Counts
from transfuse.taggers.reading import chunks
from transfuse.text import BundleError, ConfigError, Document, Entity

__all__ = ["AUTO", "FusedTagger", "Lists", "Outcome", "fuse", "need_dev"]

AUTO = "auto"
"""The rule, or the member, with the highest F1 on dev."""

FOLDS = 5


@dataclass(frozen=True)
class Lists:
    """Names that change what was found.

    Attributes:
        only_in: of the labels that it has, only mentions stay that are names of it, with that label.
        add: its names come in where nothing was found, as far as they are of a label that may come out.
    """

    only_in: Part | None = None
    add: Part | None = None

    def __bool__(self) -> bool:
        return bool(self.only_in or self.add)

    def apply(self, documents: Sequence[Document], answer: Answer, labels: Iterable[str]) -> Answer:
        """An answer to some documents, changed; what comes in has no score."""
        names, labels = ("only_in", "add"), set(labels)
        only_in, add = (_list(getattr(self, name)) for name in names)
        changed = []
        for document, found in zip(documents, answer, strict=True):
            kept = list(found)
            if only_in:
                names_here = {entity for entity, _ in only_in.occurrences(document.text)}
                kept = [entity for entity in kept if entity.label not in only_in.labels or entity in names_here]
            if add:
                (listed,) = add.tag([document])
                new = [entity for entity in listed.entities if entity.label in labels]
                kept += [entity for entity in new if not any(entity.overlaps(other) for other in kept)]
            changed.append(sorted(kept))
        return changed


def _list(part: Part | None) -> Gazetteer | None:
    if part is None:
        return None
    if not isinstance(part.tagger, Gazetteer):
        raise ConfigError(f"{part.name} is no list of names but a {type(part.tagger).__name__}")
    return part.tagger


class FusedTagger:
    """Taggers and the rule that unites them.

    Args:
        members: the taggers.
        rule: how their answers become one.
        labels: that may come out.
        lists: names that change the answer.
        chunk: words that are tagged together, at least one document.
    """

    kind = "fusion"

    def __init__(
        self,
        members: Sequence[Part],
        rule: Rule,
        labels: Iterable[str],
        *,
        lists: Lists | None = None,
        chunk: int = 10_000,
    ) -> None:
        self.members, self.rule, self.lists = tuple(members), rule, lists or Lists()
        self._labels, self.chunk = tuple(labels), chunk
        self._voices = [voice(member.tagger, briefly=isinstance(rule, Single)) for member in self.members]

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that may come out."""
        return self._labels

    def tag(self, documents: Iterable[Document], *, confidence: bool = False) -> Iterator[Document]:
        """The documents with the entities found; streams, in memory that does not grow.

        Args:
            documents: their entities are ignored.
            confidence: give each entity its probability under the rule; names out of a list have none.
        """
        known = [member.tagger.labels for member in self.members]
        for some in chunks(documents, self.chunk):
            answer = self.rule.answer(gather(self._voices, known, some, self._labels))
            for document, found in zip(some, self.lists.apply(some, answer, self._labels), strict=True):
                yield document.with_entities(found if confidence else (replace(e, score=None) for e in found))

    def chances(self, documents: Sequence[Document], spans: Sequence[Entity]) -> list[float]:
        """How probable a span of each document is, found or not; names that a list adds are certain.

        Args:
            documents: few enough to be held in memory with what is thought of them.
            spans: one a document, of labels that may come out.
        """
        voices = [voice(member.tagger) for member in self.members]
        known = [member.tagger.labels for member in self.members]
        evidence = gather(voices, known, documents, self._labels, asked=spans)
        found = self.rule.chances(evidence, evidence.numbers(spans)).tolist()
        if not self.lists:
            return [float(chance) for chance in found]
        answer = self.lists.apply(documents, self.rule.answer(evidence), self._labels)
        alone = replace(self.lists, add=None).apply(documents, [[span] for span in spans], self._labels)
        chances = []
        for span, chance, out, stays in zip(spans, found, answer, alone, strict=True):
            listed = any(span == entity and entity.score is None for entity in out)
            chances.append(1.0 if listed else float(chance) if stays else 0.0)
        return chances

    def save(self, folder: Path) -> dict[str, Any]:
        """Write each member as a bundle of its own; what `load` needs beside them is returned."""
        return {
            "outputs": self._labels,
            "rule": save_rule(self.rule),
            "members": [save_part(member, folder / f"member-{i}") for i, member in enumerate(self.members, 1)],
            "lists": {name: save_part(part, folder / name) for name, part in vars(self.lists).items() if part},
        }

    @classmethod
    def load(cls, folder: Path, config: dict[str, Any]) -> FusedTagger:
        """Read what `save` wrote. Raises BundleError where the parts don't fit each other."""
        try:
            members = [load_part(folder / f"member-{i}", each) for i, each in enumerate(config["members"], 1)]
            lists = {
                name: load_part(folder / name, config["lists"][name])
                for name in vars(Lists())
                if name in config["lists"]
            }
            return cls(members, load_rule(config["rule"]), config["outputs"], lists=Lists(**lists))
        except (AttributeError, KeyError, TypeError) as error:
            raise BundleError(f"{folder}: the parts of the bundle do not fit each other: {error}") from error


@dataclass(frozen=True)
class Outcome:
    """A fusion and what was measured on dev.

    Attributes:
        tagger: the result.
        chosen: name of the rule or member that it goes by, ``+ lists`` behind it where lists change its answer.
        scores: strict counts on dev, of members by name, of rules cross-fitted; in the order of trying.
        best: name of the best member.
        fair: of ``auto``, the choice made anew in every fold; None for a rule that was asked for.
        tuned: strict counts on dev of each of several members with a threshold or a judge of its own, cross-fitted: so
            much comes without another member.
        notes: what could not be tried, and which labels were left out, in sentences.
    """

    tagger: FusedTagger
    chosen: str
    scores: Mapping[str, Counts]
    best: str
    fair: Counts | None
    tuned: Mapping[str, Counts]
    notes: tuple[str, ...]

    @property
    def helps(self) -> bool:
        """Whether the fusion beats its best member on dev, and each member with a threshold or a judge of its own."""
        others = (self.scores[self.best], *self.tuned.values())
        return self.scores[self.chosen].f1 > max(counts.f1 for counts in others)

    def verdict(self) -> str:
        """Whether the fusion helps, in one sentence."""
        ours, theirs = 100 * self.scores[self.chosen].f1, 100 * self.scores[self.best].f1
        if self.chosen == self.best:
            return f"No fusion beats the best member, {self.best} ({theirs:.2f} F1 on dev): its answer is kept."
        what = f"{self.chosen} has {ours:.2f} F1 on dev, cross-fitted, the best member, {self.best}, {theirs:.2f}"
        if self.tuned:
            what += f"; with a threshold of its own one member has {max(100 * c.f1 for c in self.tuned.values()):.2f}"
        return f"The fusion helps: {what}." if self.helps else f"The fusion does not help: {what}."


@dataclass(frozen=True)
class _Trial:
    """Everything that is needed to try rules.

    Attributes:
        evidence: of dev, and behind it of held-out documents.
        fold: the number of each document's fold; -1 for held-out documents, which are only learned from.
        lists: names that change the answer.
    """

    evidence: Evidence
    fold: Any
    lists: Lists

    def rule(self, name: str, inside: Mask) -> Rule:
        """A rule, or a member by its number, learned on some documents: held-out ones if there are any."""
        if name.isdecimal():
            return Single(int(name))
        held_out = self.fold < 0
        return fit_rule(name, self.evidence, held_out if held_out.any() else inside)

    def answer(self, option: tuple[str, bool], inside: Mask) -> Answer:
        """What a rule that learned from some documents says of all, with the lists if the option says so."""
        rule, lists = self.rule(option[0], inside), option[1]
        plain = self.evidence.keep((rule, "plain"), lambda: rule.answer(self.evidence))
        return self.evidence.keep((rule, "lists"), lambda: self._listed(plain, rule)) if lists else plain

    def labels(self, rule: Rule) -> list[str]:
        """That may come out by a rule: those that a member looks for where that one answers alone."""
        able = self.evidence.able[[rule.member]] if isinstance(rule, Single) else self.evidence.able
        return [label for i, label in enumerate(self.evidence.labels) if able[:, i].any()]

    def _listed(self, answer: Answer, rule: Rule) -> Answer:
        return self.lists.apply(self.evidence.documents, answer, self.labels(rule))

    def cross_fit(self, fit: Callable[[Mask], Answer], inside: Mask) -> Counts:
        """Strict counts where every document is answered by what learned from the other folds."""
        total = Counts()
        for number in np.unique(self.fold[inside]).tolist():
            held = inside & (self.fold == number)
            total += self.evidence.counts(fit(inside & (self.fold != number)), held)
        return total

    def score(self, option: tuple[str, bool], inside: Mask) -> Counts:
        """Of one option, cross-fitted."""
        return self.cross_fit(lambda some: self.answer(option, some), inside)

    def choose(self, options: Sequence[tuple[str, bool]], inside: Mask) -> tuple[str, bool]:
        """The option with the highest F1 when cross-fitted; of equal ones the first."""
        return max(options, key=lambda option: self.score(option, inside).f1)


def fuse(
    members: Sequence[Part],
    dev: Sequence[Document],
    *,
    annotated: Iterable[str],
    rule: str = AUTO,
    held_out: Sequence[Document] = (),
    taught: Iterable[str] | None = None,
    lists: Lists | None = None,
) -> Outcome:
    """Unite taggers, and say whether it helps.

    Args:
        members: two or more; one where there are lists.
        dev: annotated documents on which no member was trained. They choose, and never test documents.
        annotated: the labels that their annotators looked for; others don't come out.
        rule: ``auto``, or one of `transfuse.ensembles.rules.RULES`, which is then taken whether it helps or not.
        held_out: annotated documents to learn weights and judges on; dev by cross-fitting unless given.
        taught: the labels that the annotators of these looked for; others don't come out either.
        lists: names that change the answer; ``auto`` takes them where they help, other rules always.

    Raises:
        ConfigError: too few members or documents, no label that members and dev share, an unknown rule or one that
            these members cannot follow, a list that is none, or one without a label that comes out.
    """
    lists = lists or Lists()
    _check(members, dev, rule, lists)
    if both := len({document.text for document in dev} & {document.text for document in held_out}):
        raise ConfigError(f"{both} of the held-out documents stand in dev: what teaches a rule cannot judge it")
    annotated = set(annotated)
    taught = annotated if taught is None else set(taught)
    known = [member.tagger.labels for member in members]
    every = list(dict.fromkeys(label for labels in known for label in labels))
    labels = [label for label in every if label in annotated & taught]
    if not labels:
        found = ", ".join(sorted(annotated & taught)) or "nothing that the held-out documents have"
        raise ConfigError(f"dev has {found}, the members find {', '.join(every)}: no label fits")
    notes = [
        f"{label} is not annotated in {'held-out documents' if label in annotated else 'dev'} and does not come out."
        for label in every
        if label not in labels
    ]
    notes += _fitting(lists, labels)
    evidence = gather([voice(m.tagger) for m in members], known, [*dev, *held_out], labels)
    if evidence.tagset is None and len(members) > 1:
        notes.append("Not all members give tags of the same words a probability, so they meet in spans alone.")
        if rule == "tags":
            raise ConfigError("rule tags: not all members give tags of the same words a probability; use spans")
    trial = _Trial(evidence, _folds(dev, len(held_out)), lists)
    return _conclude(trial, members, rule, notes)


def need_dev(dev: Sequence[Document]) -> None:
    """Raises ConfigError where too few documents are there to choose by, or none with an entity."""
    if (texts := len({document.text for document in dev})) < FOLDS:
        raise ConfigError(f"dev has {texts} different documents: {FOLDS} are the fewest to choose with")
    if not any(document.entities for document in dev):
        raise ConfigError("dev has no entity: there is nothing to choose by")


def _check(members: Sequence[Part], dev: Sequence[Document], rule: str, lists: Lists) -> None:
    if len(members) < 2 and not lists:
        raise ConfigError("a fusion takes two members or more, or one with a list of names")
    if rule not in {AUTO, *RULES}:
        raise ConfigError(f"unknown rule {rule!r}: choose one of {', '.join((AUTO, *RULES))}")
    need_dev(dev)
    for part in (lists.only_in, lists.add):
        _list(part)


def _fitting(lists: Lists, labels: Sequence[str]) -> Iterator[str]:
    """What of lists of names can have no effect; raises ConfigError where nothing of one can have any."""
    for part in filter(None, (lists.only_in, lists.add)):
        idle = [label for label in part.tagger.labels if label not in labels]
        if len(idle) == len(part.tagger.labels):
            raise ConfigError(
                f"{part.name} has names of {', '.join(idle)}, {', '.join(labels)} comes out: no label fits"
            )
        if idle:
            yield f"{part.name} has names of {', '.join(idle)}, too, which does not come out."


def _folds(dev: Sequence[Document], held_out: int) -> Any:
    """The number of each document's fold, the same for documents of one text; -1 for held-out documents."""
    order = list(range(len(dev)))
    random.Random("fusion/0").shuffle(order)
    fold = np.full(len(dev) + held_out, -1)
    home: dict[str, int] = {}
    for i in order:
        fold[i] = home.setdefault(dev[i].text, len(home) % FOLDS)
    return fold


def _conclude(trial: _Trial, members: Sequence[Part], rule: str, notes: Sequence[str]) -> Outcome:
    """Try what there is, choose, and learn the choice anew on all of dev."""
    united = [name for name in RULES if len(members) > 1 and (name != "tags" or trial.evidence.tagset)]
    united = united if rule == AUTO else [rule][: len(members) - 1]
    plain = [(str(i), False) for i in range(len(members))]
    options = [*plain, *((name, False) for name in united)]
    options += [(name, True) for name, _ in options] if trial.lists else []
    inside = trial.fold >= 0
    scores = {option: trial.score(option, inside) for option in options}
    asked = rule if len(members) > 1 else "0"
    chosen = trial.choose(options, inside) if rule == AUTO else (asked, bool(trial.lists))
    names = _names(members)
    fair = None
    if rule == AUTO:
        fair = trial.cross_fit(lambda some: trial.answer(trial.choose(options, some), some), inside)

    def told(option: tuple[str, bool]) -> str:
        return (names[int(option[0])] if option[0].isdecimal() else option[0]) + (" + lists" if option[1] else "")

    learned, kept = trial.rule(chosen[0], inside), list(members)
    labels = trial.labels(learned)
    if isinstance(learned, Single):
        kept, learned = [members[learned.member]], Single(0)
    tagger = FusedTagger(kept, learned, labels, lists=trial.lists if chosen[1] else None)
    table = {told(option): counts for option, counts in scores.items()}
    best = told(max(plain, key=lambda option: scores[option].f1))
    tuned = {name: _tuned(trial, i, inside) for i, name in enumerate(names)} if len(members) > 1 else {}
    return Outcome(tagger, told(chosen), table, best, fair, tuned, tuple(notes))


def _tuned(trial: _Trial, member: int, inside: Mask) -> Counts:
    """What a member reaches without another one, by whichever rule that learns a threshold serves it better."""
    alone = replace(trial, evidence=trial.evidence.of(member), lists=Lists())
    return max((alone.score((rule, False), inside) for rule in ("spans", "stack")), key=lambda counts: counts.f1)


def _names(members: Sequence[Part]) -> list[str]:
    """One a member, no two alike and none that of a rule."""
    given = [part.name for part in members]
    return [
        name if given.count(name) == 1 and name not in RULES else f"{name} ({i})" for i, name in enumerate(given, 1)
    ]
