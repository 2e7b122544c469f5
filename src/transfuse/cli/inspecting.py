"""``transfuse inspect``: what a method sees in the user's corpora."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import count, epilog, print_json, say, show_table, watching

if TYPE_CHECKING:
    from transfuse.maps.pivots import Look

__all__ = ["pivots", "register"]

group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Look at what a method sees in corpora.")

_SIDES = {-1: "before", 0: "itself", 1: "behind"}


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.add_typer(group, name="inspect")


@group.command(
    epilog=epilog(
        "transfuse inspect pivots --source bc5cdr-disease --target ncbi-disease",
        "transfuse inspect pivots --source biored --target linnaeus --label Species --top 30 --words 15",
    )
)
def pivots(
    source: Annotated[list[str], typer.Option("--source", metavar="NAME", help="Annotated; may be repeated.")],
    target: Annotated[str, typer.Option(metavar="NAME", help="Its training text; its annotation is not looked at.")],
    label: Annotated[str, typer.Option(metavar="TYPE", help="Information about mentions of this type alone.")] = "",
    labels: Annotated[str, typer.Option(metavar="MAP", help="Label map for all corpora, as in training.")] = "",
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Pivots to show; --json has all.")] = 20,
    words: Annotated[
        int, typer.Option("--words", min=1, metavar="N", help="Source words to show inside mentions, and outside.")
    ] = 10,
    chosen: Annotated[int, typer.Option("--pivots", min=1, metavar="N", help="Pivots to choose.")] = 300,
    frequent: Annotated[int, typer.Option(min=1, metavar="N", help="How often each side must have a word.")] = 20,
    tokens: Annotated[int, typer.Option(min=0, metavar="N", help="Words a side to look at; 0 for all.")] = 50_000,
    limit: Annotated[int, typer.Option(min=0, metavar="N", help="Sentences of each source; 0 for all.")] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Decides what is drawn.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print all as JSON.")] = False,
) -> None:
    """Show the pivots of structural correspondence learning, and which words correspond through them.

    A pivot is a word that both sides have often and that says much of the tag. Words that predict the same pivots
    correspond, though one side may not know the other's.
    """
    from transfuse.data.task import Data, build_task
    from transfuse.maps import pivots as looking
    from transfuse.maps.correspondence import Correspondences
    from transfuse.maps.token_features import draw_sentences
    from transfuse.taggers.linear import read_tokens

    settings = Correspondences(pivots=chosen, frequent=frequent)
    with watching("reading corpora") as watch:
        task, _ = build_task(Data(target, tuple(source), share=0, labels=labels, limit=limit), seed=seed)
        known = task.target.labels
        documents = [d.with_entities(e for e in d.entities if e.label in known) for c in task.sources for d in c.train]
        sides = read_tokens(documents), read_tokens(task.raw, tagged=False)
        watch("predicting pivots", None)
        ours, theirs = (draw_sentences(items, tokens, seed=seed) for items in sides)
        found = looking.look(ours, theirs, known, settings, label=label, count=words)
    print_json(_data(found)) if as_json else _show(found, top)


def _data(found: Look) -> dict[str, Any]:
    from dataclasses import asdict

    data = asdict(found)
    data["matches"] = [
        {**match, "target": [{"word": word, "cosine": cosine} for word, cosine in match["target"]]}
        for match in data["matches"]
    ]
    return data


def _show(found: Look, top: int) -> None:
    columns = [("pivot", "left"), ("stands", "left")]
    columns += [(head, "right") for head in ("bits", "source", "target", "inside")]
    rows: list[tuple[str, ...]] = [
        (p.word, _SIDES[p.position], f"{p.bits:.4f}", f"{p.source:,}", f"{p.target:,}", f"{100 * p.inside:.0f} %")
        for p in found.pivots[:top]
    ]
    show_table("Words that both sides have and that say most of the tag", columns, rows, fold=["pivot"])
    nearest = "nearest of the target"
    columns = [("source", "left"), ("times", "right"), ("inside", "right"), (nearest, "left")]
    rows = [(m.word, f"{m.source:,}", f"{100 * m.inside:.0f} %", _named(m.target)) for m in found.matches]
    if rows:
        show_table("Words of one side alone that predict the same pivots", columns, rows, fold=["source", nearest])
    else:
        say("No word is frequent enough in one side and rare enough in the other to be shown: lower --frequent.")
    sizes = " and ".join(f"{count(number, 'word')} of the {side}" for side, number in found.words.items())
    say(f"{count(len(found.pivots), 'pivot')} over {sizes}.")


def _named(words: tuple[tuple[str, float], ...]) -> str:
    return ", ".join(f"{word} {cosine:.2f}" for word, cosine in words)
