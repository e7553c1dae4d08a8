"""deploy/ and docs/serving.md name options, settings, routes and metrics that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from shoal.cli.app import program
from shoal.service.metrics import Metrics
from shoal.service.routes import all_endpoints
from shoal.service.settings import Settings, make_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCS = (ROOT / "docs" / "serving.md").read_text()


@pytest.fixture(scope="module")
def metric_names() -> set[str]:
    """As Prometheus names what the service has: samples, not families."""
    metrics = Metrics()
    metrics.request("/v1/recommend", 200, 0.1)
    metrics.watches("main")
    metrics.serves("main", "ease", "v1", 1.0)
    for counter in (metrics.fallbacks, metrics.empty, metrics.events):
        counter.labels("x").inc()
    samples = r"^(shoal_\w+?)(?:\{.*)? [-\d.e+]+$"
    return set(re.findall(samples, metrics.text().decode(), re.MULTILINE))


def test_alerts_are_about_metrics_that_exist(metric_names: set[str]) -> None:
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    named = {name for rule in rules for name in re.findall(r"\bshoal_\w+", rule["expr"])}
    assert len(rules) >= 8
    assert named <= metric_names
    assert all(rule["annotations"]["summary"] for rule in rules)


def test_the_page_names_all_metrics_and_no_others(metric_names: set[str]) -> None:
    told = {name for name in re.findall(r"`(shoal_\w+)", DOCS) if name != "shoal_model_info"}
    has = {re.sub("_(count|sum)$", "_bucket", name) for name in metric_names}
    assert told | {"shoal_model_info"} == has


def test_the_page_names_all_routes() -> None:
    for endpoint in all_endpoints():
        if endpoint.documented:
            last = [part for part in endpoint.path.split("/") if not part.startswith("{")][-1]
            assert re.search(rf"/{last}\b", DOCS), endpoint.path


def test_configurations_are_read(tmp_path: Path) -> None:
    settings = make_settings(DEPLOY / "serve.yaml", model=tmp_path)
    assert settings.port == 8000
    assert settings.event_weights == {"view": 1, "click": 1, "cart": 3, "buy": 5}
    (block,) = re.findall(r"\n\n((?:    \w+: .*\n)+)", DOCS)
    file = tmp_path / "serve.yaml"
    file.write_text(re.sub("^    ", "", block, flags=re.MULTILINE))
    assert make_settings(file).workers == 2
    further = re.search(r"Further settings: (.*?)\. Secrets", DOCS, re.DOTALL)
    assert further
    named = set(re.findall(r"`(\w+)`", further[1])) | set(yaml.safe_load(block))
    assert named == set(Settings.model_fields) - {"read_key", "admin_key"}


def options_of(command: str) -> set[str]:
    """The options of a command of shoal."""
    group: Any = typer.main.get_command(program())
    return {option for p in group.commands[command].params for option in p.opts}


def lines_that_run_shoal() -> list[list[str]]:
    units = "".join(unit.read_text() for unit in DEPLOY.glob("*.service"))
    lines = [shlex.split(line)[1:] for line in re.findall("^Exec.*?=(.*)$", units, re.MULTILINE)]
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    lines.append(compose["services"]["service"]["command"])
    docker = (DEPLOY / "Dockerfile").read_text()
    lines.append(yaml.safe_load(re.findall(r"^CMD (\[.*\])$", docker, re.MULTILINE)[0]))
    lines += [shlex.split(run) for run in re.findall(r"shoal (demo [^>]*)>", docker)]
    shown = re.findall(r"^    shoal ([^#>\n]*)", DOCS, re.MULTILINE)
    lines += [shlex.split(line) for line in shown]
    return lines


@pytest.mark.parametrize("words", lines_that_run_shoal(), ids=" ".join)
def test_commands_that_are_shown_exist(words: list[str]) -> None:
    known = options_of(words[0])
    assert {word for word in words[1:] if word.startswith("-")} <= known


def test_the_health_of_the_container_is_a_route() -> None:
    docker = (DEPLOY / "Dockerfile").read_text()
    (path,) = re.findall(r"127\.0\.0\.1:8000(/[\w/]+)", docker)
    open_routes = {e.path for e in all_endpoints() if e.access == "open" and e.method == "GET"}
    assert path in open_routes


def test_compose_and_environment_agree() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    service = compose["services"]["service"]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    environment = (DEPLOY / "shoal.env.example").read_text()
    names = set(re.findall(r"^(\w+)=", environment, re.MULTILINE))
    assert {"SHOAL_READ_KEY", "SHOAL_ADMIN_KEY", "SHOAL_EVENTS", "POSTGRES_PASSWORD"} <= names
