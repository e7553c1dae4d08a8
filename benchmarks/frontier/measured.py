"""What the chosen models cost, and that models fitted alone give what the sweep found."""

from __future__ import annotations

from benchmarks.frontier.closed_forms import model_of
from benchmarks.frontier.graph_filters import kind
from benchmarks.frontier.parts import FILES, chosen, data_of, name_of
from benchmarks.frontier.settings import FILTERS, METRICS
from benchmarks.harness.results import Row
from shoal.experiments.comparison.entrant import Entrant
from shoal.experiments.comparison.measure import measure
from shoal.models.registry import by_name
from shoal.run import Run
from shoal.splitting.held_out import Split


def run(dataset: str) -> None:
    """Fit and evaluate each model with what was chosen on validation, and the winner."""
    train, held_out = data_of(dataset, "test")
    parts = Split(train, None, held_out, f"{dataset}, LightGCN")
    for label in (*FILTERS[dataset], "low-pass-rdlae"):
        for given in chosen(dataset, label)[:1]:

            def make(label: str = label, given: Row = given) -> Row:
                name = model_of(given).name if label not in FILTERS[dataset] else kind(label)
                cell, _ = measure(Entrant(label, by_name(name), given), parts, METRICS, Run(), 0)
                found = cell.evaluation.to_dict()
                return {
                    "metrics": found["metrics"],
                    "given": given,
                    "fit_seconds": round(cell.fit_seconds, 1),
                    "peak_bytes": cell.peak_bytes,
                    "model_bytes": cell.model_bytes,
                    "seconds_per_1000": round(1000 * cell.evaluation.seconds / held_out.n_users, 3),
                    "request_seconds": cell.request_seconds,
                }

            FILES["costs"].once(
                f"costs: {name_of(dataset, 'all', label, given)}",
                make,
                lambda row: f"{row['metrics']} {row['fit_seconds']} s",
            )
