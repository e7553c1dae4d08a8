"""What is fitted: models with the settings that are tried, and the published figures beside."""

from __future__ import annotations

from benchmarks.harness.grids import grid
from benchmarks.harness.results import Row

RANKS = (32, 64, 128, 256, 512)
ML1M_METRICS = ("ndcg@100", "recall@20", "ndcg@100:head", "ndcg@100:tail")
METRICS = ("recall_full@20", "ndcg@20")
SHARE = 0.1  # of each user's training items, for validation


# label: model, settings that are tried; `factors` is added
BY_RANK: dict[str, tuple[str, list[Row]]] = {
    "spectral-ease": (
        "spectral-ease",
        grid(l2=[100.0, 200.0, 400.0, 800.0], gamma=[0.5], beta=[0.0, 0.4, 0.8]),
    ),
    "spectral-ease-even": (
        "spectral-ease",
        grid(l2=[200.0, 400.0, 800.0, 1600.0], gamma=[0.0], beta=[0.0]),
    ),
    "elsa": ("elsa", [{"patience": 5}]),
}

# The authors' own: github.com/yshenaw/GF_CF, github.com/jindeok/Turbo-CF,
# github.com/jeongwhanchoi/BSPM and github.com/chanwoo0806/ChebyCF (Yelp2018 is not among its sets)
AS_PUBLISHED: dict[str, dict[str, Row]] = {
    "gowalla": {
        "gf-cf": {"alpha": 0.3, "factors": 256},
        "turbo-cf": {"a": 0.6, "s": 0.7, "filter": 1},
        "bspm": {"factors": 448, "zeta": 0.2, "solver": "rk4", "steps": 1, "time": 2.5},
        "chebycf": {"factors": 512, "zeta": 0.2, "degree": 8, "flatness": 1.5, "b": 0.4},
    },
    "yelp2018": {
        "gf-cf": {"alpha": 0.3, "factors": 256},
        "turbo-cf": {"a": 0.6, "s": 1.0, "filter": 2},
        "bspm": {
            "factors": 384,
            "zeta": 0.3,
            "solver": "euler",
            "steps": 1,
            "time": 1.2,
            "average": True,
        },
    },
}
# recall_full@20, ndcg@20; None: not at hand
ANCHORS: dict[str, list[tuple[str, float, float | None, str]]] = {
    "gowalla": [
        ("ChebyCF", 0.1941, 0.1616, "Kim et al. 2025"),
        ("BSPM", 0.1920, 0.1597, "Choi et al. 2023"),
        ("GF-CF", 0.1849, 0.1518, "Shen et al. 2021"),
        ("Turbo-CF", 0.1835, None, "Park et al. 2024"),
        ("LightGCN", 0.1820, 0.1547, "BARS"),
        ("EASE", 0.1765, 0.1467, "BARS"),
        ("ItemCF", 0.1570, 0.1214, "BARS"),
    ],
    "yelp2018": [
        ("BSPM", 0.0720, 0.0593, "Choi et al. 2023"),
        ("GF-CF", 0.0697, 0.0571, "Shen et al. 2021"),
        ("Turbo-CF", 0.0693, 0.0574, "Park et al. 2024"),
        ("EASE", 0.0657, 0.0552, "BARS"),
        ("LightGCN", 0.0653, 0.0532, "BARS"),
        ("ItemCF", 0.0639, 0.0531, "BARS"),
    ],
}
GRID: dict[str, list[Row]] = {
    "popularity": [{}],
    "item-knn": grid(k=[20, 100, 400], shrink=[0.0, 10.0]),
    "gf-cf": grid(alpha=[0.15, 0.3, 0.5], factors=[128, 256]),
    "turbo-cf": grid(a=[0.5, 0.6, 0.7], s=[0.7, 1.0, 1.3]),
    "spectral-ease": grid(factors=[256, 512], l2=[5.0, 20.0, 80.0], gamma=[0.5], beta=[0.4, 0.8])
    + grid(factors=[256, 512], l2=[100.0, 300.0, 1000.0], gamma=[1.0], beta=[0.8]),
    "mrf": grid(l2=[3.0, 10.0, 30.0], alpha=[0.5, 0.75], neighbours=[200]),
    "elsa": grid(factors=[256], sampled=[8192], n_epochs=[5, 15], lr=[0.03, 0.1]),
}

# More factors and more epochs than a grid of fits has time for: one fit each, nothing chosen.
LONG: dict[str, Row] = {
    f"elsa-{factors}": {"factors": factors, "sampled": 8192, "n_epochs": 15, "lr": 0.03}
    for factors in (512, 1024)
}


def best(rows: list[Row]) -> Row:
    """The row that validates best by NDCG@20."""
    return max(rows, key=lambda row: row["metrics"]["ndcg@20"]["mean"])
