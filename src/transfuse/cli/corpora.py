"""``transfuse corpora``: what is registered, what is known of it, fetching it, and looking for what is wrong."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import count, epilog, note, out, print_json, say, show_table, watching
from transfuse.cli.options import AsJSON
from transfuse.text import ConfigError

if TYPE_CHECKING:
    from transfuse.losses import Losses
    from transfuse.published import Published
    from transfuse.text import Corpus

__all__ = ["check", "get", "info", "list_corpora", "register"]

group = typer.Typer(
    no_args_is_help=True, rich_markup_mode="rich", help="The published corpora, and any corpus of yours."
)


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(group, name="corpora")


@group.command(
    "list", epilog=epilog("transfuse corpora list --language en --label Disease", "transfuse corpora list --json")
)
def list_corpora(
    language: Annotated[str, typer.Option(metavar="TAG", help="Only those in this language: en, zh.")] = "",
    label: Annotated[
        str, typer.Option(metavar="TYPE", help="Only those that annotate this type, by its common name.")
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """List what is registered: corpora, collections of raw text, and lists of names."""
    from transfuse import corpora, lexicons

    rows = []
    known: dict[str, set[str]] = {"--language": set(), "--label": set()}
    for name in corpora.names():
        facts = corpora.info(name)
        types = sorted(set(facts.common.rename.values()))
        known["--language"].add(facts.language)
        known["--label"].update(types)
        if (not language or facts.language == language) and (not label or label in types):
            rows.append((facts, types))
    for option, value in (("--language", language), ("--label", label)):
        if value and value not in known[option]:
            close = get_close_matches(value, known[option], 2, cutoff=0.5) or sorted(known[option])
            raise ConfigError(f"{option} {value}: no corpus has it; there is {', '.join(close)}")
    if as_json:
        print_json([_facts(facts) for facts, _ in rows])
        return
    columns = [
        ("corpus", "left"),
        ("", "left"),
        ("types", "left"),
        ("train", "right"),
        ("dev", "right"),
        ("test", "right"),
    ]
    cells = []
    for facts, types in rows:
        sizes = [f"{facts.splits[s].documents:,}" if s in facts.splits else "-" for s in ("train", "dev", "test")]
        shown = ", ".join(types[:4]) + (f" and {len(types) - 4} more" if len(types) > 4 else "")
        cells.append((facts.name, facts.language, shown, *sizes))
    show_table("", columns, cells, fold=["types"])
    texts = ", ".join(
        name for name in corpora.raw_names() if not language or corpora.raw_info(name).language == language
    )
    say(f"{len(rows)} corpora; sizes count what each takes for a document, often a sentence.")
    if texts and not label:
        say(f"Without annotation: {texts}.")
    if not (language or label):
        say(f"Lists of names: {', '.join(lexicons.names())}.")


def _facts(facts: Published) -> dict[str, Any]:
    return {
        "name": facts.name,
        "title": facts.title,
        "language": facts.language,
        "labels": list(facts.labels),
        "common": {old: new for old, new in facts.common.rename.items() if old in facts.labels},
        "units": facts.units,
        "splits": {name: {"documents": s.documents, "entities": s.entities} for name, s in facts.splits.items()},
        "licence": facts.licence,
        "citation": facts.citation,
        "origin": list(facts.origin),
        "archive": facts.archive,
        "tested_on": list(facts.tested_on),
        "notes": list(facts.notes),
        "sha256": facts.sha256,
    }


@group.command(epilog=epilog("transfuse corpora info ncbi-disease"))
def info(name: Annotated[str, typer.Argument(help="A registered name.")], as_json: AsJSON = False) -> None:
    """Say what is known of a corpus: where it comes from, its licence, its types, its sizes, its quirks."""
    from transfuse import corpora

    facts = corpora.info(name)
    if as_json:
        print_json(_facts(facts))
        return
    common = facts.common.rename
    labels = ", ".join(old if common[old] == old else f"{old} ({common[old]})" for old in facts.labels)
    rows = [
        ("title", facts.title),
        ("language", facts.language),
        ("types", labels),
        *(
            (split, f"{part.documents:,} {facts.units}, {part.entities:,} entities")
            for split, part in facts.splits.items()
        ),
        ("licence", facts.licence),
        ("citation", facts.citation),
        ("origin", ", ".join(facts.origin) or "-"),
        ("archive", facts.archive),
        *(
            ("note", f"Its test split has documents in common with the train split of {name}.")
            for name in facts.tested_on
        ),
        *(("note", text) for text in facts.notes),
    ]
    _pairs(facts.name, rows)


def _pairs(title: str, rows: list[tuple[str, str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify = Text(title, "bold"), "left"
    before = ""
    for key, value in rows:
        table.add_row(Text("" if key == before else key, "dim"), Text(value))
        before = key
    out().print(table)


@group.command(epilog=epilog("transfuse corpora get ncbi-disease bc5cdr-disease"))
def get(names: Annotated[list[str], typer.Argument(metavar="NAME", help="Registered names.")]) -> None:
    """Fetch corpora into the cache, hold their files against the published SHA-256, and print their folders.

    They come from the folder of archives that TRANSFUSE_MIRROR names, else from where they were published.
    """
    from transfuse import corpora
    from transfuse.mirror import fetch

    texts = corpora.raw_names()
    wanted = [corpora.raw_info(name) if name in texts else corpora.info(name) for name in names]
    for facts in wanted:
        files = facts.files if facts.name in texts else facts.sha256  # type: ignore[union-attr]
        with watching(f"fetching {facts.name}"):
            root = fetch(facts.archive, files)
        say(f"{facts.name}\t{root}")


@group.command(
    epilog=epilog(
        "transfuse corpora check ncbi-disease",
        "transfuse corpora check bc5cdr-disease --against ncbi-disease",
        "transfuse corpora check conll:notes/",
    )
)
def check(
    corpus: Annotated[str, typer.Argument(metavar="NAME|PATH", help="A registered name, a path, or format:path.")],
    against: Annotated[
        str, typer.Option(metavar="NAME|PATH", help="Look up its documents in another corpus too.")
    ] = "",
    as_json: AsJSON = False,
) -> None:
    """Look for wrong counts, illegal tags, misaligned mentions, doubles, broken sentences, and leaks between splits.

    The exit status is 1 if one of the findings is an error, as a count that is not the published one, else 0.
    """
    from transfuse import corpora
    from transfuse.data import checks, overlap
    from transfuse.losses import Losses

    losses = Losses()
    published = corpora.info(corpus) if corpus in corpora.names() else None
    with watching(f"reading {corpus}"):
        found = published.load(losses) if published else _read(corpus, losses)
    with watching(f"checking {corpus}"):
        findings = checks.check(found, published, losses)
        shared = overlap.overlap(found, _read(against, Losses())) if against else []
    if as_json:
        told = [{"split": o.split, "other": o.other, **_overlap(o)} for o in shared]
        sizes = {split: len(documents) for split, documents in found.splits.items()}
        data = {"corpus": found.name, "documents": sizes, "findings": [f.to_dict() for f in findings]}
        print_json(data | ({"overlap": told} if against else {}))
    else:
        _show_findings(found, findings)
        if against:
            _show_overlap(shared)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(1)


def _read(spec: str, losses: Losses) -> Corpus:
    from transfuse.data.task import resolve

    return resolve(spec, losses=losses, divide="none")


def _show_findings(corpus: Corpus, findings: list[Any]) -> None:
    sizes = []
    for split, documents in corpus.splits.items():
        entities = sum(len(document.entities) for document in documents)
        sizes.append(f"{split} {len(documents):,} / {entities:,}")
    say(f"{corpus.name}: documents / entities: {', '.join(sizes)}")
    columns = [("", "left"), ("split", "left"), ("what", "left"), ("times", "right"), ("for example", "left")]
    rows = [(f.severity, f.split or "-", f.kind, f"{f.count:,}", "\n".join(f.detail)) for f in findings]
    if rows:
        show_table("", columns, rows)
    errors = sum(finding.severity == "error" for finding in findings)
    note(f"{count(len(findings), 'finding')}, {count(errors, 'error')}")


def _show_overlap(shared: list[Any]) -> None:
    columns = [
        ("of", "left"),
        ("in", "left"),
        ("documents by id", "right"),
        ("sentences by text", "right"),
        ("", "right"),
    ]
    rows = [
        (o.split, o.other, f"{o.by_id:,} of {o.documents:,}", f"{o.by_text:,} of {o.sentences:,}", f"{o.share:.1%}")
        for o in shared
    ]
    show_table("What is in the other corpus too", columns, rows)


def _overlap(found: Any) -> dict[str, Any]:
    names = ("documents", "by_id", "sentences", "by_text", "share")
    return {name: getattr(found, name) for name in names}
