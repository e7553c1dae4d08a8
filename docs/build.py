"""Write what follows from the models themselves; `--check` says whether it is up to date.

That is docs/models.md, and the block of `shoal/__init__.py` that tells type checkers the names of
the model classes. A new model is one new file; this script finds it there.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import shoal
from shoal.models.registry import models

PAGE = Path(__file__).parent / "models.md"
FACE = Path(shoal.__file__)
MARK = "if TYPE_CHECKING:  # models: this block is written by docs/build.py\n"
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


def face() -> str:
    """`shoal/__init__.py` with a line for each model of this package."""
    own = [m for m in models().values() if m.__module__.startswith("shoal.models.")]
    lines = sorted(f"    from {m.__module__} import {m.__name__} as {m.__name__}\n" for m in own)
    old = re.escape(MARK) + r"(?:    from .*\n)*"
    return re.sub(old, lambda _: MARK + "".join(lines), FACE.read_text())


if __name__ == "__main__":
    for path, text in ((PAGE, page()), (FACE, face())):
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.exists() or path.read_text() != text:
            raise SystemExit(f"{path.name} is out of date: run python docs/build.py")
