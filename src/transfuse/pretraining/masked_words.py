"""A masked language model that tells whole words, by word vectors of the field that are given and stay as they are.

A head that tells pieces begins with nothing, and what it does not know bends the encoder for thousands of steps. Word
vectors, learned from text of the field in minutes (Mikolov et al. 2013), know which words are alike: a hidden word is
told by its vector among those of others, and so, beside it, are the words that are shown. In no paper of ours.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from transfuse.nn.padding import inside
from transfuse.nn.transformer import Transformer
from transfuse.pretraining.masking import Masking, PieceBatch, spelled

__all__ = ["WordModel"]

_OTHERS = 3000
"""Words that are drawn for a step, beside its own, for the right one to be told from."""

_COMMON = 1e-4
"""A shown word with a larger share of the text is told in some of its places, as skip-gram thins out common words."""

_SCALE = 10.0
"""Of similarities, where training begins."""


class WordModel(nn.Module):
    """An encoder, a head from the state of a word's first piece, and the vectors by which words are told.

    Args:
        encoder: reads passages; it must not need to cut them into windows.
        vectors: ``[words + 1, width]``; row 0 is for words that have none, which are not told.
        counts: ``[words + 1]`` how often each stands in the text.
    """

    vectors: Tensor
    shares: Tensor

    def __init__(self, encoder: Transformer, vectors: Tensor, counts: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        width = encoder.width
        self.told_by = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width), nn.Linear(width, vectors.shape[1])
        )
        self.scale = nn.Parameter(torch.tensor(_SCALE).log())
        shares = counts.float() / max(1, int(counts.sum()))
        self.bias = nn.Parameter((shares + 1e-7).log())
        self.register_buffer("vectors", nn.functional.normalize(vectors.float(), dim=1), persistent=False)
        self.register_buffer("shares", shares, persistent=False)

    @property
    def head(self) -> list[nn.Parameter]:
        """The parameters that no encoder brings along."""
        return [*self.told_by.parameters(), self.scale, self.bias]

    def objective(self, batch: PieceBatch, masking: Masking) -> dict[str, Tensor]:
        """The losses of a step: of words that are hidden, and of words that are shown."""
        hidden, shown = self._losses(batch, masking, None)
        return {"masked": hidden.sum() / max(1, len(hidden)), "shown": shown.sum() / max(1, len(shown))}

    def losses(self, batch: PieceBatch, masking: Masking, generator: torch.Generator | None = None) -> Tensor:
        """Nats of each hidden word that has a vector, told from some thousand others: ``[hidden words]``.

        Args:
            batch: on the CPU.
            masking: hides words of it.
            generator: of all draws.
        """
        return self._losses(batch, masking, generator)[0]

    def _losses(self, batch: PieceBatch, masking: Masking, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        pieces, hidden = masking(batch, generator)
        device = self.encoder.device
        states = self.encoder.read(spelled(self.encoder), pieces.to(device), batch.lengths.to(device))
        there = (batch.told > 0) & inside(batch.lengths, pieces.shape[1])
        shares = self.shares.cpu()[batch.told]
        rare = torch.rand(there.shape, generator=generator) < (_COMMON / shares.clamp(min=1e-12)).sqrt()
        drawn = torch.multinomial(self._noise(), _OTHERS, replacement=True, generator=generator)
        rows = torch.unique(torch.cat([batch.told[there], drawn]))
        column = torch.zeros(len(self.bias), dtype=torch.long)
        column[rows] = torch.arange(len(rows))
        found = []
        for places, bias in ((there & hidden, self.bias), (there & ~hidden & rare, torch.zeros_like(self.bias))):
            asked = nn.functional.normalize(self.told_by(states[places.to(device)]), dim=1) * self.scale.exp()
            scores = asked @ self.vectors[rows.to(device)].T + bias[rows.to(device)]
            wanted = column[batch.told[places]].to(device)
            found.append(nn.functional.cross_entropy(scores, wanted, reduction="none"))
        return found[0], found[1]

    def _noise(self) -> Tensor:
        """``[words + 1]`` how words are drawn: by their counts to the power of 3/4, as in skip-gram."""
        weights: Tensor = (self.shares.cpu() + 1e-7) ** 0.75
        weights[0] = 0
        return weights
