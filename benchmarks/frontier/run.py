"""Closed forms, graph filters and blends on the LightGCN splits, selected in two ways.

    SHOAL_DATA=… python benchmarks/frontier/run.py filters    # fitted one by one: about an hour
    SHOAL_DATA=… python benchmarks/frontier/run.py dense      # 12 inverses: about 2 hours, 14 GB
    SHOAL_DATA=… python benchmarks/frontier/run.py costs      # the chosen models, fitted alone
    python benchmarks/frontier/run.py render                  # the page, from the results

`filters` comes before `dense`, which needs the chosen graph filter for its blends. `--only gowalla`
takes one data set, and `--inverses 1` the first inverse of `dense` alone. Each result is added to
a file of the part (filters.jsonl, dense.jsonl, costs.jsonl) as soon as it is there; a run that was
interrupted continues with what is missing. `dense` keeps its inverses in benchmarks/.cache, 6 to 7
GB each.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the folder that holds benchmarks/
from benchmarks.frontier import closed_forms, graph_filters, measured
from benchmarks.frontier.page import render
from benchmarks.frontier.settings import FILTERS

HERE = Path(__file__).parent


def main() -> None:
    """Run a part, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["filters", "dense", "costs", "render"])
    parser.add_argument("--only", choices=[*FILTERS], help="one data set")
    parser.add_argument("--inverses", type=int, default=2, help="of each data set, the first ones")
    chosen = parser.parse_args()
    for name in [chosen.only] if chosen.only else FILTERS:
        if chosen.part == "filters":
            graph_filters.run(name)
        if chosen.part == "dense":
            closed_forms.run(name, chosen.inverses)
        if chosen.part == "costs":
            measured.run(name)
    (HERE / "frontier.md").write_text(render())


if __name__ == "__main__":
    main()
