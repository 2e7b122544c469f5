"""A masked language model round an encoder: words are hidden, and their pieces told from what stands around them.

Devlin et al. (BERT, NAACL 2019, section 3.1), with whole words hidden. The encoder is the one that tags, and reads
passages through the very code by which it reads sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from transfuse.nn.forms import PieceForms
from transfuse.nn.padding import inside
from transfuse.nn.transformer import Transformer
from transfuse.text import ConfigError

if TYPE_CHECKING:
    from transfuse.encoders.pieces import Pieces

__all__ = ["MaskedModel", "Masking", "PieceBatch", "masking", "spelled"]

_SHOWN = (0.8, 0.9)
"""Of hidden words, up to which share the mask is shown, and up to which other pieces; the rest is shown as it is."""


@dataclass(frozen=True)
class PieceBatch:
    """Passages of text.

    Attributes:
        pieces: ``[batch, time]``, 0 behind a passage's end.
        words: ``[batch, time]`` to which word of the passage a piece belongs, from 0.
        told: ``[batch, time]`` at a word's first piece the row of its vector; 0 where it has none, and elsewhere.
        lengths: ``[batch]`` pieces, none 0.
    """

    pieces: Tensor
    words: Tensor
    told: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Masking:
    """How words are hidden.

    Attributes:
        share: of the words.
        mask: the piece that stands for a hidden one.
        others: the pieces that another one is drawn from.
    """

    share: float
    mask: int
    others: Tensor

    def __call__(self, batch: PieceBatch, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """Hide whole words of a batch, each with the same chance, and never none.

        Of hidden words 80 % are shown as masks, 10 % as pieces drawn at random, and 10 % as they are; what happens to
        one piece of a word happens to all, for one that stays would give the others away.

        Args:
            batch: on the CPU.
            generator: of the draws; torch's own by default, which a resumed training has restored.

        Returns:
            The pieces that are shown, and which of them are to be told: both ``[batch, time]``.
        """
        steps = inside(batch.lengths, batch.pieces.shape[1])
        shape = len(batch.pieces), int(batch.words.max()) + 1
        chance = torch.rand(shape, generator=generator).gather(1, batch.words).masked_fill(~steps, 2.0)
        hidden = chance <= max(self.share, float(chance.min()))
        how = torch.rand(shape, generator=generator).gather(1, batch.words)
        drawn = self.others[torch.randint(len(self.others), batch.pieces.shape, generator=generator)]
        shown = batch.pieces.masked_fill(hidden & (how < _SHOWN[0]), self.mask)
        return torch.where(hidden & (how >= _SHOWN[0]) & (how < _SHOWN[1]), drawn, shown), hidden


def masking(pieces: Pieces, share: float) -> Masking:
    """What hides words written in a vocabulary: its special piece called mask, and all pieces that are not special.

    Raises:
        ConfigError: the vocabulary has no such piece, or nothing else.
    """
    special = {i: t.content for i, t in pieces.tokenizer.get_added_tokens_decoder().items() if t.special}
    mask = next((i for i, name in sorted(special.items()) if "mask" in name.casefold()), None)
    others = sorted(set(pieces.tokenizer.get_vocab().values()) - set(special))
    if mask is None or not others:
        raise ConfigError("the encoder's vocabulary has no piece for what is masked, so nothing can be hidden from it")
    return Masking(share, mask, torch.tensor(others))


def spelled(encoder: Transformer) -> PieceForms:
    """Every piece of an encoder's vocabulary as a form of its own: passages are read piece by piece."""
    model: Any = encoder.model
    rows = torch.arange(model.get_input_embeddings().num_embeddings, device=encoder.device)
    return PieceForms(rows[:, None], torch.ones_like(rows), torch.zeros_like(rows))


class MaskedModel(nn.Module):
    """An encoder and a head that tells hidden pieces.

    Families of models call their heads differently, and most files hold none; so there is one for all: a dense layer to
    the width of the embedding, GELU, layer norm, and the encoder's own embedding as the last layer, with a bias (as in
    BERT's). It runs on hidden pieces alone: over all of them the softmax would cost about as much as a small encoder.

    Args:
        encoder: reads passages; it must not need to cut them into windows.
        counts: ``[vocabulary]`` how often each piece stands in the text. The bias begins as the logarithm of their
            shares, so that the first steps need not teach the encoder how frequent pieces are.
    """

    def __init__(self, encoder: Transformer, counts: Tensor) -> None:
        super().__init__()
        self.encoder = encoder
        rows, width = self.embedding.shape
        self.dense = nn.Linear(encoder.width, width)
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.zeros_(self.dense.bias)
        self.norm = nn.LayerNorm(width)
        known = nn.functional.pad(counts.float(), (0, rows - len(counts))) + 1
        self.bias = nn.Parameter((known / known.sum()).log())

    @property
    def embedding(self) -> Tensor:
        """``[vocabulary, width]`` weights of the encoder's embedding, by which pieces are read and told."""
        model: Any = self.encoder.model
        weight: Tensor = model.get_input_embeddings().weight
        return weight

    @property
    def head(self) -> list[nn.Parameter]:
        """The parameters that no encoder brings along."""
        return [*self.dense.parameters(), *self.norm.parameters(), self.bias]

    def forward(self, shown: Tensor, hidden: Tensor, lengths: Tensor) -> Tensor:
        """Scores of all pieces at hidden places: ``[hidden places, vocabulary]``, row by row.

        Args:
            shown: ``[batch, time]`` pieces.
            hidden: ``[batch, time]`` where to tell.
            lengths: ``[batch]``.
        """
        states = self.encoder.read(spelled(self.encoder), shown, lengths)[hidden]
        told: Tensor = self.norm(nn.functional.gelu(self.dense(states)))
        return nn.functional.linear(told, self.embedding, self.bias)

    def objective(self, batch: PieceBatch, masking: Masking) -> dict[str, Tensor]:
        """The loss of a step."""
        return {"masked": self.losses(batch, masking).mean()}

    def losses(self, batch: PieceBatch, masking: Masking, generator: torch.Generator | None = None) -> Tensor:
        """Nats of each hidden piece: ``[hidden places]``.

        Args:
            batch: on the CPU.
            masking: hides words of it.
            generator: of its draws.
        """
        shown, hidden = masking(batch, generator)
        device = self.encoder.device
        scores = self(shown.to(device), hidden.to(device), batch.lengths.to(device))
        return nn.functional.cross_entropy(scores, batch.pieces[hidden].to(device), reduction="none")
