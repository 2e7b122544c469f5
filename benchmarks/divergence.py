"""What the discrepancy costs, forward and backward, in CPU seconds of one run; the readings used for claims are ratios.

First one tag at the cap: squared distances from differences of all pairs (the cube) against one matrix product. Then a
batch's worth of tokens, 3,200 a side over five tags, most of them O as in a corpus: in full, capped, by random features
and in linear time. Ratios above 1 mean that the second is faster. The last row is the bound for a step: five tags, each
with as many tokens as the cap lets through.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from transfuse.nn.divergence import RELEASED, Kernel, label_mmd, mmd

WIDTH, CAP, TOKENS = 256, 64, 3_200
SHARES = (0.8, 0.05, 0.05, 0.05, 0.05)  # of the tags, O first
ROUNDS = 5
PAIRS = [(tag, tag) for tag in range(len(SHARES))]


def cpu(work: Callable[[], Tensor], repeats: int) -> float:
    """CPU milliseconds of one loss with its gradient."""
    began = time.process_time()
    for _ in range(repeats):
        work().backward()
    return 1000 * (time.process_time() - began) / repeats


def cube(source: Tensor, target: Tensor) -> Tensor:
    """The biased estimate from all differences at once, and autograd."""
    pooled = torch.cat([source, target])
    squared = (pooled[:, None] - pooled).square().sum(-1)
    kernel = torch.stack([(-squared / (2 * width)).exp() for width in RELEASED]).sum(0)
    n = len(source)
    return kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean()


def states(count: int) -> Tensor:
    """Like an LSTM's: within (-1, 1)."""
    return torch.randn(count, WIDTH).mul(0.3).tanh().requires_grad_()


def tags(even: bool) -> Tensor:
    """A tag a token."""
    shares = torch.full((len(SHARES),), 1 / len(SHARES)) if even else torch.tensor(SHARES)
    return torch.multinomial(shares, TOKENS, replacement=True)


def row(what: str, first: Callable[[], Tensor], second: Callable[[], Tensor], repeats: int) -> None:
    """Print medians of both and the median of the paired ratios."""
    for work in (first, second):
        work().backward()
    times = [(cpu(first, max(1, repeats // 10)), cpu(second, repeats)) for _ in range(ROUNDS)]
    before, after = (statistics.median(column) for column in zip(*times, strict=True))
    print(f"{what:>44} {before:10.2f} {after:10.2f} {statistics.median(a / b for a, b in times):7.1f}")


def main() -> None:
    """Print a row a comparison."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{'first against second':>44} {'first ms':>10} {'second ms':>10} {'ratio':>7}")
    small = states(CAP), states(CAP)
    row(f"cube against Gram, {CAP} a side", lambda: cube(*small), lambda: mmd(*small, Kernel()), 50)
    source, target = states(TOKENS), states(TOKENS)
    here, there, even = tags(False), tags(False), tags(True)

    def loss(kernel: Kernel, left: Tensor = here, right: Tensor = there) -> Callable[[], Tensor]:
        return lambda: label_mmd(source, left, target, right, kernel, pairs=PAIRS)

    full = loss(Kernel(cap=0))
    for name, kernel in {
        "capped": Kernel(cap=CAP),
        "random features": Kernel(estimate="features", cap=0),
        "linear time": Kernel(estimate="linear", cap=0),
        "capped, median": Kernel("median", cap=CAP),
    }.items():
        row(f"full against {name}, {TOKENS:,} a side", full, loss(kernel), 10)
    row("full against capped, tags alike in number", loss(Kernel(cap=0), even, even), loss(Kernel(), even, even), 20)


if __name__ == "__main__":
    main()
