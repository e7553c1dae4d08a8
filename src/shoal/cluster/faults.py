"""What the errors of Ray mean to a user."""

from __future__ import annotations

import ray

from shoal.errors import ClusterError, MemoryBudgetError, ShoalError

_LOST = (
    ray.exceptions.WorkerCrashedError,
    ray.exceptions.NodeDiedError,
    ray.exceptions.ObjectLostError,
    ray.exceptions.RayActorError,
    ray.exceptions.LocalRayletDiedError,
    ray.exceptions.RpcError,
    ray.exceptions.RaySystemError,
)


def as_shoal_error(error: BaseException) -> BaseException:
    """The error to raise for one of Ray's.

    Returns
    -------
    BaseException
        A `ShoalError` where a user can do something; else what the task itself raised, which is a
        fault of shoal.
    """
    cause = getattr(error, "cause", None)
    if isinstance(error, ray.exceptions.RayTaskError):
        if isinstance(cause, ray.exceptions.RayError):
            return as_shoal_error(cause)
        if isinstance(cause, ShoalError | OSError):
            return cause
        if isinstance(cause, MemoryError):
            return _no_memory(str(cause) or "an allocation failed")
        return error
    if isinstance(error, ray.exceptions.OutOfMemoryError):
        return _no_memory("Ray ended its worker before the machine ran out")
    if isinstance(error, ray.exceptions.ObjectStoreFullError):
        return MemoryBudgetError(
            "the object store of a machine is full. Start the machines with more (ray start "
            "--object-store-memory=BYTES; --on ray: a larger --memory)"
        )
    if isinstance(error, ray.exceptions.OutOfDiskError):
        return MemoryBudgetError(
            "the object store of a machine is full, and the disk it spills to as well. Start the "
            "machines with more memory or more disk (ray start --object-spilling-directory=DIR)"
        )
    if isinstance(error, _LOST):
        return ClusterError(
            f"a machine or a worker of the cluster was lost, and its work with it "
            f"({_first_line(error)}). The same command does it again"
        )
    return error


def _no_memory(why: str) -> MemoryBudgetError:
    return MemoryBudgetError(
        f"a machine has not enough memory for a task ({why}): see `shoal plan`; take larger "
        "machines, or give each fewer cores (ray start --num-cpus=N), so that fewer tasks share it"
    )


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200].rstrip(".") if lines else type(error).__name__
