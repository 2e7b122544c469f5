"""``transfuse silver``: taggers that annotate raw text together, and what comes out made fit for one target."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import count, epilog, note, note_losses, print_json, say, show_table, watching
from transfuse.text import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["apart", "build", "clean", "gazetteer", "register"]

group = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="Silver corpora: text that several taggers annotate together."
)

AsJSON = Annotated[bool, typer.Option("--json", help="Print the record.")]
Out = Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="A new folder; it appears when all is done.")]


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(group, name="silver")


@group.command(
    epilog=epilog(
        "transfuse silver build runs/ncbi runs/biored disease-ontology --text en-text-open --limit 2000 "
        "--only Disease --out silver/disease",
        "transfuse silver build tmvar3-bent tmvar3-bern tmvar3-hunflair2 tmvar3-pubtator --text tmvar3-gold "
        "--agreement 3 --boundary majority --out silver/tmvar3",
        "transfuse silver build runs/mine jsonl:theirs.jsonl --text notes.jsonl --labels map.toml --out silver/notes",
    )
)
def build(
    taggers: Annotated[
        list[str],
        typer.Argument(
            metavar="TAGGER",
            help="Run folders, bundles, lexicons, terms:FILE, train:CORPUS; or annotations of the text that are there: "
            "a registered corpus, a path, format:path.",
        ),
    ],
    text: Annotated[
        list[str], typer.Option("--text", metavar="RAW", help="Registered texts or corpora, paths, format:path.")
    ],
    out: Out,
    agreement: Annotated[
        float, typer.Option(metavar="N", help="Taggers that must agree, or their share if below 1.")
    ] = 2,
    boundary: Annotated[str, typer.Option(metavar="RULE", help="exact, longest, shortest or majority.")] = "exact",
    weight: Annotated[
        list[str] | None, typer.Option(metavar="TAGGER=W", help="The voice of a tagger, 1 unless given.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="MAP.toml", help="Label map for all taggers; else the common names.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="TYPE", help="Keep this type alone, by its new name; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Documents to draw; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Decides the draw.")] = 0,
    as_json: AsJSON = False,
) -> None:
    """Let taggers annotate text, and keep what enough of them find.

    The folder is a source for training: train.jsonl, with provenance.jsonl (who found what) and silver.json (of what it
    was made) beside. Memory does not grow with the text.
    """
    from transfuse.ensembles.ensemble import Agreement
    from transfuse.labels import LabelMap
    from transfuse.silver import annotators
    from transfuse.silver.build import build

    rule = Agreement(agreement, boundary, _weights(weight or ()))
    naming = annotators.Naming(LabelMap.from_toml(labels) if labels else None, tuple(only or ()))
    with watching("loading the taggers") as watch:
        found = [annotators.find_annotator(spec) for spec in taggers]
        total = limit or annotators.count_texts(text)
        record = build(
            found,
            annotators.texts(text, limit=limit, seed=seed),
            out,
            rule,
            naming=naming,
            facts={"text": text, "limit": limit, "seed": seed, "labels": str(labels or ""), "only": only or []},
            watch=lambda done: watch(f"annotating: {count(done, 'document')}", done / max(done, total)),
        )
    for each in found:
        note_losses(each.losses, each.name)
    print_json(record) if as_json else _show(record)
    note(str(out))


def _weights(given: Iterable[str]) -> dict[str, float]:
    weights = {}
    for item in given:
        name, _, number = item.rpartition("=")
        try:
            weights[name] = float(number)
        except ValueError:
            raise ConfigError(f"--weight {item}: write it as TAGGER=2") from None
    return weights


def _show(record: dict[str, Any]) -> None:
    rows = [
        (each["name"], each["kind"], *_counted(each["mentions"]), each["sha256"][:12]) for each in record["taggers"]
    ]
    rows.append(("agreed", "", *_counted(record["mentions"]), ""))
    columns = [("tagger", "left"), ("kind", "left"), ("mentions", "right"), ("of type", "left"), ("SHA-256", "left")]
    show_table("", columns, rows, fold=["tagger", "of type"])
    votes = ", ".join(f"{number:,} by {who}" for who, number in record["mentions_by_votes"].items())
    say(f"mentions by number of taggers: {votes or 'none'}")
    empty = record["documents_without_mention"]
    say(f"{count(record['documents'], 'document')}, {empty:,} without a mention; {record['cpu_seconds']} CPU seconds")


def _counted(mentions: dict[str, int]) -> tuple[str, str]:
    return f"{sum(mentions.values()):,}", ", ".join(f"{label} {number:,}" for label, number in mentions.items())


@group.command(
    epilog=epilog(
        "transfuse silver apart biored --target gb-cdr-disease --only Disease --out corpora/biored",
        "transfuse train --target corpora/biored --method crfsuite --out runs/biored",
    )
)
def apart(
    corpus: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A corpus to train an annotating tagger on.")],
    target: Annotated[list[str], typer.Option(metavar="NAME", help="The corpus to be learned; may be repeated.")],
    out: Out,
    only: Annotated[
        list[str] | None, typer.Option(metavar="TYPE", help="Keep this type alone, by its new name; may be repeated.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(metavar="MAP.toml", help="Label map for all corpora.")] = None,
) -> None:
    """Write a corpus without the documents that stand in any split of a target, for training taggers.

    The folder is a corpus like any other. A corpus that was published with a test split alone becomes training text.
    """
    from transfuse import formats
    from transfuse.data.task import resolve
    from transfuse.files import output_folder
    from transfuse.losses import Losses
    from transfuse.silver import blacklist
    from transfuse.silver.annotators import Naming

    losses = Losses()
    with watching(f"reading {corpus}"):
        kept = resolve(corpus, labels=str(labels or ""), losses=losses)
        note_losses(losses, corpus)
        kept = Naming(only=tuple(only or ())).corpus(kept)
        for name in target:
            kept, removed = blacklist.apart(kept, _target(name, str(labels or "")))
            note(f"in {name}: {removed['by_id']:,} by id, {removed['by_text']:,} by text")
    splits = {"train": kept.test} if set(kept.splits) == {"test"} else kept.splits
    if not splits.get("train"):
        raise DataError(f"nothing of {corpus} is left for training: it is the target's own text")
    with output_folder(out) as place:
        for split, documents in splits.items():
            formats.write(documents, place / f"{split}.jsonl", "jsonl")
    note(f"{', '.join(f'{split} {len(documents):,}' for split, documents in splits.items())}: {out}")


@group.command(
    epilog=epilog(
        "transfuse silver clean silver/disease --target gb-ncbi-disease --out silver/for-ncbi",
        "transfuse silver clean silver/disease --target gb-ncbi-disease --share 0.1 --drop-empty --out silver/for-10",
    )
)
def clean(
    silver: Annotated[str, typer.Argument(metavar="SILVER", help="A silver folder, a path, or format:path.")],
    target: Annotated[str, typer.Option(metavar="NAME", help="The corpus to be learned.")],
    out: Out,
    share: Annotated[
        float, typer.Option(metavar="P", help="Of the target's training documents, those that will be labelled.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Decides which these are, as in training.")] = 0,
    times: Annotated[
        int, typer.Option(min=1, metavar="N", help="How often the target must pass over a name to have it listed.")
    ] = 1,
    drop_empty: Annotated[bool, typer.Option("--drop-empty", help="Leave out documents without a mention.")] = False,
    labels: Annotated[Path | None, typer.Option(metavar="MAP.toml", help="Label map for the target.")] = None,
    as_json: AsJSON = False,
) -> None:
    """Take out documents that stand in any split of the target, and names that its annotators pass over.

    The names come from the target's training split alone: blacklist.tsv holds them, clean.json the counts. Who found
    what is left stays in provenance.jsonl.
    """
    from transfuse.silver import blacklist

    with watching(f"reading {silver} and {target}") as watch:
        documents, origin = _silver(silver)
        gold = _target(target, str(labels or ""))
        watch("looking for what both hold", None)
        cleaned = blacklist.clean(documents, gold, share=share, seed=seed, times=times, drop_empty=drop_empty)
    facts = {"silver": silver, **origin, "target": target, "target_sha256": gold.sha256}
    facts |= {"share": share, "seed": seed, "times": times, "drop_empty": drop_empty}
    provenance = Path(silver) / "provenance.jsonl"
    record = blacklist.save(cleaned, out, facts, provenance=provenance if provenance.is_file() else None)
    if as_json:
        print_json(record)
    else:
        for what, numbers in cleaned.counts.items():
            say(f"{what}: {', '.join(f'{number:,} {reason}' for reason, number in numbers.items())}")
        shown = ", ".join(f"{name} ({number:,})" for (name, _), number in list(cleaned.blacklist.items())[:10])
        say(f"blacklist: {count(len(cleaned.blacklist), 'name')}{': ' if shown else ''}{shown}")
    note(str(out))


def _target(spec: str, labels: str) -> Any:
    from transfuse.data.task import resolve_target
    from transfuse.losses import Losses

    losses = Losses()
    target = resolve_target(spec, labels=labels, losses=losses)
    note_losses(losses, spec)
    return target


def _silver(spec: str) -> tuple[list[Any], dict[str, str]]:
    from transfuse.cli.documents import open_input
    from transfuse.losses import Losses
    from transfuse.mirror import digest

    path = Path(spec) / "train.jsonl"
    losses = Losses()
    documents = list(open_input(str(path) if path.is_file() else spec, "auto", losses))
    note_losses(losses)
    return documents, {"silver_sha256": digest(path)} if path.is_file() else {}


@group.command(
    epilog=epilog(
        "transfuse silver gazetteer disease-ontology mesh-diseases --stop-text en-text-open --out gazetteers/disease",
        "transfuse silver gazetteer terms:names.txt train:ncbi-disease --label Disease --case exact -o gazetteers/own",
    )
)
def gazetteer(
    sources: Annotated[
        list[str],
        typer.Argument(metavar="NAMES", help="Lexicons; terms:FILE, a name or name<TAB>label a line; train:CORPUS."),
    ],
    out: Out,
    label: Annotated[str, typer.Option(metavar="TYPE", help="Of the names in files that say none.")] = "",
    case: Annotated[str, typer.Option(metavar="RULE", help="exact, ignore, or acronyms: exact for these only.")] = (
        "acronyms"
    ),
    acronym: Annotated[int, typer.Option(min=0, metavar="N", help="Longest name in capitals that is an acronym.")] = 6,
    plural: Annotated[bool, typer.Option("--plural/--no-plural", help="Find English plurals of the names too.")] = True,
    minimum: Annotated[int, typer.Option(min=1, metavar="N", help="Characters that a name must have.")] = 3,
    stop: Annotated[Path | None, typer.Option(metavar="FILE", help="Names to leave out, one a line.")] = None,
    stop_text: Annotated[
        str, typer.Option(metavar="RAW", help="Leave out words that are common in this collection.")
    ] = "",
    stop_share: Annotated[float, typer.Option(metavar="P", help="Share of its documents that makes one common.")] = (
        0.2
    ),
    stop_limit: Annotated[int, typer.Option(min=0, metavar="N", help="Documents of it to draw; 0 for all.")] = 5000,
) -> None:
    """Make a tagger out of lists of names: the longest name is found, at word boundaries only.

    The folder is a bundle, as training leaves one: tag, and silver build, take it.
    """
    from transfuse import bundle
    from transfuse.gazetteer import Gazetteer, Matching, common_words, read_terms
    from transfuse.losses import Losses
    from transfuse.silver.annotators import find_terms, texts

    bundle.check_output(out)
    matching = Matching(case, acronym, plural, minimum)
    losses = Losses()
    stopped = {name for name, _ in read_terms(stop, "stop")} if stop else set()
    with watching("reading names") as watch:
        terms = [term for spec in sources for term in find_terms(spec, label)]
        if stop_text:
            watch(f"counting the words of {stop_text}", None)
            stopped |= common_words(texts([stop_text], limit=stop_limit), share=stop_share)
        tagger = Gazetteer(terms, matching, stop=stopped, losses=losses)
    facts: dict[str, Any] = {
        "sources": sources,
        "stop": str(stop or ""),
        "stop_text": stop_text,
        "sha256": tagger.sha256,
    }
    if stop_text:
        facts |= {"stop_share": stop_share, "stop_limit": stop_limit}
    bundle.save(tagger, out, card=_card(sources, tagger), facts=facts)
    note_losses(losses)
    note(f"{count(len(tagger.terms), 'name')} of {', '.join(tagger.labels)}: {out}")


def _card(sources: list[str], tagger: Any) -> str:
    rule = tagger.matching
    return (
        f"# Gazetteer\n\n{len(tagger.terms):,} names of {', '.join(tagger.labels)} from {', '.join(sources)}.\n\n"
        f"Case: {rule.case} (acronyms of up to {rule.acronym} characters); plurals: {'yes' if rule.plural else 'no'}; "
        f"at least {rule.minimum} characters.\n"
    )
