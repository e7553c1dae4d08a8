"""Keys: who may ask, and who may change the service.

A key is 256 random bits, so a plain salted SHA-256 of it cannot be guessed backwards; what is kept
in a file is that hash. All keys are compared, each in constant time, whatever is found.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from shoal.service.settings import ServiceError, Settings

Role = Literal["read", "admin"]
ROLES: tuple[Role, ...] = ("read", "admin")
ENVIRONMENT: dict[Role, str] = {"read": "SHOAL_READ_KEY", "admin": "SHOAL_ADMIN_KEY"}
SHORTEST = 16  # characters of a key that a person chose
LARGEST_FILE = 2**20


@dataclass(frozen=True)
class Key:
    """A key as it is kept: its role, its salt and its hash."""

    role: Role
    salt: bytes
    digest: bytes

    @classmethod
    def of(cls, role: Role, text: str) -> Key:
        """Hash a key with a salt of its own."""
        salt = secrets.token_bytes(16)
        return cls(role, salt, _digest(salt, text.encode()))

    def fits(self, text: bytes) -> bool:
        """Whether a text is this key, in a time that does not depend on the text."""
        return hmac.compare_digest(self.digest, _digest(self.salt, text))


def _digest(salt: bytes, text: bytes) -> bytes:
    return hashlib.sha256(salt + text).digest()


class Keys:
    """The keys of a service; without any, everybody may do everything.

    Parameters
    ----------
    keys : iterable of Key
    """

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple(keys)

    def __bool__(self) -> bool:
        return bool(self._keys)

    def role_of(self, text: bytes | None) -> Role | None:
        """The role that a key gives, or None; every key is compared, also after one fits."""
        if text is None:
            return None
        roles = {key.role for key in self._keys if key.fits(text)}
        return "admin" if "admin" in roles else "read" if roles else None


def keys_of(settings: Settings) -> Keys:
    """The keys that settings, the environment and a file hold.

    Raises
    ------
    ServiceError
        A key is too short, or the file is no file of keys or can be read by others.
    """
    keys = [] if settings.keys is None else read_key_file(settings.keys)
    for role, given in (("read", settings.read_key), ("admin", settings.admin_key)):
        name = ENVIRONMENT[role]  # type: ignore[index]
        text = given.get_secret_value() if given is not None else os.environ.get(name, "")
        if not text:
            continue
        if len(text) < SHORTEST:
            raise ServiceError(
                f"{name} has fewer than {SHORTEST} characters: take a key of `shoal serve "
                f"--make-key {role}`"
            )
        keys.append(Key.of(role, text))  # type: ignore[arg-type]
    return Keys(keys)


def make_key(role: Role, file: Path | None = None) -> str:
    """Make a key and add its hash to a file that only its owner may read.

    Parameters
    ----------
    role : {"read", "admin"}
    file : Path, optional
        It is made where there is none.

    Returns
    -------
    str
        The key, which is kept nowhere.
    """
    text = f"shoal_{role}_{secrets.token_urlsafe(32)}"
    if file is None:
        return text
    keys = read_key_file(file) if file.exists() else []
    lines = [
        {"role": key.role, "salt": key.salt.hex(), "sha256": key.digest.hex()}
        for key in (*keys, Key.of(role, text))
    ]
    temporary = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as opened:
            opened.write("".join(json.dumps(line) + "\n" for line in lines))
            opened.flush()
            os.fsync(opened.fileno())
        temporary.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ServiceError(f"{file} cannot be written: {error.strerror}") from None
    return text


def read_key_file(file: Path) -> list[Key]:
    """The keys of a file that `make_key` has written.

    Raises
    ------
    ServiceError
        It cannot be read, holds something else, or other users may read it.
    """
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(LARGEST_FILE)
    except OSError as error:
        raise ServiceError(f"the key file {file} cannot be read: {error.strerror}") from None
    if mode & 0o077:
        raise ServiceError(f"others may read the key file {file}: chmod 600 {file}")
    keys = []
    for number, line in enumerate(content.splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            role, salt, digest = entry["role"], entry["salt"], entry["sha256"]
            key = Key(role, bytes.fromhex(salt), bytes.fromhex(digest))
            valid = role in ROLES and len(key.digest) == 32 and len(key.salt) >= 8
        except (ValueError, KeyError, TypeError, RecursionError):
            valid = False
        if not valid:
            raise ServiceError(
                f"{file}, line {number}: no key. `shoal serve --make-key read --keys {file}` "
                "writes this file"
            )
        keys.append(key)
    if not keys:
        raise ServiceError(f"the key file {file} holds no key")
    return keys


def is_loopback(host: str) -> bool:
    """Whether an address or a name is this machine alone."""
    name = host.strip().strip("[]").lower()
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_name(header: bytes) -> str:
    """The name in a ``Host`` header, without the port."""
    text = header.decode("latin-1").strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


def check_address(settings: Settings, keys: Keys) -> None:
    """Refuse to listen to others without a key.

    Raises
    ------
    ServiceError
    """
    if not keys and not is_loopback(settings.host):
        raise ServiceError(
            f"{settings.host} can be reached by others, and there is no key: set "
            f"{ENVIRONMENT['read']} and {ENVIRONMENT['admin']}, name a file with "
            "--keys, or listen on 127.0.0.1"
        )
