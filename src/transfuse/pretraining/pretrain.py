"""Domain-adaptive pre-training: an encoder learns from raw text, and is then used by the name of its folder.

A masked language model goes on where the encoder's authors stopped (Gururangan et al., Don't stop pretraining, ACL
2020): the transfer that needs no labels at all. See `transfuse.pretraining.masking` for the model and what it is asked.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import tomli_w
import torch
from safetensors.torch import save_model
from torch import Tensor

from transfuse import corpora
from transfuse.data.task import raw_documents, resolve, resolve_target
from transfuse.encoders import pretrained
from transfuse.encoders.known import TOKENIZER, find
from transfuse.encoders.pieces import Pieces, PieceTable
from transfuse.files import write_beside
from transfuse.formats import parse_spec
from transfuse.mirror import digest
from transfuse.pretraining.masked_words import WordModel
from transfuse.pretraining.masking import MaskedModel, Masking, masking
from transfuse.pretraining.passages import Drawn, Passages, SplitText, plan
from transfuse.ranges import SEEDS, check_ranges
from transfuse.run import Run, environment
from transfuse.settings import without_none
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import WordVectors, read_vectors
from transfuse.text import ConfigError, Document, TransfuseError
from transfuse.train import Training, fit

__all__ = ["Pretraining", "pretrain"]

_WARMUP = 0.1
_HEAD = 10.0
"""The head begins with nothing, the encoder with all that it was pre-trained on: factor on the head's rate."""

_HELD = 16
"""Held-out passages at a time: what is hidden in them is drawn together, so runs that are compared need the same."""

_DIVERGED = 100.0
"""Nats a piece; a guess among all pieces costs about 10."""

_TENTHS = 10
"""An epoch of the loop is a tenth of all steps, however often that goes over the text."""


@dataclass(frozen=True)
class Pretraining:
    """What is learned from, and how.

    Attributes:
        encoder: to begin with; see `transfuse.encoders.known.find`.
        text: registered raw collections, paths, or ``format:path``.
        corpora: registered names or paths whose *training* texts are read too, labels unseen.
        apart: corpora to be scored on later: documents that stand in their dev or test splits are not read.
        limit: documents, drawn from all of the text; 0 for all.
        steps: how many; unless
        pieces: are given: steps then go on until so many pieces of text were read.
        batch: passages a step.
        length: pieces of a passage with the marks around it, at most; less where the encoder cannot read as many.
        mask: share of the words that are hidden.
        rate: learning rate at its highest; it rises over the first tenth of all steps and falls to 0 over the rest.
        seed: decides every draw.
        vectors: a file of word vectors, by which whole words are then told (`transfuse.pretraining.masked_words`), in
            the place of pieces; None for none.
        precision: ``bf16`` computes the model's states so; None for single precision.
    """

    encoder: str
    text: tuple[str, ...] = ()
    corpora: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    limit: int = 0
    steps: int = 2000
    pieces: int = 0
    batch: int = 16
    length: int = 128
    mask: float = 0.15
    rate: float = 1e-4
    seed: int = 0
    vectors: str | None = None
    precision: Literal["bf16"] | None = None

    def __post_init__(self) -> None:
        if not self.text and not self.corpora:
            raise ConfigError("there is nothing to read: name a text or a corpus")
        if self.precision not in {None, "bf16"}:
            raise ConfigError(f"precision is bf16 or left out, not {self.precision}")
        check_ranges(self, limit="[0, inf)", pieces="[0, inf)", steps="[1, inf)", batch="[1, inf)")
        check_ranges(self, length="[16, inf)", mask="(0, 1)", rate="(0, inf)", seed=SEEDS)

    @property
    def hash(self) -> str:
        """What names the run unless a folder is given."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()[:12]

    def to_toml(self) -> str:
        """As the run folder keeps it."""
        return tomli_w.dumps(without_none(asdict(self)))

    def documents(self) -> Iterator[Document]:
        """All that is to be read, in order. Raises as `raw_documents` and `resolve` do."""
        for spec in self.text:
            yield from raw_documents(spec)
        for spec in self.corpora:
            yield from resolve(spec).train


def pretrain(
    settings: Pretraining,
    folder: Path,
    *,
    device: str = "cpu",
    watch: Callable[[str, float | None], None] | None = None,
    checkpoint_seconds: float = 60.0,
) -> dict[str, Any]:
    """Pre-train an encoder, or go on where it was killed; a finished run is not run again.

    Args:
        settings: what to do.
        folder: of the run. It is made, or must hold the same one. ``encoder`` in it is the result.
        device: torch device.
        watch: called with a line of text and the share done.
        checkpoint_seconds: see `transfuse.run.Run`.

    Returns:
        The content of ``result.json``: encoder and text with their SHA-256, counts, loss on held-out text before and
        after in nats a hidden piece or word, CPU seconds.

    Raises:
        ConfigError: the folder holds something else, the encoder cannot be had, there is too little text, or none of
            its words has a vector.
        DataError: a text or the vectors cannot be read.
    """
    result = folder / "result.json"
    _claim(folder, settings)
    made_of = _files(settings)
    if (folder / "done").exists():
        before = dict(json.loads(result.read_text(encoding="utf-8")))
        if changed := [name for name, facts in made_of.items() if before.get(name, facts) != facts]:
            raise ConfigError(f"{folder} was made of other {changed[0]}: choose another --out, or delete it")
        return before
    start = TransformerEncoder(name=settings.encoder, dropout=0.0, window=settings.length)
    encoder, pieces, origin = start.load()
    hiding = masking(pieces, settings.mask)
    vectors = read_vectors(Path(settings.vectors)) if settings.vectors else None
    kept = folder / "checkpoint" / "text.safetensors"
    table = start.table(pieces, encoder)
    text = SplitText.load(kept) if kept.exists() else _read(settings, table, encoder.capacity, vectors)
    for name, facts in {"encoder": origin, **made_of}.items():
        if text.facts.setdefault(name, facts) != facts:
            value = ", ".join(facts) if name == "files" else getattr(settings, name)
            raise ConfigError(f"{value} is no longer the {name} with which the run in {folder} began")
    run = Run(folder, settings.seed, device, checkpoint_seconds, watch)
    run.write("pretraining.toml", settings.to_toml())
    run.write_json("environment.json", environment(device))
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        run.record("text", **text.facts)
        text.save(kept)
    torch.manual_seed(settings.seed)
    network = _network(encoder, text.train, pieces, vectors).to(device)
    trained = _train(network, hiding, text, settings, run)
    with write_beside(folder / "encoder") as part:
        _write_encoder(network, pieces, part, settings.encoder)
    facts = {"name": settings.encoder, "device": device, "length": encoder.capacity, **text.facts, **trained}
    run.write_json(result.name, facts)
    run.finish()
    return facts


def _files(settings: Pretraining) -> dict[str, Any]:
    """What is read of the user's own, which may change: texts by path, and word vectors, with their SHA-256."""
    known = {*corpora.names(), *corpora.raw_names()}
    own = [spec for spec in (*settings.text, *settings.corpora) if spec not in known and not spec.startswith("demo-")]
    paths = [path for spec in own if (path := Path(parse_spec(spec)[2])).exists()]
    found: dict[str, Any] = {"files": {str(path): digest(path) for path in paths}} if paths else {}
    if settings.vectors and (path := Path(settings.vectors)).is_file():
        found["vectors"] = {"file": path.name, "sha256": digest(path)}
    return found


def _claim(folder: Path, settings: Pretraining) -> None:
    known = folder / "pretraining.toml"
    if known.exists():
        if known.read_text(encoding="utf-8") != settings.to_toml():
            raise ConfigError(f"{folder} holds a run with other settings: choose another --out, or delete it")
    elif folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{folder} holds files and no pre-training: choose another --out")


def _read(settings: Pretraining, table: PieceTable, capacity: int, vectors: WordVectors | None) -> SplitText:
    targets = [resolve_target(spec) for spec in settings.apart]
    drawn = Drawn(settings.documents(), targets, limit=settings.limit, seed=settings.seed)
    rows = {word: row for row, word in enumerate(vectors.words, 1)} if vectors else None
    wanted = settings.steps * settings.batch
    return drawn.read(table, capacity, passages=wanted, pieces=settings.pieces, vectors=rows)


def _network(encoder: Any, text: Passages, pieces: Pieces, vectors: WordVectors | None) -> MaskedModel | WordModel:
    if vectors is None:
        return MaskedModel(encoder, torch.bincount(text.pieces, minlength=pieces.tokenizer.get_vocab_size()))
    table = vectors.tensor()
    counts = torch.bincount(text.told[text.told > 0], minlength=len(table))
    if not counts.any():
        raise ConfigError("no word of the text has a vector: take vectors of the text's language and field")
    return WordModel(encoder, table, counts)


def _train(
    network: MaskedModel | WordModel, hiding: Masking, text: SplitText, settings: Pretraining, run: Run
) -> dict[str, Any]:
    """Train, with the loss on held-out text before and after."""
    stage = run.stage("pretrain")
    told = run.records("held_out")
    if not told:
        loss = _held_out(network, hiding, text.held)
        stage.record("held_out", when="before", loss=loss)
    before = told[0]["loss"] if told else loss
    steps = plan(text.train.lengths, settings.batch, steps=settings.steps, pieces=settings.pieces, seed=settings.seed)
    epochs = min(_TENTHS, len(steps))

    def feed(epoch: int) -> list[Tensor]:
        return steps[epoch * len(steps) // epochs : (epoch + 1) * len(steps) // epochs]

    def objective(numbers: Tensor) -> dict[str, Tensor]:
        return network.objective(text.train.batch(numbers), hiding)

    groups: list[dict[str, Any]] = [
        {"params": list(network.encoder.parameters())},
        {"params": network.head, "factor": _HEAD},
    ]
    training = Training(
        epochs=epochs,
        batch=settings.batch,
        rate=settings.rate,
        warmup=_WARMUP,
        average=0.0,
        select="last",
        precision=settings.precision,
    )
    network.encoder.precision = settings.precision
    summary = fit(network, objective, feed, training, stage=stage, groups=groups)
    after = _held_out(network, hiding, text.held)
    if not after < _DIVERGED:
        raise TransfuseError(
            f"the loss on held-out text is {after:g} after training: lower the rate ({settings.rate:g})"
        )
    stage.record("held_out", when="after", loss=after)
    read = sum(int(text.train.lengths[numbers].sum()) for numbers in steps)
    facts = {
        "steps": len(steps),
        "pieces": read,
        "passes": round(sum(map(len, steps)) / len(text.train), 3),
        "cpu_seconds": summary["cpu_seconds"],
    }
    stage.record("trained", **facts)
    return {**facts, "held_out": {"before": _rate(before), "after": _rate(after)}}


@torch.no_grad()
def _held_out(network: MaskedModel | WordModel, hiding: Masking, text: Passages) -> float:
    """Mean nats of what is hidden, a piece or a word; the same pieces are hidden whenever it is asked.

    Raises:
        ConfigError: nothing is hidden, or nothing that has a vector.
    """
    network.eval()
    generator = torch.Generator().manual_seed(0)
    order = text.lengths.argsort(descending=True, stable=True)
    losses = torch.cat([network.losses(text.batch(some), hiding, generator) for some in torch.split(order, _HELD)])
    if not len(losses):
        raise ConfigError("the held-out text has no word that could be hidden, and has a vector: take more text")
    return float(losses.mean())


def _rate(loss: float) -> dict[str, float]:
    return {"loss": round(loss, 4), "perplexity": round(math.exp(loss), 2)}


def _write_encoder(network: MaskedModel | WordModel, pieces: Pieces, folder: Path, name: str) -> None:
    """A folder that `transfuse.encoders.pretrained.load` takes, the tokenizer as it was."""
    folder.mkdir()
    model = network.encoder.model.cpu()
    pretrained.write(model, pieces, folder)
    save_model(model, str(folder / "model.safetensors"), {"format": "pt"})
    for path in (path for pattern in TOKENIZER for path in find(name).glob(pattern)):
        shutil.copyfile(path, folder / path.name)
