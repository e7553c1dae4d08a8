"""The folder of lists for everyone in parts, each written whole by whichever process made it.

_lists.json                  what the lists are: model, log, options and number of shards; written
                             first, by whoever comes first
part-00003-of-00064.parquet  the lists of one shard of the users
_part-00003-of-00064.json    what is known of that part: sha256, rows, users, ...
_manifest.json               all parts, once they are all there; written by whoever completes them

A part counts once both of its files are there and the sha256 is right: what was killed before, or
was damaged later, is done again. Readers of Parquet leave out files that begin with ``_``, or take
the pattern ``part-*.parquet``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from shoal._version import __version__
from shoal.cluster.list_places import place_of
from shoal.data.remote import as_url
from shoal.errors import ArtifactError

State = Literal["there", "missing", "damaged"]

ASKED, MANIFEST = "_lists.json", "_manifest.json"
MADE_BY = f"shoal {__version__}"
MOST_SHARDS = 100_000
_OWN = re.compile(r"(_lists|_manifest|_part-\d{5}-of-\d{5})\.json|part-\d{5}-of-\d{5}\.parquet")
_NO_MATTER = ("made_by", "name", "bytes")  # entries by which lists do not differ


class ListFolder:
    """A folder of lists in parts.

    Parameters
    ----------
    path : Path
        A folder, or a URL such as s3://bucket/lists.
    """

    def __init__(self, path: Path) -> None:
        self.name = as_url(path) or str(path)
        self._place = place_of(path)

    def asked(self) -> dict[str, Any] | None:
        """What the lists of the folder are; None if it was not begun.

        Raises
        ------
        ArtifactError
            The file that says it is damaged.
        """
        text = self._place.read(ASKED)
        if text is None:
            return None
        known = _parsed(text)
        if known is None or type(known.get("shards")) is not int:
            raise ArtifactError(
                f"{self.name}/{ASKED} is damaged: remove the folder, and have the lists made again"
            )
        return known

    def begin(self, asked: dict[str, Any]) -> None:
        """Make the folder for these lists, or check that it was begun for them.

        Parameters
        ----------
        asked : dict
            What the lists are, as plain data; ``shards`` is the number of parts.

        Raises
        ------
        ArtifactError
            The folder holds other lists, or files that are none of lists, or cannot be written.
        """
        text = json.dumps({"made_by": MADE_BY, **asked}, indent=1, allow_nan=False) + "\n"
        if self.asked() is None:
            self._place.make()
            self._refuse_strangers()
            self._place.write_first(ASKED, text.encode())
        there = self.asked()
        problem = "nothing" if there is None else difference(there, json.loads(text))
        if problem:
            raise ArtifactError(
                f"{self.name} holds other lists: {problem}. Name another folder, or remove this one"
            )

    def part(self, shard: int, shards: int) -> str:
        """The path or URL of the lists of a shard."""
        return f"{self.name.rstrip('/')}/{_part(shard, shards)}"

    def facts(self, shard: int, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is known of the part of a shard; None if nothing is, or it is of other lists."""
        text = self._place.read(_about(_part(shard, asked["shards"])))
        facts = None if text is None else _parsed(text)
        return facts if facts is not None and facts.get("asked") == digest_of(asked) else None

    def state(self, shard: int, asked: Mapping[str, Any]) -> State:
        """Whether the part of a shard is there and whole, by its sha256."""
        part = _part(shard, asked["shards"])
        facts = self.facts(shard, asked)
        if facts is None:
            return "missing" if self._place.size(_about(part)) < 0 else "damaged"
        found = self._place.sha256(part)
        return "missing" if not found else "there" if found == facts.get("sha256") else "damaged"

    def place(
        self, shard: int, asked: Mapping[str, Any], content: bytes, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Put the part of a shard into the folder, and then what is known of it.

        Parameters
        ----------
        shard : int
        asked : dict
        content : bytes
            Of the Parquet file.
        facts : dict
            Rows, users and the like.

        Returns
        -------
        dict
            All that is known of the part now.
        """
        shards = asked["shards"]
        part = _part(shard, shards)
        about = {
            "made_by": MADE_BY,
            "asked": digest_of(asked),
            "shard": shard,
            "shards": shards,
            "file": part,
            "sha256": hashlib.sha256(content).hexdigest(),
            "bytes": len(content),
            **facts,
        }
        for name in (part, _about(part)):
            self._place.tidy(name)
        self._place.write(part, content)
        self._place.write(_about(part), _text(about))
        return about

    def forget(self, shard: int, asked: Mapping[str, Any]) -> None:
        """Take back that the part of a shard, and with it the whole, is there."""
        for name in (_about(_part(shard, asked["shards"])), MANIFEST):
            self._place.remove(name)

    def whole(self, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """What is known of all parts together; None if some are missing."""
        parts = []
        for shard in range(asked["shards"]):
            facts = self.facts(shard, asked)
            if facts is None or self._place.size(facts["file"]) != facts["bytes"]:
                return None
            parts.append({n: v for n, v in facts.items() if n not in ("asked", "made_by")})
        totals = {
            name: sum(part[name] for part in parts)
            for name in ("rows", "users", "users_of_log", "users_by_fallback", "bytes")
        }
        return {"made_by": MADE_BY, **asked, "totals": totals, "parts": parts}

    def finish(self, whole: Mapping[str, Any]) -> None:
        """Write the manifest of all parts; several processes may do so at once, with one content.

        What killed processes left unfinished beside the parts is removed.
        """
        text = _text(whole)
        if self._place.read(MANIFEST) != text:
            self._place.write(MANIFEST, text)
        names = [name for part in whole["parts"] for name in (part["file"], _about(part["file"]))]
        for name in (ASKED, MANIFEST, *names):
            self._place.tidy(name)

    def _refuse_strangers(self) -> None:
        names = sorted(self._place.names())
        strangers = [n for n in names if not n.startswith(".") and n != ASKED]
        if strangers and ASKED not in names:
            what = "parts of lists, but no" if _OWN.fullmatch(strangers[0]) else "other files, as"
            raise ArtifactError(
                f"{self.name} holds {what} {ASKED if 'no' in what else strangers[0]}: name a "
                "folder of its own for the lists"
            )


def digest_of(asked: Mapping[str, Any]) -> str:
    """A sha256 of what lists are, without what does not matter to them."""
    text = json.dumps(_that_matters(asked), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In what the lists of a folder differ from those that are asked for; "" if in nothing."""
    old, new = _flat(_that_matters(there)), _flat(_that_matters(here))
    others = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    if not others:
        return ""
    shown = [f"{name} is {_shown(old.get(name))}, not {_shown(new.get(name))}" for name in others]
    return "; ".join(shown[:3]) + (f" and {len(shown) - 3} more" if len(shown) > 3 else "")


def _that_matters(known: Any) -> Any:
    if isinstance(known, Mapping):
        return {n: _that_matters(v) for n, v in known.items() if n not in _NO_MATTER}
    return known


def _flat(known: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in known.items():
        path = f"{before} {name}".strip()
        flat |= _flat(value, path) if isinstance(value, Mapping) and value else {path: value}
    return flat


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return "not given" if value is None else text if len(text) <= 40 else f"{text[:39]}…"


def _part(shard: int, shards: int) -> str:
    return f"part-{shard:05}-of-{shards:05}.parquet"


def _about(part: str) -> str:
    return f"_{part.removesuffix('.parquet')}.json"


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        known = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return known if isinstance(known, dict) else None


def _text(known: Mapping[str, Any]) -> bytes:
    return (json.dumps(known, indent=1, allow_nan=False) + "\n").encode()
