"""Silver corpora: raw text that several taggers annotate, harmonised, and then cleaned for one target."""

from __future__ import annotations

__all__: list[str] = []
