"""Joint training under variational dropout, recurrent connections included (Giorgi & Bader 2020)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from transfuse.ranges import check_ranges
from transfuse.run import Run
from transfuse.taggers.bilstm import BiLSTMEncoder
from transfuse.text import ConfigError, Tagger, Task, UnusedSettingError
from transfuse.transfer.together import Paired, fit_together, start

__all__ = ["MultitaskVariational"]


@dataclass(frozen=True)
class MultitaskVariational(Paired):
    """Settings; the encoder's dropout becomes variational, its share stays.

    Attributes:
        recurrent_dropout: share of the recurrent connections that is dropped, one mask a sentence; in the place of the
            encoder's own.
    """

    recurrent_dropout: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, recurrent_dropout="[0, 1)")
        encoder = self.architecture.encoder
        if isinstance(encoder, BiLSTMEncoder) and encoder.recurrent_dropout not in (0.0, self.recurrent_dropout):
            raise UnusedSettingError(
                "architecture.encoder.recurrent_dropout", "the method has a recurrent_dropout of its own"
            )

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn sources and target together."""
        if not isinstance(self.architecture.encoder, BiLSTMEncoder):
            raise ConfigError("multitask-variational drops recurrent connections, which a transformer does not have")
        encoder = replace(self.architecture.encoder, variational=True, recurrent_dropout=self.recurrent_dropout)
        settings = replace(self, architecture=replace(self.architecture, encoder=encoder))
        return fit_together(start(task, settings, run=run), settings, run=run)
