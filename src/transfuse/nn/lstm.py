"""A bidirectional LSTM for padded batches whose steps are written out by hand.

Why not `torch.nn.LSTM`: on a CPU this is faster (both directions advance in one batched product, padding is never
computed), results don't depend on what a sentence is padded with, the input products can be computed once for
each distinct word, and the recurrent connections can take variational dropout. Checked against `torch.nn.LSTM`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from transfuse.nn.padding import still_running, turn

__all__ = ["BiLSTM"]


class BiLSTM(nn.Module):
    """One layer, two directions (Graves & Schmidhuber 2005), gates in the order input, forget, output, cell.

    Args:
        inputs: width of a word's vector.
        hidden: units a direction; states are ``2 * hidden`` wide.
        recurrent_dropout: share of a direction's units that the recurrent product does not see; one mask a
            sentence, the same at all steps (Gal & Ghahramani 2016). 0 is none.
    """

    def __init__(self, inputs: int, hidden: int, *, recurrent_dropout: float = 0.0) -> None:
        super().__init__()
        self.hidden = hidden
        self.recurrent_dropout = recurrent_dropout
        self.weight_input = nn.Parameter(torch.empty(2, inputs, 4 * hidden))
        self.weight_hidden = nn.Parameter(torch.empty(2, hidden, 4 * hidden))
        self.bias = nn.Parameter(torch.zeros(2, 1, 4 * hidden))
        with torch.no_grad():
            for direction in range(2):
                for gate in range(4):
                    columns = slice(gate * hidden, (gate + 1) * hidden)
                    nn.init.xavier_uniform_(self.weight_input[direction, :, columns])
                    nn.init.orthogonal_(self.weight_hidden[direction, :, columns])
            self.bias[:, :, hidden : 2 * hidden] = 1.0

    def forward(self, inputs: Tensor, lengths: Tensor) -> Tensor:
        """Run both directions over a batch.

        Args:
            inputs: ``[batch, time, inputs]``.
            lengths: ``[batch]`` words of each sentence, longest first, none 0.

        Returns:
            ``[batch, time, 2 * hidden]``, zeros where a sentence has ended.
        """
        batch, time, _ = inputs.shape
        turned = turn(lengths, time)
        rows = torch.arange(batch, device=inputs.device)
        both = torch.stack([inputs.transpose(0, 1), inputs[rows, turned]])
        gates = self.project(both.flatten(1, 2)).view(2, time, batch, -1)
        mask = None
        if self.training and self.recurrent_dropout:
            mask = torch.empty(2, batch, self.hidden, dtype=inputs.dtype, device=inputs.device)
            mask.bernoulli_(1 - self.recurrent_dropout).div_(1 - self.recurrent_dropout)
        alive = still_running(lengths, time)
        states: Tensor = _Recurrence.apply(gates, self.weight_hidden, mask, alive)  # type: ignore[no-untyped-call]
        return torch.cat([states[0], states[1][turned, rows]], -1).transpose(0, 1)

    def project(self, inputs: Tensor) -> Tensor:
        """What the gates get from the input alone: ``[2 (directions), n, inputs] -> [2, n, 4 * hidden]``."""
        return torch.baddbmm(self.bias, inputs, self.weight_input)

    @torch.no_grad()
    def run(self, table: Tensor, places: Tensor, lengths: Tensor) -> Tensor:
        """Run over a batch whose inputs were projected before: what tagging does.

        Args:
            table: ``[2, forms, 4 * hidden]`` from `project`.
            places: ``[batch, time]`` rows of the table.
            lengths: as in `forward`, and so is what is returned.
        """
        batch, time = places.shape
        turned = turn(lengths, time)
        rows = torch.arange(batch, device=places.device)
        order = places.T.contiguous(), places[rows, turned].contiguous()

        def gates(step: int, alive: int) -> Tensor:
            gate = table.new_empty(2, alive, table.shape[2])
            for side, index, out in zip(table, order, gate, strict=True):
                torch.index_select(side, 0, index[step, :alive], out=out)
            return gate

        alive = still_running(lengths, time)
        states = table.new_zeros(2, time, batch, self.hidden)
        cell = table.new_zeros(2, batch, self.hidden)
        for step in range(time):
            gate = gates(step, alive[step])
            cell = _advance(gate, states, cell, self.weight_hidden, None, step)
        return torch.cat([states[0], states[1][turned, rows]], -1).transpose(0, 1)


def _advance(gate: Tensor, states: Tensor, cell: Tensor, weight: Tensor, mask: Tensor | None, step: int) -> Tensor:
    """One step of both directions, without gradient.

    Args:
        gate: ``[2, alive, 4 * hidden]`` input products; the gates' activations are left in it.
        states: ``[2, time, batch, hidden]``; this step's are written into it.
        cell: ``[2, at least alive, hidden]`` cells before the step.
        weight: ``[2, hidden, 4 * hidden]``.
        mask: ``[2, batch, hidden]`` recurrent dropout, or None.
        step: number of the step.

    Returns:
        ``[2, alive, hidden]`` cells after the step.
    """
    alive, hidden = gate.shape[1], weight.shape[1]
    if step:
        previous = states[:, step - 1, :alive]
        gate.baddbmm_(previous if mask is None else previous * mask[:, :alive], weight)
    gate[..., : 3 * hidden].sigmoid_()
    gate[..., 3 * hidden :].tanh_()
    i, f, o, g = torch.split(gate, hidden, -1)
    after = torch.addcmul(i * g, f, cell[:, :alive])
    torch.mul(o, after.tanh(), out=states[:, step, :alive])
    return after


class _Recurrence(torch.autograd.Function):
    """`_advance` with its gradient written out."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor, weight: Tensor, mask: Tensor | None, alive: list[int]) -> Tensor:
        """All steps: ``[2, time, batch, 4 * hidden]`` in, overwritten; ``[2, time, batch, hidden]`` out."""
        two, time, batch, width = gates.shape
        states = gates.new_zeros(two, time, batch, width // 4)
        cells = torch.zeros_like(states)
        cell = cells[:, 0]
        for step, count in enumerate(alive):
            cell = _advance(gates[:, step, :count], states, cell, weight, mask, step)
            cells[:, step, :count] = cell
        ctx.save_for_backward(states, cells, gates, weight, *(() if mask is None else (mask,)))
        ctx.alive = alive
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Backpropagation through time: ``[2, time, batch, hidden]`` in, gradients of gates and weight out."""
        states, cells, gates, weight, *rest = ctx.saved_tensors
        mask = rest[0] if rest else None
        (grad,) = grads
        two, time, batch, hidden = states.shape
        alive = ctx.alive
        i, f, o, g = torch.split(gates, hidden, -1)
        squashed = cells.tanh()
        # everything that needs no recurrence, for all steps at once
        through_cell = o * (1 - squashed * squashed)
        slope_o = squashed * o * (1 - o)
        slope_i = g * i * (1 - i)
        slope_g = i * (1 - g * g)
        slope_f = torch.zeros_like(f)
        slope_f[:, 1:] = cells[:, :-1] * f[:, 1:] * (1 - f[:, 1:])
        slopes = torch.stack([slope_i, slope_f, slope_o, slope_g], -2)
        delta = torch.zeros_like(gates)
        back = weight.transpose(1, 2)
        grad_state = grad.new_zeros(two, batch, hidden)
        grad_cell = grad.new_zeros(two, batch, hidden)
        for t in range(time - 1, -1, -1):
            n = alive[t]
            out = grad[:, t, :n] + grad_state[:, :n]
            cell = torch.addcmul(grad_cell[:, :n], out, through_cell[:, t, :n])
            step = delta[:, t, :n].view(two, n, 4, hidden)
            torch.mul(slopes[:, t, :n], cell.unsqueeze(-2), out=step)
            torch.mul(slope_o[:, t, :n], out, out=step[..., 2, :])
            grad_cell[:, :n] = cell * f[:, t, :n]
            if t:
                earlier = torch.bmm(delta[:, t, :n], back)
                grad_state[:, :n] = earlier if mask is None else earlier * mask[:, :n]
        previous = states[:, :-1] if mask is None else states[:, :-1] * mask[:, None]
        grad_weight = torch.bmm(previous.flatten(1, 2).transpose(1, 2), delta[:, 1:].flatten(1, 2))
        return delta, grad_weight, None, None
