"""A tiny random model of each family of transformers, as the library saves one, and short trainings with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from transfuse.encoders.pieces import PieceTable
from transfuse.methods.target_only import TargetOnly
from transfuse.nn.transformer import Transformer
from transfuse.synthetic import department
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.layers import layer_of
from transfuse.taggers.neural import Sentence, collate
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import Document, Task
from transfuse.train import Training

LETTERS = "abcdefghijklmnopqrstuvwxyz"
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
LONGEST = 40
"""Pieces that the tiny models read at once, marks included, where their family knows an end."""


def word_pieces(unknown: str = "[UNK]") -> Tokenizer:
    names = [unknown, "[PAD]", "[CLS]", "[SEP]", "[MASK]", *LETTERS, *(f"##{c}" for c in LETTERS), "-", "5", "##53"]
    tokenizer = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return around(tokenizer, "[CLS] $A [SEP]")


def byte_pairs() -> Tokenizer:
    names = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "Ġ", *LETTERS, *"0123456789-.", "Ġf", "Ġfe", "fe", "in"]
    merges = [("Ġ", "f"), ("Ġf", "e"), ("f", "e"), ("i", "n")]
    tokenizer = Tokenizer(models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return around(tokenizer, "[CLS] $A [SEP]")


def unigrams(template: str) -> Tokenizer:
    names = ["[UNK]", "[PAD]", "[CLS]", "[SEP]", "[MASK]", "▁", *LETTERS, *"0123456789-", "▁fe", "ver", "in"]
    tokenizer = Tokenizer(models.Unigram([(name, -float(len(names) - len(name))) for name in names], unk_id=0))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    return around(tokenizer, template)


def around(tokenizer: Tokenizer, template: str) -> Tokenizer:
    marks = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(single=template, special_tokens=marks)
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    # as files of published models often have it: it would fill up and cut off each word
    tokenizer.enable_padding(length=16)
    tokenizer.enable_truncation(16)
    return tokenizer


FAMILIES: dict[str, tuple[Callable[[], Tokenizer], dict[str, Any]]] = {
    "bert": (word_pieces, SIZE | {"max_position_embeddings": LONGEST}),
    "electra": (word_pieces, SIZE | {"max_position_embeddings": LONGEST, "embedding_size": 8}),
    "mpnet": (word_pieces, SIZE | {"max_position_embeddings": LONGEST + 2, "pad_token_id": 1}),
    "roberta": (byte_pairs, SIZE | {"max_position_embeddings": LONGEST + 2, "pad_token_id": 1}),
    "modernbert": (byte_pairs, SIZE | {"max_position_embeddings": LONGEST, "pad_token_id": 1, "local_attention": 8}),
    "deberta-v2": (
        lambda: unigrams("[CLS] $A [SEP]"),
        SIZE | {"max_position_embeddings": LONGEST, "relative_attention": True, "pos_att_type": ["p2c", "c2p"]},
    ),
    "xlnet": (
        lambda: unigrams("$A:0 [SEP]:0 [CLS]:2"),
        {"d_model": 16, "n_layer": 2, "n_head": 2, "d_inner": 24, "pad_token_id": 1},
    ),
}


OTHERS: dict[str, tuple[Callable[[], Tokenizer], dict[str, Any]]] = {
    "albert": (word_pieces, SIZE | {"max_position_embeddings": LONGEST, "embedding_size": 8}),
    "distilbert": (
        word_pieces,
        {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24, "max_position_embeddings": LONGEST},
    ),
    "gpt2": (byte_pairs, {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": LONGEST}),
}
"""Whose layers bear other names."""


def make(folder: Path, family: str) -> str:
    """A folder with a random model of a family, as the library saves one."""
    tokenizer, config = (FAMILIES | OTHERS)[family]
    backend = tokenizer()
    torch.manual_seed(0)
    size = backend.get_vocab_size() + 3
    marks = {"bos_token_id": 2, "eos_token_id": 3, "cls_token_id": 2, "sep_token_id": 3}
    settings = AutoConfig.for_model(family, **{**marks, **config, "vocab_size": size, "initializer_range": 0.5})
    AutoModel.from_config(settings).save_pretrained(folder)
    named = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    side = "left" if family == "xlnet" else "right"
    PreTrainedTokenizerFast(tokenizer_object=backend, padding_side=side, **named).save_pretrained(folder)
    return str(folder)


def architecture(name: str, **how: Any) -> Architecture:
    return Architecture(TransformerEncoder(name=name, **{"dropout": 0.0, **how}))


def brief(name: str, **how: Any) -> TargetOnly:
    return TargetOnly(architecture(name, **how), Training(epochs=1, steps=4, rate=0.02), Vectors(kind="none"))


def task(documents: int = 6) -> Task:
    few = lambda name: replace(department(name, documents=3 * documents), name=name)  # noqa: E731
    target, source = few("cardiology"), few("neurology")
    cut_down = {split: texts[:documents] for split, texts in target.splits.items()}
    raw = tuple(Document(d.id, d.text) for d in target.train[-2:])
    return Task(replace(target, splits=cut_down), (replace(source, splits={"train": source.train[:documents]}),), raw)


def loaded(name: str, **how: Any) -> tuple[Transformer, PieceTable]:
    settings = TransformerEncoder(name=name, **{"dropout": 0.0, **how})
    encoder, pieces, _ = settings.load()
    return encoder.eval(), settings.table(pieces, encoder)


def states(encoder: Transformer, table: PieceTable, sentences: list[list[str]]) -> list[torch.Tensor]:
    """Of each sentence ``[words, width]``, all read in one batch."""
    order = sorted(range(len(sentences)), key=lambda i: -len(sentences[i]))
    items = [Sentence(tuple(table.numbers(sentences[i])), (0,) * len(sentences[i])) for i in order]
    with torch.no_grad():
        found = encoder(collate(items, table, SimpleNamespace(names=("O",))))  # type: ignore[arg-type]
    return [found[order.index(i), : len(sentences[i])] for i in range(len(sentences))]


def layers(network: torch.nn.Module) -> dict[str, list[torch.Tensor]]:
    found: dict[str, list[torch.Tensor]] = {}
    for name, parameter in network.named_parameters():
        found.setdefault(layer_of(f"encoder.{name}"), []).append(parameter.detach())
    return found


def moved(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(one, other, strict=True))
