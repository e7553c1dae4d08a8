"""Results as a run leaves them, with invented numbers and with names that try to be markup."""

from __future__ import annotations

from typing import Any

SCRIPT = "</script><script>window.ran = 1</script>"
QUOTES = '"quoted" & \'single\' <img src=x onerror="window.ran=1">'
LINES = "one\u2028two\u2029three"
METRICS = ["ndcg@100", "recall@20", "coverage@100"]


def score(
    mean: float | None, se: float | None = 0.01, spread: float | None = None
) -> dict[str, Any]:
    """The mean of a metric."""
    return {"mean": mean, "se": se, "users": 200, "by_seed": [mean], "spread": spread}


def model(label: str, kind: str, mean: float, **more: Any) -> dict[str, Any]:
    """One model of a comparison."""
    return {
        "label": label,
        "model": "ease",
        "kind": kind,
        "settings": {"l2": 123.456789, "nonnegative": False},
        "metrics": {
            "ndcg@100": score(mean, spread=0.002),
            "recall@20": score(mean / 2, spread=0.001),
            "coverage@100": score(0.5, None),
        },
        "fit_seconds": 1.5,
        "tune_seconds": 0.0,
        "trials": 0,
        "peak_bytes": 2_000_000,
        "model_bytes": 1_000_000,
        "request_seconds": 0.002,
        "against_best": None,
        "tied": False,
        "facts": {},
        "curve": [],
        "by_popularity": {"metric": "recall@20", "deciles": [0.5, 0.25, None, *[0.125] * 7]},
        "by_history": [
            {"from": 1, "to": 9, "users": 120, "mean": mean, "se": 0.01},
            {"from": 10, "to": None, "users": 80, "mean": mean / 2, "se": None},
        ],
        "importance": {},
        "notes": [],
    } | more


def drawing(titles: list[str]) -> dict[str, Any]:
    """What the script of maps draws."""
    n = len(titles)
    groups = {
        "name": "genre",
        "texts": titles,
        "groups": [SCRIPT, "other"],
        "counts": [n - 1, 1],
        "colours": ["#4e79a7", "#b5b5b5"],
        "named": 1,
        "codes": [0] * (n - 1) + [1],
    }
    xy = [value for k in range(n) for value in (k / n, (k * 7 % n) / n)]
    return {
        "ids": [str(k) for k in range(n)],
        "titles": titles,
        "users": list(range(n, 0, -1)),
        "colours": [groups],
        "panels": [{"name": "ease", "xy": xy}],
    }


def comparison(name: str = "set", n_more: int = 0) -> dict[str, Any]:
    """Models with an ordinary best one, a tie with a hostile name, a deep one and a baseline."""
    models = [
        model("rdlae", "linear", 0.45, facts={"negative_weights": 0.55}),
        model(
            QUOTES, "linear", 0.449, tied=True, fit_seconds=0.5, trials=3, tune_seconds=6.0,
            importance={"l2": 0.75, SCRIPT: 0.25}, facts={"negative_weights": 0.5},
            against_best={"difference": -0.001, "ci95": [-0.003, 0.001], "p": 0.3, "p_holm": 0.3},
        ),
        model(
            "mult-vae", "deep", 0.4, fit_seconds=90.0,
            against_best={"difference": -0.05, "ci95": [-0.06, -0.04], "p": 1e-9, "p_holm": 3e-9},
            curve=[{"epoch": e, "loss": 10.0 / e, "ndcg@100": 0.4 - 0.1 / e} for e in (1, 2, 3)],
        ),
        model(
            "popularity", "baseline", 0.2, fit_seconds=0.004,
            against_best={"difference": -0.25, "ci95": [-0.3, -0.2], "p": 0.0, "p_holm": 0.0},
        ),
    ]  # fmt: skip
    models[3:3] = [
        model(
            f"one more linear model with a long name {k}", "linear", 0.39 - 0.002 * k,
            fit_seconds=0.3 * 1.4**k,
            against_best={
                "difference": -0.06 - 0.002 * k, "ci95": [-0.07 - 0.002 * k, -0.05 - 0.002 * k],
                "p": 1e-6, "p_holm": 2e-6,
            },
        )
        for k in range(n_more)
    ]  # fmt: skip
    titles = [f"Film {k}" for k in range(30)] + [SCRIPT, QUOTES, LINES]
    person = {
        "title": "A history of usual length: 3 items, 2 held out",
        "history": [SCRIPT, QUOTES, "Film 3"],
        "more": 0,
        "lists": [
            {
                "label": "rdlae",
                "kind": "linear",
                "rows": [
                    {
                        "title": SCRIPT,
                        "hit": True,
                        "reasons": [
                            {"title": QUOTES, "amount": 0.5},
                            {"title": "Film 3", "amount": -0.25},
                        ],
                    },
                    {"title": "Film 9", "hit": False, "reasons": []},
                ],
            },
            {
                "label": "mult-vae",
                "kind": "deep",
                "rows": [{"title": "Film 2", "hit": False, "reasons": []}],
            },
        ],
    }
    return {
        "data": {
            "name": name, "users": 1000, "items": 300, "interactions": 40_000, "density": 0.1333,
            "median_history": 30, "head_share": 0.6, "popularity_gini": 0.5,
        },
        "protocol": "strong, 10 % of users",
        "metric": "ndcg@100",
        "metrics": METRICS,
        "seeds": [0, 1],
        "users": 200,
        "models": models,
        "refused": {"slim": "needs <more> memory"},
        "unfinished": [],
        "verdict": {
            "text": f"rdlae is best. {SCRIPT} Depth does not pay here",
            "lines": [f"rdlae is best. {SCRIPT}", "Depth does not pay here"],
            "best": "rdlae",
            "real": False,
            "ship": QUOTES,
            "depth": {
                "asked": True, "linear": "rdlae", "deep": "mult-vae", "difference": -0.05,
                "ci95": [-0.06, -0.04], "p": 1e-9, "pays": False, "text": "depth does not pay here",
            },
        },
        "published": [
            {
                "model": "rdlae", "metric": "ndcg@100", "value": 0.46, "ours": 0.45,
                "source": "A & B 2019, table 1", "note": "other <split>",
            },
        ],
        "notes": ["A note | with a pipe."],
        "extras": {
            "seed": 0,
            "data": {
                "popularity": [[0.0, 0.0], [0.1, 0.4], [1.0, 1.0]],
                "history_quantiles": [[0.0, 1.0], [0.5, 30.0], [1.0, 200.0]],
            },
            "negative_weights": {
                "ablation": {
                    "label": "rdlae", "metric": "ndcg@100", "users": 100, "share": 0.55,
                    "with": 0.45, "without": 0.44, "difference": -0.01, "ci95": [-0.02, -0.005],
                    "p": 0.001, "seed": 0,
                }
            },
            "people": {"rule": "Three test users.", "persons": [person]},
            "map": {
                "drawing": drawing(titles), "model": "rdlae", "placed_by": "t-SNE", "kept": 0.5,
                "n_catalogue": 300, "notes": ["a note on the map"],
            },
            "notes": ["A note of the extras."],
        },
    }  # fmt: skip


def results(*names: str, n_more: int = 0) -> dict[str, Any]:
    """Results of a run on one or several data sets."""
    sets = [comparison(name, n_more) for name in names or ("set",)]
    return {"format": 1, "name": f"trial {QUOTES}", "comparisons": sets}
