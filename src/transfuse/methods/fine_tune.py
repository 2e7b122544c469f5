"""Train a tagger that is at hand further, on the target; what it learned from before need not be there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from transfuse import bundle
from transfuse.encoders.pieces import Pieces
from transfuse.ranges import check_ranges
from transfuse.run import Run
from transfuse.taggers.encoding import Encoding
from transfuse.taggers.layers import layer_of, within
from transfuse.taggers.neural import NeuralTagger
from transfuse.text import ConfigError, Corpus, Tagger, Task
from transfuse.train import Training
from transfuse.transfer.sources import Trained, hand_over
from transfuse.transfer.supervised import Domain, pull_back, read_domain, train_domain

__all__ = ["FineTune"]


@dataclass(frozen=True)
class FineTune:
    """Settings; the network is the tagger's own. Weights of all layers are carried over, and rows of shared tags.

    Attributes:
        bundle: of one neural tagger, or a run folder with it.
        training: the loop on the target.
        frozen: layer groups that keep their weights; see `transfuse.methods.retrain.Retrain`.
        source_l2: weight of the squared distance of the weights, the word table apart, to what they were in the bundle
            (L2-SP of Li et al. 2018); 0 for none. What is new, as the rows of a tag that it lacks, is held to where it
            begins.
    """

    bundle: str = ""
    training: Training = field(default_factory=Training)
    frozen: tuple[str, ...] = ()
    source_l2: float = 0.0

    def __post_init__(self) -> None:
        check_ranges(self, source_l2="[0, inf)")

    def fit(self, task: Task, *, run: Run) -> Tagger:
        """Learn the target; the head is rebuilt where label sets differ.

        Raises:
            BundleError: there is no sound bundle.
            ConfigError: none is named, or it holds another kind of tagger.
        """
        tagger = _load(self.bundle)
        stage = run.stage("target")
        before = _opened(tagger, task.target, run)
        self._check_layers(before.encoding)
        target = read_domain(before.encoding, task.target, stage=stage)
        hand_over(before, target, stage=stage, frozen=self.frozen)
        penalty = None
        if self.source_l2:
            layers = before.encoding.architecture.layers
            penalty = pull_back(before.encoding, target.head, self.source_l2, layers=layers, frozen=self.frozen)
        train_domain(before.encoding, target, self.training, stage=stage, penalty=penalty, frozen=self.frozen)
        return target.tagger(before.encoding)

    def _check_layers(self, encoding: Encoding) -> None:
        known = encoding.architecture.layers
        numbered = {layer_of(f"encoder.{name}") for name, _ in encoding.encoder.named_parameters()}
        strangers = sorted(set(self.frozen) - set(known) - numbered)
        if strangers:
            raise ConfigError(f"frozen: no such layer group: {', '.join(strangers)}; there are {', '.join(known)}")
        if all(within(layer, self.frozen) for layer in known):
            raise ConfigError("frozen: with every layer group frozen there is nothing left to train")


def _load(place: str) -> NeuralTagger:
    if not place:
        raise ConfigError("there is no tagger to train further: name its bundle, --from BUNDLE or method.bundle")
    tagger = bundle.load(bundle.locate(Path(place)))
    if not isinstance(tagger, NeuralTagger):
        kind = getattr(tagger, "kind", "")
        raise ConfigError(
            f"{place} holds a tagger of the kind {kind}, not a single neural one: name the run that it was made from"
        )
    return tagger


def _opened(tagger: NeuralTagger, target: Corpus, run: Run) -> Trained:
    """The tagger's encoder, with rows for the words of the target, and its head."""
    settings = tagger.architecture.encoder
    known = tagger.vocabulary
    known = known if isinstance(known, Pieces) else known.at(target.name)
    encoding = Encoding(tagger.encoder, settings.table(known, tagger.encoder), tagger.architecture)
    head = Domain(Corpus("bundle", {}, tagger.tagset.labels), tagger.head.to(run.device), tagger.tagset, ())
    return Trained(encoding.grown([target], run=run), (head,), (None,))
