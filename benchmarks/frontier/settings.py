"""What is tried: eight settings for each model and data set, and the published figures beside."""

from __future__ import annotations

from benchmarks.harness.grids import grid
from benchmarks.harness.results import Row

METRICS = ("recall_full@20", "ndcg@20")
SHARE = 0.1  # of each user's training items, for validation
SELECTED_ON = 5_000  # users, of the validation or of the test part, on whom settings are compared
BUDGET = 8  # settings for each model

Grid = dict[str, list[Row]]


# Filters, with the authors' settings first. None of them needs an n × n matrix.
FILTERS: dict[str, Grid] = {
    "gowalla": {
        "item-knn": grid(k=[20, 100, 400, 1000], shrink=[10.0, 100.0]),
        "rp3beta": grid(alpha=[0.6, 1.0], beta=[0.0, 0.2, 0.4, 0.6]),
        "turbo-cf": grid(a=[0.6, 0.5], s=[0.7, 0.85, 1.0, 1.3], filter=[1]),
        "gf-cf-paper": grid(alpha=[0.3, 0.15], factors=[256, 128, 384, 512]),
        "gf-cf": grid(alpha=[0.15, 0.25], factors=[512], b=[0.2, 0.4], beta=[1.0, 0.8]),
        "bspm": grid(time=[2.5, 1.5], zeta=[0.2, 0.1, 0.3, 0.4], factors=[448]),
        "chebycf": grid(flatness=[1.5, 3.0], zeta=[0.2, 0.1], b=[0.4, 0.2]),
    },
    "yelp2018": {
        "item-knn": grid(k=[20, 100, 400, 1000], shrink=[10.0, 100.0]),
        "rp3beta": grid(alpha=[0.6, 1.0], beta=[0.0, 0.2, 0.4, 0.6]),
        "turbo-cf": grid(a=[0.6, 0.5], s=[1.0, 0.7, 0.85, 1.3], filter=[1]),
        "gf-cf-paper": grid(alpha=[0.3, 0.15], factors=[256, 128, 384, 512]),
        "gf-cf": grid(alpha=[0.1, 0.2], factors=[384], b=[0.0, 0.1], beta=[1.0, 0.8]),
        "bspm": grid(
            time=[1.2, 0.8],
            zeta=[0.3, 0.1, 0.2, 0.4],
            factors=[384],
            solver=["euler"],
            average=[True],
        ),
        "chebycf": grid(flatness=[1.5, 3.0], zeta=[0.2, 0.1], b=[0.0, 0.2], factors=[384]),
    },
}

# Whose first settings are the authors' own for the data set, and what they print
AUTHORS: dict[str, dict[str, tuple[float, float | None]]] = {
    "gowalla": {
        "gf-cf-paper": (0.1849, 0.1518),
        "turbo-cf": (0.1835, None),
        "bspm": (0.1920, 0.1597),
        "chebycf": (0.1941, 0.1616),
    },
    "yelp2018": {"gf-cf-paper": (0.0697, 0.0571), "bspm": (0.0720, 0.0593)},
}

# Closed forms: (λ, p, β), which decide the inverse, and the settings that share it.
Outer = tuple[float, float, float]
DENSE: dict[str, dict[Outer, Grid]] = {
    "gowalla": {
        (0.01, 0.62, 1.0): {
            "edlae-dan": grid(alpha=[0.0, 0.1, 0.2, 0.3], xi=[0.0]),
            "rdlae-dan": grid(alpha=[0.0, 0.1, 0.2, 0.3], xi=[0.2]),
            "low-pass-rdlae": grid(
                alpha=[0.1, 0.2], xi=[0.0], zeta=[0.05, 0.1], b=[0.4, 0.5], factors=[512]
            ),
        },
        (20.0, 0.6, 0.3): {
            "edlae-dan": grid(alpha=[0.0, 0.1, 0.2, 0.3], xi=[0.0]),
            "rdlae-dan": grid(alpha=[0.0, 0.1, 0.2, 0.3], xi=[0.1]),
        },
    },
    "yelp2018": {
        (0.01, 0.2, 1.0): {
            "edlae-dan": grid(alpha=[0.3, 0.4, 0.5, 0.6], xi=[0.0]),
            "rdlae-dan": grid(alpha=[0.3, 0.4, 0.5, 0.6], xi=[0.3]),
            "low-pass-rdlae": grid(
                alpha=[0.4, 0.5], xi=[0.0], zeta=[0.2, 0.4], b=[0.3, 0.5], factors=[384]
            ),
        },
        (20.0, 0.7, 0.3): {
            "edlae-dan": grid(alpha=[0.1, 0.2, 0.3, 0.4], xi=[0.0]),
            "rdlae-dan": grid(alpha=[0.1, 0.2, 0.3, 0.4], xi=[0.1]),
        },
    },
}

# A closed form and a filter, each with what the same part chose for it, and the weight of the first
BLENDS: dict[str, list[tuple[str, str]]] = {
    "gowalla": [("edlae-dan", "gf-cf"), ("low-pass-rdlae", "chebycf")],
    "yelp2018": [("edlae-dan", "gf-cf"), ("low-pass-rdlae", "bspm")],
}
WEIGHTS = (0.15, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

# recall_full@20, NDCG@20 of the papers, and where they are printed
PUBLISHED: dict[str, list[tuple[str, float, float, str]]] = {
    "gowalla": [
        ("ChebyCF", 0.1941, 0.1616, "Kim et al. 2025"),
        ("BSPM-EM", 0.1920, 0.1597, "Choi et al. 2023"),
        ("SimpleX", 0.1872, 0.1557, "BARS"),
        ("UltraGCN", 0.1862, 0.1580, "BARS"),
        ("GF-CF", 0.1849, 0.1518, "Shen et al. 2021"),
        ("LightGCN", 0.1820, 0.1547, "BARS"),
        ("EASE", 0.1765, 0.1467, "BARS"),
    ],
    "yelp2018": [
        ("BSPM-EM", 0.0720, 0.0593, "Choi et al. 2023"),
        ("SimpleX", 0.0701, 0.0575, "BARS"),
        ("GF-CF", 0.0697, 0.0571, "Shen et al. 2021"),
        ("UltraGCN", 0.0683, 0.0561, "BARS"),
        ("EASE", 0.0657, 0.0552, "BARS"),
        ("LightGCN", 0.0653, 0.0532, "BARS"),
    ],
}


def dense_labels(dataset: str) -> list[str]:
    """The closed forms of a data set, in the order of the settings."""
    return list(dict.fromkeys(label for by_label in DENSE[dataset].values() for label in by_label))
