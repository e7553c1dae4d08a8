"""Reading the arrays of a model folder: the file says what it holds, and is believed in nothing.

A safetensors file is eight bytes (the length of the header), the header (JSON: type, shape and
extent of each array), and the arrays one after the other. The header is read first and compared
with what the model declares. Memory is allocated only for arrays whose bytes are in the file, and
the hash is that of the bytes that were read.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from shoal.base.declared import Header
from shoal.errors import ArtifactError
from shoal.folders import read_into, read_whole
from shoal.kernels.arrays import Float, State

LARGEST_HEADER = 16_000_000  # bytes
_AT_ONCE = 2**24  # bytes of a mapped file that are hashed at a time
_TYPES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "I16": "int16", "U16": "uint16",
    "I32": "int32", "U32": "uint32", "I64": "int64", "U64": "uint64",
    "F16": "float16", "F32": "float32", "F64": "float64",
}  # fmt: skip


@dataclass(frozen=True)
class ArraysFile:
    """An open safetensors file whose header has been read.

    Parameters
    ----------
    path : Path
        For error messages.
    file : FileIO
        Open behind the header.
    start : bytes
        What was read of the file so far.
    headers : dict
        Type and shape of each array, in the order of the file.
    """

    path: Path
    file: FileIO
    start: bytes
    headers: dict[str, Header]

    @staticmethod
    def open(file: FileIO, size: int, path: Path) -> ArraysFile:
        """Read the header of an open file of `size` bytes.

        Raises
        ------
        ArtifactError
            It is no header, or does not fit the size of the file.
        """
        if size < 8:
            raise ArtifactError(f"{path} is damaged: it has no header")
        start = read_whole(file, 8, path)
        length = int.from_bytes(start, "little")
        if length > min(size - 8, LARGEST_HEADER):
            raise ArtifactError(f"{path} is damaged: its header cannot have {length:,} bytes")
        text = read_whole(file, length, path)
        try:
            headers = _headers(json.loads(text), size - 8 - length)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ArtifactError(f"{path} is damaged: its header is none ({error!r:.80})") from None
        return ArraysFile(path, file, start + text, headers)

    def mapped(self, sha256: str) -> State:
        """Map all arrays into memory, and compare the hash of the file.

        Pages are read when they are first used, and are shared by all processes that map the file.
        The arrays look writable: a page that is written to becomes the process's own. An array that
        is not aligned, which no file of shoal has, is copied.

        Raises
        ------
        ArtifactError
            The file has another hash or ends too early.
        """
        sizes = {n: math.prod(shape) for n, (_, shape) in self.headers.items()}
        length = len(self.start) + sum(
            size * np.dtype(self.headers[n][0]).itemsize for n, size in sizes.items()
        )
        try:
            mapping = mmap.mmap(self.file.fileno(), length, access=mmap.ACCESS_COPY)
        except ValueError:
            raise ArtifactError(f"{self.path} is truncated: it ended while it was read") from None
        except OSError as error:
            raise ArtifactError(f"{self.path} cannot be mapped into memory: {error}") from None
        digest = hashlib.sha256()
        with memoryview(mapping) as content:
            for begin in range(0, length, _AT_ONCE):
                digest.update(content[begin : begin + _AT_ONCE])
            same_header = content[: len(self.start)] == self.start
        if digest.hexdigest() != sha256 or not same_header:
            raise altered(self.path)
        arrays: State = {}
        begin = len(self.start)
        for name, (dtype, shape) in self.headers.items():
            flat = np.frombuffer(mapping, dtype, sizes[name], begin) if sizes[name] else None
            array = np.empty(shape, dtype) if flat is None else flat.reshape(shape)
            arrays[name] = array if array.flags.aligned else array.copy()
            begin += array.nbytes
        return arrays

    def read(self, sha256: str) -> State:
        """Read all arrays, and compare the hash of the file.

        Raises
        ------
        ArtifactError
            The file has another hash or ends too early.
        """
        digest = hashlib.sha256(self.start)
        arrays: State = {}
        try:
            for name, (dtype, shape) in self.headers.items():
                array = np.empty(shape, dtype)
                if array.size:
                    raw = array.reshape(-1).view(np.uint8).data
                    read_into(self.file, raw)
                    digest.update(raw)
                arrays[name] = array
        except EOFError:
            raise ArtifactError(f"{self.path} is truncated: it ended while it was read") from None
        except OSError as error:
            raise ArtifactError(f"{self.path} cannot be read: {error}") from None
        if digest.hexdigest() != sha256:
            raise altered(self.path)
        return arrays


def write_array(
    path: Path, name: str, shape: tuple[int, ...], pieces: Iterable[Float]
) -> dict[str, Any]:
    """Write a file that holds one array, which is never in memory as a whole.

    Parameters
    ----------
    path : Path
    name : str
    shape : tuple of int
    pieces : iterable of float32 arrays
        Its numbers one after the other, C-ordered.

    Returns
    -------
    dict
        ``sha256`` and ``bytes``, as a manifest describes the file.

    Raises
    ------
    ArtifactError
        A number is NaN or infinite.
    OSError
        The file cannot be written.
    """
    size = 4 * math.prod(shape)
    header = json.dumps({name: {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}})
    header += " " * (-len(header) % 8)  # so that the numbers are aligned
    start = len(header).to_bytes(8, "little") + header.encode()
    digest, written = hashlib.sha256(start), 0
    with path.open("wb") as file:
        file.write(start)
        for piece in pieces:
            if not np.isfinite(piece).all():
                raise ArtifactError(f"array {name!r} holds a number that is NaN or infinite")
            raw = np.ascontiguousarray(piece).reshape(-1).view(np.uint8).data
            digest.update(raw)
            written += file.write(raw)
    if written != size:
        raise ValueError(f"{name}: {written:,} bytes for an array of {size:,}")
    return {"sha256": digest.hexdigest(), "bytes": len(start) + size}


def altered(path: Path) -> ArtifactError:
    """The error that a file is not the one that the manifest describes."""
    return ArtifactError(f"{path} was altered: its sha256 is not the one in the manifest")


def _headers(header: Any, n_bytes: int) -> dict[str, Header]:
    """Types and shapes by name, in the order of the file; they must cover its bytes exactly."""
    if not isinstance(header, dict):
        raise ValueError("not a table of arrays")
    entries = [(n, about) for n, about in header.items() if n != "__metadata__"]
    headers: dict[str, Header] = {}
    end = 0
    for name, about in sorted(entries, key=lambda entry: tuple(entry[1]["data_offsets"])):
        dtype, shape = _TYPES[about["dtype"]], about["shape"]
        numbers = [*shape, *about["data_offsets"]]
        if len(shape) > 8 or any(type(n) is not int or not 0 <= n < 2**63 for n in numbers):
            raise ValueError(f"{name}: no shape and extent")
        begin, new_end = about["data_offsets"]
        if begin != end or new_end - begin != math.prod(shape) * np.dtype(dtype).itemsize:
            raise ValueError(f"{name}: its extent does not fit its shape")
        headers[name], end = (dtype, tuple(shape)), new_end
    if end != n_bytes:
        raise ValueError(f"arrays of {end:,} bytes in {n_bytes:,}")
    return headers
