"""A run folder, written by hand in the form that `shoal run` writes."""

import json
from pathlib import Path


def model(label, mean, **more):
    return {
        "label": label,
        "model": label,
        "kind": "linear",
        "settings": {"l2": 500.0, "xi": None},
        "metrics": {
            "ndcg@100": {
                "mean": mean,
                "se": 0.01,
                "users": 60,
                "by_seed": [mean - 0.01, mean + 0.01],
                "spread": 0.014,
            },
            "ndcg@100:tail": {"mean": None, "se": None, "users": 0, "by_seed": []},
        },
        "fit_seconds": 1.5,
        "tune_seconds": 12.0,
        "trials": 20,
        "peak_bytes": 4_000_000,
        "model_bytes": 2_000_000,
        "request_seconds": 0.001,
        "curve": [],
        **more,
    }


def write_run_folder(folder: Path, *, status: str = "complete") -> Path:
    folder.mkdir(parents=True)
    curve = [{"epoch": 1, "loss": 0.9, "ndcg@100": 0.3}, {"epoch": 2, "loss": 0.5}]
    results = {
        "format": 1,
        "name": "small",
        "comparisons": [
            {
                "data": {"name": "toy", "users": 60},
                "seeds": [0, 1],
                "models": [model("ease", 0.41), model("elsa", 0.39, kind="deep", curve=curve)],
                "verdict": {"text": "ease is best."},
            }
        ],
    }
    run = {"format": 1, "name": "small", "status": status, "started": "2026-01-02T03:04:05Z"}
    run |= {"fingerprint": "33", "file_sha256": "44"}
    files = {
        "run.json": json.dumps(run),
        "results.json": json.dumps(results),
        "environment.json": json.dumps({"shoal": "1.2.3", "commit": "abc123"}),
        "data.json": json.dumps({"toy": {"hashes": {"raw": {}, "matrix": "22"}}}),
        "experiment.yaml": "name: small\n",
        "table.csv": "model,ndcg@100\nease,0.41\n",
        "report.html": "<!doctype html><title>small</title>",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "models").mkdir()
    (folder / "models" / "weights.bin").write_bytes(b"not to be sent")
    return folder
