"""Nothing in shoal reads a format that can run code, or runs text as code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "shoal"
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
FUNCTIONS = {"eval", "exec", "compile", "__import__"}
METHODS = {"read_pickle", "to_pickle", "unsafe_load", "full_load"}


def dangers(text: str) -> list[str]:
    """What a file does that it must not, with its line."""
    found = []
    for node in ast.walk(ast.parse(text)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module] if (node.module or "").partition(".")[0] in MODULES else []
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name) and called.id in FUNCTIONS:
                names = [called.id]
            elif isinstance(called, ast.Attribute):
                names = [called.attr] if called.attr in METHODS else []
                if called.attr == "load" and isinstance(called.value, ast.Name):
                    names += _of_load(called.value.id, node)
        found += [f"line {node.lineno}: {name}" for name in names]  # type: ignore[attr-defined]
    return found


def _of_load(module: str, call: ast.Call) -> list[str]:
    """torch.load without weights_only, np.load with allow_pickle, yaml.load without a loader."""
    options = {k.arg: getattr(k.value, "value", None) for k in call.keywords}
    if module == "torch" and options.get("weights_only") is not True:
        return ["torch.load"]
    if module in ("np", "numpy") and options.get("allow_pickle"):
        return ["np.load"]
    if module == "yaml" and len(call.args) < 2 and "Loader" not in options:
        return ["yaml.load"]
    return []


@pytest.mark.parametrize(
    "path", sorted(SOURCE.rglob("*.py")), ids=lambda p: str(p.relative_to(SOURCE))
)
def test_no_file_unpickles_or_evaluates(path: Path) -> None:
    assert dangers(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    ["import pickle", "from marshal import loads", "import joblib.pool", "eval('1')", "exec(x)",
     "torch.load(f)", "np.load(f, allow_pickle=True)", "yaml.load(f)", "pd.read_pickle(f)"],
)  # fmt: skip
def test_the_lint_can_fail(text: str) -> None:
    assert dangers(text)
