"""A finished run as a JSON record of a few kB: all that tables, intervals, tests and most figures need.

Of the test split a record holds which documents have errors, and how many; how many gold entities each document has is
kept once for a target. So no prediction and no corpus is needed to draw intervals or to test differences again.

``RECIPE.json`` is the record of the run whose recipe has this hash, ``gold/TARGET.json`` what all records of a target
share.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, lru_cache
from itertools import accumulate
from pathlib import Path
from typing import Any

from transfuse import corpora
from transfuse.data.task import recorded_target
from transfuse.files import write_beside
from transfuse.reporting.results import Finished
from transfuse.reporting.rounds import Round, read_rounds
from transfuse.scoring.analysis import error_counts, errors, seen_unseen, token_table
from transfuse.scoring.counts import Counts
from transfuse.scoring.score import Scores, score
from transfuse.text import Corpus, DataError

__all__ = ["KEPT", "Exposure", "Forgetting", "Record", "make_record", "read_records", "write_record"]

KEPT = ("strict", "relaxed")
"""The kinds of scores that a record holds."""

FORMAT = 1

_MACHINE = ("transfuse", "python", "torch", "processor", "device", "threads")

Three = tuple[int, int, int]
"""True positives, false positives, false negatives."""


@dataclass(frozen=True)
class Exposure:
    """How much of a source was learned from, over all stages.

    Attributes:
        sentences: source sentences visited, each time counted.
        size: sentences in the source's training split.
        passes: how often the split was seen.
    """

    sentences: int
    size: int
    passes: float


@dataclass(frozen=True)
class Forgetting:
    """Strict micro F1 of the source's own head on a split of the source, as fractions; None where it is not known.

    Attributes:
        split: of the source.
        before: the target was learned.
        after: the target was learned.
    """

    split: str
    before: float | None
    after: float | None


@dataclass(frozen=True)
class Record:
    """What is kept of a run.

    Attributes:
        recipe: resolved.
        data: counts, hashes, and what was removed; see `transfuse.data.task.build_task`.
        counts: right and wrong entities by split, kind and label.
        gold: gold entities of each test document.
        wrong: by number of a test document, false positives and false negatives; strict, all labels together.
        errors: of the test split, by kind; see `transfuse.scoring.analysis.ERRORS`.
        mentions: strict counts over ``seen`` and ``unseen`` mentions; see `transfuse.scoring.analysis.seen_unseen`.
        cpu_seconds: of training over all stages, word vectors apart.
        exposure: by source.
        forgetting: by source.
        selection: the rule by which the weights were chosen.
        environment: versions, device and threads; the processor, too, but of runs from before it was told.
        sets: sizes of the regions of `transfuse.scoring.analysis.SetAnalysis` on the test split; none of runs
            that did not count them.
        tokens: words of the test split by tag class in gold and then in the prediction, see
            `transfuse.scoring.analysis.token_table`; none of runs from before they were counted.
        auc: area under the ROC curve of each tag class on the test split, see
            `transfuse.experiments.ranking.class_auc`; None for a class that has none. Empty for a tagger that gives
            tags no probability, and of runs from before.
        shared_seconds: of `cpu_seconds`, what went into models of sources that are trained once and kept for other
            runs, whichever trained them; 0 of runs from before it was counted.
        rounds: of pseudo-labelling; none of methods that have none, and of runs from before they were kept.
    """

    recipe: dict[str, Any]
    data: dict[str, Any]
    counts: dict[str, dict[str, dict[str, Three]]]
    gold: tuple[int, ...]
    wrong: dict[int, tuple[int, int]]
    errors: dict[str, int]
    mentions: dict[str, Three]
    cpu_seconds: float
    exposure: dict[str, Exposure]
    forgetting: dict[str, Forgetting]
    selection: str
    environment: dict[str, Any] = field(default_factory=dict)
    sets: dict[str, int] = field(default_factory=dict)
    tokens: dict[str, dict[str, int]] = field(default_factory=dict)
    rounds: tuple[Round, ...] = ()
    auc: dict[str, float | None] = field(default_factory=dict)
    shared_seconds: float = 0.0

    @property
    def key(self) -> str:
        """The recipe as text: the same in all records of one run, whatever rows they stand in."""
        return json.dumps(self.recipe, sort_keys=True)

    @property
    def method(self) -> str:
        """The method's name."""
        return str(self.recipe["method"]["name"])

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.recipe["run"]["seed"])

    @property
    def share(self) -> float:
        """Of the target's training documents that kept their labels."""
        return float(self.recipe["data"]["share"])

    @property
    def target(self) -> str:
        """The target's name."""
        return str(self.data["target"]["name"])

    @property
    def machine(self) -> str:
        """What kind of processor it ran on, and beside which other device: another kind rounds another way."""
        processor = str(self.environment.get("processor", "a processor its record does not name"))
        device = self.environment.get("device", "cpu")
        return processor if device == "cpu" else f"{device}, {processor}"

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources' names, in order."""
        return tuple(source["name"] for source in self.data["sources"])

    def types(self, split: str = "test", kind: str = "strict") -> dict[str, Counts]:
        """Counts by label; nothing where there is no such split."""
        return {label: Counts(*row) for label, row in self.counts.get(split, {}).get(kind, {}).items()}

    def micro(self, split: str = "test", kind: str = "strict") -> Counts:
        """Counts over all labels."""
        return sum(self.types(split, kind).values(), Counts())

    @cached_property
    def scores(self) -> Scores:
        """Strict counts of each test document under the one label ``all``, whose micro scores are those of the run."""
        rows = []
        for number, gold in enumerate(self.gold):
            fp, fn = self.wrong.get(number, (0, 0))
            if gold or fp:
                rows.append((number, "all", (gold - fn, fp, fn, 0)))
        return Scores(tuple(map(str, range(len(self.gold)))), ("all",), {"strict": tuple(rows)})

    @property
    def own_seconds(self) -> float | None:
        """CPU seconds beside models of sources that other runs share; None where there are none of these."""
        return self.cpu_seconds - self.shared_seconds if self.shared_seconds else None

    @property
    def source_epochs(self) -> float | None:
        """Passes over the sources, as a mean over their sentences; None where no source was learned from."""
        size = sum(exposure.size for exposure in self.exposure.values())
        return sum(e.sentences for e in self.exposure.values()) / size if size else None


def make_record(run: Finished) -> Record:
    """The record of a finished run. Its target is read again, and held to what the run was scored on.

    Raises:
        DataError: the target is no longer what the run was scored on, or its predictions are gone.
    """
    data = run.recipe["data"]
    corpus = _target(data)
    if run.data["target"]["sha256"] != corpus.sha256:
        raise DataError(f"{corpus.name} has changed since this run was scored on it", path=str(run.folder))
    if not corpus.test:
        raise DataError(f"{corpus.name} has no test split to compare runs on")
    found = run.predictions()
    strict = score(corpus.test, found, corpus.labels, kinds=("strict",))
    train = corpus.sample(float(data["share"]), seed=run.seed).train
    mentions = seen_unseen(train, corpus.test, found)
    per_document = strict.array().sum(axis=1).tolist()
    return Record(
        run.recipe,
        {key: value for key, value in run.data.items() if key not in {"event", "time"}},
        {split: {kind: _rows(kinds[kind]["types"]) for kind in KEPT} for split, kinds in run.scores.items()},
        tuple(tp + fn for tp, _, fn, _ in per_document),
        {i: (fp, fn) for i, (_, fp, fn, _) in enumerate(per_document) if fp or fn},
        error_counts(errors(corpus.test, found)),
        {part: (counts.tp, counts.fp, counts.fn) for part, counts in mentions.items()},
        round(run.cpu_seconds, 2),
        _exposure(run),
        _forgetting(run),
        run.selection,
        {key: run.environment[key] for key in _MACHINE if key in run.environment},
        run.sets,
        token_table(corpus.test, found).confusion,
        read_rounds(run.records),
        run.auc,
        round(run.shared_seconds, 2),
    )


def _target(data: Mapping[str, Any]) -> Corpus:
    """Published corpora stay in memory from one cell to the next; files may change."""
    if data["target"] not in corpora.names():
        return recorded_target(data)
    return _published(json.dumps({key: data[key] for key in ("target", "labels", "fold") if key in data}))


@lru_cache(maxsize=2)
def _published(data: str) -> Corpus:
    return recorded_target(json.loads(data))


def _rows(types: Mapping[str, Mapping[str, Any]]) -> dict[str, Three]:
    return {label: (counts["tp"], counts["fp"], counts["fn"]) for label, counts in types.items()}


def _exposure(run: Finished) -> dict[str, Exposure]:
    """Summed over stages; a run that was killed may have told one of them twice."""
    told = {(r.get("stage", ""), r["corpus"]): r for r in run.records if r["event"] == "exposure"}
    found: dict[str, Exposure] = {}
    for (_, corpus), r in told.items():
        old = found.get(corpus, Exposure(0, r["size"], 0.0))
        passes = round(old.passes + r["passes"], 3)
        found[corpus] = Exposure(old.sentences + r["sentences"], r["size"], passes)
    return found


def _forgetting(run: Finished) -> dict[str, Forgetting]:
    found: dict[str, Forgetting] = {}
    for r in run.records:
        if r["event"] == "source-score":
            old = found.get(r["corpus"])
            before, after = (
                r[key] if r[key] is not None or old is None else getattr(old, key) for key in ("before", "after")
            )
            found[r["corpus"]] = Forgetting(r["split"], before, after)
    return found


def write_record(record: Record, folder: Path, name: str) -> None:
    """Write a record, and what all records of its target share unless that is there.

    Args:
        record: what to write.
        folder: of the records.
        name: of the file, without its suffix: the hash of the recipe.
    """
    digest = record.data["target"]["sha256"]
    shared = folder / "gold" / f"{digest[:12]}.json"
    if not shared.exists():
        shared.parent.mkdir(parents=True, exist_ok=True)
        _write(shared, {"name": record.target, "sha256": digest, "gold": record.gold})
    table = {"format": FORMAT, **asdict(record), "wrong": _packed(record.wrong)}
    del table["gold"]
    _write(folder / f"{name}.json", table)


def _write(path: Path, table: Mapping[str, Any]) -> None:
    """JSON with a line for each key, so that a difference between two records can be read."""
    lines = [f"{json.dumps(k)}:{json.dumps(v, ensure_ascii=False, separators=(',', ':'))}" for k, v in table.items()]
    with write_beside(path) as fresh:
        fresh.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")


def _packed(wrong: Mapping[int, tuple[int, int]]) -> dict[str, list[int]]:
    """By ``fp,fn`` the documents' numbers, each as the distance from the one before it: most are a digit or two."""
    groups: dict[str, list[int]] = {}
    for number, (fp, fn) in sorted(wrong.items()):
        groups.setdefault(f"{fp},{fn}", []).append(number)
    return {key: [b - a for a, b in zip([0, *group], group, strict=False)] for key, group in groups.items()}


def _unpacked(packed: Mapping[str, Sequence[int]]) -> dict[int, tuple[int, int]]:
    found: dict[int, tuple[int, int]] = {}
    for key, gaps in packed.items():
        fp, fn = map(int, key.split(","))
        found |= dict.fromkeys(accumulate(gaps), (fp, fn))
    return dict(sorted(found.items()))


def read_records(folder: Path) -> dict[str, Record]:
    """Records by their files' names, sorted.

    Args:
        folder: of the records; none are found where there is no such folder.

    Raises:
        DataError: a file is no record, or the gold counts of its target are not there.
    """
    gold: dict[str, tuple[int, ...]] = {}
    return {path.stem: _read(path, gold) for path in sorted(folder.glob("*.json"))}


def _read(path: Path, gold: dict[str, tuple[int, ...]]) -> Record:
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        if table.pop("format") != FORMAT:
            raise DataError("a record of another format than this version writes", path=str(path))
        digest = table["data"]["target"]["sha256"]
        if digest not in gold:
            shared = json.loads((path.parent / "gold" / f"{digest[:12]}.json").read_text(encoding="utf-8"))
            gold[digest] = tuple(shared["gold"])
        table["counts"] = {
            split: {kind: {label: tuple(row) for label, row in types.items()} for kind, types in kinds.items()}
            for split, kinds in table["counts"].items()
        }
        table["mentions"] = {part: tuple(row) for part, row in table["mentions"].items()}
        table["wrong"] = _unpacked(table["wrong"])
        table["exposure"] = {name: Exposure(**row) for name, row in table["exposure"].items()}
        table["forgetting"] = {name: Forgetting(**row) for name, row in table["forgetting"].items()}
        table["rounds"] = tuple(Round(**row) for row in table.get("rounds", ()))
        return Record(**table, gold=gold[digest])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"not a sound record: {type(error).__name__}: {error}", path=str(path)) from None
