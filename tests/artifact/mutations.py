"""Changes to model folders, drawn at random: bytes, arrays, tables, manifests.

Used by `test_artifact_mutations.py`. Run by itself with a folder of model folders, a seed and a
number, it loads that many changed folders and prints a line of JSON for each: a mutation that
kills the process is then the last one that was announced.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from safetensors.numpy import load_file, save_file

import shoal
from shoal.errors import ArtifactError

Rng = np.random.Generator

ARRAYS, ITEMS, USERS, MANIFEST = (
    "arrays.safetensors",
    "items.parquet",
    "users.parquet",
    "manifest.json",
)
ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 2**62, 2**63, 10**400, 1.5, "", "x", "../x", [], [1], {}, {"a": 1},
    "0" * 64, "int", "str", "uuid", 1e308,
)  # fmt: skip


def flip_bytes(folder: Path, rng: Rng) -> str:
    """Change some bytes of a file."""
    file = _some_file(folder, rng)
    data = bytearray(file.read_bytes())
    for _ in range(int(rng.choice([1, 1, 4, 40]))):
        data[rng.integers(len(data))] = rng.integers(256)
    file.write_bytes(bytes(data))
    return f"bytes of {file.name}"


def flip_header(folder: Path, rng: Rng) -> str:
    """Change bytes at the beginning or at the end of a file, where its structure is."""
    file = _some_file(folder, rng)
    data = bytearray(file.read_bytes())
    span = min(len(data), 400)
    for _ in range(int(rng.choice([1, 2, 8]))):
        at = rng.integers(span)
        data[at if file.name == ARRAYS or rng.random() < 0.3 else -1 - at] = rng.integers(256)
    file.write_bytes(bytes(data))
    return f"structure of {file.name}"


def cut_file(folder: Path, rng: Rng) -> str:
    """Shorten or lengthen a file."""
    file = _some_file(folder, rng)
    data = file.read_bytes()
    cut = int(rng.integers(len(data)))
    file.write_bytes(data[:cut] if rng.random() < 0.7 else data + data[cut:])
    return f"length of {file.name}"


def change_array(folder: Path, rng: Rng) -> str:
    """Drop, rename, reshape, retype or fill an array, or put odd numbers into it."""
    arrays = load_file(folder / ARRAYS)
    name = str(rng.choice(sorted(arrays)))
    array = arrays[name]
    what = str(rng.choice(["drop", "rename", "shape", "type", "number", "fill", "copy", "order"]))
    if what == "drop":
        del arrays[name]
    elif what == "rename":
        arrays[name + "2"] = arrays.pop(name)
    elif what == "copy":
        arrays[name + "2"] = array
    elif what == "shape":
        arrays[name] = _reshaped(array, rng)
    elif what == "type":
        kinds = [np.float32, np.float64, np.int32, np.int64, np.bool_, np.uint8]
        arrays[name] = array.astype(kinds[rng.integers(len(kinds))])
    elif what == "order":
        arrays[name] = rng.permuted(array, axis=0)
    elif array.size:
        _put_odd(array.reshape(-1), rng, array.size if what == "fill" else 1)
    save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, folder / ARRAYS)
    return f"{what} {name}"


def change_claim(folder: Path, rng: Rng) -> str:
    """Change a shape or an extent that the header of the arrays claims."""
    data = (folder / ARRAYS).read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    names = sorted(set(header) - {"__metadata__"})
    about = header[str(rng.choice(names))]
    value = int(rng.choice([0, 1, -1, 3, 10**6, 2**31, 2**40, 2**62]))
    if about["shape"] and rng.random() < 0.5:
        about["shape"][rng.integers(len(about["shape"]))] = value
    elif rng.random() < 0.5:
        about["data_offsets"][rng.integers(2)] = value
    else:
        about["dtype"] = str(rng.choice(["F64", "I8", "BF16", "F4", "BOOL", "I64"]))
    text = json.dumps(header).encode()
    size = len(text) if rng.random() < 0.9 else int(rng.choice([0, 2**31, 2**62]))
    (folder / ARRAYS).write_bytes(size.to_bytes(8, "little") + text + data[8 + length :])
    return f"claim {value}"


def change_table(folder: Path, rng: Rng) -> str:
    """Change the rows, the ids or the columns of the table of items or users."""
    name = USERS if (folder / USERS).exists() and rng.random() < 0.5 else ITEMS
    table = pl.read_parquet(folder / name)
    column, n = table.columns[0], table.height
    what = str(
        rng.choice(["half", "twice", "null", "same", "shuffle", "type", "rename", "none", "extra"])
    )
    ids = table[column]
    if what == "half":
        table = table.head(n // 2)
    elif what == "twice":
        table = pl.concat([table, table])
    elif what == "null":
        table = table.with_columns(pl.when(pl.int_range(n) != 3).then(pl.col(column)).alias(column))
    elif what == "same":
        table = table.with_columns(ids.gather(np.zeros(n, np.int64)).alias(column))
    elif what == "shuffle":
        table = table.sample(fraction=1, shuffle=True, seed=int(rng.integers(1000)))
    elif what == "type":
        table = table.with_columns(ids.cast(pl.String if ids.dtype == pl.Int64 else pl.Binary))
    elif what == "rename":
        table = table.rename({column: "other"})
    elif what == "none":
        table = table.head(0)
    else:
        table = table.with_columns(pl.Series("extra", [[1, 2]] * n))
    table.write_parquet(folder / name)
    return f"{what} of {name}"


def change_manifest(folder: Path, rng: Rng) -> str:
    """Drop, replace or add an entry of the manifest, at any depth."""
    manifest = json.loads((folder / MANIFEST).read_text())
    table, where = manifest, []
    while True:
        key = str(rng.choice(sorted(table)))
        where.append(key)
        if not (isinstance(table[key], dict) and table[key] and rng.random() < 0.8):
            break
        table = table[key]
    if rng.random() < 0.4:
        del table[key]
        what = "without"
    elif isinstance(table[key], int) and rng.random() < 0.5:
        table[key] = int(table[key]) + int(rng.choice([-1, 1, 10**6, 2**40]))
        what = "other number in"
    else:
        table[key] = ODD_VALUES[rng.integers(len(ODD_VALUES))]
        what = "odd value in"
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return f"{what} {'.'.join(where)}"


def break_json(folder: Path, rng: Rng) -> str:
    """Make the manifest something that is no manifest, or none that JSON allows."""
    text = (folder / MANIFEST).read_text()
    kinds = ["[" * 100_000, '{"a":' * 50_000, "", "null", "\x00\xff", "NaN", "cut", "nan", "huge"]
    text = {
        "cut": text[: len(text) // 2],
        "nan": text.replace('"facts": {', '"facts": {"x": NaN,'),
        "huge": text.replace('"facts": {', '"facts": {"x": ' + "9" * 5000 + ","),
    }.get(kind := str(rng.choice(kinds)), kind)
    (folder / MANIFEST).write_text(text)
    return f"json {kind[:10]!r}"


def change_kind(folder: Path, rng: Rng) -> str:
    """Put something else in the place of a file: nothing, a folder, a pipe, a link, a device."""
    file = folder / str(rng.choice(sorted(p.name for p in folder.iterdir())))
    what = str(rng.choice(["nothing", "folder", "pipe", "link", "loop", "device", "empty"]))
    content = file.read_bytes()
    file.unlink()
    if what == "folder":
        file.mkdir()
    elif what == "pipe":
        os.mkfifo(file)
    elif what == "link":
        (folder.parent / "elsewhere").write_bytes(content)
        file.symlink_to(folder.parent / "elsewhere")
    elif what == "loop":
        file.symlink_to(file.name)
    elif what == "device":
        file.symlink_to("/dev/zero")
    elif what == "empty":
        file.touch()
    return f"{what} for {file.name}"


MUTATIONS: tuple[Callable[[Path, Rng], str], ...] = (
    flip_bytes, flip_header, cut_file, change_array, change_array, change_array, change_claim,
    change_table, change_manifest, change_manifest, break_json, change_kind,
)  # fmt: skip


def make_consistent(folder: Path) -> None:
    """Give the manifest the hashes and sizes that the files have now, where that can be done."""
    if (folder / MANIFEST).is_symlink() or not (folder / MANIFEST).is_file():
        return
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        for name, about in manifest["files"].items():
            if not (folder / name).is_symlink() and (folder / name).is_file():
                data = (folder / name).read_bytes()
                about |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        (folder / MANIFEST).write_text(json.dumps(manifest))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass


def mutate(folder: Path, seed: int) -> str:
    """Change a model folder in the way that belongs to a seed, and say how."""
    rng = np.random.default_rng(seed)
    how = MUTATIONS[rng.integers(len(MUTATIONS))](folder, rng)
    if rng.random() < 0.8:
        make_consistent(folder)
        how += ", hashes made to fit"
    return how


def outcome(folder: Path) -> str:
    """What loading a folder and asking it for recommendations comes to."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            model = shoal.load(folder)
            items = model.items.take([0, 3])
            if model.task == "rating":
                if model.users is None:
                    return "a rating model without users"
                shoal.predict(model, model.users.take([0])[0], items[:1])
            if not getattr(model, "by_item", False):
                shoal.recommend(model, items, 5)
    except ArtifactError as error:
        text = str(error)
        if "\n" in text or str(folder) not in text or len(text) > 500:
            return f"an error that does not name the file in one line: {text}"
        return "ArtifactError"
    except shoal.ShoalError as error:
        # numbers near the largest of float32 are finite, and their sums need not be
        return "not a number" if "not a number" in str(error) else f"{type(error).__name__} {error}"
    except BaseException as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"
    return "works"


def _some_file(folder: Path, rng: Rng) -> Path:
    return folder / str(rng.choice(sorted(p.name for p in folder.iterdir())))


def _reshaped(array: np.ndarray[Any, Any], rng: Rng) -> np.ndarray[Any, Any]:
    kind = rng.integers(5)
    if kind == 0:
        return array[:-1]
    if kind == 1:
        return np.concatenate([array, array])
    if kind == 2:
        return array.reshape(-1)
    if kind == 3:
        return array.T
    return array[:0]


def _put_odd(numbers: np.ndarray[Any, Any], rng: Rng, count: int) -> None:
    """Write odd numbers of the array's type at random places."""
    kind = numbers.dtype.kind
    if kind == "f":
        odd: list[Any] = [np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0, 3.4e38]
    elif kind == "b":
        numbers.view(np.uint8)[rng.integers(numbers.size, size=count)] = 7
        return
    else:
        info = np.iinfo(numbers.dtype)
        odd = [-1, 0, 1, info.max, info.min, 10**6, 2**31 - 1, numbers.size]
    value = odd[rng.integers(len(odd))]
    numbers[rng.integers(numbers.size, size=count)] = value


def main() -> None:
    """Load changed copies of the folders in a folder, and print what became of each."""
    source, begin, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    names = sorted(p.name for p in source.iterdir())
    with tempfile.TemporaryDirectory() as scratch:
        for seed in range(begin, end):
            name, folder = names[seed % len(names)], Path(scratch) / "m"
            shutil.copytree(source / name, folder)
            how = mutate(folder, seed)
            for line in ([seed, name, how], None):
                sys.stdout.write(json.dumps(line or outcome(folder)) + "\n")
                sys.stdout.flush()
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
