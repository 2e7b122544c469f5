"""Options that several verbs have in common, so that they are written and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJSON", "Device", "Jobs", "Output", "Source", "Text", "Threads", "TrainingText"]

AsJSON = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str, typer.Option(help="Where torch computes: cpu, cuda, cuda:1.")]
Jobs = Annotated[int, typer.Option(min=0, help="Processes, of one thread each; 0 only reports what is done.")]
Output = Annotated[Path, typer.Option("--out", metavar="DIR", help="Runs, records and report go here.")]
Source = Annotated[list[str], typer.Option(metavar="CORPUS", help="What to transfer from; again for more, in order.")]
Text = Annotated[list[str], typer.Option(metavar="TEXT", help="A registered collection, a path, or format:path.")]
Threads = Annotated[int, typer.Option(min=1, help="Threads that torch uses.")]
TrainingText = Annotated[list[str], typer.Option(metavar="CORPUS", help="Read the training texts of this corpus too.")]
