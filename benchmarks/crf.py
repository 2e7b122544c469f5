"""CRF loss with its gradient, and decoding: ours against pytorch-crf, in CPU seconds of one run.

The reading used for claims: batch 32, 60 words, 5 tags; more shapes beside it. Ratios above 1 mean that ours is faster.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torchcrf import CRF as Peer

from transfuse.nn.crf import CRF

SHAPES = ((32, 60, 5), (32, 30, 5), (16, 26, 5), (32, 60, 45))
ROUNDS, REPEATS = 7, 10


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of one call, over `REPEATS` calls."""
    began = time.process_time()
    for _ in range(REPEATS):
        work()
    return (time.process_time() - began) / REPEATS


def works(batch: int, time_steps: int, tags: int) -> dict[str, tuple[Callable[[], object], Callable[[], object]]]:
    """What is timed for a shape: ours and the peer's, by name."""
    legal = [True] * tags
    ours, peer = CRF(legal, legal, [legal] * tags), Peer(tags, batch_first=True)
    emissions = torch.randn(batch, time_steps, tags, requires_grad=True)
    gold = torch.randint(0, tags, (batch, time_steps))
    lengths = torch.full((batch,), time_steps)
    mask = torch.ones(batch, time_steps, dtype=torch.bool)
    fixed = emissions.detach()
    return {
        "loss+grad": (
            lambda: ours.loss(emissions, lengths, tags=gold).sum().backward(),
            lambda: peer(emissions, gold, mask=mask, reduction="sum").neg().backward(),
        ),
        "decode": (partial(ours.decode, fixed, lengths), partial(peer.decode, fixed, mask=mask)),
    }


def main() -> None:
    """Print a row a shape: medians in milliseconds and the median of the paired ratios."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{'batch x words x tags':>22} {'what':>9} {'ours ms':>9} {'peer ms':>9} {'ratio':>6}")
    for shape in SHAPES:
        for what, (own, peer) in works(*shape).items():
            for work in (own, peer):
                work()
            rows = [(cpu(own), cpu(peer)) for _ in range(ROUNDS)]
            own_ms, peer_ms = (1000 * statistics.median(column) for column in zip(*rows, strict=True))
            ratio = statistics.median(theirs / mine for mine, theirs in rows)
            print(f"{' x '.join(map(str, shape)):>22} {what:>9} {own_ms:9.2f} {peer_ms:9.2f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
