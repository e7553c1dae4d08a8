"""schemathesis against the service: no 5xx, and nothing that the OpenAPI document does not say.

    python benchmarks/serving/fuzz.py            # 1,000 cases for each route; half an hour
    python benchmarks/serving/fuzz.py --cases 50 --only /v1/recommend /v1/similar

All checks of schemathesis are on. A request that fits its JSON schema may still be refused by 422,
for reasons that no JSON schema can say, such as a filter by an attribute that no item has:
`fuzz_checks.py` lists these reasons, and a 422 for any other reason is a failure. The service has
keys, and an administrator's key is sent, so that all routes are reached. How many requests came to
each route, and how many of them were answered by 5xx, is read from the service's own metrics.
Routes without any parameter have few different requests: they are asked as often as schemathesis
finds something new to ask.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness.results import Results, Row
from benchmarks.serving.catalogue import Catalogue
from benchmarks.serving.services import Service, running, shoal_service, store_of

HERE = Path(__file__).parent
READ, ADMIN = "a-read-key-for-the-fuzz-run", "an-admin-key-for-the-fuzz-run"
KEY = f"Authorization: Bearer {ADMIN}"
ROUNDS = 4  # runs of schemathesis for one route, each with another seed, until there are enough
# what a valid request may be answered by; fuzz_checks.py looks at the 422s among these
CONFIG = """[checks]
positive_data_acceptance.expected-statuses = [
  "2xx", "401", "403", "404", "409", "422", "429", "501", "503",
]
negative_data_rejection.expected-statuses = [
  "400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "428", "429",
]
"""
LAST = ("/v1/models/activate", "/v1/models/rollback", "/v1/refresh")  # they change the service


def asked_of(service: Service) -> dict[str, dict[int, int]]:
    """Requests by route and status, as the service counts them."""
    _, body = service.ask({"method": "GET", "path": "/metrics", "headers": [KEY]})
    found: dict[str, dict[int, int]] = {}
    line = re.compile(r'shoal_requests_total\{route="([^"]*)",status="(\d+)"\} ([0-9.e+]+)')
    for route, status, count in line.findall(body.decode()):
        found.setdefault(route, {})[int(status)] = int(float(count))
    return found


def routes_of(service: Service) -> dict[str, bool]:
    """Paths of the OpenAPI document, and whether a request to them can vary."""
    _, body = service.ask({"method": "GET", "path": "/openapi.json", "headers": [KEY]})
    paths: dict[str, dict[str, Any]] = json.loads(body)["paths"]
    varies = {
        path: any("requestBody" in o or o.get("parameters") for o in methods.values())
        for path, methods in paths.items()
    }
    return dict(sorted(varies.items(), key=lambda pair: (pair[0] in LAST, pair[0])))


def attacked(service: Service, path: str, cases: int, seed: int, folder: Path) -> Row:
    """One run of schemathesis on one path; its report."""
    report = folder / f"report-{seed}.json"
    (folder / "schemathesis.toml").write_text(CONFIG)
    paths = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH", "")])]
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        *(
            "run",
            f"http://127.0.0.1:{service.port}/openapi.json",
            "--header",
            KEY.replace(": ", ":"),
        ),
        *("--include-path", path, "--checks", "all", "--max-examples", str(cases)),
        *("--seed", str(seed), "--continue-on-failure", "--no-color"),
        *("--report", "json", "--report-json-path", str(report)),
    ]
    env = os.environ | {"SCHEMATHESIS_HOOKS": "fuzz_checks", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if not report.exists():
        raise SystemExit(done.stdout[-2_000:] + done.stderr[-2_000:])
    found = json.loads(report.read_text())
    failures = [f"{f['code']} {f['title']} ({f['count']})" for f in found["failures"]]
    if failures or found["errors"]:
        (folder / f"failed-{path.strip('/').replace('/', '-')}.txt").write_text(done.stdout)
    return {
        "cases": found["test_cases"]["generated"],
        "failures": failures,
        "errors": [str(error)[:300] for error in found["errors"]],
    }


def main() -> None:
    """Attack each route."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=1_000, help="for each route")
    parser.add_argument("--only", nargs="*", help="paths")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kept", type=Path, help="where the messages about failures are kept")
    parser.add_argument("--results", type=Path, default=HERE, help="folder of results.jsonl")
    given = parser.parse_args()
    os.environ |= {"SHOAL_READ_KEY": READ, "SHOAL_ADMIN_KEY": ADMIN}
    catalogue = Catalogue("short")
    results = Results(given.results / "results.jsonl")
    total: Row = {"routes": {}, "failures": [], "errors": []}
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.kept or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        store = Path(temporary) / "store"
        store_of(store, [catalogue.model("ease-2"), catalogue.model("ease")])
        options = ("--events", str(Path(temporary) / "events.db"))
        with running(shoal_service(store, *options)) as service:
            for path, varies in routes_of(service).items():
                if given.only and path not in given.only:
                    continue
                found: Row = {"cases": 0, "failures": [], "errors": []}
                for number in range(ROUNDS if varies else 1):
                    missing = given.cases - found["cases"]
                    if missing <= 0:
                        break
                    seed = given.seed + number
                    more = attacked(service, path, max(missing, 20), seed, folder)
                    found = {name: found[name] + more[name] for name in found}
                asked = asked_of(service).get(path, {})
                found |= {"varies": varies, "requests": sum(asked.values())}
                found["5xx"] = sum(n for status, n in asked.items() if status >= 500)
                found["statuses"] = {str(status): n for status, n in sorted(asked.items())}
                total["routes"][path] = found
                total["failures"] += [f"{path}: {text}" for text in found["failures"]]
                total["errors"] += [f"{path}: {text}" for text in found["errors"]]
                print(path, {k: found[k] for k in ("cases", "5xx", "failures")}, flush=True)
            alive, _ = service.ask({"method": "GET", "path": "/ready"})
    total["5xx"] = sum(row["5xx"] for row in total["routes"].values())
    total["cases"] = sum(row["cases"] for row in total["routes"].values())
    total["ready_afterwards"] = alive == 200
    results.save("fuzz", total)
    print(f"{total['cases']:,} cases, {total['5xx']} × 5xx, {len(total['failures'])} failures")
    if total["5xx"] or total["failures"] or not total["ready_afterwards"]:
        raise SystemExit("\n".join(total["failures"]) or "the service is not ready any more")


if __name__ == "__main__":
    main()
