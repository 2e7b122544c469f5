"""Log-odds of a span over all tag paths, differentiable: paths that hold the span against paths that do not.

`transfuse.nn.crf.Lattice` gives the same as a probability, fast and without a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from transfuse.nn.head import CRFHead, Head, MLPHead

__all__ = ["path_scores", "span_log_odds"]

_NEVER = -1e30  # log-weight of what is illegal; finite, so that no gradient is undefined

PathScores = tuple[Tensor, Tensor, Tensor]
"""Log-weights of starts ``[tags]``, ends ``[tags]`` and moves ``[tags, tags]``, float64."""


def path_scores(head: Head) -> PathScores:
    """What a head adds to the emissions along a path; all 0 where words do not know of each other."""
    crf = head.crf if isinstance(head, CRFHead) else head.paths if isinstance(head, MLPHead) else None
    if crf is None:
        none = head.projection.weight.new_zeros(head.projection.out_features, dtype=torch.float64)
        return none, none, none.expand(len(none), -1)
    parts = zip(*crf.chain(), strict=True)
    start, end, move = (score.detach().double().masked_fill(~legal, _NEVER) for score, legal in parts)
    return start, end, move


def span_log_odds(
    emissions: Tensor, scores: PathScores, first: int, tags: Sequence[int], closed_by: Sequence[bool] | None
) -> Tensor:
    """Log-odds that a path reads some tags from a word on and then does not go on, against all other paths.

    The other paths are summed by the word at which they leave the span, so nothing is ever subtracted from 1: the odds
    of a certain span are as exact as those of a doubtful one.

    Args:
        emissions: ``[n, time, tags]`` scores of sentences of one length.
        scores: see `path_scores`.
        first: word at which the span begins.
        tags: the span's tags, one a word.
        closed_by: for each tag whether the word behind the span may have it; None where the span ends the sentence.

    Returns:
        ``[n]``, float64, differentiable.
    """
    emissions, (_, _, move) = emissions.double(), scores
    forward, backward = _onward(emissions, scores, first), _from_behind(emissions, scores, first)
    numbers = torch.arange(emissions.shape[2], device=emissions.device)
    reached, before, others = forward, None, []
    for step, tag in enumerate(tags):
        # the log-weight of all paths that held the span so far and have some tag here
        if before is not None:
            reached = reached[:, before, None] + move[before] + emissions[:, first + step]
        others.append((reached + backward[step]).masked_fill(numbers == tag, _NEVER))
        before = tag
    held = reached[:, tags[-1], None] + backward[len(tags) - 1][:, tags[-1], None]
    if closed_by is not None:
        after = first + len(tags)
        onward = reached[:, tags[-1], None] + move[tags[-1]] + emissions[:, after] + backward[len(tags)]
        closing = torch.tensor(closed_by, device=emissions.device)
        held = onward.masked_fill(~closing, _NEVER)
        others.append(onward.masked_fill(closing, _NEVER))
    return held.logsumexp(1) - torch.cat(others, 1).logsumexp(1)


def _onward(emissions: Tensor, scores: PathScores, word: int) -> Tensor:
    """``[n, tags]`` log-weight of all beginnings of paths up to a word, by its tag."""
    start, _, move = scores
    value = start + emissions[:, 0]
    for t in range(1, word + 1):
        value = (value[:, :, None] + move).logsumexp(1) + emissions[:, t]
    return value


def _from_behind(emissions: Tensor, scores: PathScores, word: int) -> list[Tensor]:
    """``[n, tags]`` log-weight of all ends of paths behind a word, by its tag: of that word and of all behind it."""
    _, end, move = scores
    found = [end.expand(len(emissions), -1)]
    for t in range(emissions.shape[1] - 1, word, -1):
        found.append((move + (emissions[:, t] + found[-1])[:, None]).logsumexp(2))
    return found[::-1]
