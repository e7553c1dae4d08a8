"""The house keeps its floors: imports go down only, and no model knows another room's business."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from shoal.models.registry import models

SOURCE = Path(__file__).parents[1] / "src" / "shoal"

FLOORS = {
    "errors": -1,
    "_version": -1,
    "run": -1,
    "files": -1,
    "kernels": 0,
    "data": 1,
    "metrics": 1,
    "training": 1,
    "text": 1,
    "models": 2,
    "artifact": 3,
    "approximate": 3,
    "policy": 3,
    "recommending": 3,
    "recommendations": 3,
    "predicting": 3,
    "dissimilar": 3,
    "evaluation": 3,
    "tuning": 4,
    "experiment": 4,
    "planning": 4,
    "warmup": 4,
    "speeds": 3,
    "testing": 4,
    "maps": 4,
    "colouring": 4,
    "responses": 4,
    "cli": 5,
    "report": 5,
    "__main__": 5,
}


def imported(path: Path) -> set[str]:
    """Modules of shoal that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("shoal"):
            folder = SOURCE.joinpath(*node.module.split(".")[1:])
            if folder.is_dir():  # `from shoal.models import registry` imports a file of it
                found |= {f"{node.module}.{a.name}" for a in node.names}
            else:
                found.add(node.module)
        elif isinstance(node, ast.Import):
            found |= {a.name for a in node.names if a.name.startswith("shoal")}
    return found


def room(module: str) -> str:
    return module.removeprefix("shoal").lstrip(".").partition(".")[0]


FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down_only(path: Path) -> None:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    here = FLOORS[parts[0]]
    for module in imported(path):
        if room(module):
            assert FLOORS[room(module)] <= here, f"{path.name} imports {module} from a floor above"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_kernels_know_no_type_of_shoal_and_only_the_registry_finds_models(path: Path) -> None:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    general = {"contract", "registry", "linear", "rating"}
    for module in imported(path):
        if parts[0] == "kernels":
            assert module.startswith("shoal.kernels")
        if room(module) == "models" and parts[0] != "models":
            assert module.rpartition(".")[2] in general, f"{path.name} knows {module}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    words_only = path.name == "_demo_words.py"
    assert lines <= 400 or words_only
    # what multiplies models is no model of its own
    named = {model.__module__.rpartition(".")[2] for model in models().values()} - {"product"}
    if path.parent.name == "models" and path.stem in named:
        assert lines <= 100
