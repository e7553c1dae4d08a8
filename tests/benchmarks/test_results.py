"""Results of a study that is killed: what was saved is there, what was cut short is missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.harness.results import Results, Row

ROOT = Path(__file__).parents[2]
LINES = (
    '{"name": "ease-100", "result": {"fit_seconds": 5.6}}\n'
    '{"name": "ease-300", "result": {"note": "λ ≥ 300"}}\n'
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that a study wrote before."""
    file = tmp_path / "results.jsonl"
    file.write_text(LINES)
    return file


def test_what_was_saved_is_read_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "study" / "results.jsonl"
    results = Results(path)
    assert results.names() == []
    assert results.get("ease") is None
    results.save("rdlae", {"λ": 0.1, "widths": (1, 2), "none": None})
    results.save("ease", {"metrics": {"ndcg@100": 1 / 3}})
    for reader in (results, Results(path)):
        assert reader.get("rdlae") == {"λ": 0.1, "widths": [1, 2], "none": None}
        assert reader.get("ease") == {"metrics": {"ndcg@100": 1 / 3}}
        assert reader.names() == ["ease", "rdlae"]
        assert "ease" in reader
        assert "mrf" not in reader


def test_a_result_is_made_once(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = []

    def make() -> Row:
        made.append(1)
        return {"fit_seconds": 7.5}

    for results in (Results(path), Results(path)):
        assert results.once("edlae", make, lambda row: f"{row['fit_seconds']} s") == {
            "fit_seconds": 7.5
        }
        assert results.once("ease-100", make, str) == {"fit_seconds": 5.6}
    assert len(made) == 1
    assert capsys.readouterr().out == "edlae: 7.5 s\n"


def test_each_result_is_one_line_added_at_the_end(path: Path) -> None:
    Results(path).save("mrf", {"text": "two\nlines"})
    assert path.read_text().startswith(LINES)
    assert [json.loads(line)["name"] for line in path.read_text().splitlines()] == [
        *("ease-100", "ease-300", "mrf"),
    ]


def test_a_later_line_replaces_an_earlier_one(path: Path) -> None:
    results = Results(path)
    results.save("ease-100", {"fit_seconds": 4.4})
    assert results.get("ease-100") == {"fit_seconds": 4.4}
    assert Results(path).get("ease-100") == {"fit_seconds": 4.4}
    assert Results(path).names() == ["ease-100", "ease-300"]


def test_a_pattern_takes_some_of_the_results(path: Path) -> None:
    results = Results(path)
    results.save("mrf-100", {"fit_seconds": 1.0})
    assert results.names("ease-*") == ["ease-100", "ease-300"]
    assert results.matching("*-100") == [{"fit_seconds": 5.6}, {"fit_seconds": 1.0}]


@pytest.mark.parametrize("size", range(len(LINES.encode()) + 1))
def test_a_study_killed_at_any_byte_goes_on_with_the_first_missing_result(
    path: Path, size: int
) -> None:
    path.write_bytes(LINES.encode()[:size])
    first, second = LINES.encode().splitlines()
    # a line counts from the byte that completes its JSON, whether its end was written or not
    there = [size >= len(first), size >= len(first) + 1 + len(second)]
    results = Results(path)
    expected = [
        name for name, is_there in zip(("ease-100", "ease-300"), there, strict=True) if is_there
    ]
    assert results.names() == expected
    for name in {"ease-100", "ease-300"} - set(expected):
        results.save(name, {"measured": "again"})
    results.save("mrf", {})
    again = Results(path)
    assert again.names() == ["ease-100", "ease-300", "mrf"]
    assert again.get("ease-100") == ({"fit_seconds": 5.6} if there[0] else {"measured": "again"})
    assert again.get("ease-300") == ({"note": "λ ≥ 300"} if there[1] else {"measured": "again"})
    assert len(path.read_bytes().splitlines()) == 3


def test_a_process_that_dies_after_a_save_leaves_the_result(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    program = (
        "import os, sys, pathlib; from benchmarks.harness.results import Results;"
        "Results(pathlib.Path(sys.argv[1])).save('ease', {'fit_seconds': 5.6}); os._exit(1)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, check=False)
    assert done.returncode == 1
    assert Results(path).get("ease") == {"fit_seconds": 5.6}


@pytest.mark.parametrize("line", ["{not JSON", "[1, 2]", '{"name": "ease"}', "<<<<<<< HEAD"])
def test_a_line_in_the_middle_that_is_no_result_is_named(path: Path, line: str) -> None:
    path.write_text(LINES + line + "\n" + LINES)
    with pytest.raises(SystemExit, match=r"results\.jsonl, line 3: not a result"):
        Results(path).names()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(saved=st.lists(st.tuples(st.text(), st.dictionaries(st.text(), JSON)), max_size=5))
def test_any_result_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, saved: list[tuple[str, dict[str, object]]]
) -> None:
    path = tmp_path_factory.mktemp("any") / "results.jsonl"
    results = Results(path)
    for name, row in saved:
        results.save(name, row)
    again = Results(path)
    assert {name: again.get(name) for name in again.names()} == dict(saved)
