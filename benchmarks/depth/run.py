"""Does depth pay on MovieLens-1M? Every deep model beside EASE and RDLAE. Writes depth.md.

    SHOAL_DATA=… python benchmarks/depth/run.py run                     # all models, 3 seeds
    SHOAL_DATA=… python benchmarks/depth/run.py run --seeds 1 --only mult-vae,recvae
    python benchmarks/depth/run.py render                               # the page, from the results

A model's settings are those that validate best of its row in GRID (seed 0); the other seeds are
fitted with them. Each fit is added to results.jsonl as soon as it is there; a run that was
interrupted continues with what is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import shoal
from shoal.models.registry import create

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.harness import data
from benchmarks.harness.page import README, fill
from benchmarks.harness.results import Results, Row

HERE = Path(__file__).parent
RESULTS = Results(HERE / "results.jsonl")
METRICS = ("ndcg@100", "recall@20", "recall@50", "ndcg@100:head", "ndcg@100:tail")

_LONG = {"n_epochs": 300, "patience": 20}
_FL = "hidden=400;factors=128;depth=3;decoder_depth=2"
_FLVAE = {"hidden": 400, "factors": 128, "depth": 3, "decoder_depth": 2, "batch_size": 250}
# label: model, settings that are tried
GRID: dict[str, tuple[str, list[Row]]] = {
    "popularity": ("popularity", [{}]),
    "ease": ("ease", [{"l2": float(l2)} for l2 in (100, 200, 300, 500, 700, 1000)]),
    "rdlae": (
        "rdlae",
        [{"l2": l2, "dropout": p, "xi": 0.3} for l2 in (50.0, 100.0, 200.0) for p in (0.1, 0.2)],
    ),
    "mult-dae": ("mult-dae", [_LONG | {"dropout": p} for p in (0.5, 0.7)]),
    "mult-vae": (
        "mult-vae",
        [_LONG | {"dropout": p, "anneal": a} for p in (0.5, 0.7) for a in (2_000, 200_000)],
    ),
    "cdae": ("cdae", [_LONG | {"negatives": n, "l2": l2} for n, l2 in ((5, 0.01), (20, 0.01))]),
    "recvae": ("recvae", [{"n_epochs": 60, "gamma": g} for g in (0.0025, 0.005)]),
    "hvamp": (
        "hvamp",
        [
            {"n_epochs": 100, "warm_up": w, "beta": 0.3, "pseudo_users": 200, "batch_size": 250}
            for w in (30,)
        ],
    ),
    "nease, cosine": (
        "nease",
        [
            {"loss": "cosine", "start": s, "lr": lr, "l2": 300.0, "patience": 10}
            for s, lr in (("random", 1e-3), ("ease", 1e-4))
        ],
    ),
    "nease, square": (
        "nease",
        [
            {"loss": "square", "start": s, "lr": lr, "l2": 300.0, "patience": 10}
            for s, lr in (("random", 1e-3), ("ease", 1e-4))
        ],
    ),
    "nease, focal": (
        "nease",
        [
            {"loss": "focal", "start": s, "lr": lr, "l2": 300.0, "patience": 10}
            for s, lr in (("random", 1e-3), ("ease", 1e-3))
        ],
    ),
    "elsa": ("elsa", [{"factors": k, "patience": 5} for k in (256, 512)]),
    "flvae": ("flvae", [_FLVAE | {"lr": lr} for lr in (5e-4, 1e-3)]),
    "vasp, joint": (
        "vasp",
        [
            {"parts": f"flvae({_FL})+nease(loss=focal)", "batch_size": 250, "lr": lr}
            for lr in (5e-4, 1e-3)
        ],
    ),
    "vasp, alternating": (
        "vasp",
        [
            {
                "parts": f"flvae({_FL})+nease(loss=focal)",
                "mode": "alternating", "batch_size": 250, "lr": 1e-3,
            }
        ],
    ),
    "vasp, ensemble": (
        "vasp",
        [
            {
                "parts": f"flvae({_FL};batch_size=250;lr=1e-3)+nease(loss=focal;patience=10)",
                "mode": "ensemble",
            }
        ],
    ),
}  # fmt: skip

HEAD = """# Does depth pay on MovieLens-1M?

Written by `benchmarks/depth/run.py`; no figure here is typed by hand.

    SHOAL_DATA=… python benchmarks/depth/run.py run

Strong generalisation: rating ≥ 4, users with at least 5 such ratings, {users:,} test users, as many
for validation, split seed 0, 80 % of a held-out user's items as history. Settings and the epoch
are those with the best NDCG@100 on the validation users; the settings that were tried are below,
and are few for the slow models. Each model is fitted with {seeds}. ± is the standard error over
users; *seeds* is the standard deviation over seeds, where there are several. head, tail: NDCG@100
on the most popular 20 % of items by training users, and on the rest. *fit* is one fit with its
validations on {cores}, in seconds of wall clock; other jobs ran beside some of them, so *CPU* is
the one to compare.

All rows but EASE's, RDLAE's and popularity's have randomness. Nothing is published for this split;
all figures are ours.
"""


def key(label: str, at: int, seed: int) -> str:
    """Name of a fit's result."""
    return f"{label.replace(', ', '-')}-{at}-{seed}"


def once(parts: shoal.Split, label: str, at: int, seed: int) -> Row:
    """The kept result of a fit, or a new one."""
    kept = RESULTS.get(key(label, at, seed))
    if kept is not None:
        return kept
    name, settings = GRID[label]
    assert parts.validation is not None
    load, began, cpu = os.getloadavg()[0], time.perf_counter(), time.process_time()
    model = create(name, settings[at]).fit(parts.train, parts.validation, shoal.Run(seed=seed))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    row = {
        "label": label,
        "seed": seed,
        "validation": shoal.evaluate(model, parts.validation, ["ndcg@100"])["ndcg@100"],
        **shoal.evaluate(model, parts.test, list(METRICS)).to_dict(),
        "facts": model.facts,
        "given": settings[at],
        "fit_seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "weights": int(sum(a.size for a in model.state().values())),
        "load_before": round(load, 2),
        "cores": len(os.sched_getaffinity(0)),
    }
    RESULTS.save(key(label, at, seed), row)
    test = row["metrics"]["ndcg@100"]["mean"]
    print(
        f"{key(label, at, seed)}: {row['validation']:.4f} {test:.4f} {seconds:.0f} s",
        settings[at],
        flush=True,
    )
    return row


def best(rows: list[Row]) -> int:
    """Number of the setting that validates best."""
    return max(range(len(rows)), key=lambda at: rows[at]["validation"])


def run(seeds: int, only: list[str]) -> None:
    """Every setting with seed 0, then the best one with the other seeds."""
    parts = data.ml_1m()
    labels = [label for label in GRID if not only or label.replace(", ", "-") in only]
    chosen = {}
    for label in labels:
        found = [once(parts, label, at, 0) for at in range(len(GRID[label][1]))]
        chosen[label] = best(found)
    for seed in range(1, seeds):
        for label, at in chosen.items():
            if create(*GRID[label][:1]).trained:
                once(parts, label, at, seed)


def load() -> dict[str, list[list[Row]]]:
    """Results by label: for each setting, its seeds; labels without any are left out."""
    out: dict[str, list[list[Row]]] = {}
    for label, (_, settings) in GRID.items():
        each = [
            [row for s in range(9) if (row := RESULTS.get(key(label, at, s))) is not None]
            for at in range(len(settings))
        ]
        if all(each):  # a choice is made when all settings are there
            out[label] = each
    return out


def mean(rows: list[Row], metric: str) -> tuple[float, float]:
    """Mean over seeds, and the standard error over users (of one seed)."""
    values = [row["metrics"][metric]["mean"] for row in rows]
    return sum(values) / len(values), rows[0]["metrics"][metric]["se"]


def text(settings: Row) -> str:
    """Settings in a line."""
    return ", ".join(
        f"{k} {v:g}" if isinstance(v, float) else f"{k} {v}" for k, v in settings.items()
    )


def table(metrics: tuple[str, ...], *, costs: bool) -> str:
    """Models by NDCG@100."""
    from statistics import stdev

    names = [
        m.replace("ndcg", "NDCG").replace("recall", "Recall").replace(":", ", ") for m in metrics
    ]
    lines = [
        f"| model | {' | '.join(names)} |"
        + (" seeds | epoch | fit, s | CPU, s | weights |" if costs else "")
    ]
    lines.append("|---|" + "---|" * (len(metrics) + (5 if costs else 0)))
    chosen = {label: each[best([s[0] for s in each])] for label, each in load().items()}
    for label, rows in sorted(chosen.items(), key=lambda c: -mean(c[1], "ndcg@100")[0]):
        cells = [f"{m:.4f} ±{se:.4f}" for m, se in (mean(rows, metric) for metric in metrics)]
        line = f"| {label} | {' | '.join(cells)} |"
        if costs:
            values = [row["metrics"]["ndcg@100"]["mean"] for row in rows]
            spread = f"{stdev(values):.4f} of {len(rows)}" if len(rows) > 1 else "1 fit"
            first = rows[0]
            epoch = f"{first['facts']['best_epoch']:.0f}" if "best_epoch" in first["facts"] else ""
            took = "–" if first["fit_seconds"] is None else f"{first['fit_seconds']:.1f}"
            line += f" {spread} | {epoch} | {took} | {first['cpu_seconds']:.1f} | "
            line += f"{first['weights']:,} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def render() -> str:
    """The page."""
    found = load()
    if not found:
        return "Not yet run.\n"
    one = next(iter(found.values()))[0][0]
    most = max(len(s) for each in found.values() for s in each)
    seeds = "one seed" if most == 1 else f"up to {most} seeds"
    page = HEAD.format(
        users=one["users"],
        seeds=seeds,
        cores="one core" if one["cores"] == 1 else f"{one['cores']} cores",
    )
    page += "\n" + table(METRICS, costs=True)
    missing = [label for label in GRID if label not in found]
    if missing:
        page += f"\nNot yet run: {'; '.join(missing)}.\n"
    page += "\n## Settings that were tried\n\n| model | settings | validation NDCG@100 | chosen |\n"
    page += "|---|---|---|---|\n"
    for label, each in found.items():
        taken = best([s[0] for s in each])
        for at, rows in enumerate(each):
            mark = "✓" if at == taken else ""
            page += (
                f"| {label} | {text(rows[0]['given'])} | {rows[0]['validation']:.4f} | {mark} |\n"
            )
    return page


def main() -> None:
    """Run, then write the page and the README's block."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["run", "render"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="by commas: mult-vae,vasp-joint,…")
    given = parser.parse_args()
    if given.part == "run":
        run(given.seeds, [name for name in given.only.split(",") if name])

    (HERE / "depth.md").write_text(render())
    block = "MovieLens-1M, strong generalisation, rating ≥ 4, chosen on validation users "
    block += "(`python benchmarks/depth/run.py run`):\n\n"
    fill(README, "depth", block + table(("ndcg@100", "recall@20"), costs=False))


if __name__ == "__main__":
    main()
