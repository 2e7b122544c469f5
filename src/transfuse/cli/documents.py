"""``transfuse convert`` and ``transfuse score``: documents in files, no model in sight."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import count, epilog, note, note_losses, percent, print_json, show_table
from transfuse.cli.options import AsJSON
from transfuse.files import suffix_of
from transfuse.text import ConfigError, DataError, Document

if TYPE_CHECKING:
    from transfuse.losses import Losses
    from transfuse.scoring.analysis import TokenTable
    from transfuse.scoring.score import Scores
    from transfuse.scoring.significance import Difference, Interval

__all__ = ["FROM", "convert", "guard_inputs", "open_input", "output_format", "register", "score", "target_of"]

FROM = Annotated[
    str,
    typer.Option(
        "--from", metavar="FORMAT", help="Format of the input, as conll or conll\\[scheme=IOB1]; detected unless named."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command(
        epilog=epilog(
            "transfuse convert corpus.tsv corpus.jsonl",
            'transfuse convert notes/ notes.tsv --from brat --to "conll[scheme=BIOES]" --report losses.json',
            "zcat abstracts.gz | transfuse convert - - --from pubtator --to jsonl",
        )
    )(convert)
    app.command(
        epilog=epilog(
            "transfuse score gold.jsonl predicted.jsonl",
            "transfuse score gold.jsonl new.jsonl --against old.jsonl",
            "transfuse score gold.tsv predicted.jsonl --kind relaxed --labels map.toml --json",
        )
    )(score)


def open_input(spec: str, format: str, losses: Losses, **options: Any) -> Iterator[Document]:
    """Documents of a path, ``format:path``, or ``-`` for standard input."""
    from transfuse import formats

    if spec == "-":
        return formats.read(sys.stdin.buffer, format, losses=losses, **options)
    name, own, path = formats.parse_spec(spec)
    if format == "auto":
        return formats.read(Path(path), name, losses=losses, **(options | own))
    return formats.read(Path(spec), format, losses=losses, **options)


def target_of(output: str) -> Path | IO[bytes]:
    """A path, or standard output for ``-``."""
    return sys.stdout.buffer if output == "-" else Path(output)


def output_format(output: str, named: str) -> str:
    """The format that was named, else the first whose ending the output has; JSON lines on standard output.

    Raises:
        ConfigError: the ending belongs to no format, and none was named.
    """
    from transfuse import formats

    if named:
        return named
    if output == "-":
        return "jsonl"
    if suited := formats.by_suffix(output):
        return suited[0]
    raise ConfigError(f"{output}: the ending {suffix_of(output)!r} belongs to no format: name one with --to")


def guard_inputs(output: str, inputs: Iterable[str]) -> None:
    """Refuse to write over what is read. Raises ConfigError."""
    from transfuse.formats import parse_spec

    target = Path(output).resolve()
    for spec in inputs:
        source = Path(parse_spec(spec)[2]).resolve()
        if "-" not in (output, spec) and (target == source or (source.is_dir() and source in target.parents)):
            raise ConfigError(f"{output} is an input, or lies in one: name another output")


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="A file, a folder, or - for standard input.")],
    output: Annotated[
        str, typer.Argument(metavar="OUT", help="A file (packed if it ends in .gz), a folder for brat, or -.")
    ],
    from_format: FROM = "auto",
    to_format: Annotated[str, typer.Option("--to", metavar="FORMAT", help="Format of the output; by its ending.")] = "",
    report: Annotated[Path | None, typer.Option(metavar="R.json", help="Write every loss with its place.")] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="MAP.toml", help="Rename, drop or mask types on the way.")
    ] = None,
) -> None:
    """Convert between formats, and say what did not come through unchanged.

    Either the whole output is written or, after an error, none of it.
    """
    from transfuse import formats
    from transfuse.labels import LabelMap
    from transfuse.losses import Losses

    guard_inputs(output, [source])
    if report:
        _guard_report(report, source, output)
    named = output_format(output, to_format)
    losses, totals = Losses(), {"document": 0, "entity": 0}
    documents: Iterable[Document] = open_input(source, from_format, losses)
    if labels:
        documents = LabelMap.from_toml(labels).apply(documents, counts=losses, source=source)

    def counted() -> Iterator[Document]:
        for document in documents:
            totals["document"] += 1
            totals["entity"] += len(document.entities)
            yield document

    formats.write(counted(), target_of(output), named, losses=losses)
    if report:
        _write_report(report, losses)
    note(", ".join(count(number, noun) for noun, number in totals.items()))
    note_losses(losses)


def _guard_report(report: Path, source: str, output: str) -> None:
    """Refuse, before anything is written, a report that could not be or would take the place of input or output."""
    guard_inputs(str(report), [source])
    if output != "-" and report.resolve() == Path(output).resolve():
        raise ConfigError(f"{report} is the output: name another file for the report")
    if not report.parent.is_dir():
        raise DataError("no such folder", path=str(report.parent))
    if report.is_dir():
        raise DataError("is a folder: name a file for the report", path=str(report))


def _write_report(path: Path, losses: Losses) -> None:
    import json

    from transfuse.files import open_output

    with open_output(path) as file:
        file.write(json.dumps(losses.to_dict(), ensure_ascii=False, indent=2) + "\n")


def score(
    gold: Annotated[str, typer.Argument(metavar="GOLD", help="Annotated documents: a path, or format:path.")],
    predicted: Annotated[str, typer.Argument(metavar="PRED", help="The same documents with what was found.")],
    against: Annotated[
        str, typer.Option(metavar="PRED2", help="A second prediction: test whether PRED beats it.")
    ] = "",
    kind: Annotated[
        str, typer.Option(help="Which F1: strict, relaxed, relaxed-set, left, right, span, conlleval.")
    ] = "strict",
    from_format: FROM = "auto",
    labels: Annotated[Path | None, typer.Option(metavar="MAP.toml", help="Label map for all files.")] = None,
    bootstrap: Annotated[int, typer.Option(min=1, metavar="N", help="Resamples for intervals and tests.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Decides the resamples.")] = 0,
    tokens: Annotated[bool, typer.Option("--tokens", help="Score words by tag class, too: B, I and O.")] = False,
    as_json: AsJSON = False,
) -> None:
    """Score a prediction, in all kinds side by side, with 95 % bootstrap intervals over documents.

    strict: same start, end and type. relaxed: same type, overlapping, one to one. relaxed-set: as the CCKS task prints
    it. left, right: same type and that boundary. span: same boundaries, any type. conlleval: on words. Documents of
    files without ids, as CoNLL, are paired by their order.
    """
    from transfuse.scoring.analysis import token_table
    from transfuse.scoring.score import KINDS
    from transfuse.scoring.score import score as count_scores
    from transfuse.scoring.significance import compare

    if kind not in KINDS:
        raise ConfigError(f"unknown kind of score: {kind!r}; choose one of {', '.join(KINDS)}")
    every = [_documents(spec, from_format, labels) for spec in (gold, predicted, *([against] if against else ()))]
    truth, found, *others = every if labels else _renamed(every)
    sides = _paired(truth, found, predicted)
    ours = count_scores(*sides)
    intervals = _intervals(ours, kind, bootstrap, seed)
    test = None
    if others:
        theirs = count_scores(*_paired(truth, others[0], against))
        test = compare(ours, theirs, kind=kind, resamples=bootstrap, seed=seed)
    if as_json:
        data = {"documents": len(ours.documents), "kind": kind, "kinds": ours.to_dict()}
        data["intervals"] = {name: interval.to_dict() for name, interval in intervals.items()}
        data |= {"tokens": token_table(*sides).to_dict()} if tokens else {}
        print_json(data | ({"against": test.to_dict()} if test else {}))
        return
    _show_scores(ours, kind, intervals)
    if tokens:
        _show_tokens(token_table(*sides))
    if test:
        _show_test(test, kind, predicted, against)


def _documents(spec: str, format: str, labels: Path | None) -> list[Document]:
    from transfuse.labels import LabelMap
    from transfuse.losses import Losses

    losses = Losses()
    documents: Iterable[Document] = open_input(spec, format, losses)
    if labels:
        documents = LabelMap.from_toml(labels).apply(documents, counts=losses, source=spec)
    found = list(documents)
    note_losses(losses, spec)
    return found


def _renamed(every: list[list[Document]]) -> list[list[Document]]:
    """Gold and predictions, all with the common names of labels that one of these has by them only."""
    from transfuse.labels import LabelMap, common_name

    ours, *theirs = ({entity.label for document in some for entity in document.entities} for some in every)
    changed = {
        old: new
        for old in sorted(ours)
        if (new := common_name(old)) != old and any(new in some and old not in some for some in theirs)
    }
    if not changed:
        return every
    renamed = ", ".join(f"{old} as {new}" for old, new in changed.items())
    note(f"labels are scored by their common names, as a prediction has them: {renamed}")
    names = LabelMap({label: changed.get(label, label) for label in ours.union(*theirs)})
    return [list(names.apply(some)) for some in every]


def _paired(gold: list[Document], found: list[Document], spec: str) -> tuple[list[Document], list[Document]]:
    """Gold and prediction with the same ids, by order where a file (as CoNLL) has no ids and lent them its own name."""
    if len(gold) != len(found) or {d.id for d in gold} == {d.id for d in found}:
        return gold, found
    if not (_is_unnamed(gold) or _is_unnamed(found)):
        return gold, found
    note(f"{spec}: documents without ids of their own are paired with gold by their order")
    return gold, [replace(guess, id=truth.id) for truth, guess in zip(gold, found, strict=True)]


def _is_unnamed(documents: list[Document]) -> bool:
    """Whether ids are those that readers give: the file's name and a running number."""
    stem = documents[0].id.removesuffix("/1") if documents else ""
    return all(document.id == f"{stem}/{number}" for number, document in enumerate(documents, 1))


def _intervals(scores: Scores, kind: str, resamples: int, seed: int) -> dict[str, Interval]:
    """By row of the table: micro, macro and each type that occurs."""
    from transfuse.scoring.significance import interval

    found = {
        average: interval(scores, kind=kind, average=average, resamples=resamples, seed=seed)
        for average in ("micro", "macro")
    }
    for label in scores.labels:
        found[label] = interval(scores, kind=kind, label=label, resamples=resamples, seed=seed)
    return found


def _show_scores(scores: Scores, kind: str, intervals: dict[str, Interval]) -> None:
    heads: tuple[str, ...] = ("gold", "found", "right", "precision", "recall", "F1", "95 % interval")
    rows: list[tuple[str, ...]] = []
    for name, counts in {"micro": scores.micro(kind), **scores.types(kind)}.items():
        numbers = (f"{counts.gold:,}", f"{counts.predicted:,}", f"{counts.tp:,}")
        rows.append((name, *numbers, *_rates(counts), _range(intervals[name])))
    rows.insert(1, ("macro", "", "", "", *_rates(scores.macro(kind)), _range(intervals["macro"])))
    title = f"{kind} scores over {count(len(scores.documents), 'document')}, in per cent"
    show_table(title, [("", "left"), *((head, "right") for head in heads)], rows)
    each = [(name, *_rates(scores.micro(name)), percent(scores.macro(name).f1)) for name in scores.rows]
    heads = ("precision", "recall", "micro F1", "macro F1")
    show_table("All kinds, to know which F1 is meant", [("kind", "left"), *((head, "right") for head in heads)], each)
    if any(scores.ignored):
        note(f"not counted, in unknown ranges: {scores.ignored[0]:,} in gold, {scores.ignored[1]:,} in the prediction")


def _show_tokens(table: TokenTable) -> None:
    heads = ("words in gold", "precision", "recall", "F1", *(f"found as {name}" for name in table.classes))
    rows: list[tuple[str, ...]] = []
    for name, counts in table.classes.items():
        found = (f"{table.confusion[name][guess]:,}" for guess in table.classes)
        rows.append((name, f"{counts.gold:,}", *_rates(counts), *found))
    blank = [""] * len(table.classes)
    rows += [("macro", "", *_rates(table.macro), *blank), ("weighted", "", *_rates(table.weighted), *blank)]
    rows.append(("accuracy", "", "", "", percent(table.accuracy), *blank))
    show_table("Words by tag class, in per cent", [("class", "left"), *((head, "right") for head in heads)], rows)


def _rates(rates: Any) -> tuple[str, str, str]:
    return percent(rates.precision), percent(rates.recall), percent(rates.f1)


def _range(interval: Interval | Difference) -> str:
    return f"{percent(interval.low)} to {percent(interval.high)}"


def _show_test(test: Difference, kind: str, ours: str, theirs: str) -> None:
    columns = [("", "left"), ("", "right")]
    rows = [
        (ours, percent(test.system)),
        (theirs, percent(test.baseline)),
        ("difference", f"{100 * test.difference:+.2f}"),
        ("its 95 % interval", f"{100 * test.low:+.2f} to {100 * test.high:+.2f}"),
        ("p, approximate randomisation", f"{test.p_randomisation:.4f}"),
        ("p, paired bootstrap", f"{test.p_bootstrap:.4f}"),
    ]
    show_table(f"{kind} micro F1 against {theirs}", columns, rows)
