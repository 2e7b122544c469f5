"""Do explanations point at the words that matter? Deletes the top word of 100 spans, and beside it a random one.

Usage: python benchmarks/explain.py RUN [CORPUS] [WAY...]. A word's weight is judged by how much the span's log-odds
move when the word is cut out of the sentence (not replaced, as explanations themselves do), on average over gold spans
that are spread evenly over the test split. The words of the span itself are cut out as long as one is left.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import torch

from transfuse import bundle
from transfuse.data.task import resolve_target
from transfuse.explaining.explain import Explaining, explain
from transfuse.explaining.explanations import TITLES, Explanation
from transfuse.explaining.odds import Removal
from transfuse.text import Document, Entity, SpanError, Tagger

SPANS = 100


def main() -> None:
    """Print the mean change for the top word and for a random one: of all words, and of those around the span."""
    torch.set_num_threads(1)
    if len(sys.argv) < 2:
        print("name a finished run, whose tagger is to be explained")
        return
    run, corpus, *ways = [*sys.argv[1:], "ncbi-disease"] if len(sys.argv) == 2 else sys.argv[1:]
    tagger = bundle.load(bundle.locate(Path(run)))
    spans = [(d, e) for d in resolve_target(corpus).test for e in d.entities if e.label in tagger.labels]
    chosen = [spans[i * len(spans) // SPANS] for i in range(min(SPANS, len(spans)))]
    for way in ways or TITLES:
        began, draw = time.process_time(), random.Random(0)
        rows = [row for document, span in chosen for row in changes(tagger, document, span, way, draw)]
        gaps = [abs(one.gap) / max(1, abs(one.difference)) for one, *_ in rows]
        print(f"{way}: {len(rows)} spans, {time.process_time() - began:.1f} CPU s, largest gap {max(gaps):.4f}")
        for name, side in (("all words", 1), ("words around the span", 2)):
            pairs = [row[side] for row in rows if row[side]]
            top, other, most = (fmean(pair[i] for pair in pairs) for i in range(3))
            wins = fmean(pair[0] > pair[1] for pair in pairs)
            print(f"  {name}: top {top:.3f}, random {other:.3f}, strongest there is {most:.3f}; top wins {wins:.0%}")


def changes(
    tagger: Tagger, document: Document, span: Entity, way: str, draw: random.Random
) -> Iterator[tuple[Explanation, tuple[float, ...], tuple[float, ...]]]:
    """The explanation, and what cutting out its top word, a random one and the best changes: of all words, around."""
    try:
        one = explain(tagger, document, span, Explaining(by=way, samples=500))
    except SpanError:
        return
    moved = [abs(odds - one.log_odds) for odds in without(tagger, document, one)]
    inside = [one.entity.start <= word.start < one.entity.end for word in one.words]
    sides = []
    for rows in (range(len(moved)), [i for i, within in enumerate(inside) if not within]):
        able = [i for i in rows if moved[i] == moved[i]]
        top = max(able, key=lambda i: abs(one.words[i].score), default=None)
        sides.append(() if top is None else (moved[top], moved[draw.choice(able)], max(moved[i] for i in able)))
    yield one, sides[0], sides[1]


def without(tagger: Tagger, document: Document, one: Explanation) -> list[float]:
    """The span's log-odds when each word in turn is not there; nan where nothing would be left of the span."""
    found = []
    for word in one.words:
        inside = one.entity.start <= word.start < one.entity.end
        offsets = [(w.start, w.end) for w in one.words if w is not word]
        rows = [i for i, (start, _) in enumerate(offsets) if one.entity.start <= start < one.entity.end]
        if inside and not rows:
            found.append(float("nan"))
            continue
        game = Removal(tagger, document, offsets, (rows[0], rows[-1] + 1, one.entity.label))
        found.append(float(game(torch.ones(1, len(offsets), dtype=torch.bool))[0]))
    return found


if __name__ == "__main__":
    main()
