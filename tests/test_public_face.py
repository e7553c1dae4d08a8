"""The names that users type: few, lazy, and all there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import shoal
from shoal.models.registry import models

ROOT = Path(__file__).parents[1]


def test_every_public_name_and_every_model_class_is_there() -> None:
    for name in (*shoal.__all__, *(m.__name__ for m in models().values())):
        assert getattr(shoal, name) is not None
        assert name in dir(shoal)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nope"):
        shoal.Nope  # noqa: B018
    with pytest.raises(AttributeError, match="nope"):
        shoal.nope  # noqa: B018


def test_the_type_checker_sees_what_the_program_sees() -> None:
    text = (ROOT / "src" / "shoal" / "__init__.py").read_text()
    declared = set(re.findall(r"import (\w+) as \1", text))
    classes = {m.__name__ for m in models().values()}
    assert declared == (set(shoal.__all__) - {"__version__"}) | classes


def test_import_is_free() -> None:
    script = "import sys, shoal; assert not {'numpy', 'polars', 'numba'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_python_in_the_readme_runs(tmp_path: Path) -> None:
    """The example of the README, on the demo's log."""
    from shoal.datasets.demo import demo_frames

    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert block is not None
    ratings, films = demo_frames(n_users=400, n_items=200)
    ratings.write_parquet(tmp_path / "ratings.parquet")
    films.write_parquet(tmp_path / "films.parquet")
    script = tmp_path / "example.py"
    script.write_text(block[1])
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "ndcg@100" in done.stdout


def test_the_documentation_of_hyper_parameters_is_up_to_date() -> None:
    script = ROOT / "docs" / "build.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
