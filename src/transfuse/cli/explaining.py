"""``transfuse explain``: why a span was labelled, and why one was missed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import count, epilog, note, note_losses, print_json, say, use_threads, watching
from transfuse.cli.documents import guard_inputs, open_input
from transfuse.cli.options import Threads
from transfuse.text import ConfigError, Document, Entity

if TYPE_CHECKING:
    from transfuse.explaining.explanations import Case, Explanation

__all__ = ["explain", "register"]

_SHOWN = 8


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog=epilog(
            'transfuse explain runs/base --text "No sign of severe asthma."',
            'transfuse explain runs/base --text "No sign of asthma." --span 11:17:Disease --by ig --by shap',
            "transfuse explain runs/base --errors ncbi-disease --limit 10 -o errors.html",
            "transfuse explain runs/base --errors gold.jsonl --json > errors.json",
        )
    )(explain)


def explain(
    model: Annotated[Path, typer.Argument(metavar="RUN|BUNDLE", help="A run folder, or the bundle in it.")],
    text: Annotated[str, typer.Option(metavar="TEXT", help="Explain what is found in this text.")] = "",
    span: Annotated[
        list[str] | None,
        typer.Option(metavar="START:END:LABEL", help="Of the text, explain this instead; may be repeated."),
    ] = None,
    errors: Annotated[
        str, typer.Option(metavar="CORPUS", help="Explain the errors in a corpus, by its name or as a file.")
    ] = "",
    split: Annotated[str, typer.Option(help="Of a corpus with splits: train, dev or test; test if left out.")] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Errors to explain, the first ones; 10 if left out.")
    ] = None,
    labels: Annotated[str, typer.Option(metavar="MAP", help="Label map for the corpus, as in training.")] = "",
    by: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WAY", help="ig, shap or lime; may be repeated. ig if the tagger is one network, else shap."
        ),
    ] = None,
    baseline: Annotated[
        str, typer.Option(help="What stands in for a word: unknown, mask, zero; auto: mask if there is one.")
    ] = "auto",
    samples: Annotated[
        int, typer.Option(min=2, metavar="N", help="Sentences with words taken away that shap and lime look at.")
    ] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Decides which words these lack.")] = 0,
    output: Annotated[str, typer.Option("-o", "--out", metavar="FILE.html", help="Write a page.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print all as JSON.")] = False,
    threads: Threads = 1,
) -> None:
    """Say what each word adds to the log-odds of a span, and check that it adds up.

    Of an error the gold span is explained, and beside it what was predicted instead. ig: integrated gradients. shap:
    Shapley values. lime: a linear surrogate. The last two also take linear and voting taggers.
    """
    if bool(text) == bool(errors):
        raise ConfigError("name either --text or --errors")
    if span and not text:
        raise ConfigError("--span is a place in --text")
    for name, value in (("split", split), ("limit", limit), ("labels", labels)):
        if text and value:
            raise ConfigError(f"--{name} goes with --errors")
    if output:
        guard_inputs(output, [str(model), *([errors] if errors else [])])
    if any("\ud800" <= char <= "\udfff" for char in text):
        raise ConfigError("--text: half a surrogate pair is no text: is it in UTF-8?")
    asked = [_span(given, text) for given in span or []]
    use_threads(threads)
    from transfuse import bundle
    from transfuse.explaining.explain import Explaining, explain_errors, explain_text

    ways = [Explaining(by=way, baseline=baseline, samples=samples, seed=seed) for way in by or ["auto"]]
    tagger = bundle.load(bundle.locate(model))
    with watching("explaining") as watch:
        if text:
            cases = explain_text(tagger, Document("text", text), asked, ways)
        else:
            documents, corpus = _documents(errors, split, labels)
            most, cases = limit or 10, []
            for number, case in enumerate(islice(explain_errors(tagger, documents, ways), most), 1):
                cases.append(case)
                watch(f"explaining: {count(number, 'error')}", number / most)
    if output:
        _write(Path(output), cases, model, "" if text else corpus)
    print_json(_data(cases)) if as_json else _show(cases)
    if not cases:
        note("no errors")
    if output:
        note(f"written: {output}")


def _span(given: str, text: str) -> Entity:
    start, _, rest = given.partition(":")
    end, _, label = rest.partition(":")
    if not (start.isdecimal() and end.isdecimal() and label):
        raise ConfigError(f"--span {given!r}: expected START:END:LABEL, as 11:17:Disease")
    if not int(start) < int(end) <= len(text):
        raise ConfigError(f"--span {given!r}: the text has {len(text)} characters")
    return Entity(int(start), int(end), label)


def _documents(spec: str, split: str, labels: str) -> tuple[Sequence[Document], str]:
    """A split of a corpus with splits, or all of a file; under the labels' common names, and what they are called."""
    from transfuse import corpora
    from transfuse.data.task import find_labels, resolve_target
    from transfuse.labels import LabelMap
    from transfuse.losses import Losses
    from transfuse.silver.annotators import Naming

    if split not in {"", "train", "dev", "test"}:
        raise ConfigError(f"unknown split {split!r}: choose train, dev or test")
    path = Path(_path(spec))
    if spec in corpora.names() or spec.startswith("demo-") or path.is_dir() or not path.exists():
        split = split or "test"
        return resolve_target(spec, labels=labels).splits.get(split, ()), f"{spec}, {split}"
    if split:
        raise ConfigError(f"--split {split}: {spec} is one file, all of which is read")
    losses = Losses()
    naming = Naming(LabelMap.from_toml(find_labels(labels)) if labels else None)
    documents = naming.apply([*open_input(spec, "auto", losses)], source=spec, losses=losses)
    note_losses(losses)
    return documents, spec


def _path(spec: str) -> str:
    from transfuse.formats import parse_spec

    return parse_spec(spec)[2]


def _data(cases: list[Case]) -> Any:
    from transfuse.explaining.explanations import explanations_json

    return explanations_json(cases)


def _write(path: Path, cases: list[Case], model: Path, corpus: str) -> None:
    from transfuse.explaining.explanations import explanations_html
    from transfuse.files import open_output

    about = [("tagger", str(model)), *([("errors in", corpus)] if corpus else [])]
    page = explanations_html(cases, title="Why these errors?" if corpus else "Why?", about=about)
    with open_output(path) as file:
        file.write(page)


def _show(cases: Iterable[Case]) -> None:
    for case in cases:
        say(f"{case.title + ', ' if case.title else ''}document {case.document}")
        for one in case.explanations:
            _show_one(one)
        for told in case.notes:
            say(f"  {told}")
        say("")


def _show_one(one: Explanation) -> None:
    place = f"[{one.entity.start}, {one.entity.end}) {one.mention!r} {one.entity.label}"
    say(f"  {one.role} {place}: p {one.probability:.4f}, log-odds {one.log_odds:+.3f}")
    words = "  ".join(f"{word.score:+.2f} {word.text}" for word in one.top[:_SHOWN])
    say(f"    {one.by}: {words}")
    say(f"    {one.check()}")
