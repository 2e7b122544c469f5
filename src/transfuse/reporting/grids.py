"""A summary in words and cells, as the command line prints and reports hold them; scores in per cent."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import tomli_w

from transfuse.reporting.records import Record
from transfuse.reporting.summary import ALPHA, FEWEST_DOCUMENTS
from transfuse.reporting.tables import Average, Row, Summary, Table
from transfuse.scoring.counts import Rates

__all__ = [
    "FEW",
    "FEW_OF_MEANS",
    "Grid",
    "average_grid",
    "data_grid",
    "lead",
    "machines_told",
    "main_grid",
    "measures_grid",
    "notes",
    "runs_grid",
    "sets_grid",
    "settings",
    "tokens_grid",
    "types_grid",
    "verdicts",
]

Grid = tuple[list[str], list[list[str]]]
"""Heads, and the cells below them."""

T = TypeVar("T")

FEW = (
    *("method", "labels", "seeds", "strict F1", "95 % interval", "gain", "p", "verdict", "source epochs", "CPU s"),
    "published",
)
"""Columns of the main grid that go into 100 characters."""

FEW_OF_MEANS = ("method", "strict F1", "gain", "tasks", "helps", "hurts", "undecided", "CPU s", "published")
"""Columns of the grid over tasks that do."""


def main_grid(table: Table, only: Sequence[str] = ()) -> Grid:
    """A table's rows; columns in which there is nothing are left out.

    Args:
        table: what to show.
        only: heads of the columns; all unless named.
    """
    columns: dict[str, Callable[[Row], str]] = {
        "method": lambda row: row.name,
        "sources": lambda row: ", ".join(table.sources(row) or "-"),
        "labels": lambda row: "-" if (share := table.own_share(row)) is None else f"{100 * share:g} %",
        "seeds": lambda row: str(len(row.seeds)),
        "strict F1": lambda row: _spread(row.mean(), row.deviation),
        "95 % interval": lambda row: f"{_number(row.interval.low)} to {_number(row.interval.high)}",
        "gain": lambda row: _number(row.gain, "+.2f"),
        "95 % of gain": _gain_interval,
        "p": lambda row: _chance(row.p),
        "verdict": lambda row: row.verdict.word,
        "error reduction": lambda row: _number(row.error_reduction, "+.1f"),
        "relaxed F1": lambda row: _number(row.mean(kind="relaxed")),
        "dev F1": lambda row: _number(row.mean("dev")),
        "source epochs": lambda row: _number(row.source_epochs, ".1f", 1),
        "source F1 before": lambda row: _number(row.source_before),
        "source F1 after": lambda row: _number(row.source_after),
        "CPU s": lambda row: _number(row.cpu_seconds, ".1f", 1),
        "own CPU s": lambda row: _number(row.own_seconds, ".1f", 1),
        "published": lambda row: _number(row.published),
    }
    return _grid({head: columns[head] for head in only or columns}, table.rows)


def average_grid(averages: Sequence[Average], only: Sequence[str] = ()) -> Grid:
    """Variants over tasks; deviations are those between tasks. Arguments as in `main_grid`."""
    columns: dict[str, Callable[[Average], str]] = {
        "method": lambda average: average.name,
        "strict F1": lambda average: _spread(average.mean, average.deviation),
        "tasks": lambda average: str(len(average.rows)),
        "gain": lambda average: _spread(average.gain, average.gain_deviation, "+.2f"),
        "error reduction": lambda average: _number(average.error_reduction, "+.1f"),
        "helps": lambda average: _times(average, "helps"),
        "hurts": lambda average: _times(average, "hurts"),
        "undecided": lambda average: _times(average, "undecided"),
        "CPU s": lambda average: _number(average.cpu_seconds, ".1f", 1),
        "own CPU s": lambda average: _number(average.own_seconds, ".1f", 1),
        "published": lambda average: _number(average.published),
    }
    return _grid({head: columns[head] for head in only or columns}, averages)


def types_grid(table: Table) -> Grid:
    """By type: mentions in the test split, and the mean F1 of each row; the macro average last."""
    means = {row.name: row.types() for row in table.rows}
    counts = table.rows[0].first.types()
    rows = [[label, f"{c.gold:,}", *(_number(mean[label]) for mean in means.values())] for label, c in counts.items()]
    if len(counts) > 1:
        rows.append(["macro", "", *(_number(row.macro().f1) for row in table.rows)])
    return ["type", "in test", *means], rows


def measures_grid(table: Table) -> Grid:
    """By type and by row mean precision, recall and F1, strict and relaxed; the macro average and all types last."""
    kinds = ("strict", "relaxed")
    heads = ["type", "method", *(f"{kind} {name}" for kind in kinds for name in ("P", "R", "F1"))]

    def cells(kind_to_rates: Mapping[str, Rates]) -> list[str]:
        return [_number(value) for kind in kinds for value in kind_to_rates[kind].to_dict().values()]

    types = list(table.rows[0].types())
    rows = [
        [label, row.name, *cells({kind: row.rates(kind)[label] for kind in kinds})]
        for label in types
        for row in table.rows
    ]
    if len(types) > 1:
        rows += [["macro", row.name, *cells({k: row.macro(k) for k in kinds})] for row in table.rows]
    return heads, rows + [["all", row.name, *cells({k: row.overall(k) for k in kinds})] for row in table.rows]


def tokens_grid(table: Table) -> Grid:
    """Words by tag class, over all runs of a row: rates and the confusion matrix (Kumar & Eluri 2024, table 5)."""
    found = {row.name: tokens for row in table.rows if (tokens := row.tokens())}
    areas = {row.name: row.auc() for row in table.rows}
    names = sorted({name for tokens in found.values() for name in tokens.classes})
    cells = []
    for method, tokens in found.items():
        parts = {name: counts.rates for name, counts in tokens.classes.items()}
        parts |= {"macro": tokens.macro, "weighted": tokens.weighted}
        for name, rates in parts.items():
            matrix = (f"{tokens.pairs[name, guess]:,}" if name in tokens.classes else "-" for guess in names)
            area, accuracy = _number(areas[method].get(name)), _number(tokens.accuracy) if name == "weighted" else "-"
            rate = (_number(value) for value in (rates.precision, rates.recall, rates.f1))
            cells.append([method, name, *rate, area, accuracy, *matrix])
    heads = ["method", "class", "precision", "recall", "F1", "AUC-ROC", "accuracy"]
    return _filled([*heads, *(f"found as {name}" for name in names)], cells)


def sets_grid(table: Table) -> Grid:
    """The set analysis of Chai et al. (2022), in per cent, of the rows whose runs have counted it."""
    rows = [(row.name, row.sets()) for row in table.rows]
    heads = ["method", "new ones found", "in training", "known ones missed", "wrong, from training", "too many"]
    cells = [[name, *(_number(v, "+.2f" if k == "excess" else ".2f") for k, v in s.items())] for name, s in rows if s]
    return heads, cells


def data_grid(summary: Summary) -> Grid:
    """Role, corpus, documents by split, what was taken out, SHA-256: each once."""
    found: dict[tuple[str, ...], None] = {}
    for record in _records(summary):
        found[_corpus("target", record.data["target"], "-")] = None
        for source in record.data["sources"]:
            found[_corpus("source", source, f"{sum(source['removed'].values()):,}")] = None
    return ["role", "corpus", "documents", "removed", "SHA-256"], [list(row) for row in sorted(found, reverse=True)]


def _corpus(role: str, facts: Mapping[str, Any], removed: str) -> tuple[str, ...]:
    splits = ", ".join(f"{name} {number:,}" for name, number in facts["documents"].items())
    return role, facts["name"], splits, removed, facts["sha256"]


def _records(summary: Summary) -> list[Record]:
    return [record for table in summary.tables for row in table.rows for record in row.records]


def runs_grid(summary: Summary) -> Grid:
    """Every run, with its score, the rule that chose its weights, and what it ran on."""
    rows = []
    for table in summary.tables:
        for row in table.rows:
            for entry in row.entries:
                record, machine = entry.record, entry.record.environment
                versions = f"transfuse {machine['transfuse']}, Python {machine['python']}, torch {machine['torch']}"
                rows.append(
                    [
                        f"{table.task}, {_share(table)}",
                        row.name,
                        str(record.seed),
                        _number(record.micro().f1),
                        record.selection,
                        f"{record.cpu_seconds:.1f}",
                        f"{versions}, {record.machine}",
                    ]
                )
    return ["task", "method", "seed", "strict F1", "chosen by", "CPU s", "run on"], rows


def settings(summary: Summary) -> list[tuple[str, str]]:
    """By row's name all settings of its method as TOML, each once."""
    found: dict[tuple[str, str], None] = {}
    for table in summary.tables:
        for row in table.rows:
            recipe = row.first.recipe
            copies = {"augment": recipe["data"]["augment"]} if "augment" in recipe["data"] else {}
            found[row.name, tomli_w.dumps({**recipe["method"], **copies})] = None
    return list(found)


def lead(table: Table) -> str:
    """What a table's runs learned from, and what they were scored on."""
    target = f"{table.facts['labelled']:,} labelled documents of {table.target} ({_share(table)} of its training split)"
    sources = dict.fromkeys(
        " and ".join(f"{s['documents']['train']:,} documents of {s['name']}" for s in row.first.data["sources"])
        for row in table.transfers
    )
    more = f"; methods that transfer, also from {' or from '.join(sources)}" if sources else ""
    return f"Learned from {target}{more}. Scored once on {table.documents:,} test documents."


_UNEQUAL = 1.25
"""Passes over the sources differ by more than rounding and early ends explain."""


def verdicts(summary: Summary) -> list[str]:
    """A sentence for each table with a source: does the source help, by how much, and with which method.

    Where runs are missing, that is said first; where sources were learned from one by one, which of them helps.
    """
    are = "is" if summary.missing == 1 else "are"
    missing = f"{summary.missing} of the planned runs {are} not finished: this is what there is."
    found = [missing] if summary.missing else []
    for table in summary.tables:
        row = table.best
        if row is None:
            continue
        source, target = " and ".join(row.first.sources), f"{table.target} at {_share(table)}"
        one = len(row.first.sources) == 1
        said = f"{source} {row.verdict.word if one else row.verdict.word.removesuffix('s')} {target}"
        if row.verdict.reason:
            said = f"Whether {source} {'helps' if one else 'help'} {target} is undecided ({row.verdict.reason})"
        if row.test is None:
            found.append(f"{said}.{_one_by_one(table)}")
            continue
        ends = f"{_number(row.test.low, '+.1f')} to {_number(row.test.high, '+.1f')}"
        gain = f"{_number(row.test.difference, '+.1f')} F1 (95 % {ends}, p {_chance(row.p)}) with {row.name}"
        found.append(f"{said}: {gain}, the best on dev{_others(table)}.{_one_by_one(table)}")
    return [*found, *_leaks(summary), *_exposures(summary), *_machines(summary)]


def _leaks(summary: Summary) -> Iterator[str]:
    """What may be wrong with rows whose taggers had learned before, see `transfuse.experiments.lineage`."""
    for table in summary.tables:
        for row in table.rows:
            for doubt in dict.fromkeys(line for record in row.records for line in record.data.get("doubts", ())):
                yield f"{row.name} on {table.target} at {_share(table)}: {doubt}."


def _exposures(summary: Summary) -> Iterator[str]:
    """A sentence where rows of a table saw the sources unequally often: then more than the method sets them apart."""
    for table in summary.tables:
        alone = (row for row in table.rows if row.first.method != "fusion")  # whose passes are its members' added up
        seen = [passes for row in alone if (passes := row.source_epochs)]
        if seen and max(seen) > _UNEQUAL * min(seen):
            yield (
                f"Rows passed the sources {min(seen):.1f} to {max(seen):.1f} times: not all that sets them apart is "
                "the method. What makes that equal stands in the how-to on comparing."
            )
            return


def _machines(summary: Summary) -> Iterator[str]:
    """A sentence where not all runs name one kind of processor: on two of them one seed can give two trainings."""
    if len(summary.machines) > 1:
        told = machines_told(summary.machines)
        yield f"Not all runs name one kind of processor ({told}): two kinds drift apart as two seeds do."


def machines_told(machines: Mapping[str, int]) -> str:
    """Kinds of processor that runs were made on, see `Summary.machines`, with their numbers where there are several."""
    return "; ".join(name if len(machines) == 1 else f"{name} ({number:,})" for name, number in machines.items())


def _others(table: Table) -> str:
    words = [row.verdict.word for row in table.transfers if table.sources(row) is None]
    if len(words) < 2:
        return ""
    forms = {"helps": ("helps", "help"), "hurts": ("hurts", "hurt"), "undecided": ("is undecided", "are undecided")}
    counted = [(words.count(word), one, several) for word, (one, several) in forms.items()]
    told = ", ".join(f"{number} {one if number == 1 else several}" for number, one, several in counted if number)
    return f"; of {len(words)} methods that transfer {told}"


def _one_by_one(table: Table) -> str:
    """A sentence on sources alone, each with its method best on dev; nothing where no two were learned from so."""
    alone: dict[str, list[Row]] = {}
    for row in table.transfers:
        if len(given := row.first.recipe["data"]["sources"]) == 1:  # by what the user calls it: names may be alike
            alone.setdefault(given[0], []).append(row)
    if len(alone) < 2:
        return ""
    best = [(source, max(rows, key=lambda row: row.mean("dev"))) for source, rows in alone.items()]
    told = []
    for source, row in sorted(best, key=lambda one: -(one[1].gain or 0.0)):
        word = "is undecided" if row.verdict.word == "undecided" else row.verdict.word
        gain = "" if row.gain is None else f"{_number(row.gain, '+.1f')} "
        told.append(f"{source} {word} ({gain}with {row.name.removesuffix(f' from {source}')})")
    return f" Alone, {', '.join(told)}."


def notes(summary: Summary) -> list[str]:
    """How to read it."""
    tests = f"Holm-corrected for all {summary.tests} tests here" if summary.tests > 1 else "one test, uncorrected"
    said = f"""
F1 is micro F1 over all types. Strict: same start, end and type; relaxed: same type, overlapping, one to one.
With several seeds: mean ± standard deviation over seeds.
95 % interval: bootstrap over test documents, {summary.resamples:,} resamples; it says nothing of other seeds.
Gain: over {summary.baseline}, in points of F1, on the seeds that both have; its interval is of the paired bootstrap.
Error reduction: the gain as a share of what the baseline lacks, in per cent.
p: approximate randomisation over test documents, two-sided, {summary.exchanges:,} exchanges, {tests}.
Verdict: helps or hurts if p is at most {ALPHA}, else undecided; so with one seed or below {FEWEST_DOCUMENTS} documents.
Distinct mentions as sets: those in training (sources, too), in gold, predicted. Too many: more predicted than in gold.
AUC-ROC: of a tag class against the others, in per cent; none where spans are voted on or united, or credit counts.
Source epochs: passes over the sources' training sentences, all stages together.
Source F1: of the source's own head on its dev split, if it has one, before the target was learned and after.
CPU s: processor time of training, with the sources', also where these were kept from before; without word vectors.
Weights, methods and what is shown are chosen on dev; the test split chose nothing.
"""
    return said.strip().splitlines()


def _grid(columns: Mapping[str, Callable[[T], str]], rows: Sequence[T]) -> Grid:
    cells = [[cell(row) for cell in columns.values()] for row in rows]
    return _filled(list(columns), cells)


def _filled(heads: list[str], cells: list[list[str]]) -> Grid:
    """Without the columns in which there is nothing."""
    kept = [i for i in range(len(heads)) if any(row[i] != "-" for row in cells)]
    return [heads[i] for i in kept], [[row[i] for i in kept] for row in cells]


def _gain_interval(row: Row) -> str:
    return f"{_number(row.test.low, '+.2f')} to {_number(row.test.high, '+.2f')}" if row.test else "-"


def _number(value: float | None, form: str = ".2f", factor: float = 100) -> str:
    return "-" if value is None else f"{factor * value:{form}}"


def _spread(mean: float | None, deviation: float | None, form: str = ".2f") -> str:
    return _number(mean, form) + ("" if deviation is None else f" ± {_number(deviation)}")


def _chance(p: float | None) -> str:
    return "-" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _times(average: Average, word: str) -> str:
    number = None if average.gain is None else average.count(word)
    return "-" if number is None else str(number)


def _share(table: Table) -> str:
    return f"{100 * table.share:g} %"
