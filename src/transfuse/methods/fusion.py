"""Train several methods, each as if alone, and unite them by the rule that development data prefers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from transfuse import bundle, methods
from transfuse.ensembles.fusion import AUTO, FusedTagger, fuse, need_dev
from transfuse.ensembles.parts import Part
from transfuse.ensembles.rules import RULES
from transfuse.run import Run
from transfuse.text import ConfigError, Task

__all__ = ["Fusion"]

_TOLD = ("trained", "shared", "exposure", "source-score", "transferred", "note")
"""What happened to a member and is true of the fusion, too."""


@dataclass(frozen=True)
class Fusion:
    """Settings.

    Attributes:
        members: methods that are united, two at least, each a table with its ``name``, a ``preset`` or none, and
            settings, as ``[method]`` in a recipe; kept with every setting.
        rule: how what they say becomes one answer; see `transfuse.ensembles.fusion.fuse`. ``auto`` keeps the best
            member where none helps on dev.
    """

    members: tuple[dict[str, Any], ...] = ({"name": "target-only"}, {"name": "crfsuite"})
    rule: str = AUTO

    def __post_init__(self) -> None:
        made = [methods.make(member, f"method.members[{number}]") for number, member in enumerate(self.members)]
        object.__setattr__(self, "members", tuple(methods.to_table(*each) for each in made))
        if len(self.members) < 2:
            raise ConfigError("method.members: a fusion takes two or more")
        if self.rule not in {AUTO, *RULES}:
            raise ConfigError(f"method.rule: choose one of {', '.join((AUTO, *RULES))}, not {self.rule!r}")

    def fit(self, task: Task, *, run: Run) -> FusedTagger:
        """Learn each member that `Run.finished` does not give in a run folder of its own, then the rule on dev.

        Raises:
            ConfigError: there is no such split, or it holds too little; before anything is trained.
        """
        need_dev(task.target.dev)
        parts = [self._member(number, task, run) for number in range(1, len(self.members) + 1)]
        done = fuse(parts, task.target.dev, annotated=task.target.labels, rule=self.rule)
        found = {name: round(counts.f1, 6) for name, counts in done.scores.items()}
        alone = {name: round(counts.f1, 6) for name, counts in done.tuned.items()}
        run.record("fused", chosen=done.chosen, dev_f1=found, own_threshold=alone, best=done.best, helps=done.helps)
        selection = f"{done.chosen} by strict micro F1 on dev, cross-fitted, of {', '.join(done.scores)}"
        run.stage("fusion").record("trained", corpus=task.target.name, cpu_seconds=0.0, selection=selection)
        return done.tagger

    def _member(self, number: int, task: Task, run: Run) -> Part:
        """Train one, or take it from where it is trained already; one that looks at no source is not given any.

        What is told of its stages is told of stages of the fusion, too.
        """
        name, method = methods.make(self.members[number - 1])
        label = f"{number}-{name}"

        def watch(text: str, done: float) -> None:
            run.progress(f"{label}: {text}", (number - 1 + done) / len(self.members))

        if place := run.finished(self.members[number - 1]):
            own, tagger = replace(run, folder=place), bundle.load(place / "bundle")
        else:
            own = replace(run, folder=run.folder / "members" / label, watch=watch)
            tagger = method.fit(replace(task, sources=()) if name in methods.ALONE else task, run=own)
        for record in (record for record in own.records() if record["event"] in _TOLD):
            facts = {key: value for key, value in record.items() if key not in {"event", "time", "stage"}}
            run.record(record["event"], stage=f"{label}/{record.get('stage', '')}", **facts)
        return Part(name, tagger)
