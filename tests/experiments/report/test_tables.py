"""Tables for papers and programs: nothing breaks out, nothing is lost."""

from __future__ import annotations

import csv
import io
import json
import re

import polars as pl
import pytest

from shoal.experiments.report.tables import (
    csv_table,
    latex_document,
    latex_table,
    latex_text,
    markdown_table,
    markdown_text,
)
from tests.experiments.report import invented


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % of a & b", r"50 \% of a \& b"),
        ("ndcg_100 #1 $x", r"ndcg\_100 \#1 \$x"),
        (r"{\input x}", r"\{\textbackslash{}input x\}"),
        ("~a^b", r"\textasciitilde{}a\textasciicircum{}b"),
        ("two\nlines", "two lines"),
    ],
)
def test_latex_sees_no_command_in_a_text(text: str, expected: str) -> None:
    assert latex_text(text) == expected


def test_a_latex_table_has_a_row_of_equal_cells_for_each_model() -> None:
    table = latex_table(invented.comparison("50 % & more"))
    rows = [line for line in table.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 5
    # what is escaped does not part cells
    cells = [re.split(r"(?<!\\)&", row) for row in rows]
    assert {len(row) for row in cells} == {5}
    assert table.count(r"\toprule") == table.count(r"\bottomrule") == 1
    assert r"\textbf{0.4500" in rows[1]
    assert "$^{=}$" in cells[2][0]
    assert r"50 \% \& more" in table
    assert re.search(r"\\label\{tab:[A-Za-z0-9-]+\}", table)
    assert table.count("{") - table.count(r"\{") == table.count("}") - table.count(r"\}")


def test_a_document_has_a_table_for_each_data_set() -> None:
    document = latex_document([invented.comparison("one"), invented.comparison("two")])
    assert document.count(r"\begin{tabular}") == 2
    assert r"\usepackage{booktabs}" in document


def test_a_markdown_table_keeps_its_columns_whatever_names_hold() -> None:
    table = markdown_table(invented.comparison())
    cells = [re.split(r"(?<!\\)\|", line) for line in table.splitlines()]
    assert len(cells) == 6
    assert {len(row) for row in cells} == {len(cells[0])}
    assert "<img" not in table.replace(r"\<img", "")
    assert "0.4500 ± 0.0100" in cells[2][3]
    assert cells[3][1].strip().endswith("=")


def test_markdown_has_one_line_for_a_text() -> None:
    assert markdown_text("a\n# b | c") == r"a \# b \| c"


def test_csv_gives_back_what_went_in() -> None:
    comparisons = [invented.comparison("one"), invented.comparison("two")]
    frame = pl.read_csv(csv_table(comparisons).encode())
    assert frame["data"].to_list() == ["one"] * 4 + ["two"] * 4
    models = comparisons[0]["models"]
    first = frame.head(4)
    assert first["label"].to_list() == [model["label"] for model in models]
    for metric in invented.METRICS:
        for part, column in (("mean", ""), ("se", "_se"), ("spread", "_spread")):
            expected = [model["metrics"][metric][part] for model in models]
            assert first[metric + column].to_list() == expected
    assert first["fit_seconds"].to_list() == [1.5, 0.5, 90.0, 0.004]
    assert first["low_to_best"].to_list() == [None, -0.003, -0.06, -0.3]
    assert [json.loads(text) for text in first["settings"]] == [m["settings"] for m in models]


def test_csv_holds_no_formula() -> None:
    comparison = invented.comparison("=cmd|'/c calc'!A1")
    comparison["models"][0]["label"] = "@SUM(A1)"
    rows = list(csv.reader(io.StringIO(csv_table([comparison]))))
    assert rows[1][0] == "'=cmd|'/c calc'!A1"
    assert rows[1][2] == "'@SUM(A1)"


def test_a_metric_that_counts_nobody_is_a_dash_everywhere() -> None:
    comparison = invented.comparison()
    comparison["models"][2]["metrics"]["recall@20"] = invented.score(None, None)
    assert "| – |" in markdown_table(comparison).splitlines()[4]
    assert " & -- & " in latex_table(comparison)
    assert pl.read_csv(csv_table([comparison]).encode())["recall@20"][2] is None
