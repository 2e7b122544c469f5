"""The whole state of a training in one file, from which a killed run ends in the same weights, bit for bit."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from transfuse.files import write_beside

__all__ = ["load_checkpoint", "parameters_of", "save_checkpoint"]


def parameters_of(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    """What it trains, in the order of its groups."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def save_checkpoint(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    copies: Mapping[str, Sequence[Tensor]],
    progress: Mapping[str, Any],
) -> None:
    """Write network, optimiser and random generators beside the old file, and put it in its place.

    Args:
        path: of the checkpoint.
        network: whole, with what is not trained.
        optimizer: with its state.
        copies: names, and for each a value of every parameter of the optimiser, or none.
        progress: anything that JSON holds.
    """
    tensors = {f"network.{k}": v for k, v in network.state_dict().items()}
    tensors |= {f"{kind}.{i}": v for kind, values in copies.items() for i, v in enumerate(values)}
    for i, parameter in enumerate(parameters_of(optimizer)):
        for name, value in optimizer.state.get(parameter, {}).items():
            tensors[f"optimizer.{i}.{name}"] = torch.as_tensor(value)
    tensors["generator.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["generator.cuda"] = torch.cuda.get_rng_state()
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with write_beside(path) as fresh:
        save_file(tensors, fresh, {"progress": json.dumps(progress)})


def load_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, list[Tensor]], dict[str, Any]]:
    """Put everything back where `save_checkpoint` found it.

    Returns:
        The copies, on the devices of their parameters, and the progress.
    """
    parameters = parameters_of(optimizer)
    found: dict[str, dict[str, Tensor]] = defaultdict(dict)
    with safe_open(path, "pt") as file:
        progress: dict[str, Any] = json.loads(file.metadata()["progress"])
        for key in file.keys():  # noqa: SIM118
            kind, _, name = key.partition(".")
            found[kind][name] = file.get_tensor(key)
    network.load_state_dict(found.pop("network"))
    generators = found.pop("generator")
    torch.set_rng_state(generators["cpu"])
    if "cuda" in generators:
        torch.cuda.set_rng_state(generators["cuda"])
    fused = any(group.get("fused") for group in optimizer.param_groups)  # its steps lie with the weights
    for key, value in found.pop("optimizer", {}).items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        optimizer.state[parameter][name] = value.to(parameter.device) if name != "step" or fused else value
    copies = {
        kind: [values[str(i)].to(parameters[i].device) for i in range(len(values))] for kind, values in found.items()
    }
    return copies, progress
