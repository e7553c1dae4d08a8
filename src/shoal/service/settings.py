"""What can be configured, from a YAML file and from the options of `shoal serve`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from shoal.errors import ShoalError
from shoal.kernels.threads import cores

EVENTS = "SHOAL_EVENTS"  # in the environment
LARGEST_FILE = 2**18  # bytes of a configuration
MAIN = "main"  # the name of the model that a service is started with
LIVE_NAME = "^[a-z0-9][a-z0-9_-]{0,63}$"  # of a model of `also`
MOST_MODELS = 32  # of `also`


class ServiceError(ShoalError, ValueError):
    """The service cannot be started as it was configured."""


class Settings(BaseModel):
    """Everything that can be configured of a service.

    Parameters
    ----------
    model : Path
        A model folder, or a store of versions (`shoal publish`).
    also : dict of str to Path
        Further model folders or stores that answer as well, by the names by which requests ask for
        them (`model`). The name ``main`` is that of `model`, which answers the others.
    host, port : str, int
        Where to listen. Without keys only a loopback address is possible.
    workers : int
        Processes. Each watches the store; they share the memory of the weights.
    threads : int, optional
        Threads of each worker that rank; by default its share of the cores.
    queue : int
        Requests of each worker that may wait for a thread. Those beyond are told 503 at once.
    events : str, optional
        Database of events: a path of an SQLite file, or a URL such as ``postgresql://…``. By
        default what SHOAL_EVENTS says.
    event_weights : dict
        Weight of an event in a history, by its type, such as ``{view: 1, buy: 5}``.
    retention_days : float, optional
        How long events are kept; for ever, unless given.
    keys : Path, optional
        File of hashed keys, as `shoal serve --make-key read --keys FILE` writes it.
    read_key, admin_key : str, optional
        Keys as they are; by default those of SHOAL_READ_KEY and SHOAL_ADMIN_KEY.
    cors : list of str
        Origins whose pages may call the service from a browser; none by default.
    allowed_hosts : list of str
        More names by which this service may be called where it has no key.
    rate_limit : float, optional
        Requests in a second for each key, or each address without one; no limit by default.
    rate_burst : int
        Requests that may come at once before that limit counts.
    poll_seconds : float
        How often a worker looks for a new version.
    read_timeout : float
        Seconds within which a request has to arrive: 408 beyond it.
    keep_alive : float
        Seconds for which an idle connection is kept.
    graceful_seconds : float
        Seconds that running requests get when the service is stopped.
    memory : int, optional
        Budget in bytes for loading a model.
    texts : Path, optional
        Vectors of items, as `shoal embed` wrote them and the model was trained with; their embedder
        then makes vectors of the texts of new items that come with a request.
    embedder : str, optional
        The language model that made them; TF-IDF need not be named.
    experiment : Path, optional
        An experiment: variants by which the users are answered (`shoal.online`).
    refresh : Path, optional
        Configuration of `shoal refresh`, which the admin route then runs.
    pages : bool
        Whether there are pages for people, at ``/`` and beside it.
    docs : bool
        Whether there is the documentation of the API, at ``/docs``.
    log_level : str
        ``debug``, ``info`` (each request), ``warning`` or ``error``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    model: Path
    also: dict[Annotated[str, Field(pattern=LIVE_NAME)], Path] = Field(
        default_factory=dict, max_length=MOST_MODELS
    )
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    workers: int = Field(1, ge=1, le=256)
    threads: int | None = Field(None, ge=1, le=1024)
    queue: int = Field(64, ge=0, le=100_000)
    events: str | None = None
    event_weights: dict[str, float] | None = None
    retention_days: float | None = Field(None, gt=0)
    keys: Path | None = None
    read_key: SecretStr | None = None
    admin_key: SecretStr | None = None
    cors: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    rate_limit: float | None = Field(None, gt=0)
    rate_burst: int = Field(100, ge=1)
    poll_seconds: float = Field(0.5, gt=0, le=3600)
    read_timeout: float = Field(10.0, gt=0, le=3600)
    keep_alive: float = Field(75.0, ge=0, le=3600)
    graceful_seconds: float = Field(30.0, ge=0, le=3600)
    memory: int | None = Field(None, ge=1)
    texts: Path | None = None
    embedder: str | None = None
    experiment: Path | None = None
    refresh: Path | None = None
    pages: bool = True
    docs: bool = True
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")

    @property
    def threads_of_worker(self) -> int:
        """How many threads of one worker rank."""
        return self.threads or max(1, cores() // self.workers)

    @field_validator("also")
    @classmethod
    def _check_names(cls, also: dict[str, Path]) -> dict[str, Path]:
        if MAIN in also:
            raise ValueError(f"{MAIN!r} is the name of `model`: give this one another name")
        return also

    @field_validator("cors")
    @classmethod
    def _check_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if origin != "*" and not origin.startswith(("http://", "https://")):
                raise ValueError(f"{origin!r} is no origin: write https://example.org")
        return origins


def make_settings(file: Path | None = None, **options: Any) -> Settings:
    """Read a configuration and replace what options say.

    Parameters
    ----------
    file : Path, optional
        YAML, with the names of the fields of `Settings`.
    **options
        Fields of `Settings`; those that are None are left to the file.

    Returns
    -------
    Settings

    Raises
    ------
    ServiceError
        There is no such file, it is no YAML, or a setting is unknown or out of bounds.
    """
    values = _file_content(file) if file is not None else {}
    if os.environ.get(EVENTS):  # an address with a password, which other users see in options
        values.setdefault("events", os.environ[EVENTS])
    values |= {name: value for name, value in options.items() if value is not None}
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        source = f"{file}: " if file is not None and first["loc"][:1] else ""
        if place == "model" and first["type"] == "missing":
            raise ServiceError("name the model folder or the store to serve") from None
        raise ServiceError(
            f"{source}setting {place}: {first['msg'].removeprefix('Value error, ')}"
        ) from None


def _file_content(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as opened:
            raw = opened.read(LARGEST_FILE + 1)
        if len(raw) > LARGEST_FILE:
            raise ServiceError(f"{file}: longer than {LARGEST_FILE:,} bytes")
        content = yaml.safe_load(raw)
    except OSError as error:
        raise ServiceError(f"{file} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ServiceError(f"{file}{where}: this is no YAML") from None
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ServiceError(f"{file}: write a setting and its value in each line (port: 8000)")
    return dict(content)
