"""Training and tagging speed on NCBI-disease at the settings that the published scores use, on one thread.

Usage: python benchmarks/tagging.py [RUN]. Without a finished run, weights are fresh: speed does not depend on them.
Needs the real corpus (TRANSFUSE_MIRROR, or a download).
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

from transfuse import bundle, corpora
from transfuse.experiments.recipe import find_recipe, load_recipe
from transfuse.methods.target_only import TargetOnly
from transfuse.run import Run
from transfuse.text import Task

RECIPE = "ground/ncbi-disease"
EPOCHS, PASSES = 2, 5


def main() -> None:
    """Print sentences a CPU second."""
    torch.set_num_threads(1)
    corpus = corpora.load("ncbi-disease", canonical=True)
    method = load_recipe(find_recipe(RECIPE)).method
    assert isinstance(method, TargetOnly)
    method = replace(method, training=replace(method.training, epochs=EPOCHS))
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder))
        tagger = method.fit(Task(corpus), run=run)
        trained = run.records("trained")[-1]
    print(f"training: {trained['sentences'] / trained['cpu_seconds']:.0f} sentences a CPU second")
    if len(sys.argv) > 1:
        tagger = bundle.load(Path(sys.argv[1]) / "bundle")
    documents = [*corpus.train, *corpus.dev, *corpus.test]
    for number in range(PASSES):
        began = time.process_time()
        count = sum(1 for _ in tagger.tag(documents))
        seconds = time.process_time() - began
        print(f"tagging, pass {number + 1}: {count / seconds:.0f} sentences a CPU second")


if __name__ == "__main__":
    main()
