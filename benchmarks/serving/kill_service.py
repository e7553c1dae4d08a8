"""kill -9 of the service while it stores events: every event that it acknowledged is there.

    python benchmarks/serving/kill_service.py              # 100 kills; about 12 minutes
    python benchmarks/serving/kill_service.py --kills 3    # a try

Several clients post events, one or many at once, and note each event once its answer came. After a
random time all processes of the service are killed (SIGKILL), the database is read by this process,
and each event that was ever acknowledged must be in it, once. Then the service is started again on
the same database. An event that was sent but not acknowledged may be there or not: how many there
were says that kills landed while the service was writing. SIGKILL does not take the system's cache
of the disk away; that a commit also survives a loss of power is up to SQLite's
`synchronous=FULL` and is not measured here.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.serving.catalogue import Catalogue, post
from benchmarks.serving.load import Connection, built
from benchmarks.serving.services import Service, running, shoal_service

HERE = Path(__file__).parent
CLIENTS = 4
WINDOW = (0.1, 1.5)  # seconds between the start of the clients and the kill
MANY = 20  # events of a larger request


class Client(threading.Thread):
    """Posts events until the service dies; each has a user that says which event it is."""

    def __init__(self, port: int, number: int, items: list[str], first: int) -> None:
        super().__init__(daemon=True)
        self.port, self.number, self.items, self.next = port, number, items, first
        self.acknowledged: list[str] = []
        self.pending: list[str] = []  # sent, and not answered when the service died
        self.refused: list[str] = []

    def run(self) -> None:
        """Post until the connection breaks."""
        rng = random.Random(self.next)  # noqa: S311
        connection = Connection(self.port)
        while True:
            count = MANY if rng.random() < 0.3 else 1
            users = [f"{self.number}-{self.next + i}" for i in range(count)]
            self.next += count
            rows = [{"user": u, "item": rng.choice(self.items), "type": "view"} for u in users]
            self.pending = users
            try:
                connection.send(built(post("/v1/events", {"events": rows})), 0, 0.0)
                answer = None
                while answer is None:
                    answer = connection.receive()
            except OSError:
                return
            if 200 <= answer[0] < 300:
                self.acknowledged += users
            else:
                self.refused.append(f"{answer[0]} {answer[1][:200].decode(errors='replace')}")
            self.pending = []


def one_kill(service: Service, items: list[str], round_: int, rng: random.Random) -> list[Client]:
    """Load, kill; the clients with what they noted."""
    first = round_ * 10**6
    clients = [Client(service.port, number, items, first) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    time.sleep(rng.uniform(*WINDOW))
    service.kill()
    for client in clients:
        client.join(30)
    return clients


def killed(catalogue: Catalogue, kills: int, folder: Path, seed: int = 0) -> Row:
    """All kills on one database."""
    from shoal.events import EventStore

    rng, database = random.Random(seed), folder / "events.db"  # noqa: S311
    items = [f"i{i:06d}" for i in range(catalogue.shape.n_items)]
    acknowledged: set[str] = set()
    row: Row = {"kills": 0, "under_way": 0, "unanswered": 0, "stored_unanswered": 0}
    refused: list[str] = []
    missing: set[str] = set()
    twice = 0
    for number in range(kills):
        service = shoal_service(catalogue.model("ease"), "--events", str(database)).start()
        clients = one_kill(service, items, number, rng)
        for client in clients:
            acknowledged |= set(client.acknowledged)
            refused += client.refused
        pending = {user for client in clients for user in client.pending}
        store = EventStore(database)
        stored = store.frame()["user"].to_list()
        store.close()
        there = set(stored)
        twice += len(stored) - len(there)
        missing |= acknowledged - there
        row["kills"] += 1
        row["under_way"] += bool(pending)
        row["unanswered"] += len(pending)
        row["stored_unanswered"] += len(pending & there)
    with running(
        shoal_service(catalogue.model("ease"), "--events", str(database))
    ) as service:  # and the service itself gives them back
        asked = rng.sample(sorted(acknowledged), min(200, len(acknowledged)))
        answers = [service.ask({"method": "GET", "path": f"/v1/users/{user}"}) for user in asked]
    gone = [
        user
        for user, (status, body) in zip(asked, answers, strict=True)
        if status != 200 or not json.loads(body)["events"]
    ]
    return row | {
        "acknowledged": len(acknowledged),
        "missing": len(missing),
        "twice": twice,
        "refused": len(refused),
        "refusals": refused[:5],
        "asked_back": len(asked),
        "not_given_back": len(gone),
    }


def main() -> None:
    """Kill."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results.jsonl")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        row = killed(Catalogue("short"), given.kills, Path(folder))
    Results(given.results / "results.jsonl").save("kill service", row)
    print(row)
    if row["missing"] or row["twice"] or row["not_given_back"]:
        raise SystemExit("an acknowledged event is missing, or stored twice")


if __name__ == "__main__":
    main()
