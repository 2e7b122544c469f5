"""The command line: thin verbs over the package, one module a group of verbs.

Whatever a verb needs is imported when it runs, so that help is there at once and only training and tagging wait for
torch. A mistake of the user's is one line on standard error and exit status 2; results go to standard output, what
happens meanwhile to standard error.
"""

from __future__ import annotations

import os
import sys
import warnings
from inspect import cleandoc
from pathlib import Path
from typing import Annotated

import typer

from transfuse.cli import (
    comparing,
    corpora,
    demo,
    documents,
    encoders,
    explaining,
    fusing,
    inspecting,
    pretraining,
    reporting,
    reproducing,
    settings,
    silver,
    tagging,
    training,
    validating,
)
from transfuse.cli.console import epilog
from transfuse.team import team
from transfuse.text import ConfigError, TransfuseError

__all__ = ["app", "main"]

INTERRUPTED = 130

app = typer.Typer(
    name="transfuse",
    help="Move what other corpora can teach into a tagger for a small one, and see whether it helped.",
    epilog=epilog("transfuse demo", "transfuse train --target ncbi-disease --source bc5cdr-disease --share 0.05"),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)

for module in (
    demo,
    training,
    comparing,
    validating,
    reproducing,
    settings,
    reporting,
    tagging,
    fusing,
    documents,
    corpora,
    silver,
    encoders,
    pretraining,
    explaining,
    inspecting,
):
    module.register(app)


def _flow(verbs: typer.Typer) -> None:
    """Let the terminal break the lines of each verb's help, where typer keeps those of the docstring."""
    for verb in verbs.registered_commands:
        paragraphs = cleandoc((verb.callback and verb.callback.__doc__) or "").split("\n\n")
        verb.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for group in verbs.registered_groups:
        if group.typer_instance:
            _flow(group.typer_instance)


_flow(app)


def _version(asked: bool) -> None:
    if asked:
        from transfuse import __version__

        typer.echo(f"transfuse {__version__}")
        raise typer.Exit


@app.callback()
def _every(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Never download: what is not here is an error.")] = False,
) -> None:
    if offline:
        os.environ["TRANSFUSE_OFFLINE"] = "1"
    verb = context.invoked_subcommand
    if verb not in {"train", "run"} and team().size > 1:
        raise ConfigError(f"{verb} does not share its work between processes: start it without a launcher")


def main(arguments: list[str] | None = None) -> None:
    """Run a verb and leave with its exit status: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # whoever started this has closed it
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough; what is still buffered must not be tried again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except OSError as error:
        # What was found when the last of the output went out, as that a disk is full.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = _complain(_fault(error))
    sys.exit(status)


def _run(arguments: list[str] | None) -> int:
    try:
        status = app(arguments, standalone_mode=False, prog_name="transfuse")
    except TransfuseError as error:
        return _complain(str(error))
    except KeyboardInterrupt:
        status = INTERRUPTED
    except typer.Abort:
        return 1
    except BrokenPipeError:
        raise
    except OSError as error:
        return _complain(_fault(error))
    except Exception as error:
        # The parser's errors; their class has moved between versions of typer.
        message = getattr(error, "format_message", None)
        if message is None:
            raise
        return _complain(_usage(error, message())) if message() else 2
    if status == INTERRUPTED:
        typer.echo("interrupted", err=True)
    return int(status or 0)


def _fault(error: OSError) -> str:
    """What the system says: a full disk, a folder that may not be read or written, a name that is too long."""
    place = f"{error.filename}: " if error.filename else ""
    return f"{place}{error.strerror or error}"


def _usage(error: Exception, message: str) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "transfuse"
    return f"{' '.join(message.split()).rstrip('.')}; see {path} --help"


def _complain(message: str) -> int:
    typer.echo(f"error: {message}", err=True)
    return 2
