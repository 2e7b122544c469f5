"""``transfuse fuse`` and ``transfuse calibrate``: taggers that are there made into better ones, on dev documents."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import (
    check_folder,
    count,
    epilog,
    note,
    note_losses,
    percent,
    print_json,
    say,
    show_table,
    use_threads,
    watching,
)
from transfuse.cli.options import Threads
from transfuse.text import ConfigError, DataError, TransfuseError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transfuse.ensembles.calibrated import Check
    from transfuse.ensembles.fusion import Outcome
    from transfuse.ensembles.parts import Part
    from transfuse.scoring.counts import Counts
    from transfuse.text import Corpus, Document

__all__ = ["calibrate", "fuse", "register"]

DEV = Annotated[
    str,
    typer.Option(
        metavar="CORPUS|PATH",
        help="Annotated documents that no member was trained on: a corpus, whose dev split is taken, or a file.",
    ),
]
OUT = Annotated[Path, typer.Option("-o", "--out", metavar="B", help="The bundle; one that is there is replaced.")]
LABELS = Annotated[
    Path | None, typer.Option(metavar="MAP.toml", help="Label map for the documents; else common names.")
]
AS_JSON = Annotated[bool, typer.Option("--json", help="Print what was measured as JSON.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command(
        epilog=epilog(
            "transfuse fuse runs/bilstm runs/crfsuite --dev ncbi-disease --out fused",
            "transfuse fuse runs/a runs/b runs/c --dev dev.jsonl --rule vote --out fused",
            "transfuse fuse runs/base --add disease-ontology --dev ncbi-disease --out completed",
        )
    )(fuse)
    app.command(
        epilog=epilog(
            "transfuse calibrate runs/base --dev ncbi-disease --out calibrated",
            "transfuse calibrate runs/base --dev dev.jsonl --for precision=0.9 --per-label --out precise",
            "transfuse calibrate fused --dev ncbi-disease --method temperature --plot reliability --out calibrated",
        )
    )(calibrate)


def fuse(
    bundles: Annotated[
        list[Path], typer.Argument(metavar="BUNDLE", help="Bundles or run folders; their words need not agree.")
    ],
    dev: DEV,
    out: OUT,
    rule: Annotated[str, typer.Option(metavar="RULE", help="auto, vote, spans, tags or stack.")] = "auto",
    held_out: Annotated[
        str, typer.Option(metavar="CORPUS|PATH", help="Learn weights and judges on these; else on dev, cross-fitted.")
    ] = "",
    only_in: Annotated[
        str, typer.Option(metavar="NAMES", help="Keep only mentions in this list: a bundle, a lexicon, terms:FILE.")
    ] = "",
    add: Annotated[str, typer.Option(metavar="NAMES", help="Add names of this list where nothing was found.")] = "",
    labels: LABELS = None,
    threads: Threads = 1,
    as_json: AS_JSON = False,
) -> None:
    """Unite taggers into one, and say whether that helps.

    auto takes the rule that scores best on dev, and the best member where no rule beats it. vote: relative majority
    over spans. spans, tags: weighted mean of the probabilities of spans, or of tags. stack: a learned judge of spans.
    """
    _guard(out, [*bundles, *(Path(name) for name in (only_in, add) if name)])
    use_threads(threads)
    from transfuse import bundle
    from transfuse.ensembles.fusion import Lists
    from transfuse.ensembles.fusion import fuse as unite
    from transfuse.ensembles.parts import read_part

    _refuse_doubled(bundles)
    with watching("loading the members") as watch:
        members = [read_part(place) for place in bundles]
        lists = Lists(_names(only_in), _names(add))
        documents, annotated, facts = _annotated(dev, labels, members)
        others, taught, _ = _annotated(held_out, labels, members) if held_out else ((), None, {})
        watch(f"asking {count(len(members), 'member')} about {count(len(documents), 'document')}", None)
        done = unite(members, documents, annotated=annotated, rule=rule, held_out=others, taught=taught, lists=lists)
    facts |= {"rule": rule, "held_out": held_out, "only_in": only_in, "add": add, **_measured(done)}
    bundle.save(done.tagger, out, card=_fusion_card(done, facts), facts=facts)
    if as_json:
        print_json(facts)
    else:
        show_table("", _COLUMNS, _rows(done), fold=[""])
        for line in _lines(done):
            say(line)
    note(str(out))


def calibrate(
    tagger: Annotated[Path, typer.Argument(metavar="BUNDLE", help="A bundle or run folder that gives probabilities.")],
    dev: DEV,
    out: OUT,
    method: Annotated[str, typer.Option(metavar="MAP", help="isotonic, or temperature: one number.")] = "isotonic",
    demand: Annotated[
        str, typer.Option("--for", metavar="WHAT", help="What thresholds serve: f1, precision=0.9 or recall=0.9.")
    ] = "f1",
    per_label: Annotated[bool, typer.Option("--per-label", help="A threshold for each label.")] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="NAME", help="Draw the reliability into NAME.svg and NAME.png.")
    ] = None,
    labels: LABELS = None,
    threads: Threads = 1,
    as_json: AS_JSON = False,
) -> None:
    """Make confidences believable, and set thresholds on them.

    Spans that the best path passes over come in where a lower threshold serves the demand.
    """
    _guard(out, [tagger])
    if plot:
        check_folder(plot.parent)
    use_threads(threads)
    from transfuse import bundle
    from transfuse.ensembles.calibrated import calibrate as learn
    from transfuse.ensembles.parts import read_part
    from transfuse.ensembles.thresholds import Demand
    from transfuse.reporting.reliability import reliability

    wanted = Demand.parse(demand)
    with watching("loading the tagger") as watch:
        member = read_part(tagger)
        documents, annotated, facts = _annotated(dev, labels, [member])
        watch(f"tagging {count(len(documents), 'document')}", None)
        done = learn(member, documents, annotated=annotated, method=method, demand=wanted, per_label=per_label)
    facts |= {"member": member.name, "for": demand, "per_label": per_label, **done.to_dict()}
    bundle.save(done.tagger, out, card=_calibration_card(done, facts), facts=facts)
    if plot:
        reliability(done.before, done.after).save(plot)
    if as_json:
        print_json(facts)
    else:
        show_table("", _COLUMNS, _check_rows(done), fold=[""])
        for line in _check_lines(done):
            say(line)
    note(str(out))


def _guard(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse to write over what is read, or over what is no bundle."""
    from transfuse.bundle import check_output

    target = out.resolve()
    for place in inputs:
        source = place.resolve()
        if target == source or source in target.parents or target in source.parents:
            raise ConfigError(f"{out} is an input, or lies in one or around one: name another output")
    check_output(out)


def _refuse_doubled(bundles: Sequence[Path]) -> None:
    from transfuse.bundle import locate

    places = [locate(place).resolve() for place in bundles]
    for place, there in zip(bundles, places, strict=True):
        if places.count(there) > 1:
            raise ConfigError(f"{place} is named twice: what one tagger says counts once")


def _names(spec: str) -> Part | None:
    """A list of names: a bundle, or what `transfuse.silver.annotators.find_terms` takes."""
    from transfuse.ensembles.parts import Part, read_part
    from transfuse.gazetteer import Gazetteer
    from transfuse.losses import Losses
    from transfuse.silver.annotators import find_terms

    if not spec:
        return None
    if Path(spec).is_dir():
        return read_part(Path(spec))
    losses = Losses()
    tagger = Gazetteer(find_terms(spec), losses=losses)
    note_losses(losses, of=spec)
    return Part(spec, tagger, f"# Gazetteer\n\nThe names of {spec}.\n", {"sources": [spec]})


def _annotated(
    spec: str, labels: Path | None, members: Sequence[Part]
) -> tuple[list[Document], tuple[str, ...], dict[str, Any]]:
    """Documents, the labels that their annotators looked for, and what to keep on record.

    A collection that a member was trained on is divided as it was then, and its dev split taken.
    """
    from transfuse import corpora, formats
    from transfuse.data.splits import find_splits
    from transfuse.data.task import find_labels, is_built_in, resolve_target
    from transfuse.labels import LabelMap
    from transfuse.losses import Losses
    from transfuse.silver.annotators import Naming
    from transfuse.text import Corpus

    losses = Losses()
    named = spec in corpora.names() or is_built_in(spec)
    format_name, options, path = formats.parse_spec(spec)
    splits = {} if named else find_splits(Path(path), losses)
    divided = _as_trained(spec, labels, members, divide=not named and not splits)
    if divided or named or "train" in splits:
        corpus = divided or resolve_target(spec, labels=str(labels or ""), losses=losses)
        documents, known = list(corpus.dev), corpus.labels
    else:
        place = splits.get("dev", Path(path))
        if splits and "dev" not in splits:
            raise DataError("holds test documents alone, and these choose nothing: name others", path=path)
        if not place.exists():
            raise DataError("no such file, and no registered corpus", path=spec)
        documents = list(formats.read(place, format_name, losses=losses, **options))
        naming = Naming(LabelMap.from_toml(find_labels(str(labels))) if labels else None)
        documents = naming.apply(documents, source=spec, losses=losses)
        known = tuple(sorted({entity.label for document in documents for entity in document.entities}))
    note_losses(losses)
    sha256 = Corpus("dev", {"dev": tuple(documents)}, known).sha256
    told = f"the dev split of {spec}, on which a member was trained" if divided else spec
    return documents, known, {"dev": told, "documents": len(documents), "sha256": sha256}


def _as_trained(spec: str, labels: Path | None, members: Sequence[Part], *, divide: bool) -> Corpus | None:
    """A collection with the splits that training gave it, where a member was trained on it or, at least, on a fold."""
    from transfuse.data.folding import Fold
    from transfuse.data.task import resolve_target

    found = {}
    for sha256, fold in (target for member in members for target in member.targets):
        if fold or divide:
            with suppress(TransfuseError):  # it is no such collection
                corpus = resolve_target(spec, labels=str(labels or ""), fold=Fold(**fold) if fold else None)
                if corpus.sha256 == sha256:
                    found[sha256] = corpus
    if len(found) > 1:
        raise ConfigError(
            f"{spec}: what one member was not trained on, another was: name documents that are new to all"
        )
    return next(iter(found.values()), None)


_COLUMNS = [("", "left"), *((head, "right") for head in ("precision", "recall", "F1"))]


def _row(name: str, counts: Counts) -> tuple[str, ...]:
    return (name, percent(counts.precision), percent(counts.recall), percent(counts.f1))


def _rows(done: Outcome) -> list[tuple[str, ...]]:
    rows = [_row(name, counts) for name, counts in done.scores.items()]
    rows += [_row(f"{name}, own threshold", counts) for name, counts in done.tuned.items()]
    return [*rows, _row("auto", done.fair)] if done.fair else rows


def _lines(done: Outcome) -> list[str]:
    lines = [done.verdict(), *done.notes]
    if done.fair:
        lines.append(
            "In the row of auto the choice was made anew for every fold: that much is to be expected elsewhere."
        )
    return lines


def _measured(done: Outcome) -> dict[str, Any]:
    return {
        "chosen": done.chosen,
        "best": done.best,
        "helps": done.helps,
        "scores": {name: counts.to_dict() for name, counts in done.scores.items()},
        "fair": done.fair and done.fair.to_dict(),
        "own_threshold": {name: counts.to_dict() for name, counts in done.tuned.items()},
        "notes": done.notes,
    }


def _markdown(rows: Sequence[tuple[str, ...]]) -> list[str]:
    head = [name for name, _ in _COLUMNS]
    return [f"| {' | '.join(row)} |" for row in (head, ("---", "---:", "---:", "---:"), *rows)]


def _fusion_card(done: Outcome, facts: Mapping[str, Any]) -> str:
    lines = [f"# Fusion for {', '.join(done.tagger.labels)}", "", f"Answers by: {done.chosen}. {done.verdict()}", ""]
    lines += [
        f"Strict scores on dev ({facts['dev']}, {facts['documents']:,} documents) in per cent. Members are scored"
    ]
    lines += ["as they are, rules on documents that they did not learn from.", "", *_markdown(_rows(done)), ""]
    lines += [
        *_lines(done)[1:],
        "",
        "The members' own cards lie in their folders. Test documents chose nothing here.",
        "",
    ]
    return "\n".join(lines)


def _check_rows(done: Check) -> list[tuple[str, ...]]:
    rows = [_row("as it was", done.plain), _row("with thresholds", done.tuned)]
    return [*rows, _row("with those of the other half", done.held_out)] if done.held_out else rows


def _check_lines(done: Check) -> list[str]:
    from transfuse.ensembles.calibration import expected_error

    spans, errors = sum(part.spans for part in done.before), [expected_error(p) for p in (done.before, done.after)]
    number, *found = done.found
    limits = done.tagger.thresholds
    told = {f"{value:.3f}" for value in limits.values()}
    each = ", ".join(f"{label} {value:.3f}" for label, value in limits.items()) if len(told) > 1 else told.pop()
    error = (
        "Expected calibration error on the other half of dev: "
        f"{found[0]:.4f} before and {found[1]:.4f} after, over the {count(number, 'span')} that the tagger finds; "
        f"{errors[0]:.4f} and {errors[1]:.4f} over all {spans:,} that it considers."
    )
    lines = [error, f"Thresholds: {each}."]
    if not done.held_out:
        lines.append("Half of dev alone cannot meet the demand, so nobody knows how it holds elsewhere.")
    return [*lines, *done.notes]


def _calibration_card(done: Check, facts: Mapping[str, Any]) -> str:
    lines = [f"# Calibrated tagger for {', '.join(done.tagger.labels)}", ""]
    lines += [f"{facts['member']} behind a map of its confidences ({done.tagger.learned.kind}) and thresholds for"]
    lines += [f"{facts['for']}, learned on dev ({facts['dev']}, {facts['documents']:,} documents).", ""]
    lines += [*_check_lines(done), "", "Strict scores on dev in per cent:", "", *_markdown(_check_rows(done)), ""]
    return "\n".join([*lines, "The tagger's own card lies in `member`. Test documents chose nothing here.", ""])
