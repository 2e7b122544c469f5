"""Models trained on source corpora: once, and kept for every target, share and method that starts from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from transfuse.files import write_beside
from transfuse.mirror import cache_folder
from transfuse.nn.encoder import Encoder
from transfuse.run import Run, Stage
from transfuse.taggers.encoding import Encoding, Supervised, new_encoding, set_dropout
from transfuse.taggers.layers import LAYERS
from transfuse.taggers.mixed import MixedVocabulary
from transfuse.taggers.vocabulary import Vocabulary
from transfuse.team import team
from transfuse.text import ConfigError, Corpus, DataError, Task
from transfuse.train import Training
from transfuse.transfer.supervised import Domain, copy_head, read_domain, train_domain

__all__ = [
    "Done",
    "Trained",
    "hand_over",
    "identity",
    "need_sources",
    "network_of",
    "record_exposure",
    "record_score",
    "train_once",
    "train_sources",
]

_MADE_BY = (
    "context.py",
    "encoders",
    "gazetteer.py",
    "nn",
    "scoring",
    "tags.py",
    "taggers",
    "train.py",
    "transfer",
    "words.py",
)
"""Files and folders whose code decides the weights; what other code made is not taken from the cache."""


@dataclass(frozen=True)
class Trained:
    """What was learned from sources.

    Attributes:
        encoding: over the words of the sources.
        domains: each source with its head.
        scores: of each on its own development split with the last weights; None where it has none.
    """

    encoding: Encoding
    domains: tuple[Domain, ...]
    scores: tuple[float | None, ...]

    def extended(self, target: Corpus, *, run: Run, stage: Stage, layers: Sequence[str] | None = None) -> Trained:
        """With rows for the words of the target, and the sources read with them; see `Encoding.extended`."""
        encoding = self.encoding.extended([target], run=run, layers=layers)
        domains = [read_domain(encoding, d.corpus, stage=stage, head=d.head, tagset=d.tagset) for d in self.domains]
        return replace(self, encoding=encoding, domains=tuple(domains))


def train_sources(
    task: Task, settings: Supervised, training: Training, *, run: Run, dropout: float | None = None
) -> Trained:
    """Train on the task's sources in order, or take the weights that the same training left in the cache.

    The vocabulary is that of the sources alone, so that the same model serves every target; unless word vectors are
    trained on the task's own text (``vectors.kind = "task"``), when it is each task's own.

    Args:
        task: its sources are learned; of its target nothing is read but text for such vectors.
        settings: network and vectors.
        training: the loop on each source.
        run: seed and records; what comes from the cache is recorded as if it had been trained here.
        dropout: while on the sources; None for the architecture's own.

    Raises:
        ConfigError: the task has no source.
    """
    need_sources(task)
    encoding = new_encoding(task.sources, settings, task=task, run=run)
    domains = tuple(read_domain(encoding, c, stage=_stage(run, i, c)) for i, c in enumerate(task.sources, 1))
    stages = [_stage(run, i, c) for i, c in enumerate(task.sources, 1)]
    done = train_once(
        encoding,
        network_of(encoding, domains),
        lambda: _train(encoding, domains, training, dropout, stages),
        corpora=[domain.corpus.name for domain in domains],
        score=lambda: [domain.score(encoding) for domain in domains],
        stages=stages,
        known_by={"training": asdict(training), "dropout": dropout, "sources": [identity(c) for c in task.sources]},
    )
    for stage, domain, summary in zip(stages, domains, done.summaries, strict=True):
        record_exposure(stage, domain, summary["sentences"])
    return Trained(encoding, domains, done.scores)


def need_sources(task: Task) -> None:
    """Raises ConfigError where a task has no source."""
    if not task.sources:
        raise ConfigError(f"there is no source to transfer to {task.target.name} from: name one, or take target-only")


def _stage(run: Run, number: int, corpus: Corpus) -> Stage:
    return run.stage(f"source-{number}-{corpus.name}")


def _train(
    encoding: Encoding,
    domains: Sequence[Domain],
    training: Training,
    dropout: float | None,
    stages: Sequence[Stage],
) -> list[dict[str, Any]]:
    own = encoding.encoder.share
    set_dropout(encoding, own if dropout is None else dropout)
    done: list[dict[str, Any]] = []
    for number, (domain, stage) in enumerate(zip(domains, stages, strict=True)):
        for before in domains[:number]:
            copy_head(before, domain, LAYERS)
        done.append(train_domain(encoding, domain, training, stage=stage))
    set_dropout(encoding, own)
    return done


@dataclass(frozen=True)
class Done:
    """What `train_once` did, or had done before.

    Attributes:
        summaries: of each stage, as `transfuse.train.fit` gives them.
        scores: what the scores were when it had been trained.
    """

    summaries: tuple[dict[str, Any], ...]
    scores: tuple[float | None, ...]


def train_once(
    encoding: Encoding,
    network: nn.Module,
    train: Callable[[], list[dict[str, Any]]],
    *,
    stages: Sequence[Stage],
    corpora: Sequence[str],
    known_by: Mapping[str, Any],
    score: Callable[[], Sequence[float | None]] = tuple,
) -> Done:
    """Train a network, or take the weights that the same training left in the cache.

    Args:
        encoding: its encoder, as it was before.
        network: that encoder and heads; it gets the weights.
        train: does it, and gives a summary of each stage.
        stages: of the training.
        corpora: what each of them learns, for the record where the weights are taken from the cache.
        known_by: what the weights depend on beside code, versions, vectors, architecture, seed and device.
        score: of the trained network, to be kept with it.

    Raises:
        DataError: the kept weights are damaged.
    """
    run = stages[0].run
    key = _key(encoding, known_by, run.seed)
    path = cache_folder() / "sources" / f"{key}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    leads = team().leads
    with FileLock(path.with_suffix(".lock")) if leads else nullcontext():
        kept = team().same(path.exists())
        if not kept:
            told = {"summaries": train(), "scores": score()}
        if leads and not kept:
            tensors = {k: v.detach().cpu().contiguous().clone() for k, v in network.state_dict().items()}
            with write_beside(path) as fresh:
                save_file(tensors, fresh, {"facts": json.dumps(told)})
        team().wait()
    facts = _load(path, network, run)
    for stage, corpus, summary in zip(stages, corpora, facts["summaries"], strict=True):
        if kept:
            stage.record("trained", corpus=corpus, **summary)
        stage.record("shared", model=key[:12], kept=kept, cpu_seconds=summary["cpu_seconds"])
    return Done(tuple(facts["summaries"]), tuple(facts["scores"]))


def _load(path: Path, network: nn.Module, run: Run) -> dict[str, Any]:
    try:
        with safe_open(path, "pt", device=run.device) as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, KeyError, ValueError) as error:
        raise DataError("this model of a source is damaged: delete it and start again", path=str(path)) from error
    return facts


def identity(corpus: Corpus) -> list[Any]:
    """What tells a corpus from others."""
    return [corpus.name, corpus.labels, corpus.sha256]


def record_exposure(stage: Stage, domain: Domain, sentences: int) -> None:
    """Record how many sentences of a source were learned from, and how many passes over it that is."""
    size = len(domain.items)
    stage.record(
        "exposure", corpus=domain.corpus.name, sentences=sentences, size=size, passes=round(sentences / size, 3)
    )


def record_score(stage: Stage, domain: Domain, encoding: Encoding, *, before: float | None = None) -> None:
    """Record how well a source is tagged in the end, and was before the target was learned, if it was; on its dev."""
    if domain.corpus.dev:
        after = domain.score(encoding)
        stage.record("source-score", corpus=domain.corpus.name, split="dev", before=before, after=after)


def hand_over(
    before: Trained, target: Domain, *, stage: Stage, layers: Sequence[str] | None = None, frozen: Sequence[str] = ()
) -> None:
    """Copy the rows of tags that the heads of sources share with the target's, and record what was carried over.

    Of a tag that several sources have, the row is that of the last of them.

    Args:
        before: the sources.
        target: whose head is to know what they know.
        stage: for the record.
        layers: layer groups that were carried over; all by default.
        frozen: layer groups that will keep their weights.
    """
    layers = before.encoding.architecture.layers if layers is None else layers
    found = {name for domain in before.domains for name in copy_head(domain, target, layers)}
    moved = [name for name in target.tagset.names if name in found]
    fresh = [name for name in target.tagset.names if name not in found]
    stage.record("transferred", layers=layers, frozen=frozen, tags=moved, fresh=fresh)


def network_of(encoding: Encoding, domains: Sequence[Domain]) -> nn.ModuleDict:
    """An encoder and the heads of domains, under the names that they are kept by."""
    heads = {f"source-{i}": domain.head for i, domain in enumerate(domains, 1)}
    return nn.ModuleDict({"encoder": encoding.encoder, **heads})


def _key(encoding: Encoding, known_by: Mapping[str, Any], seed: int) -> str:
    """Names what the weights depend on: code, versions, vectors, settings, corpora and seed."""
    parts = {
        "code": _code(),
        **{name: version(name) for name in ("torch", "transformers", "tokenizers", "textblob") if find_spec(name)},
        **_origin(encoding),
        "architecture": asdict(encoding.architecture),
        "layer_decay": encoding.layer_decay,
        "seed": seed,
        "device": encoding.encoder.device.type,
        **known_by,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _origin(encoding: Encoding) -> dict[str, str]:
    """What the encoder knew before it was trained."""
    known = encoding.table.vocabulary
    words = known.words if isinstance(known, MixedVocabulary) else known
    if not isinstance(encoding.encoder, Encoder) or not isinstance(words, Vocabulary):
        return dict(encoding.origin)
    vectors = encoding.encoder.forms.vectors.cpu().contiguous()
    return {
        "vectors": hashlib.sha256(vectors.numpy().tobytes()).hexdigest(),
        "words": hashlib.sha256("\n".join(words.words).encode()).hexdigest(),
        "context": hashlib.sha256(json.dumps(words.context.facts()).encode()).hexdigest(),
        **encoding.origin,
    }


@cache
def _code() -> str:
    root = Path(__file__).parents[1]
    files = [path for name in _MADE_BY for path in sorted((root / name).glob("*.py")) or [root / name]]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
