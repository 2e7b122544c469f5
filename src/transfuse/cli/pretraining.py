"""``transfuse pretrain``: an encoder learns from raw text, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from transfuse.cli.console import (
    check_device,
    count,
    duration,
    epilog,
    note,
    print_json,
    say,
    show_table,
    use_threads,
    watching,
)
from transfuse.cli.options import AsJSON, Device, Text, Threads, TrainingText

__all__ = ["pretrain", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog=epilog(
            "transfuse pretrain minilm-l6 --text en-text --apart ncbi-disease --out runs/biomedical",
            "transfuse train --target ncbi-disease --encoder runs/biomedical/encoder",
            "transfuse pretrain roberta --text txt[per=line]:notes.txt --pieces 5000000 --out runs/notes",
        )
    )(pretrain)


def pretrain(
    encoder: Annotated[str, typer.Argument(metavar="ENCODER", help="A name, see encoders, or a folder.")],
    text: Text = [],  # noqa: B006
    corpus: TrainingText = [],  # noqa: B006
    apart: Annotated[
        list[str],
        typer.Option(metavar="TARGET", help="Leave out documents that this corpus' dev or test split holds; again."),
    ] = [],  # noqa: B006
    limit: Annotated[int, typer.Option(metavar="N", help="Documents to draw; 0 for all.")] = 0,
    steps: Annotated[int, typer.Option(metavar="N", help="Steps of training.")] = 2000,
    pieces: Annotated[int, typer.Option(metavar="N", help="Instead of --steps: pieces of text to read.")] = 0,
    batch: Annotated[int, typer.Option(metavar="N", help="Passages a step.")] = 16,
    length: Annotated[int, typer.Option(metavar="N", help="Pieces of a passage, at most.")] = 128,
    mask: Annotated[float, typer.Option(metavar="SHARE", help="Share of the words that are hidden.")] = 0.15,
    rate: Annotated[float, typer.Option(help="Learning rate at its highest.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Decides every draw.")] = 0,
    vectors: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Word vectors of the field: whole words are told by them, not pieces."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="bf16", help="Compute the model's states so: faster on some machines, slower on others."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="Run folder; runs/<hash of the settings>.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = 1,
    as_json: AsJSON = False,
) -> None:
    """Let a pre-trained encoder read text of your field: hide words, and have it tell them.

    RUN/encoder is then an encoder like any other. For a small one and an hour of CPU time name --vectors: by its pieces
    alone it lost F1 on NCBI-disease at 5 and 10 %. A killed run goes on with the same command and ends in the same
    weights; a finished one is not run again.
    """
    use_threads(threads)
    check_device(device)
    from transfuse.pretraining import pretrain

    settings = pretrain.Pretraining(
        encoder=encoder,
        text=tuple(text),
        corpora=tuple(corpus),
        apart=tuple(apart),
        limit=limit,
        steps=steps,
        pieces=pieces,
        batch=batch,
        length=length,
        mask=mask,
        rate=rate,
        seed=seed,
        vectors=str(vectors) if vectors else None,
        precision=precision,  # type: ignore[arg-type]  # checked there
    )
    folder = output or Path("runs") / settings.hash
    before = (folder / "done").exists()
    with watching("reading the text") as watch:
        facts = pretrain.pretrain(settings, folder, device=device, watch=watch)
    if before:
        note(f"{folder} was finished before: nothing was run again")
    print_json({"run": str(folder), **facts}) if as_json else _show(facts, folder)


def _show(facts: dict[str, Any], folder: Path) -> None:
    text = facts["text"]
    rows = [(when, f"{told['loss']:.3f}", f"{told['perplexity']:,.1f}") for when, told in facts["held_out"].items()]
    columns = [
        ("", "left"),
        (f"nats a hidden {'word' if 'vectors' in facts else 'piece'}", "right"),
        ("perplexity", "right"),
    ]
    show_table(f"On {count(text['held_out'], 'document')} held out", columns, rows)
    for target, gone in text["removed"].items():
        away = count(sum(gone.values()), "document")
        say(f"{target}: {away} taken out that its dev or test holds")
    read = f"{count(facts['steps'], 'step')}, {facts['pieces']:,} pieces, {facts['passes']:g} passes over the text"
    say(f"{read}; training took {duration(facts['cpu_seconds'])} of CPU time")
    say(f"encoder: {folder / 'encoder'}")
