"""A transformer under a CRF beside a bare loop over the library's token classifier, on the same batches.

Usage: python benchmarks/transformer.py [RUN ...]. Also what bf16 saves or costs on this processor. With finished runs
of a transformer, how fast they tag in 8-bit integers instead, and at which price in F1. NCBI-disease, one thread, CPU
seconds; all sides take turns. The bare loop gets words, sentences and batches ready-made. Needs the real corpus
(TRANSFUSE_MIRROR, or a download).
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

from transfuse import bundle, corpora
from transfuse.encoders.known import find
from transfuse.lighter import to_int8
from transfuse.run import Run
from transfuse.scoring.score import score
from transfuse.taggers.architecture import Architecture
from transfuse.taggers.encoding import Supervised, new_encoding
from transfuse.taggers.neural import Sentence, batches
from transfuse.taggers.transformer import TransformerEncoder
from transfuse.taggers.vectors import Vectors
from transfuse.text import Corpus, Document, Task
from transfuse.train import Training
from transfuse.transfer.supervised import Step, read_domain, run_fit
from transfuse.words import sentences
from transfuse.words import words as split

ENCODER, BATCH, STEPS, ROUNDS, READ = "minilm-l6", 16, 30, 2, 32


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of it."""
    began = time.process_time()
    work()
    return time.process_time() - began


class Bare:
    """Word pieces, a linear layer on first pieces, softmax; AdamW and clipping as in ours."""

    def __init__(self, tags: int) -> None:
        folder = find(ENCODER)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForTokenClassification.from_pretrained(folder, num_labels=tags)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=5e-5, fused=True)

    def read(self, texts: Sequence[Sequence[str]]) -> Any:
        """A padded batch."""
        words = [list(words) for words in texts]
        return self.tokenizer(words, is_split_into_words=True, truncation=True, padding=True, return_tensors="pt")

    def step(self, texts: Sequence[Sequence[str]], tags: Sequence[Sequence[int]]) -> None:
        """One step of training."""
        batch = self.read(texts)
        labels = torch.full(batch["input_ids"].shape, -100)
        for row, known in enumerate(tags):
            previous = None
            for place, word in enumerate(batch.word_ids(row)):
                if word is not None and word != previous:
                    labels[row, place] = known[word]
                previous = word
        self.model.train()
        self.optimizer.zero_grad()
        self.model(**batch, labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
        self.optimizer.step()

    @torch.no_grad()
    def tag(self, texts: Sequence[Sequence[str]]) -> int:
        """How many words have another tag than the first, batches of sentences of like length."""
        self.model.eval()
        order = sorted(texts, key=len, reverse=True)
        found = 0
        for at in range(0, len(order), READ):
            batch = self.read(order[at : at + READ])
            best = self.model(**batch).logits.argmax(-1).tolist()
            for row, tags in enumerate(best):
                firsts = {
                    word: place for place, word in reversed(list(enumerate(batch.word_ids(row)))) if word is not None
                }
                found += sum(tags[place] > 0 for place in firsts.values())
        return found


def compare(corpus: Corpus, folder: Path) -> None:
    """Print seconds and ratios of training and of tagging."""
    settings = Supervised(Architecture(TransformerEncoder(name=ENCODER)), vectors=Vectors(kind="none"))
    training = Training(epochs=1, steps=0, batch=BATCH, rate=1e-3, average=0.0, select="last")
    run = Run(folder, seed=0)
    corpus = corpus.with_split("dev", ())
    encoding = new_encoding([corpus], settings, task=Task(corpus), run=run)
    domain = read_domain(encoding, corpus, stage=run.stage("read"))
    bare = Bare(len(domain.tagset.names))
    fed = batches(domain.items, size=BATCH, words_at_most=10**6, seed="benchmark")[: STEPS * ROUNDS]
    words = {id(item): text for item, text in zip(domain.items, spelt(corpus.train), strict=True)}
    taken = {"ours": 0.0, "bf16": 0.0, "bare": 0.0}
    for number in range(ROUNDS):
        some = fed[number * STEPS : (number + 1) * STEPS]

        def ours(name: str, training: Training, some: Sequence[list[Sentence]] = some, number: int = number) -> None:
            def objective(step: Step) -> dict[str, torch.Tensor]:
                batch = encoding.batch(step.target, domain.tagset)
                states = encoding.encoder(batch)
                return {"crf": domain.head.loss(states, batch.lengths, tags=batch.tags, allowed=batch.allowed).mean()}

            stage = run.stage(f"{name}-{number}")
            run_fit(encoding, [domain], objective, lambda _: [Step(b) for b in some], training, stage=stage)

        def theirs(some: Sequence[list[Sentence]] = some) -> None:
            for batch in some:
                bare.step([words[id(item)] for item in batch], [item.tags for item in batch])

        taken["ours"] += seconds(partial(ours, "single", training))
        taken["bf16"] += seconds(partial(ours, "bf16", replace(training, precision="bf16")))
        taken["bare"] += seconds(theirs)
    print(f"training: {taken['ours'] / taken['bare']:.2f} of the bare loop's CPU seconds ({taken['bare']:.1f})")
    print(f"training in bf16: {taken['bf16'] / taken['ours']:.2f} of the CPU seconds of single precision")
    documents = corpus.test
    tagger, bare_words = domain.tagger(encoding), spelt(documents)
    rounds = [(seconds(lambda: list(tagger.tag(documents))), seconds(lambda: bare.tag(bare_words))) for _ in range(3)]
    one, other = (min(column) for column in zip(*rounds, strict=True))
    print(f"tagging: {one / other:.2f} of the bare loop's CPU seconds ({other:.1f})")


def spelt(documents: Sequence[Document]) -> list[list[str]]:
    """The words of all sentences, no border of which falls into a mention."""
    return [
        [document.text[a:b] for a, b in split(document.text, *sentence)]
        for document in documents
        for sentence in sentences(document.text, keep=[(e.start, e.end) for e in document.entities])
    ]


def lighten(path: str, corpus: Corpus) -> None:
    """Print what 8-bit integers do to a run's tagger."""
    whole, light = (bundle.load(bundle.locate(Path(path))) for _ in range(2))
    to_int8(light)
    taken = [0.0, 0.0]
    for at in range(0, len(corpus.test), 100):  # the best of four on each part: a neighbour's work is soon over
        some = corpus.test[at : at + 100]
        for side, tagger in enumerate((whole, light)):
            taken[side] += min(seconds(lambda: list(tagger.tag(some))) for _ in range(4))  # noqa: B023
    before, after = (
        100 * score(corpus.test, list(tagger.tag(corpus.test)), corpus.labels).micro().f1 for tagger in (whole, light)
    )
    print(f"{path}: int8 is {taken[0] / taken[1]:.2f} times as fast; strict F1 {before:.2f} -> {after:.2f}")


def main() -> None:
    """Print ratios."""
    torch.set_num_threads(1)
    corpus = corpora.load("ncbi-disease")
    if len(sys.argv) == 1:
        with tempfile.TemporaryDirectory() as folder:
            compare(corpus, Path(folder))
    for path in sys.argv[1:]:
        lighten(path, corpus)


if __name__ == "__main__":
    main()
