"""Training on one batch until it is known by heart: what every network has to be able to do."""

from __future__ import annotations

import torch

from transfuse.nn.head import Head
from transfuse.taggers.architecture import TagSet
from transfuse.taggers.encoding import Encoding
from transfuse.taggers.neural import Sentence
from transfuse.transfer.supervised import head_loss


def by_heart(
    encoding: Encoding,
    head: Head,
    tagset: TagSet,
    items: list[Sentence],
    *,
    size: int = 6,
    steps: int = 25,
    rate: float = 0.01,
) -> list[float]:
    """The losses of some steps on one batch, the longest sentences."""
    batch = encoding.batch(sorted(items, key=lambda s: -len(s.forms))[:size], tagset)
    optimizer = torch.optim.Adam([*encoding.encoder.parameters(), *head.parameters()], lr=rate)
    losses = []
    for _ in range(steps):
        loss = head_loss(head, encoding.encoder(batch), batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
