"""Run folders to a report: one page that needs nothing but itself, and the same tables as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transfuse import __version__, plots
from transfuse.analysis import ERRORS, error_counts, errors, seen_unseen
from transfuse.files import write_beside
from transfuse.results import Finished, Row, Table, compare_runs
from transfuse.text import Entity
from transfuse.words import sentences

__all__ = ["HEADS", "Example", "Piece", "examples", "table_rows", "write_report"]

HEADS = ("method", "strict F1", "95 % interval", "difference", "p", "relaxed F1", "CPU s")
"""Of the rows that `table_rows` gives."""

_EXAMPLES = {"{first} wrong, {other} right": 3, "{first} right, {other} wrong": 2, "both wrong": 2}
_LONGEST = 320


def write_report(
    folder: Path, runs: Sequence[Finished], *, title: str = "Report", resamples: int = 2000
) -> list[Table]:
    """Write ``report.html`` and ``report.md``.

    Args:
        folder: where to.
        runs: finished runs, of any targets and seeds.
        title: of the report.
        resamples: for intervals and tests.

    Returns:
        The tables that were written.

    Raises:
        DataError: see `transfuse.results.compare_runs`.
    """
    tables = compare_runs(runs, resamples=resamples)
    sections = [_section(table) for table in tables]
    for name, text in (
        ("report.html", _html(title, sections, resamples)),
        ("report.md", _markdown(title, sections, resamples)),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        with write_beside(folder / name) as path:
            path.write_text(text, encoding="utf-8")
    return tables


def table_rows(table: Table) -> list[tuple[str, ...]]:
    """One row of cells for each row of a table, under `HEADS`; scores in per cent."""
    return [_cells(row) for row in table.rows]


def _cells(row: Row) -> tuple[str, ...]:
    deviation, test = row.deviation(), row.comparison
    mean = f"{100 * row.mean():.2f}" + (f" ± {100 * deviation:.2f}" if deviation is not None else "")
    gap = f"{100 * test.difference:+.2f} ({100 * test.low:+.2f} to {100 * test.high:+.2f})" if test else "-"
    chance = "-" if row.p is None else "<0.001" if row.p < 0.001 else f"{row.p:.3f}"
    around = f"{100 * row.interval.low:.2f} to {100 * row.interval.high:.2f}"
    return row.name, mean, around, gap, chance, f"{100 * row.mean('relaxed'):.2f}", f"{row.cpu_seconds:.1f}"


@dataclass(frozen=True)
class _Section:
    """What the report says of one table."""

    table: Table
    cells: list[tuple[str, ...]]
    types: list[tuple[str, ...]]
    errors: list[tuple[str, dict[str, int]]]
    seen: list[tuple[str, str, str]]
    examples: list[Example]
    data: list[tuple[str, ...]]
    summary: str


def _section(table: Table) -> _Section:
    return _Section(
        table,
        table_rows(table),
        _types(table),
        [(row.name, error_counts(errors(table.corpus.test, row.runs[0].predictions()))) for row in table.rows],
        [_seen(table, row) for row in table.rows],
        examples(table),
        _data(table),
        _summary(table),
    )


def _summary(table: Table) -> str:
    labelled = table.rows[0].runs[0].data["labelled"]
    share = f"{100 * table.share:g} % of its training split"
    scores = [f"{row.name} {100 * row.mean():.1f}" for row in table.rows]
    more = [f"{row.name} also from {_sources(row)}" for row in table.rows if row.runs[0].sources]
    return (
        f"Learned from {labelled} labelled documents of {table.corpus.name} ({share}){'; '.join(['', *more])}. "
        f"Scored once on {len(table.corpus.test)} test documents; strict micro F1: {', '.join(scores)}."
    )


def _sources(row: Row) -> str:
    return " and ".join(f"{s['documents']['train']} of {s['name']}" for s in row.runs[0].data["sources"])


def _types(table: Table) -> list[tuple[str, ...]]:
    """By type: gold mentions in the test split, and the mean F1 of each row."""
    found = []
    for label in table.corpus.labels:
        gold = sum(entity.label == label for document in table.corpus.test for entity in document.entities)
        means = [statistics.fmean(s.types(table.kind)[label].f1 for s in row.scores) for row in table.rows]
        found.append((label, f"{gold:,}", *(f"{100 * mean:.2f}" for mean in means)))
    return found


def _seen(table: Table, row: Row) -> tuple[str, str, str]:
    """Recall of mentions that the target's labelled training documents hold, and of those that they do not."""
    run = row.runs[0]
    train = table.corpus.sample(table.share, seed=run.seed).train
    counts = seen_unseen(train, table.corpus.test, run.predictions())
    seen, unseen = (f"{100 * part.recall:.2f} of {part.gold:,}" for part in (counts["seen"], counts["unseen"]))
    return row.name, seen, unseen


def _data(table: Table) -> list[tuple[str, ...]]:
    """Role, corpus, documents by split, what was taken out, SHA-256: each once."""
    found: dict[tuple[str, ...], None] = {}
    for row in table.rows:
        for run in row.runs:
            found[_corpus("target", run.data["target"], "-")] = None
            for source in run.data["sources"]:
                found[_corpus("source", source, f"{sum(source['removed'].values()):,}")] = None
    return list(found)


def _corpus(role: str, facts: dict[str, Any], removed: str) -> tuple[str, ...]:
    splits = ", ".join(f"{name} {number:,}" for name, number in facts["documents"].items())
    return role, facts["name"], splits, removed, facts["sha256"]


@dataclass(frozen=True)
class Piece:
    """Some text of an example.

    Attributes:
        text: the characters.
        label: type of the mention that it is, or "".
        state: ``gold``, ``right``, ``wrong``, ``missed``, or "" where it is no mention.
    """

    text: str
    label: str = ""
    state: str = ""


@dataclass(frozen=True)
class Example:
    """A sentence of the test split as gold has it and as each row of a table does.

    Attributes:
        kind: what it is an example of.
        document: its document's id.
        lines: ``gold`` or a row's name, with the pieces of the sentence.
    """

    kind: str
    document: str
    lines: tuple[tuple[str, tuple[Piece, ...]], ...]


def examples(table: Table) -> list[Example]:
    """Sentences that tell the first row of a table from the other one that was best on dev, and some wrong in both.

    Nothing is picked by hand: of each kind those that lie evenly spread over the test split. Each row is shown by its
    first run.
    """
    first, *rest = table.rows
    other = max(rest, key=_dev_score, default=first)
    found: dict[str, list[Example]] = {kind.format(first=first.name, other=other.name): [] for kind in _EXAMPLES}
    right, wrong, both = found
    by_row = [(row, row.runs[0].predictions()) for row in table.rows]
    by_id = [(row, {document.id: document for document in documents}) for row, documents in by_row]
    for document in table.corpus.test:
        guesses = {row.name: documents[document.id].entities for row, documents in by_id}
        spans = [(e.start, e.end) for entities in (document.entities, *guesses.values()) for e in entities]
        for start, end in sentences(document.text, keep=spans):
            gold, *ours = (_within(e, start, end) for e in (document.entities, *guesses.values()))
            if not gold or end - start > _LONGEST:
                continue
            named = dict(zip(guesses, ours, strict=True))
            good = named[first.name] == gold, named[other.name] == gold
            kind = {(False, True): right, (True, False): wrong, (False, False): both}.get(good)
            if kind:
                lines = [("gold", _pieces(document.text, start, end, gold, None))]
                lines += [(name, _pieces(document.text, start, end, gold, found_)) for name, found_ in named.items()]
                found[kind].append(Example(kind, document.id, tuple(lines)))
    return [e for few, all_ in zip(_EXAMPLES.values(), found.values(), strict=True) for e in _spread(all_, few)]


def _dev_score(row: Row) -> float:
    return statistics.fmean(
        run.scores.get("dev", {}).get("strict", {}).get("micro", {}).get("f1", 0) for run in row.runs
    )


def _within(entities: Iterable[Entity], start: int, end: int) -> list[Entity]:
    return [entity for entity in entities if start <= entity.start and entity.end <= end]


def _spread(items: Sequence[Example], few: int) -> list[Example]:
    few = min(few, len(items))
    return [items[i * len(items) // few] for i in range(few)]


def _pieces(
    text: str, start: int, end: int, gold: Sequence[Entity], found: Sequence[Entity] | None
) -> tuple[Piece, ...]:
    """A sentence cut at its mentions; of those that overlap the one that begins first is shown, then the longer."""
    if found is None:
        marks = [(entity, "gold") for entity in gold]
    else:
        marks = [(entity, "right" if entity in gold else "wrong") for entity in found]
        marks += [(e, "missed") for e in gold if not any(e.overlaps(other) for other in found)]
    pieces, at = [], start
    for entity, state in sorted(marks, key=lambda mark: (mark[0].start, -mark[0].end)):
        if entity.start >= at:
            pieces += [Piece(text[at : entity.start]), Piece(text[entity.start : entity.end], entity.label, state)]
            at = entity.end
    return tuple(piece for piece in (*pieces, Piece(text[at:end])) if piece.text)


def _notes(resamples: int) -> list[str]:
    return [
        "F1 is micro F1 over all types. Strict: same start, end and type; relaxed: same type, overlapping, one to one.",
        f"Interval: 95 % percentile bootstrap over test documents, {resamples:,} resamples; it says nothing of seeds.",
        "With several seeds: mean ± standard deviation over seeds.",
        "Difference: to the first row, with the interval of a paired bootstrap.",
        "p: approximate randomisation, two-sided, Holm-corrected within a table.",
        "CPU s: processor time of training, all sources included, word vectors not.",
    ]


def _html(title: str, sections: Sequence[_Section], resamples: int) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    jinja = Environment(
        loader=PackageLoader("transfuse"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return jinja.get_template("report.html").render(
        title=title,
        sections=sections,
        heads=HEADS,
        error_kinds=ERRORS,
        notes=_notes(resamples),
        dots=lambda s: plots.intervals(
            [(row.name, row.mean(), row.interval.low, row.interval.high) for row in s.table.rows],
            title="strict micro F1 with 95 % interval",
        ),
        bars=lambda s: plots.bars(s.errors, title="errors by kind"),
        recipe=lambda run: (run.folder / "recipe.toml").read_text("utf-8"),
        version=__version__,
    )


def _markdown(title: str, sections: Sequence[_Section], resamples: int) -> str:
    parts = [f"# {title}"]
    for section in sections:
        names = [row.name for row in section.table.rows]
        parts += [f"## {section.table.corpus.name}, share {section.table.share:g}", section.summary]
        parts.append(_grid(HEADS, section.cells))
        parts += ["### F1 by type", _grid(("type", "gold", *names), section.types)]
        kinds = [(name, *map(str, counts.values())) for name, counts in section.errors]
        parts += ["### Errors", _grid(("method", *ERRORS), kinds)]
        heads = ("method", "recall of mentions seen in training", "recall of unseen ones")
        parts += ["### Seen and unseen", _grid(heads, section.seen)]
        parts += ["### Data", _grid(("role", "corpus", "documents", "removed", "SHA-256"), section.data)]
        runs = [
            (row.name, str(run.seed), run.selection, f"`{run.folder.name}`")
            for row in section.table.rows
            for run in row.runs
        ]
        parts += ["### Runs", _grid(("method", "seed", "chosen by", "folder"), runs)]
    parts.append("\n".join(f"- {note}" for note in _notes(resamples)))
    return "\n\n".join(parts) + "\n"


def _grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)
