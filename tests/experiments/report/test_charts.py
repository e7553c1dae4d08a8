"""Charts: specifications that Vega-Lite takes, with the points that they should have."""

from __future__ import annotations

import json
import random

import pytest

from shoal.experiments.report import charts
from shoal.experiments.report.part import part
from shoal.experiments.report.sections import costs, differences, telling_models
from tests.experiments.report import invented


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_brute_force_finds(seed: int) -> None:
    rng = random.Random(seed)
    points = [(float(rng.randint(1, 6)), float(rng.randint(1, 6))) for _ in range(12)]

    def beaten(cost: float, value: float) -> bool:
        return any(c <= cost and v >= value and (c < cost or v > value) for c, v in points)

    assert charts.front(points) == [not beaten(*point) for point in points]


def test_every_specification_is_valid_vega_lite() -> None:
    altair = pytest.importorskip("altair")
    trials = [{"model": invented.QUOTES, "score": s, "seconds": 1.0} for s in (0.1, 0.2)]
    specs = part(invented.comparison(n_more=2), "d1", trials)["specs"]
    assert len(specs) >= 9
    for name, spec in specs.items():
        json.dumps(spec, allow_nan=False)
        kind = altair.LayerChart if "layer" in spec else altair.Chart
        kind.from_dict({**spec, "config": charts.CONFIG}), name


def test_a_chart_has_no_address_and_no_colour_of_its_own() -> None:
    for spec in part(invented.comparison(), "d1", [])["specs"].values():
        text = json.dumps(spec)
        assert '"url"' not in text
        assert "#" not in text.replace(json.dumps(invented.QUOTES), "")


def test_costs_name_the_front_and_leave_out_what_lies_far_below() -> None:
    section = costs(invented.comparison(n_more=6))
    by_field = {choice["field"]: choice for choice in section["choices"]}
    fit = by_field["fit_seconds"]
    assert fit["below"] == ["popularity (0.2000)"]
    # cheaper or better than all others: the first more model in time, the two best ones
    assert set(fit["front"]) == {
        "rdlae",
        invented.QUOTES,
        "one more linear model with a long name 0",
    }
    assert fit["spec"]["layer"]
    # equal costs: the best alone
    assert by_field["peak_bytes"]["front"] == ["rdlae"]


def test_labels_in_a_chart_do_not_cover_each_other() -> None:
    comparison = invented.comparison()
    # thirty models at one place, each on the front, and one far from them
    close = [
        invented.model(f"m{k}", "linear", 0.5 - 1e-5 * k, fit_seconds=10.0 - 0.001 * k)
        for k in range(30)
    ]
    comparison["models"] = [*close, invented.model("far", "deep", 0.47, fit_seconds=100.0)]
    rows = costs(comparison)["choices"][0]["spec"]["data"]["values"]
    assert sum(row["front"] for row in rows) == 30
    assert [row["label"] for row in rows if row["named"]] == ["m0", "far"]


def test_differences_are_those_of_the_results() -> None:
    section = differences(invented.comparison(n_more=6))
    assert section is not None
    assert section["best"] == "rdlae"
    assert section["below"] == ["popularity"]
    points = section["spec"]["data"]["values"]
    assert [p["answer"] for p in points[:2]] == ["could be chance", "real"]
    assert points[1]["low"] == -0.06
    assert len(section["rows"]) == 9


def test_lines_are_of_the_best_of_each_kind_and_the_one_to_ship() -> None:
    chosen = telling_models(invented.comparison(n_more=20))
    assert chosen == ["rdlae", invented.QUOTES, "mult-vae", "popularity"]
