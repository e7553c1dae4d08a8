"""The manifest of a model folder: its form, and the check of everything that it says."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from shoal._version import __version__
from shoal.errors import ArtifactError

FORMAT = 1
FORMAT_OF_BLOCKS = 2  # of a folder whose arrays are in several files, which older shoals refuse
MANIFEST, ARRAYS, ITEMS = "manifest.json", "arrays.safetensors", "items.parquet"
USERS = "users.parquet"
_BLOCK = re.compile(r"arrays-(\d{5})\.safetensors")

LARGEST_MANIFEST = 16_000_000  # bytes
LARGEST_PARAMETERS = 100_000  # characters of the hyper-parameters as JSON
KINDS = ("int", "str", "uuid")  # of ids


def block_file(number: int) -> str:
    """The name of the file of one block of an array that is in several files."""
    return f"arrays-{number:05}.safetensors"


def array_files(names: Iterable[str]) -> list[str]:
    """Those of some files that hold arrays, in their order."""
    return sorted(name for name in names if name == ARRAYS or _BLOCK.fullmatch(name))


def hash_of_arrays(manifest: dict[str, Any]) -> str:
    """The sha256 of the arrays that a checked manifest describes; of several files, of theirs."""
    hashes = [str(manifest["files"][name]["sha256"]) for name in array_files(manifest["files"])]
    if len(hashes) == 1:
        return hashes[0]
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def parsed(text: bytes | None, path: Path) -> dict[str, Any]:
    """The manifest in the content of its file.

    Parameters
    ----------
    text : bytes or None
        None if there is no such file.
    path : Path
        The model folder, for error messages.

    Raises
    ------
    ArtifactError
        It is damaged, or has another version; the message says which entry is wrong.
    """
    if text is None:
        raise ArtifactError(f"{path} is no model folder: it has no {MANIFEST}")
    try:
        manifest = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path / MANIFEST} is damaged ({error}): copy the whole folder again"
        ) from None
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if version is None:
        raise ArtifactError(
            f"{path / MANIFEST} is damaged (it names no format): copy the whole folder again"
        )
    if type(version) is not int or version not in (FORMAT, FORMAT_OF_BLOCKS):
        raise ArtifactError(
            f"{path} has format version {_shown(version)}, this shoal ({__version__}) reads "
            f"{FORMAT} and {FORMAT_OF_BLOCKS}: train the model again, or install the version that "
            "wrote it"
        )
    missing = {"shoal", "created", "model", "parameters", "data", "facts", "files"} - set(manifest)
    if missing:
        raise ArtifactError(
            f"{path / MANIFEST} is damaged: entries are missing ({', '.join(sorted(missing))})"
        )
    try:
        problem = _problem(manifest)
    except RecursionError:
        problem = "its entries are nested too deeply"
    if problem:
        raise ArtifactError(f"{path / MANIFEST} is damaged: {problem}")
    return dict(manifest)


def _problem(manifest: dict[str, Any]) -> str:
    """What is wrong with the entries of a manifest; "" if nothing is."""
    data, files = manifest["data"], manifest["files"]
    for name, kind in (("parameters", dict), ("data", dict), ("facts", dict), ("files", dict)):
        if not isinstance(manifest[name], kind):
            return f"{name} is no table of names and values"
    for name in ("shoal", "created", "model"):
        if not isinstance(manifest[name], str):
            return f"{name} is {_shown(manifest[name])}, it must be a text"
    if len(json.dumps(manifest["parameters"])) > LARGEST_PARAMETERS:
        return f"parameters have more than {LARGEST_PARAMETERS:,} characters"
    blocks = [name for name in array_files(files) if name != ARRAYS]
    if set(files) - {USERS, *blocks} != {ARRAYS, ITEMS}:
        return f"files are {_shown(sorted(files))}, they must be {ARRAYS} and {ITEMS}"
    n_blocks = len(blocks)
    if blocks != [block_file(number) for number in range(n_blocks)]:
        return f"a block of the arrays is missing among files ({_shown(blocks)})"
    if bool(blocks) != (manifest["format"] == FORMAT_OF_BLOCKS):
        return f"format {manifest['format']} does not fit {n_blocks} blocks of arrays"
    kinds: list[tuple[dict[str, Any], str, Callable[[Any], bool], str]] = [
        (data, "fingerprint", _is_hash_or_empty, "a sha256"),
        (data, "items", _is_count, "a number of items"),
        (data, "ids", _is_kind, f"one of {', '.join(KINDS)}"),
    ]
    if USERS in files:
        kinds.append((data, "user_ids", _is_kind, f"one of {', '.join(KINDS)}"))
    for table, name, check, expected in kinds:
        if name not in table or not check(table[name]):
            return f"data.{name} is {_shown(table.get(name))}, it must be {expected}"
    for name, described in files.items():
        if not isinstance(described, dict):
            return f"files.{name} has no sha256 and bytes"
        for entry, check, expected in (
            ("sha256", _is_hash, "a sha256"),
            ("bytes", _is_count, "a number of bytes"),
        ):
            if not check(described.get(entry)):
                return f"files.{name}.{entry} is {_shown(described.get(entry))}, not {expected}"
    for name, value in manifest["facts"].items():
        if not _is_number(value):
            return f"facts.{name} is {_shown(value)}, it must be a number"
    preparation = data.get("preparation", {})
    if not isinstance(preparation, dict):
        return "data.preparation is no table of names and values"
    least = preparation.get("min_value")
    if least is not None and not _is_number(least):
        return f"data.preparation.min_value is {_shown(least)}, it must be a number"
    if not isinstance(manifest.get("metrics") or {}, dict):
        return "metrics is no table of names and values"
    return ""


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number that JSON has")


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**63


def _is_kind(value: Any) -> bool:
    return isinstance(value, str) and value in KINDS


def _is_hash(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value) is not None


def _is_hash_or_empty(value: Any) -> bool:
    return isinstance(value, str) and (not value or len(value) <= 256)


def _shown(value: Any) -> str:
    """A value for an error message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
