"""The documentation of the API is true: requests made from it, answers checked against it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shoal.artifact import save
from shoal.service.routes import all_endpoints
from tests.service.conftest import make_model
from tests.service.processes import Process

CASES = 6  # drawn for each route, beside those that cover its schema; benchmarks make 1,000
EXPECTED = ["2xx", "401", "403", "404", "409", "422", "429", "501", "503"]


@pytest.fixture
def document(client: Any) -> dict[str, Any]:
    return client(read_key="read-" + "r" * 40).get("/openapi.json").json()


def test_every_route_is_documented(document: dict[str, Any]) -> None:
    for endpoint in all_endpoints():
        if not endpoint.documented:
            continue
        operation = document["paths"][endpoint.path.replace(":path", "")][endpoint.method.lower()]
        assert operation["tags"] == [endpoint.tag]
        assert len(operation["summary"]) > 10
        assert ("security" in operation) is (endpoint.access != "open")
        if endpoint.body is not None:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert schema["$ref"].rpartition("/")[2] in document["components"]["schemas"]


def test_problems_are_documented_as_what_they_are(document: dict[str, Any]) -> None:
    for operations in document["paths"].values():
        for operation in operations.values():
            problems = {k: v for k, v in operation["responses"].items() if not k.startswith("2")}
            assert problems
            for response in problems.values():
                assert list(response["content"]) == ["application/problem+json"]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_document_names_nothing_outside(document: dict[str, Any]) -> None:
    assert "://" not in json.dumps(document).replace("http://127.0.0.1", "")


def test_requests_drawn_from_the_document_find_no_fault(tmp_path: Path) -> None:
    """schemathesis with all its checks: no 5xx, and every answer as the document says."""
    save(make_model(), tmp_path / "model")
    (tmp_path / "schemathesis.toml").write_text(
        f"[checks]\npositive_data_acceptance.expected-statuses = {json.dumps(EXPECTED)}\n"
    )
    experiment = tmp_path / "experiment.yaml"
    experiment.write_text("name: a\nvariants: {x: {share: 0.5}, y: {share: 0.5, model: other}}")
    service = Process(
        tmp_path, tmp_path / "model", "--also", f"other={tmp_path / 'model'}",
        "--experiment", experiment, "--events", tmp_path / "events.db", "--log-level", "error",
    )  # fmt: skip
    try:
        service.until(lambda: service.get("/ready").status_code == 200)
        # a request may name the other model, which answers 503 until it is loaded as well
        service.until(lambda: service.get("/ready").json()["models"]["other"]["status"] == "ready")
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"),
                *("run", f"{service.url}/openapi.json", "-n", str(CASES), "--checks", "all"),
                *("--phases", "examples,coverage,fuzzing", "--no-color"),
            ],
            capture_output=True, text=True, timeout=300, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
        assert " generated" in ended.stdout
        assert service.errors.read_text() == ""
    finally:
        service.end()
