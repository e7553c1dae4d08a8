"""Studies import the harness and never the reverse; no two benchmark files import each other."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "benchmarks").glob("*/*.py"))
}


def imported(module: str) -> set[str]:
    """Benchmark files that a benchmark file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return found & MODULES.keys()


def test_the_imports_are_seen() -> None:
    assert "benchmarks.harness.results" in imported("benchmarks.slim.run")
    assert "benchmarks.linear.scale" in imported("benchmarks.linear.run")


@pytest.mark.parametrize("module", [name for name in MODULES if ".harness." in name])
def test_the_harness_imports_no_study(module: str) -> None:
    assert all(name.startswith("benchmarks.harness.") for name in imported(module))


def test_no_circle() -> None:
    order = TopologicalSorter({module: imported(module) for module in MODULES})
    assert set(order.static_order()) == MODULES.keys()
