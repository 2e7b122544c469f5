"""The CRF against enumeration of all paths: scores, gradients, decoding, marginals and span confidences."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from transfuse import tags as tagging
from transfuse.nn.crf import CRF

LENGTHS = torch.tensor([5, 3, 3, 1])


def make(labels: tuple[str, ...] = ("X",), scheme: str = "BIO", seed: int = 0) -> tuple[CRF, tuple[str, ...]]:
    torch.manual_seed(seed)
    names = tagging.tag_names(labels, scheme)
    crf = CRF(*tagging.legal(names, scheme)).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf, names


def paths(crf: CRF, emissions: Tensor, length: int, allowed: Tensor | None = None) -> dict[tuple[int, ...], Tensor]:
    """The score of every legal path that agrees with what is known."""
    found = {}
    for path in itertools.product(range(emissions.shape[-1]), repeat=length):
        moves = list(itertools.pairwise(path))
        if not (crf.legal_start[path[0]] and crf.legal_end[path[-1]] and all(crf.legal_transition[m] for m in moves)):
            continue
        if allowed is not None and not all(allowed[i, tag] for i, tag in enumerate(path)):
            continue
        score = crf.start[path[0]] + crf.end[path[-1]] + sum(crf.transition[m] for m in moves)
        found[path] = score + sum(emissions[i, tag] for i, tag in enumerate(path))
    return found


def log_sum(scores: dict[tuple[int, ...], Tensor]) -> Tensor:
    return torch.stack(list(scores.values())).logsumexp(0)


def emissions_for(crf: CRF, seed: int = 1, spread: float = 1.0) -> Tensor:
    torch.manual_seed(seed)
    return (spread * torch.randn(4, 5, len(crf.start), dtype=torch.double)).requires_grad_()


@pytest.mark.parametrize(("labels", "scheme"), [(("X",), "BIO"), (("X",), "BIOES"), (("X", "Y"), "IO")])
@pytest.mark.parametrize("spread", [1.0, 40.0])
def test_partial_loss_and_its_gradients(labels: tuple[str, ...], scheme: str, spread: float) -> None:
    crf, names = make(labels, scheme)
    emissions = emissions_for(crf, spread=spread)
    allowed = torch.rand(4, 5, len(names)) > 0.5
    allowed[..., 0] = True  # O everywhere is always a legal path
    rows = [
        log_sum(paths(crf, emissions[i], int(n))) - log_sum(paths(crf, emissions[i], int(n), allowed[i]))
        for i, n in enumerate(LENGTHS)
    ]
    expected, own = torch.stack(rows), crf.loss(emissions, LENGTHS, tags=torch.zeros(4, 5).long(), allowed=allowed)
    torch.testing.assert_close(own, expected)
    weights = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.double)
    wanted = [emissions, *crf.parameters()]
    grads = torch.autograd.grad((own * weights).sum(), wanted)
    for grad, reference in zip(grads, torch.autograd.grad((expected * weights).sum(), wanted), strict=True):
        torch.testing.assert_close(grad, reference)


def test_full_loss_is_the_partial_one_with_one_tag_a_word() -> None:
    crf, names = make(("X", "Y"))
    emissions = emissions_for(crf)
    tags = torch.tensor([[0, 1, 2, 0, 3], [3, 4, 4, 0, 0], [0, 0, 1, 0, 0], [1, 0, 0, 0, 0]])
    one_hot = torch.nn.functional.one_hot(tags, len(names)).bool()
    full = crf.loss(emissions, LENGTHS, tags=tags)
    torch.testing.assert_close(full, crf.loss(emissions, LENGTHS, tags=tags, allowed=one_hot))
    assert (full > 0).all()


def test_padding_never_matters() -> None:
    crf, _ = make()
    emissions = emissions_for(crf)
    other = emissions.detach().clone()
    for row, length in enumerate(LENGTHS):
        other[row, length:] = 1e3
    other.requires_grad_()
    tags = torch.zeros(4, 5).long()
    assert torch.equal(crf.loss(emissions, LENGTHS, tags=tags), crf.loss(other, LENGTHS, tags=tags))
    (grad,) = torch.autograd.grad(crf.loss(other, LENGTHS, tags=tags).sum(), other)
    assert all((grad[row, length:] == 0).all() for row, length in enumerate(LENGTHS))


@given(st.integers(0, 10_000))
def test_decoding_finds_the_best_legal_path(seed: int) -> None:
    crf, _ = make(("X", "Y"), seed=seed)
    emissions = emissions_for(crf, seed).detach()
    best = crf.decode(emissions, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = paths(crf, emissions[row], length)
        assert tuple(best[row, :length].tolist()) == max(scores, key=lambda path: scores[path].item())
        assert (best[row, length:] == 0).all()


@pytest.mark.parametrize("scheme", ["BIO", "BIOES"])
def test_marginals_and_span_confidences(scheme: str) -> None:
    crf, names = make(("X",), scheme)
    emissions = emissions_for(crf).detach()
    lattice = crf.lattice(emissions, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        scores = paths(crf, emissions[row], length)
        total = log_sum(scores)
        torch.testing.assert_close(lattice.log_partition[row], total.detach())
        chance = {path: (score - total).exp().item() for path, score in scores.items()}
        for place in range(length):
            for tag in range(len(names)):
                expected = sum(p for path, p in chance.items() if path[place] == tag)
                assert float(lattice.marginals[row, place, tag]) == pytest.approx(expected)
        spans: dict[tuple[int, int], float] = {}
        for path, p in chance.items():
            for first, last, _ in tagging.decode([names[t] for t in path], scheme):
                spans[first, last] = spans.get((first, last), 0.0) + p
        for (first, last), expected in spans.items():
            inner = tagging.encode([(0, last - first, "X")], last - first, scheme)
            closed = [name == "O" or name.startswith(("B", "S")) for name in names]
            own = lattice.span(row, first, [names.index(t) for t in inner], None if last == length else closed)
            assert own == pytest.approx(expected)


def test_contradiction_is_an_error_not_a_number() -> None:
    crf, names = make()
    allowed = torch.zeros(4, 5, len(names), dtype=torch.bool)
    allowed[..., names.index("I-X")] = True  # a sentence cannot begin inside
    with pytest.raises(FloatingPointError, match="no tag path"):
        crf.loss(emissions_for(crf), LENGTHS, tags=torch.zeros(4, 5).long(), allowed=allowed)
