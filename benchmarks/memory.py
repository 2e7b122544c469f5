"""Peak memory of `transfuse tag` over a gigabyte of text.

Usage: python benchmarks/memory.py RUN_OR_BUNDLE [megabytes, 1000 unless given]. The text is generated on the fly by the
built-in grammar and piped in, so nothing but the tagger holds it.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

from transfuse import synthetic


def main() -> None:
    """Print the peak of the child process."""
    if len(sys.argv) < 2:
        print("name a finished run, whose tagger is to read the text")
        return
    bundle = sys.argv[1]
    megabytes = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    notes = [
        document.text.replace("\n", " ")
        for number, name in enumerate(synthetic.DEPARTMENTS)
        for document in synthetic.department(name, seed=number, documents=2000).train
    ]
    block = ("\n".join(notes) + "\n").encode()
    command = [sys.executable, "-m", "transfuse", "tag", bundle, "-", "-o", "-", "--to", "jsonl"]
    began = time.monotonic()
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert child.stdin is not None
    written = 0
    while written < megabytes * 1_000_000:
        written += child.stdin.write(block)
    child.stdin.close()
    status = child.wait()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"status {status}; {written / 1e6:.0f} MB in; peak {peak:.0f} MiB; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
