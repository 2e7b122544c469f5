"""Domain-adaptive pre-training: an encoder learns from raw text, and is then used by the name of its folder.

A masked language model goes on where the encoder's authors stopped (Gururangan et al., Don't stop pretraining, ACL
2020): the transfer that needs no labels at all. See `transfuse.masking` for the model and what it is asked.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import tomli_w
import torch
from safetensors import safe_open
from safetensors.torch import save_file, save_model
from torch import Tensor

from transfuse import encoders
from transfuse.architecture import TransformerEncoder
from transfuse.checks import without_overlap
from transfuse.data import raw_documents, resolve, resolve_target
from transfuse.files import write_beside
from transfuse.masking import MaskedModel, Masking, masking
from transfuse.passages import Passages, cut_passages, join, plan
from transfuse.pieces import Pieces, PieceTable
from transfuse.reading import chunks
from transfuse.run import Run, environment
from transfuse.text import ConfigError, Corpus, Document
from transfuse.train import Training, fit
from transfuse.words import is_blank

__all__ = ["Pretraining", "pretrain"]

_HELD = 100
"""Documents that are held out, at most; and of fewer than twenty times as many, a twentieth."""

_WARMUP = 0.1
_HEAD = 10.0
"""The head begins with nothing, the encoder with all that it was pre-trained on: factor on the head's rate."""

_LOOKED_UP = 500
"""Documents that are looked up in a target at once."""

_WORDS = 50_000
"""Words that are cut into pieces at once."""

_TENTHS = 10
"""An epoch of the loop is a tenth of all steps, however often that goes over the text."""

_TOKENIZER = ("tokenizer*", "special_tokens_map.json", "added_tokens.json", "vocab*", "merges.txt", "*.model")
"""Files that are copied as they are."""


@dataclass(frozen=True)
class Pretraining:
    """What is learned from, and how.

    Attributes:
        encoder: to begin with; see `transfuse.encoders.find`.
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

    def __post_init__(self) -> None:
        if not self.text and not self.corpora:
            raise ConfigError("there is nothing to read: name a text or a corpus")
        if self.limit < 0 or self.pieces < 0 or self.steps < 1 or self.batch < 1:
            raise ConfigError("limit and pieces are at least 0, steps and batch at least 1")
        if self.length < 16:
            raise ConfigError(f"a passage has at least 16 pieces, not {self.length}")
        if not 0 < self.mask < 1 or not self.rate > 0:
            raise ConfigError("mask lies between 0 and 1, and rate above 0")

    @property
    def hash(self) -> str:
        """What names the run unless a folder is given."""
        return hashlib.sha256(self.to_toml().encode()).hexdigest()[:12]

    def to_toml(self) -> str:
        """As the run folder keeps it."""
        return tomli_w.dumps({key: list(x) if isinstance(x, tuple) else x for key, x in asdict(self).items()})

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
        checkpoint_seconds: how often the state is saved between epochs.

    Returns:
        The content of ``result.json``: encoder and text with their SHA-256, counts, loss on held-out text before and
        after in nats a hidden piece, CPU seconds.

    Raises:
        ConfigError: the folder holds something else, the encoder cannot be had, or there is too little text.
        DataError: a text cannot be read.
    """
    result = folder / "result.json"
    _claim(folder, settings)
    if (folder / "done").exists():
        return dict(json.loads(result.read_text(encoding="utf-8")))
    start = TransformerEncoder(name=settings.encoder, dropout=0.0, window=settings.length)
    encoder, pieces, origin = start.load()
    hiding = masking(pieces, settings.mask)
    kept = folder / "checkpoint" / "text.safetensors"
    text = _load_text(kept) if kept.exists() else _read_text(settings, start.table(pieces, encoder), encoder.capacity)
    text.facts.setdefault("encoder", origin)
    if text.facts["encoder"] != origin:
        raise ConfigError(f"{settings.encoder} is no longer the encoder with which the run in {folder} began")
    run = Run(folder, settings.seed, device, checkpoint_seconds, watch)
    run.write("pretraining.toml", settings.to_toml())
    run.write_json("environment.json", environment())
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        _save_text(text, kept)
        run.record("text", **text.facts)
    torch.manual_seed(settings.seed)
    counts = torch.bincount(text.train.pieces, minlength=pieces.tokenizer.get_vocab_size())
    network = MaskedModel(encoder, counts).to(device)
    trained = _train(network, hiding, text, settings, run)
    with write_beside(folder / "encoder") as part:
        _write_encoder(network, pieces, part, settings.encoder)
    facts = {"name": settings.encoder, "device": device, **text.facts, **trained}
    run.write_json(result.name, facts)
    run.finish()
    return facts


def _claim(folder: Path, settings: Pretraining) -> None:
    known = folder / "pretraining.toml"
    if known.exists():
        if known.read_text(encoding="utf-8") != settings.to_toml():
            raise ConfigError(f"{folder} holds a run with other settings: choose another --out, or delete it")
    elif folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise ConfigError(f"{folder} holds files and no pre-training: choose another --out")


@dataclass(frozen=True)
class _Text:
    train: Passages
    held: Passages
    facts: dict[str, Any]


def _read_text(settings: Pretraining, table: PieceTable, capacity: int) -> _Text:
    """Documents in a drawn order until there are enough of them for all steps; the first ones are held out."""
    counts: Counter[str] = Counter()
    drawn = _drawn(settings, counts)
    removed: dict[str, dict[str, int]] = {}
    left = _unseen(drawn, [resolve_target(spec) for spec in settings.apart], removed)
    digest = hashlib.sha256()
    held = list(_hashed(islice(left, min(_HELD, max(1, len(drawn) // 20))), digest))
    parts: list[Passages] = []
    for group in filter(None, chunks(_hashed(left, digest), _WORDS)):
        parts.append(cut_passages(group, table, capacity))
        counts["read"] += len(group)
        passages, pieces = sum(map(len, parts)), sum(len(part.pieces) for part in parts)
        if pieces >= settings.pieces if settings.pieces else passages >= settings.steps * settings.batch:
            break
    if not counts["read"]:
        there = f"{len(held)} of {counts['documents']} documents"
        raise ConfigError(
            f"{there} can be read: two are needed, since one is held out; txt[per=line]:FILE has one a line"
        )
    train, apart = join(parts), cut_passages(held, table, capacity)
    facts = {
        **{f"{name}_documents": number for name, number in counts.items()},
        "held_out_documents": len(held),
        "removed": removed,
        "text_pieces": len(train.pieces),
        "held_out_pieces": len(apart.pieces),
        "passages": len(train),
        "sha256": digest.hexdigest(),
    }
    return _Text(train, apart, facts)


def _drawn(settings: Pretraining, counts: Counter[str]) -> list[Document]:
    """The documents that hold a word, each text once, in the order in which they are drawn."""
    unique: dict[str, Document] = {}
    for document in settings.documents():
        counts["documents"] += 1
        if is_blank(document.text):
            counts["empty"] += 1
        elif unique.setdefault(document.text, document) is not document:
            counts["repeated"] += 1
    drawn = list(unique.values())
    random.Random(f"pretrain/{settings.seed}").shuffle(drawn)
    return drawn[: settings.limit] if settings.limit else drawn


def _unseen(
    documents: Sequence[Document], targets: Sequence[Corpus], removed: dict[str, dict[str, int]]
) -> Iterator[Document]:
    """The documents that no target is scored on; how many were removed for each is counted as they are looked up."""
    for start in range(0, len(documents), _LOOKED_UP):
        some = Corpus("text", {"train": tuple(documents[start : start + _LOOKED_UP])}, ())
        for target in targets:
            some, gone = without_overlap(some, target)
            before = removed.setdefault(target.name, dict.fromkeys(gone, 0))
            removed[target.name] = {reason: before[reason] + number for reason, number in gone.items()}
        yield from some.train


def _hashed(documents: Iterable[Document], digest: Any) -> Iterator[Document]:
    for document in documents:
        digest.update(f"\x1e{document.id}\x1f{document.text}".encode("utf-8", "surrogatepass"))
        yield document


_ARRAYS = ("pieces", "words", "bounds")


def _save_text(text: _Text, path: Path) -> None:
    """Keep what was read, so that a killed run reads the same again, and at once."""
    tensors = {f"{part}.{name}": getattr(getattr(text, part), name) for part in ("train", "held") for name in _ARRAYS}
    with write_beside(path) as fresh:
        save_file(tensors, fresh, {"facts": json.dumps(text.facts)})


def _load_text(path: Path) -> _Text:
    with safe_open(path, "pt") as file:
        train, held = (Passages(*(file.get_tensor(f"{part}.{name}") for name in _ARRAYS)) for part in ("train", "held"))
        return _Text(train, held, json.loads(file.metadata()["facts"]))


def _train(network: MaskedModel, hiding: Masking, text: _Text, settings: Pretraining, run: Run) -> dict[str, Any]:
    """Train, with the loss on held-out text before and after."""
    stage = run.stage("pretrain")
    told = run.records("held_out")
    if not told:
        loss = _held_out(network, hiding, text.held, settings.batch)
        stage.record("held_out", when="before", loss=loss)
    before = told[0]["loss"] if told else loss
    steps = plan(text.train.lengths, settings.batch, steps=settings.steps, pieces=settings.pieces, seed=settings.seed)
    epochs = min(_TENTHS, len(steps))

    def feed(epoch: int) -> list[Tensor]:
        return steps[epoch * len(steps) // epochs : (epoch + 1) * len(steps) // epochs]

    def objective(numbers: Tensor) -> dict[str, Tensor]:
        return {"masked": network.losses(text.train.batch(numbers), hiding).mean()}

    groups: list[dict[str, Any]] = [
        {"params": list(network.encoder.parameters())},
        {"params": network.head, "factor": _HEAD},
    ]
    training = Training(
        epochs=epochs, batch=settings.batch, rate=settings.rate, warmup=_WARMUP, average=0.0, select="last"
    )
    summary = fit(network, objective, feed, training, stage=stage, groups=groups)
    after = _held_out(network, hiding, text.held, settings.batch)
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
def _held_out(network: MaskedModel, hiding: Masking, text: Passages, batch: int) -> float:
    """Mean nats of a hidden piece; the same pieces are hidden whenever it is asked."""
    network.eval()
    generator = torch.Generator().manual_seed(0)
    order = text.lengths.argsort(descending=True, stable=True)
    return float(
        torch.cat([network.losses(text.batch(some), hiding, generator) for some in torch.split(order, batch)]).mean()
    )


def _rate(loss: float) -> dict[str, float]:
    return {"loss": round(loss, 4), "perplexity": round(math.exp(loss), 2)}


def _write_encoder(network: MaskedModel, pieces: Pieces, folder: Path, name: str) -> None:
    """A folder that `transfuse.encoders.load` takes, the tokenizer as it was."""
    folder.mkdir()
    model = network.encoder.model.cpu()
    encoders.write(model, pieces, folder)
    save_model(model, str(folder / "model.safetensors"), {"format": "pt"})
    for path in (path for pattern in _TOKENIZER for path in encoders.find(name).glob(pattern)):
        shutil.copyfile(path, folder / path.name)
