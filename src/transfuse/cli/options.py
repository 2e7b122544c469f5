"""Options that several verbs have in common, so that they are written, explained and read alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from transfuse.text import ConfigError

__all__ = [
    "AsJSON",
    "Device",
    "Encoder",
    "Jobs",
    "LabelMap",
    "Output",
    "Source",
    "Text",
    "Threads",
    "TrainingText",
    "Vectors",
    "check_use",
    "network_settings",
]

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str, typer.Option(help="Where torch computes: cpu, cuda, cuda:1.")]
Encoder = Annotated[
    str, typer.Option(metavar="NAME|PATH", help="A pre-trained transformer in place of the BiLSTM; see encoders.")
]
Jobs = Annotated[int, typer.Option(min=0, help="Processes, of one thread each; 0 only reports what is done.")]
LabelMap = Annotated[
    str, typer.Option("--labels", metavar="MAP", help="Label map for all corpora: a file, or a shipped one.")
]
Output = Annotated[Path, typer.Option("--out", metavar="DIR", help="Runs, records and report go here.")]
Source = Annotated[list[str], typer.Option(metavar="CORPUS", help="What to transfer from; again for more, in order.")]
Text = Annotated[list[str], typer.Option(metavar="TEXT", help="A registered collection, a path, or format:path.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads that torch uses.")]
TrainingText = Annotated[list[str], typer.Option(metavar="CORPUS", help="Read the training texts of this corpus too.")]
Vectors = Annotated[
    str, typer.Option(metavar="none|task|PATH", help="No word vectors, trained on the task's text, or read.")
]


def network_settings(vectors: str, encoder: str) -> dict[str, Any]:
    """What ``--vectors`` and ``--encoder`` say, as a recipe's ``[method]`` has it; nothing for what is not given."""
    settings: dict[str, Any] = {}
    if vectors:
        settings["vectors"] = {"kind": vectors} if vectors in {"none", "task"} else {"kind": "file", "path": vectors}
    if encoder:
        settings["architecture"] = {"encoder": {"kind": "transformer", "name": encoder}}
    return settings


def check_use(
    method: str, *, source: list[str], vectors: str, encoder: str, raw: Sequence[str] = (), begin: str = ""
) -> None:
    """Refuse options that a method has no use for.

    Raises:
        ConfigError: by the name of the option.
    """
    from transfuse import methods

    known = {field.name for field in fields(methods.get(method))}  # type: ignore[arg-type]
    if source and begin:
        raise ConfigError("--from and --source: the tagger stands for what it learned from; leave one of them out")
    if raw and method in methods.ALONE and "vectors" not in known:  # which may be trained on it
        raise ConfigError(f"--raw: {method} reads no text without labels; leave it out")
    if source and method in methods.ALONE:
        raise ConfigError(f"--source: {method} looks at no source; name a method that does, as retrain")
    chosen = (("--from", begin, "bundle"), ("--vectors", vectors, "vectors"), ("--encoder", encoder, "architecture"))
    for option, value, setting in chosen:
        if value and setting not in known:
            raise ConfigError(f"{option}: {method} has no {setting} to choose")
