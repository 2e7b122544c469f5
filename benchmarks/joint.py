"""What a La-DTL step costs beside a joint step on the same batches, in CPU seconds of one thread: 1.3 times, at most.

python benchmarks/joint.py [TARGET SOURCE SHARE]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import torch

from transfuse import methods
from transfuse.data.task import Data, build_task
from transfuse.run import Run
from transfuse.taggers.vectors import Vectors
from transfuse.text import Task
from transfuse.transfer.together import paired_losses, start, together

BOUND = 1.3
NAMES = ("joint", "crf-l2", "mmd-crf-l2", "la-mmd", "la-dtl")


def compare(task: Task, folder: Path) -> None:
    """Take the same steps with each method, in turn, and print what they cost."""
    made = {}
    for name in NAMES:
        settings = methods.get(name)(vectors=Vectors(kind="none"))  # type: ignore[call-arg]
        run = Run(folder / name, seed=0)
        made[name] = settings, start(task, settings, run=run), run.stage("target")  # type: ignore[arg-type]
    settings, begun, stage = made["joint"]
    steps = [s for s in together(begun.target, begun.sources, settings, stage=stage, epoch=0) if s.source][:100]
    took = dict.fromkeys(NAMES, 0.0)
    for number, step in enumerate(steps):
        for name, (settings, begun, _) in made.items():
            began = time.process_time()
            terms = paired_losses(begun, step, epsilon=0.5, terms=getattr(settings, "terms", None))
            torch.stack(list(terms.values())).sum().backward()
            if number >= 5:
                took[name] += time.process_time() - began
    for name, seconds in took.items():
        print(f"{name:12} {1000 * seconds / (len(steps) - 5):7.2f} ms a step, {seconds / took['joint']:.2f} of joint")
    print(f"at most {BOUND} times a joint step: {'yes' if took['la-dtl'] <= BOUND * took['joint'] else 'no'}")


def main(target: str = "ncbi-disease", source: str = "bc5cdr-disease", share: str = "0.05") -> None:
    """Compare them on a task; its names and share may be given."""
    torch.set_num_threads(1)
    task, _ = build_task(Data(target, (source,), share=float(share), limit=2000), seed=0)
    with tempfile.TemporaryDirectory() as folder:
        compare(task, Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
