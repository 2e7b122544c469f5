"""What MUCT costs with 1 to 10 sources: CPU seconds and peak memory, each number of sources in a process of its own.

Usage: python benchmarks/sources.py [SENTENCES, 300 unless given, of each source]. On built-in corpora; the target's
labels are hidden. Both grow linearly: the last columns are what a further source costs.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from itertools import count
from multiprocessing import get_context
from pathlib import Path

from transfuse import synthetic
from transfuse.text import Corpus, Document, Task
from transfuse.words import sentences

NUMBERS = (1, 2, 4, 7, 10)


def source(number: int, size: int) -> Corpus:
    """A corpus of about so many sentences, drawn for this number."""
    name = synthetic.DEPARTMENTS[number % len(synthetic.DEPARTMENTS)]
    for documents in count(10, 10):
        corpus = synthetic.department(name, seed=100 + number, documents=documents)
        if sum(len(sentences(document.text)) for document in corpus.train) >= size:
            return Corpus(f"source-{number}", {"train": corpus.train}, corpus.labels)
    raise AssertionError


def measure(number: int, size: int) -> tuple[float, float, float]:
    """CPU seconds of training and of tagging, and peak memory in MiB."""
    import torch

    from transfuse.methods.muct import Muct
    from transfuse.run import Run
    from transfuse.taggers.vectors import Vectors
    from transfuse.train import Training

    torch.set_num_threads(1)
    target = synthetic.department("cardiology", documents=120)
    raw = tuple(Document(document.id, document.text) for document in target.train)
    hidden = Corpus("target", {"train": (), "test": target.test}, target.labels)
    task = Task(hidden, tuple(source(i, size) for i in range(number)), raw)
    brief = Training(epochs=1, steps=60, select="last")
    method = Muct(training=brief, vectors=Vectors(kind="none"), rounds=1, round_training=brief, raw_limit=300)
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        tagger = method.fit(task, run=Run(Path(folder)))
        trained = time.process_time()
        for _ in tagger.tag(target.test):
            pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return trained - began, time.process_time() - trained, peak


def main() -> None:
    """Print a line for each number of sources."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    print("sources  training s  tagging s  peak MiB   s a source  MiB a source")
    before: tuple[int, float, float] | None = None
    for number in NUMBERS:
        with get_context("spawn").Pool(1) as pool:
            training, tagging, peak = pool.apply(measure, (number, size))
        line = f"{number:7}  {training:10.1f}  {tagging:9.2f}  {peak:8.0f}"
        if before:
            more = number - before[0]
            line += f"   {(training - before[1]) / more:10.1f}  {(peak - before[2]) / more:12.1f}"
        print(line, flush=True)
        before = number, training, peak


if __name__ == "__main__":
    main()
