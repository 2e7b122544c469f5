"""The hand-written LSTM against `torch.nn.LSTM`, and its gradient against finite differences."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from transfuse.nn.lstm import BiLSTM
from transfuse.nn.padding import turn

LENGTHS = torch.tensor([6, 4, 4, 1])


def reference(own: BiLSTM, inputs: int) -> nn.LSTM:
    hidden = own.hidden
    theirs = nn.LSTM(inputs, hidden, bidirectional=True, batch_first=True).double()
    order = [0, 1, 3, 2]  # torch keeps the gates as input, forget, cell, output
    with torch.no_grad():
        for side, suffix in enumerate(("", "_reverse")):
            for name, weight in (("weight_ih", own.weight_input), ("weight_hh", own.weight_hidden)):
                gates = weight[side].view(-1, 4, hidden)[:, order]
                getattr(theirs, f"{name}_l0{suffix}").copy_(gates.flatten(1).T)
            getattr(theirs, f"bias_ih_l0{suffix}").copy_(own.bias[side].view(4, hidden)[order].flatten())
            getattr(theirs, f"bias_hh_l0{suffix}").zero_()
    return theirs


@pytest.fixture
def own() -> BiLSTM:
    torch.manual_seed(1)
    return BiLSTM(7, 5).double()


def inputs() -> Tensor:
    torch.manual_seed(2)
    return torch.randn(4, 6, 7, dtype=torch.double, requires_grad=True)


def test_states_and_gradients_are_those_of_torch(own: BiLSTM) -> None:
    x = inputs()
    theirs = reference(own, 7)
    states = own(x, LENGTHS)
    packed = nn.utils.rnn.pack_padded_sequence(x, LENGTHS, batch_first=True)
    expected, _ = nn.utils.rnn.pad_packed_sequence(theirs(packed)[0], batch_first=True)
    torch.testing.assert_close(states, expected)
    weights = torch.randn_like(states)
    grads = torch.autograd.grad((states * weights).sum(), [x, own.weight_hidden])
    their_grads = torch.autograd.grad((expected * weights).sum(), [x, theirs.weight_hh_l0])
    torch.testing.assert_close(grads[0], their_grads[0])
    order = [0, 1, 3, 2]
    torch.testing.assert_close(grads[1][0].view(5, 4, 5)[:, order].flatten(1).T, their_grads[1])


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_gradient_against_finite_differences(own: BiLSTM, dropout: float) -> None:
    own.recurrent_dropout = dropout

    def run(x: Tensor, *weights: Tensor) -> Tensor:
        torch.manual_seed(3)
        names = ("weight_input", "weight_hidden", "bias")
        return torch.func.functional_call(own, dict(zip(names, weights, strict=True)), (x, LENGTHS))

    assert torch.autograd.gradcheck(run, (inputs(), own.weight_input, own.weight_hidden, own.bias))


def test_recurrent_dropout_draws_one_mask_a_sentence(own: BiLSTM) -> None:
    own.recurrent_dropout = 0.5
    x = inputs()
    first, second = own(x, LENGTHS), own(x, LENGTHS)
    assert not torch.equal(first, second)
    torch.testing.assert_close(first[:, 0, :5], second[:, 0, :5])  # nothing is behind the first word
    own.eval()
    torch.testing.assert_close(own(x, LENGTHS), own(x, LENGTHS))


def test_padding_never_matters(own: BiLSTM) -> None:
    x = inputs().detach()
    other = x.clone()
    for row, length in enumerate(LENGTHS):
        other[row, length:] = 1e6
    torch.testing.assert_close(own(x, LENGTHS), own(other, LENGTHS))
    torch.testing.assert_close(own(x[2:3, :4], LENGTHS[2:3])[0], own(x, LENGTHS)[2, :4])


def test_running_over_kept_projections_is_the_same(own: BiLSTM) -> None:
    forms = torch.randn(9, 7, dtype=torch.double)
    places = torch.randint(0, 9, (4, 6))
    table = own.project(forms.expand(2, -1, -1))
    torch.testing.assert_close(own.run(table, places, LENGTHS), own(forms[places], LENGTHS))


def test_turning_twice_is_nothing() -> None:
    once = turn(LENGTHS, 6)
    assert once[:, 1].tolist() == [3, 2, 1, 0, 4, 5]
    assert torch.equal(once.gather(0, once), torch.arange(6)[:, None].expand(6, 4))
