"""``transfuse tag``: a bundle put to work on files of any size."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfuse.cli.console import count, epilog, note, note_losses, use_threads, watching
from transfuse.cli.documents import FROM, guard_inputs, open_input, output_format, target_of
from transfuse.cli.options import Threads
from transfuse.files import suffix_of
from transfuse.mentions import Ids
from transfuse.text import DataError, Document

if TYPE_CHECKING:
    from transfuse.losses import Losses

__all__ = ["register", "tag"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog=epilog(
            "transfuse tag runs/base notes.txt -o found.jsonl",
            "transfuse tag runs/base abstracts/*.txt.gz -o found.jsonl.gz --confidence",
            'echo "No sign of asthma." | transfuse tag runs/base - --to conll',
            "transfuse tag runs/base notes.txt -o brat/ --to brat --from txt --threshold 0.5",
        )
    )(tag)


def tag(
    model: Annotated[Path, typer.Argument(metavar="RUN|BUNDLE", help="A run folder, or the bundle in it.")],
    inputs: Annotated[list[str], typer.Argument(metavar="INPUT", help="Files, also gzip; - for standard input.")],
    output: Annotated[
        str, typer.Option("-o", "--out", metavar="OUT", help="A file, packed if it ends in .gz; - for standard output.")
    ] = "-",
    to_format: Annotated[
        str,
        typer.Option(
            "--to", metavar="FORMAT", help="Format of the output; by its ending, and jsonl on standard output."
        ),
    ] = "",
    from_format: FROM = "auto",
    confidence: Annotated[bool, typer.Option("--confidence", help="Give each entity its probability.")] = False,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="P", help="Leave out entities less probable than this.")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Let a transformer compute in 8-bit integers: faster, a little less exact.")
    ] = False,
    threads: Threads = 1,
) -> None:
    """Find entities in text of any size, in memory that does not grow with it.

    Plain text is one document a line; --from txt takes each file as one document. The entities that an input has are
    replaced by those found. An output file appears when all went well.
    """
    guard_inputs(output, [str(model), *inputs])
    named = output_format(output, to_format)
    from transfuse import bundle, formats

    places = [formats.parse_spec(spec)[2] for spec in inputs if spec != "-"]
    if missing := [place for place in places if not Path(place).exists()]:
        raise DataError("no such file or folder", path=missing[0])

    folder = bundle.locate(model)
    use_threads(threads)
    from transfuse.losses import Losses

    tagger: Any = bundle.load(folder)
    if int8:
        from transfuse.lighter import to_int8

        to_int8(tagger)
    losses, meter = Losses(), _Meter()
    options = {"confidence": True} if confidence or threshold is not None else {}
    stems = _stems(inputs)
    with watching("tagging") as watch:
        read = (d for spec in inputs for d in _read(spec, from_format, losses, stems[spec]))
        documents = meter.told(_apart(read, losses) if len(inputs) > 1 else read, watch)
        found = tagger.tag(documents, **options)
        found = found if threshold is None else _above(found, threshold)
        formats.write(meter.counted(found), target_of(output), named, losses=losses)
    note_losses(losses)
    note(str(meter))


def _stems(inputs: Iterable[str]) -> dict[str, str]:
    """What documents without an id are named after: files of one name by their whole path, others by their name."""
    names = {spec: Path(spec.rpartition(":")[2].removesuffix(".gz")).with_suffix("") for spec in inputs}
    times = Counter(path.name for path in names.values())
    return {spec: path.as_posix().lstrip("/") if times[path.name] > 1 else "" for spec, path in names.items()}


def _apart(documents: Iterable[Document], losses: Losses) -> Iterator[Document]:
    """The documents of several inputs, with ids that no two have."""
    ids = Ids(losses)
    for document in documents:
        yield replace(document, id=ids.unique(document.id))


def _read(spec: str, format: str, losses: Any, stem: str) -> Iterator[Document]:
    """Plain text by the line, and anything else as `open_input` has it."""
    if format != "auto":
        return open_input(spec, format, losses, stem=stem)
    if spec == "-" or Path(spec).is_file():
        from transfuse import formats

        plain = spec == "-" or suffix_of(spec) in {".txt", ".text"}
        if plain:
            return open_input(spec, "txt", losses, per="line", stem=stem)
        formats.detect(spec)
    return open_input(spec, "auto", losses, stem=stem)


def _above(documents: Iterable[Document], threshold: float) -> Iterator[Document]:
    """Without entities whose score is lower; those without a score stay."""
    for document in documents:
        kept = [e for e in document.entities if e.score is None or e.score >= threshold]
        yield document if len(kept) == len(document.entities) else document.with_entities(kept)


@dataclass
class _Meter:
    """What went through, and how fast."""

    documents: int = 0
    characters: int = 0
    entities: int = 0
    began: float = 0.0

    def told(self, documents: Iterable[Document], watch: Any) -> Iterator[Document]:
        """The documents, counted as they go in."""
        self.began = time.perf_counter()
        for document in documents:
            self.documents += 1
            self.characters += len(document.text)
            if self.documents % 500 == 0:
                watch(f"tagging: {count(self.documents, 'document')} read", None)
            yield document

    def counted(self, documents: Iterable[Document]) -> Iterator[Document]:
        """The documents, counted as they come out."""
        for document in documents:
            self.entities += len(document.entities)
            yield document

    def __str__(self) -> str:
        seconds = max(time.perf_counter() - self.began, 1e-9)
        speed = f"{self.characters / seconds:,.0f} characters/s"
        return f"{count(self.documents, 'document')}, {count(self.entities, 'entity')}, {speed}"
