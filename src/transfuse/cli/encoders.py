"""``transfuse encoders``: the pre-trained encoders that there are."""

from __future__ import annotations

from dataclasses import asdict

import typer

from transfuse.cli.console import epilog, print_json, say, show_table
from transfuse.cli.options import AsJSON

__all__ = ["encoders", "register"]


def register(app: typer.Typer) -> None:
    """Add the verb."""
    app.command(
        epilog=epilog(
            "transfuse encoders",
            "transfuse train --target ncbi-disease --encoder minilm-l6",
        )
    )(encoders)


def encoders(as_json: AsJSON = False) -> None:
    """List pre-trained encoders: those on this machine first, then those that the hub has; no network is touched."""
    from transfuse.encoders.known import at_hand

    found = at_hand()
    if as_json:
        print_json([asdict(encoder) for encoder in found])
        return
    columns = [("name", "left"), ("where", "left"), ("layers", "right"), ("width", "right"), ("trained on", "left")]
    rows = [
        (e.name, e.place, str(e.layers) if e.layers else "", str(e.width) if e.width else "", e.about) for e in found
    ]
    show_table("", columns, rows, fold=("trained on",))
    say("package, cache: on this machine; hub: is downloaded when first used. A folder is a name, too.")
