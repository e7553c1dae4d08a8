"""Networks without memory for their numbers: to know names and shapes, and to fill in arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from shoal.errors import ModelError
from shoal.kernels.arrays import State

# Calls of torch that building a network may take; a layer takes about ten. A number of layers that
# somebody wrote into a file must not keep the machine busy for hours.
MOST_CALLS = 100_000


class _Counting(TorchFunctionMode):
    """Counts the calls of torch, and raises a ModelError when there are too many."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        self.calls += 1
        if self.calls > MOST_CALLS:
            raise ModelError("a network of so many layers is not built")
        return func(*args, **(kwargs or {}))


def outline(build: Callable[[], nn.Module]) -> nn.Module:
    """Build a network whose tensors have shapes, but no memory.

    Parameters
    ----------
    build : callable
        Makes the network.

    Raises
    ------
    ModelError
        It has too many layers, or a size that no tensor can have.
    """
    try:
        with torch.device("meta"), _Counting():
            return build()
    except (RuntimeError, OverflowError, MemoryError, TypeError, ZeroDivisionError) as error:
        reason = str(error).partition("\n")[0]
        raise ModelError(f"its hyper-parameters are those of no network ({reason})") from None


def network_of(
    name: str, build: Callable[[], nn.Module], arrays: State, training_only: tuple[str, ...]
) -> nn.Module:
    """Build a network around arrays, which become its tensors without a copy.

    Parameters
    ----------
    name : str
        Model name, for error messages.
    build : callable
        Makes the network.
    arrays : dict of arrays
        All tensors by name, but for those that only training needs.
    training_only : tuple of str
        Prefixes of the names of those; they are left empty.

    Raises
    ------
    ModelError
        An array is missing, unknown or of another shape.
    """
    network = outline(build)
    tensors = network.state_dict()
    needed = {n for n in tensors if not n.startswith(training_only)}
    missing, unknown = sorted(needed - set(arrays)), sorted(set(arrays) - set(tensors))
    if missing or unknown:
        what = f"{missing[0]!r} is missing" if missing else f"{unknown[0]!r} is unknown"
        raise ModelError(f"{name}: the array {what}")
    for tensor, array in arrays.items():
        if tuple(tensors[tensor].shape) != array.shape:
            raise ModelError(f"{name}: the array {tensor!r} has the shape {array.shape}")
    if _has_more_than(network, set(tensors)):
        network = build()  # it computes other tensors of its own, so it must be built in memory
    filled = {n: torch.from_numpy(array) for n, array in arrays.items()}
    network.load_state_dict(filled, strict=False, assign=True)
    for module in network.modules():
        for own, parameter in list(module.named_parameters(recurse=False)):
            if parameter.is_meta:
                setattr(module, own, nn.Parameter(torch.empty(0), requires_grad=False))
        for own, buffer in list(module.named_buffers(recurse=False)):
            if buffer.is_meta:
                setattr(module, own, torch.empty(0))
    return network


def _has_more_than(network: nn.Module, saved: set[str]) -> bool:
    """Whether a network has tensors that its ``state_dict`` does not have."""
    if {name for name, _ in network.named_buffers()} - saved:
        return True
    return any(
        isinstance(value, torch.Tensor)
        for module in network.modules()
        for value in vars(module).values()
    )
