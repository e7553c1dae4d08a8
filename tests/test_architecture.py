"""The house keeps its floors: imports go down only and in no circle, as ARCHITECTURE.md says."""

from __future__ import annotations

import ast
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from shoal.models.registry import models

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "shoal"

# rooms by floor; what stands in a row knows nothing of the rows above it
FLOORS: dict[str, int] = {
    room: floor
    for floor, rooms in enumerate(
        (
            (
                "errors",
                "_version",
                "run",
                "executor",
                "files",
                "folders",
                "unfinished",
                "forks",
                "web",
                "client",
                "design",
                "kernels",
            ),
            ("data", "splitting", "datasets", "text", "training", "metrics"),
            ("base",),
            ("models",),
            ("artifact", "events", "policy", "inference", "evaluation"),
            ("cluster", "experiments", "maps", "online", "refresh", "steering", "testing"),
            ("cli", "service", "__main__"),
        )
    )
    for room in rooms
}


def imported(path: Path, package: str, source: Path) -> set[str]:
    """Modules of a package that a file imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            if node.module.partition(".")[0] != package:
                continue
            folder = source.joinpath(*node.module.split(".")[1:])
            if folder.is_dir():  # `from shoal.models import registry` imports a file of it
                modules |= {f"{node.module}.{a.name}" for a in node.names}
            else:
                modules.add(node.module)
        elif isinstance(node, ast.Import):
            modules |= {a.name for a in node.names if a.name.partition(".")[0] == package}
    return modules


def room(module: str) -> str:
    return module.removeprefix("shoal").lstrip(".").partition(".")[0]


FILES = sorted(p for p in SOURCE.rglob("*.py") if p != SOURCE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_go_down_only(path: Path) -> None:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    here = FLOORS[parts[0]]
    for module in imported(path, "shoal", SOURCE):
        if room(module):
            assert FLOORS[room(module)] <= here, f"{path.name} imports {module} from a floor above"


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The names of a circle, or nothing where there is an order from the ground up."""
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return list(error.args[1])
    return []


def test_no_files_import_each_other_in_a_circle() -> None:
    graph = {
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts): imported(
            path, "shoal", SOURCE
        )
        for path in FILES
    }
    assert circle(graph) == []


def test_no_rooms_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        here = path.relative_to(SOURCE).with_suffix("").parts[0]
        others = {room(module) for module in imported(path, "shoal", SOURCE)}
        graph.setdefault(here, set()).update(others - {here, ""})
    assert circle(graph) == []


def test_the_check_for_circles_can_fail() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_architecture_md_names_the_same_floors() -> None:
    rows = re.findall(r"^\| (\d) \| (.*?) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    told = {name: int(floor) for floor, rooms in rows for name in re.findall(r"`(\w+)/?`", rooms)}
    assert told == {name: floor for name, floor in FLOORS.items() if not name.startswith("_")}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_kernels_know_no_type_of_shoal_and_only_the_registry_finds_models(path: Path) -> None:
    here = path.relative_to(SOURCE).with_suffix("").parts[0]
    for module in imported(path, "shoal", SOURCE):
        if here == "kernels":
            assert module.startswith("shoal.kernels")
        if room(module) == "models" and here != "models":
            assert module == "shoal.models.registry", f"{path.name} knows {module}"


def test_kernels_are_compiled_in_one_way() -> None:
    """`compiling` knows where compiled kernels may be kept, and what a forked process may do."""
    for path in (SOURCE / "kernels").glob("*.py"):
        if path.stem != "compiling":
            assert not re.search(r"\bnjit\b|numba import .*\bprange\b", path.read_text()), path.name


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SOURCE)))
def test_files_stay_small(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= 400
    # what multiplies models is no model of its own
    named = {model.__module__.rpartition(".")[2] for model in models().values()} - {"product"}
    if path.parent.name == "models" and path.stem in named:
        assert lines <= 100


def test_models_holds_published_models_and_the_registry_alone() -> None:
    named = {model.__module__.rpartition(".")[2] for model in models().values()}
    files = {p.stem for p in (SOURCE / "models").glob("*.py")}
    assert files - named == {"__init__", "registry"}
