"""The machines of the cluster that this process is connected to."""

from __future__ import annotations

from dataclasses import dataclass

import ray

from shoal.run import how_many, human_bytes


@dataclass(frozen=True)
class Machine:
    """One machine as Ray counts it.

    Parameters
    ----------
    node : str
        Ray's id of it.
    name : str
        Its host.
    cores, gpus : int
    memory, store : int
        Bytes that tasks may ask for, and of its object store.
    """

    node: str
    name: str
    cores: int
    gpus: int
    memory: int
    store: int

    @property
    def described(self) -> str:
        """What it has, for a person."""
        gpus = f", {how_many(self.gpus, 'GPU')}" if self.gpus else ""
        return (
            f"{self.name} ({how_many(self.cores, 'core')}, {human_bytes(self.memory)} of memory, "
            f"{human_bytes(self.store)} of object store{gpus})"
        )


def machines() -> list[Machine]:
    """Those that are there now, also those that joined late."""
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            has = node["Resources"]
            found.append(
                Machine(
                    str(node["NodeID"]),
                    f"{node['NodeManagerHostname']}/{node['NodeManagerAddress']}",
                    int(has.get("CPU", 0)),
                    int(has.get("GPU", 0)),
                    int(has.get("memory", 0)),
                    int(has.get("object_store_memory", 0)),
                )
            )
    return sorted(found, key=lambda machine: machine.node)
