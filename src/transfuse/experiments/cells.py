"""Run the cells of a comparison, each in a folder of its own, in processes of one thread each.

``DIR/cells/RECIPE`` are the runs, ``DIR/records`` what is kept of them. A cell that was killed goes on where it was.
"""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from transfuse.experiments.comparison import Cell
from transfuse.experiments.recipe import Recipe
from transfuse.experiments.running import check_place, run_recipe
from transfuse.reporting.records import make_record, write_record
from transfuse.reporting.results import read_run
from transfuse.text import TransfuseError

__all__ = ["Event", "Failure", "run_cells"]


@dataclass(frozen=True)
class Event:
    """What a watching person is told.

    Attributes:
        kind: ``starts``, ``goes on``, ``warns``, ``done`` or ``failed``.
        cell: which.
        text: what it does now, what it warns of, its score in words, or why it failed.
        share: of the cell's work that is done.
    """

    kind: str
    cell: Cell
    text: str = ""
    share: float = 0.0


@dataclass(frozen=True)
class Failure:
    """A cell that could not be finished.

    Attributes:
        cell: which.
        reason: in one line.
    """

    cell: Cell
    reason: str


Watch = Callable[[Event], None]


def run_cells(
    cells: Sequence[Cell],
    folder: Path,
    *,
    records: Path,
    jobs: int = 1,
    device: str = "cpu",
    keep: bool = True,
    watch: Watch = lambda event: None,
) -> list[Failure]:
    """Run cells; one that fails leaves the others alone.

    Args:
        cells: no two of the same recipe, in the order in which they are to run.
        folder: their runs go to ``cells`` in it.
        records: folder for their records.
        jobs: processes at a time.
        device: torch device.
        keep: leave each run's tagger in its folder, also where no fusion among the cells waits for it.
        watch: called with what happens.

    Returns:
        What could not be finished.

    Raises:
        ConfigError: the folder lies in a corpus; see `transfuse.experiments.running.check_place`.
        KeyboardInterrupt: after the processes have been ended; the same call goes on.
    """
    for cell in cells:
        check_place(folder, cell.recipe.data)
    order = _Order(cells)
    failures: list[Failure] = []
    with _workers(_Work(folder, records, device), min(jobs, len(cells))) as workers:
        for worker in workers:
            worker.give(order, watch)
        while busy := [worker for worker in workers if worker.cell]:
            for connection in wait([worker.connection for worker in busy]):
                worker = next(worker for worker in busy if worker.connection is connection)
                event = worker.receive()
                watch(event)
                if event.kind == "failed":
                    failures.append(Failure(event.cell, event.text))
                if event.kind in {"done", "failed"}:
                    order.ended(event.cell)
                    worker.give(order, watch)
                if event.kind == "done" and not keep:
                    for name in order.disposable(event.cell):
                        shutil.rmtree(folder / "cells" / name / "bundle", ignore_errors=True)
    return failures


class _Order:
    """Which cell comes next: two that need the same sources trained are not begun together if that can be helped."""

    def __init__(self, cells: Sequence[Cell]) -> None:
        self.left = list(cells)
        self.running: list[Cell] = []
        self.warm: set[Any] = set()

    def next(self) -> Cell | None:
        if not self.left:
            return None
        cold = {_group(cell) for cell in self.running} - self.warm
        cell = next(
            (cell for cell in self.left if not cell.recipe.data.sources or _group(cell) not in cold), self.left[0]
        )
        self.left.remove(cell)
        self.running.append(cell)
        return cell

    def ended(self, cell: Cell) -> None:
        self.running.remove(cell)
        self.warm.add(_group(cell))

    def disposable(self, ended: Cell) -> set[str]:
        """Hashes of runs, the cell's and its members', of which no cell that is not done yet needs the tagger."""
        wanted = {recipe.hash for cell in (*self.left, *self.running) for recipe in (cell.recipe, *cell.recipe.members)}
        return {recipe.hash for recipe in (ended.recipe, *ended.recipe.members)} - wanted


def _group(cell: Cell) -> tuple[Any, ...]:
    return cell.recipe.data.sources, cell.seed


@dataclass(frozen=True)
class _Work:
    """What a process needs to know beside the recipe."""

    folder: Path
    records: Path
    device: str

    def do(self, recipe: Recipe, tell: Callable[[str, float], None]) -> str:
        """Run a cell and keep its record; its score in words."""
        place = self.folder / "cells" / recipe.hash
        run_recipe(recipe, place, device=self.device, watch=tell, runs=place.parent)
        record = make_record(read_run(place))
        write_record(record, self.records, recipe.hash)
        return f"{100 * record.micro().f1:.2f} F1, {record.cpu_seconds:.1f} CPU s"


class _Worker:
    """A process that runs one cell after another; a new one takes its place where it dies."""

    def __init__(self, work: _Work) -> None:
        self.work = work
        self.cell: Cell | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(other, self.work), daemon=True)
        with _deaf():
            self.process.start()
        other.close()

    def give(self, order: _Order, watch: Watch) -> None:
        self.cell = order.next()
        if self.cell:
            watch(Event("starts", self.cell))
            with suppress(ConnectionError):  # of a process that has died, which `receive` will see
                self.connection.send(self.cell.recipe)

    def receive(self) -> Event:
        assert self.cell
        try:
            kind, text, share = self.connection.recv()
        except (EOFError, ConnectionError):
            self.process.join()
            reason = f"its process died with exit code {self.process.exitcode}"
            self.connection.close()
            self._start()
            return Event("failed", self.cell, reason)
        return Event(kind, self.cell, text, share)

    def end(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


@contextmanager
def _workers(work: _Work, number: int) -> Iterator[list[_Worker]]:
    workers: list[_Worker] = []
    try:
        for _ in range(number):
            workers.append(_Worker(work))
        yield workers
    finally:
        for worker in workers:
            worker.end()


@contextmanager
def _deaf() -> Iterator[None]:
    """A process started here ignores Ctrl-C from its first moment: its parent ends it."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _serve(connection: Connection, work: _Work) -> None:
    """Run cells until the parent is gone, however it went: whoever starts it again finds nobody in its folders."""
    import torch

    threading.Thread(target=_leave_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    warnings.showwarning = lambda message, *_, **__: connection.send(("warns", str(message), 0.0))
    with connection, suppress(EOFError, ConnectionError):
        while True:
            recipe = connection.recv()
            connection.send(_outcome(recipe, work, _Teller(connection)))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _outcome(recipe: Recipe, work: _Work, tell: Any) -> tuple[str, str, float]:
    try:
        return "done", work.do(recipe, tell), 1.0
    except ConnectionError:
        raise
    except TransfuseError as error:
        return "failed", str(error), 0.0
    except Exception as error:
        place = work.folder / "cells" / recipe.hash
        place.mkdir(parents=True, exist_ok=True)
        (place / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
        line = str(error).partition("\n")[0]
        return "failed", f"{type(error).__name__}: {line} (see {place / 'error.txt'})", 0.0


class _Teller:
    """Sends progress, twice a second at most."""

    def __init__(self, connection: Connection) -> None:
        self.connection, self.said = connection, 0.0

    def __call__(self, text: str, share: float) -> None:
        now = time.monotonic()
        if now - self.said >= 0.5:
            self.said = now
            self.connection.send(("goes on", text, share))
