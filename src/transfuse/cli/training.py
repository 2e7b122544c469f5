"""``transfuse train``, ``run`` and ``vectors train``: from data and settings to a scored run folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import (
    check_device,
    count,
    duration,
    epilog,
    note,
    percent,
    print_json,
    say,
    show_table,
    use_threads,
    watching,
)
from transfuse.cli.documents import guard_inputs
from transfuse.cli.options import (
    AsJSON,
    Device,
    Encoder,
    LabelMap,
    Source,
    Text,
    Threads,
    TrainingText,
    Vectors,
    check_use,
    network_settings,
)
from transfuse.losses import RENAMED
from transfuse.text import ConfigError, DataError, Document

if TYPE_CHECKING:
    from transfuse.experiments.recipe import Recipe
    from transfuse.reporting.results import Finished

__all__ = ["perform", "register", "run", "train", "train_vectors"]

Changes = Annotated[
    list[str],
    typer.Option("--set", metavar="A.B=C", help="Change one setting of the recipe, as method.training.epochs=3."),
]

vectors_group = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Word vectors.")


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command(
        epilog=epilog(
            "transfuse train --target ncbi-disease --out runs/base",
            "transfuse train --target ncbi-disease --source bc5cdr-disease --share 0.05 --seed 1",
            "transfuse train --target jsonl:notes.jsonl --method crfsuite --set method.c2=0.3",
            "transfuse train --target jsonl:notes.jsonl --from runs/base",
            "transfuse train --target notes/ --source ncbi-disease --labels map.toml --vectors glove.txt",
        )
    )(train)
    app.command(
        epilog=epilog(
            "transfuse run ground/ncbi-disease", "transfuse run recipe.toml --set run.seed=1 --set data.share=0.1"
        )
    )(run)
    app.add_typer(vectors_group, name="vectors")


def train(
    target: Annotated[
        str, typer.Option(metavar="CORPUS", help="What to learn: a registered name, a path, or format:path.")
    ],
    source: Source = [],  # noqa: B006
    method: Annotated[
        str, typer.Option(help="See transfuse methods; retrain with --source, fine-tune with --from, else target-only.")
    ] = "",
    preset: Annotated[str, typer.Option(help="Settings that the method ships, as those of a paper.")] = "",
    share: Annotated[
        float, typer.Option(help="Share of the target's training documents that keep their labels.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Decides every draw.")] = 0,
    begin: Annotated[
        str, typer.Option("--from", metavar="BUNDLE", help="Train this tagger further, by the method fine-tune.")
    ] = "",
    vectors: Vectors = "",
    encoder: Encoder = "",
    raw: Annotated[list[str], typer.Option(metavar="TEXT", help="Text of the target's kind, without labels.")] = [],  # noqa: B006
    labels: LabelMap = "",
    changes: Changes = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="Run folder; runs/<hash of the recipe>.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = 1,
    as_json: AsJSON = False,
) -> None:
    """Train a tagger, score it on dev and once on test, and leave a run folder with a bundle in it.

    A killed run goes on with the same command and ends in the same weights; a finished one is not run again.
    """
    data = {"target": target, "sources": source, "share": share, "raw": raw, "labels": labels}
    usual = "fine-tune" if begin else "retrain" if source else "target-only"
    settings: dict[str, Any] = {"name": method or usual, **network_settings(vectors, encoder)}
    check_use(settings["name"], source=source, raw=raw, begin=begin, vectors=vectors, encoder=encoder)
    if begin:
        settings["bundle"] = begin
    if preset:
        settings["preset"] = preset
    use_threads(threads)
    from transfuse.experiments.recipe import make_recipe, override

    table = override({"data": data, "method": settings, "run": {"seed": seed}}, changes)
    _finish(make_recipe(table), output, device, as_json)


def run(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A file, as the recipe.toml of any run, or a shipped name.")
    ],
    changes: Changes = [],  # noqa: B006
    output: Annotated[
        Path | None, typer.Option("--out", metavar="RUN", help="Run folder; runs/<hash of the recipe>.")
    ] = None,
    device: Device = "cpu",
    threads: Threads = 1,
    as_json: AsJSON = False,
) -> None:
    """Do what a recipe says; a killed run goes on, a finished one is not run again."""
    use_threads(threads)
    from transfuse.experiments.recipe import find_recipe, load_recipe

    _finish(load_recipe(find_recipe(recipe), changes=changes), output, device, as_json)


def perform(recipe: Recipe, folder: Path, *, device: str = "cpu", label: str = "") -> dict[str, Any]:
    """Run a recipe under a progress bar; what ``run_recipe`` gives.

    Args:
        recipe: what to do.
        folder: of the run.
        device: torch device.
        label: stands before what the bar says.
    """
    from transfuse.experiments.running import run_recipe

    with watching(f"{label}reading {recipe.data.target}") as watch:
        return run_recipe(recipe, folder, device=device, watch=lambda text, done: watch(label + text, done))


def _finish(recipe: Recipe, output: Path | None, device: str, as_json: bool) -> None:
    from transfuse.experiments.doubts import doubts_of
    from transfuse.reporting.results import read_run
    from transfuse.team import team

    check_device(device)
    folder = output or Path("runs") / recipe.hash
    before = (folder / "done").exists()
    scores = perform(recipe, folder, device=device)
    if not team().leads:
        return
    run = read_run(folder)
    if before:
        note(f"{folder} was finished before: nothing was run again")
    if as_json:
        facts = {"run": str(folder), "bundle": str(folder / "bundle"), "method": run.method, "seed": run.seed}
        print_json(facts | {"selection": run.selection, "cpu_seconds": run.cpu_seconds, "scores": scores})
        return
    _show_scores(scores, f"{run.method} on {run.target}, in per cent")
    _show_lost(run)
    for source in run.data["sources"]:
        removed = sum(source["removed"].values())
        say(f"{source['name']}: {count(removed, 'document')} taken out that the target's dev or test holds")
    for moved in (record for record in run.records if record["event"] == "transferred"):
        afresh = ", ".join(moved["fresh"]) or "none"
        say(f"carried over: {', '.join(moved['layers'])}; tags {', '.join(moved['tags']) or 'none'}; afresh: {afresh}")
    for told in (record for record in run.records if record["event"] == "note"):
        note(told["text"])
    if recipe.published:
        say(f"published: {recipe.published.f1:.2f} ({recipe.published.place})")
    chosen = f"chosen by: {run.selection}; " if run.selection else ""
    say(f"{chosen}training took {duration(run.cpu_seconds)} of CPU time")
    for doubt in doubts_of(run):
        note(doubt)
    say(f"bundle: {folder / 'bundle'}")


def _show_lost(run: Finished) -> None:
    """What did not come through unchanged, first in reading, and then in learning from a corpus; and the list of it."""
    prefix = f"altered: {RENAMED}"
    losses: dict[str, int] = run.data["losses"]
    if renamed := [f"{what.removeprefix(prefix)} ({n:,})" for what, n in losses.items() if what.startswith(prefix)]:
        say(f"labels renamed: {', '.join(renamed)}")
    lost = {what: number for what, number in losses.items() if not what.startswith(prefix)}
    for what, number in lost.items():
        note(f"in reading: {number:,} {what}")
    read = {r["corpus"]: r["losses"] for r in run.records if r["event"] in {"read", "trained"} and r.get("losses")}
    for corpus, counts in read.items():
        for what, number in counts.items():
            note(f"in learning from {corpus}: {number:,} {what}")
    if lost or read:
        note(f"each of them with its place: {run.folder / 'losses'}")


def _show_scores(scores: dict[str, Any], title: str) -> None:
    columns = [("", "left"), ("", "left")]
    columns += [(head, "right") for head in ("gold", "precision", "recall", "strict F1", "relaxed F1")]
    rows = []
    for split, kinds in scores.items():
        strict, relaxed = kinds["strict"], kinds["relaxed"]
        parts = {"micro": (strict["micro"], relaxed["micro"]), "macro": (strict["macro"], relaxed["macro"])}
        parts |= {label: (counts, relaxed["types"][label]) for label, counts in strict["types"].items()}
        for name, (exact, loose) in parts.items():
            rates = (percent(exact[key]) for key in ("precision", "recall", "f1"))
            gold = f"{exact['gold']:,}" if "gold" in exact else ""
            rows.append((split if name == "micro" else "", name, gold, *rates, percent(loose["f1"])))
    show_table(title, columns, rows)


@vectors_group.command(
    "train",
    epilog=epilog(
        "transfuse vectors train --text en-text --corpus ncbi-disease vectors.safetensors",
        "transfuse vectors train --text txt[per=line]:notes.txt --width 200 --epochs 3 vectors.txt",
    ),
)
def train_vectors(
    output: Annotated[
        Path, typer.Argument(metavar="OUT", help="What is written: .safetensors (ours), .bin or .txt (word2vec).")
    ],
    text: Text = [],  # noqa: B006
    corpus: TrainingText = [],  # noqa: B006
    width: Annotated[int, typer.Option(min=1, help="Columns.")] = 100,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the text.")] = 1,
    window: Annotated[int, typer.Option(min=1, help="Words to either side that a word predicts.")] = 5,
    least: Annotated[int, typer.Option("--count", min=1, help="Rarer words get no vector.")] = 4,
    seed: Annotated[int, typer.Option(help="Decides every draw.")] = 1,
) -> None:
    """Train skip-gram vectors on one thread; the same text and settings are never trained twice."""
    from transfuse.mirror import cache_folder
    from transfuse.taggers import vectors

    if not text and not corpus:
        raise ConfigError("nothing to read: name --text or --corpus")
    if not output.parent.is_dir():
        raise DataError("no such folder", path=str(output.parent))
    guard_inputs(str(output), [*text, *corpus])
    if output.suffix not in vectors.SUFFIXES:
        raise ConfigError(f"{output}: vectors go to a file in {', '.join(vectors.SUFFIXES)}; --text names what is read")
    if output.exists():
        vectors.read_vectors(output)  # or it is no file of vectors, and is not to be lost
    settings = vectors.Vectors(
        kind="train",
        text=tuple(text),
        corpora=tuple(corpus),
        width=width,
        epochs=epochs,
        window=window,
        count=least,
        seed=seed,
    )
    with watching("reading") as watch:
        documents = _told(_texts(text, corpus), watch)
        fold = vectors.folds_widths(text, corpus)
        found = vectors.train_vectors(documents, settings, cache=cache_folder() / "vectors", fold=fold)
    found.save(output)
    took = duration(found.origin.get("cpu_seconds", 0.0))
    words = f"{count(len(found.words), 'word')} from {found.origin.get('running_words', 0):,} running words"
    note(f"{output}: {words}, {width} columns, trained in {took} of CPU time")


def _texts(text: list[str], corpus: list[str]) -> Iterator[Document]:
    from transfuse.data.task import raw_documents, resolve

    for spec in text:
        yield from raw_documents(spec)
    for spec in corpus:
        yield from resolve(spec).train


def _told(documents: Iterator[Document], watch: Any) -> Iterator[Document]:
    """The documents, with word of how many there were so far."""
    number = 0
    for number, document in enumerate(documents, 1):
        if number % 1000 == 0:
            watch(f"reading: {count(number, 'document')}", None)
        yield document
    watch(f"training on {count(number, 'document')}", None)
