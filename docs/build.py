"""Write docs/models.md from what the models declare; `--check` says whether it is up to date."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from shoal.models.registry import models

PAGE = Path(__file__).parent / "models.md"
HEAD = """# Models and their hyper-parameters

Written by `docs/build.py` from the models themselves; `shoal info MODEL` prints the same.
Set them with `--set name=value` on the command line, or by name in Python: `shoal.EASE(l2=300)`.
`search` is the range that `shoal tune` and `shoal compare --tune` draw from.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for name, model in models().items():
        module = inspect.getdoc(inspect.getmodule(model)) or ""
        parts.append(f"\n## {name}: `shoal.{model.__name__}`\n\n    {module.splitlines()[0]}\n")
        parts.append("\n" + inspect.cleandoc(model.__doc__ or "") + "\n")
        properties = model.model_json_schema().get("properties", {})
        if properties:
            parts.append("\n| name | default | search | meaning |\n|---|---|---|---|\n")
        for field, p in properties.items():
            search = "{} … {} ({})".format(*p["search"], p["scale"]) if "search" in p else ""
            parts.append(f"| `{field}` | {p['default']} | {search} | {p['description']} |\n")
    return "".join(parts)


if __name__ == "__main__":
    text = page()
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != text:
            raise SystemExit("docs/models.md is out of date: run python docs/build.py")
    else:
        PAGE.write_text(text)
