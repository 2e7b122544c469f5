"""A frozen transformer with and without its kept states: seconds of an epoch, and how much faster later ones are.

Usage: python benchmarks/frozen.py [ENCODER], one that is on this machine; minilm-l6 by default. Text is invented.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from transfuse.methods.target_only import TargetOnly
from transfuse.run import Run
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import Corpus, Task
from transfuse.train import Training

STEPS = 40


def seconds(corpus: Corpus, encoder: TransformerEncoder) -> float:
    """CPU seconds of an epoch of training."""
    training = Training(epochs=1, steps=STEPS)
    method = TargetOnly(Architecture(encoder), training, Vectors(kind="none"))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        method.fit(Task(corpus), run=run)
        return float(run.records("trained")[-1]["cpu_seconds"])


def main() -> None:
    """Print CPU seconds and ratios."""
    torch.set_num_threads(1)
    corpus = department("cardiology", documents=160)
    corpus = replace(corpus, splits={"train": corpus.train})
    learned = TransformerEncoder(name=sys.argv[1] if len(sys.argv) > 1 else "minilm-l6")
    still = replace(learned, frozen="all")
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TRANSFUSE_CACHE"] = cache
        told = {
            "trained": seconds(corpus, learned),
            "frozen, first": seconds(corpus, still),
            "frozen, later": seconds(corpus, still),
        }
    for name, value in told.items():
        print(f"{name}: {value:.1f} CPU seconds an epoch of {STEPS} steps")
    print(f"kept states are {told['frozen, first'] / told['frozen, later']:.0f} times as fast as computing them")


if __name__ == "__main__":
    main()
