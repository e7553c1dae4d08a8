"""The report as one HTML file that asks nothing of any server.

What people gave (names, titles, ids) is escaped by the templates; data for scripts are JSON without
a letter that could end an element, and the scripts show them as text only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup, escape

from shoal._version import __version__
from shoal.design import style_sheet
from shoal.experiments.report import charts
from shoal.experiments.report import formats as f
from shoal.experiments.report.part import part
from shoal.experiments.report.run_files import RunFiles
from shoal.web import script_json

_HERE = "shoal.experiments.report"
_LIGHT = re.compile(r"^:root \{(.*?)\}", re.DOTALL | re.MULTILINE)


def report_page(results: Mapping[str, Any], run_files: RunFiles | None = None) -> str:
    """The HTML file of a report, as text.

    Parameters
    ----------
    results : mapping
        What ``results.json`` of a run holds: ``name`` and ``comparisons``, one for each data set.
    run_files : RunFiles, optional
        What else is known of the run.
    """
    run_files = run_files or RunFiles()
    comparisons = results["comparisons"]
    parts = [
        part(comparison, f"d{number}", _trials_of(run_files, comparison, len(comparisons) == 1))
        for number, comparison in enumerate(comparisons, start=1)
    ]
    specs = {name: spec for one in parts for name, spec in one["specs"].items()}
    has_map = any(one["map"] for one in parts)
    name = str(results.get("name") or "comparison")
    return (
        _templates()
        .get_template("report.html")
        .render(
            name=name,
            version=__version__,
            summary=_summary(results, run_files),
            several=len(parts) > 1,
            parts=parts,
            charts=_for_script({"config": charts.CONFIG, "specs": specs}),
            styles=Markup(_styles(has_map)),  # noqa: S704 - our own files
            scripts=[Markup(script) for script in _scripts(has_map)],  # noqa: S704 - our own files
            files=run_files,
            file_name=f"{re.sub(r'[^A-Za-z0-9._-]+', '-', name)}.yaml",
            environment=flat(_short(run_files.environment)),
            data_facts=flat(_hashes(run_files.data)),
        )
    )


def flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """Nested mappings as rows of a name and a text; what is empty is left out."""
    if isinstance(value, Mapping):
        rows = [flat(v, f"{path} {k}".strip()) for k, v in value.items()]
        return [row for some in rows for row in some]
    if value is None or value in ("", []):
        return []
    if isinstance(value, Sequence) and not isinstance(value, str):
        if any(isinstance(entry, Mapping) for entry in value):
            rows = [flat(entry, f"{path} {n}".strip()) for n, entry in enumerate(value, start=1)]
            return [row for some in rows for row in some]
        return [(path, ", ".join(map(str, value)))]
    if path.endswith("_bytes") and isinstance(value, int | float):
        return [(path.removesuffix("_bytes").replace("_", " "), f.size(value))]
    return [(path.replace("_", " "), str(value))]


def _short(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The environment, with the versions of all packages in one row."""
    packages = environment.get("packages")
    if not isinstance(packages, Mapping):
        return dict(environment)
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    return {**environment, "packages": versions}


def _hashes(data: Mapping[str, Any]) -> dict[str, Any]:
    """The hashes of each data set, without what the section on the data shows."""
    return {
        name: entry.get("hashes", {}) for name, entry in data.items() if isinstance(entry, Mapping)
    }


def _trials_of(
    run_files: RunFiles, comparison: Mapping[str, Any], only: bool
) -> list[dict[str, Any]]:
    """The trials of one data set; a run of one data set need not name it in each."""
    name = comparison["data"]["name"]
    return [t for t in run_files.trials if t.get("data", name if only else None) == name]


def _summary(results: Mapping[str, Any], run_files: RunFiles) -> str:
    """What was compared, when, and how long it took."""
    comparisons = results["comparisons"]
    models = max((len(c["models"]) for c in comparisons), default=0)
    seeds = max((len(c.get("seeds") or ()) for c in comparisons), default=0)
    sets = ", ".join(str(c["data"]["name"]) for c in comparisons)
    text = f"{models} models on {sets}" if models != 1 else f"1 model on {sets}"
    text += f", {seeds} seeds" if seeds > 1 else ""
    run = run_files.run
    if run.get("started"):
        text += f"; {str(run['started'])[:10]}"
    if run.get("seconds"):
        text += f", {f.seconds(run['seconds'])}"
    if run.get("status") not in (None, "complete", "running"):
        text += f"; {run['status']}"
    return text


@cache
def _templates() -> jinja2.Environment:
    """The templates, which escape all that they are given."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_HERE, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"for_script": _for_script, "breakable": _breakable}
    return environment


def _for_script(value: Any) -> Markup:
    return Markup(script_json(value))  # noqa: S704 - escaped there


def _breakable(name: str) -> Markup:
    """The name of a metric, with places where a line may be broken."""
    return Markup(re.sub(r"([@:])", r"<wbr>\1", str(escape(name))))  # noqa: S704 - escaped


def _own(name: str) -> str:
    return files(_HERE).joinpath(name).read_text(encoding="utf-8")


def _of_maps(name: str) -> str:
    return files("shoal.maps").joinpath(name).read_text(encoding="utf-8")


@cache
def _styles(has_map: bool) -> str:
    """All styles; on paper the colours are those for light, whatever the screen is."""
    sheets = [style_sheet(), _own("report.css"), *([_of_maps("item_map.css")] if has_map else [])]
    light = " ".join(block for sheet in sheets for block in _LIGHT.findall(sheet))
    light = light.replace("color-scheme: light dark", "color-scheme: light")
    paper = f"@media print {{ :root {{ {light} }} }}\n:root[data-print] {{ {light} }}"
    return "\n".join([*sheets, paper])


@cache
def _scripts(has_map: bool) -> tuple[str, ...]:
    """The libraries that draw charts, and our own script, in the order in which they run."""
    interpreter = _own("vendored/vega-interpreter.js")
    # the library comes as a module, and an element of scripts has none: its two lines that are
    # about modules become variables
    interpreter, imports = re.subn(
        r"import (\{[^}]*\}) from 'vega-util';", r"const \1 = vega;", interpreter
    )
    interpreter, exports = re.subn(
        r"export \{ expression as expressionInterpreter \};", "return expression;", interpreter
    )
    assert (imports, exports) == (1, 1)
    libraries = [_own(f"vendored/{name}.min.js") for name in ("vega", "vega-lite")]
    libraries.append(f"const expressionInterpreter = (() => {{\n{interpreter}\n}})();")
    scripts = [
        re.sub(r"^//# sourceMappingURL=.*$", "", text, flags=re.MULTILINE) for text in libraries
    ]
    maps = [_of_maps("item_map.js")] if has_map else []
    return (*scripts, *maps, _own("report.js"))
