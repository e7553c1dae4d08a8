"""``serve``: a model folder or a store as an HTTP service."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.parse import one_of, parse_bytes
from shoal.errors import MissingExtraError

if TYPE_CHECKING:
    from shoal.online import Experiment
    from shoal.service.settings import Settings

ROLES = ("read", "admin")
EXTRA = "the service needs further packages: pip install 'shoal[serve]'"

SERVICE, SECURITY = "Service", "Security"


@app.command()
def serve(
    model: Annotated[
        Path | None, typer.Argument(help="A model folder, or a store that `shoal publish` made.")
    ] = None,
    also: Annotated[
        list[str] | None,
        typer.Option(
            help="A further model folder or store that answers requests which name it; may be "
            "repeated.",
            metavar="NAME=PATH",
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="Address to listen on; without a key only 127.0.0.1, the default."),
    ] = None,
    port: Annotated[int | None, typer.Option(help="Default 8000; 0 takes a free one.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes, which share the memory of the weights. Default 1."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="Threads of each worker that rank; default: cores / workers.")
    ] = None,
    events: Annotated[
        str | None,
        typer.Option(help="Database of events: an SQLite file or a URL (postgresql://…)."),
    ] = None,
    event_weights: Annotated[
        str | None, typer.Option(help="Weights of events by type: view=1,buy=5.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML with all settings; options replace them.")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(help="Vectors that the model was trained with, for texts of new items."),
    ] = None,
    embedder: Annotated[
        str | None, typer.Option(help="The language model that made --texts, if one did.")
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(help="YAML with the variants by which users are answered: an experiment."),
    ] = None,
    refresh: Annotated[
        Path | None, typer.Option(help="Configuration of `shoal refresh`, for the admin route.")
    ] = None,
    memory: Annotated[str | None, typer.Option(help="Budget for loading, such as 8GB.")] = None,
    pages: Annotated[
        bool | None,
        typer.Option(
            "--pages/--no-pages", help="Whether there are pages for people; default: yes."
        ),
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info (each request), warning or error.")
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option(
            help="File of hashed keys. Other keys: SHOAL_READ_KEY, SHOAL_ADMIN_KEY.",
            rich_help_panel=SECURITY,
        ),
    ] = None,
    make_key: Annotated[
        str | None,
        typer.Option(
            help="Make a key, print it once, add its hash to --keys FILE, and end.",
            metavar="read|admin",
            rich_help_panel=SECURITY,
        ),
    ] = None,
    cors: Annotated[
        list[str] | None,
        typer.Option(
            help="An origin whose pages may call the service; may be repeated.",
            rich_help_panel=SECURITY,
        ),
    ] = None,
    rate_limit: Annotated[
        float | None,
        typer.Option(help="Requests in a second for each key.", rich_help_panel=SECURITY),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Machine-readable output.", rich_help_panel=SERVICE)
    ] = False,
) -> None:
    """Serve live recommendations by HTTP from a model folder, or from the live version of a store.

    A new version of the store takes over without a pause. Stop with Ctrl-C: requests that are being
    answered are finished first.
    """
    check_extra()
    if make_key is not None:
        _make_key(make_key, keys, as_json=as_json)
        return
    from shoal.service.settings import make_settings

    settings = make_settings(
        config,
        model=model,
        also=named_paths(also),
        host=host,
        port=port,
        workers=workers,
        threads=threads,
        events=events,
        event_weights=_weights(event_weights),
        texts=texts,
        embedder=embedder,
        experiment=experiment,
        refresh=refresh,
        memory=parse_bytes(memory) if memory else None,
        pages=pages,
        log_level=log_level,
        keys=keys,
        cors=tuple(cors) if cors else None,
        rate_limit=rate_limit,
    )
    run_service(settings, as_json=as_json)


def check_extra() -> None:
    """Refuse to serve without the packages of the extra.

    Raises
    ------
    MissingExtraError
    """
    missing = missing_packages()
    if missing:
        raise MissingExtraError(f"{EXTRA} ({', '.join(missing)})")


def missing_packages() -> list[str]:
    """The packages of the extra that are not installed."""
    from importlib.util import find_spec

    needed = ("fastapi", "uvicorn", "httptools", "jinja2", "sqlalchemy", "prometheus_client")
    return [name for name in needed if find_spec(name) is None]


def run_service(
    settings: Settings, *, as_json: bool = False, say: Callable[[str], None] | None = None
) -> None:
    """Check, listen, say where, and serve until a signal.

    Parameters
    ----------
    settings : Settings
    as_json : bool
        Whether what is said is for a program.
    say : callable, optional
        Is told the address once it is listened on, and says what there is to say of it, in place
        of the usual lines.

    Raises
    ------
    ServiceError
        Nothing to serve is there, the file of events is no database, a key is wrong or missing, or
        the port is in use.
    """
    from shoal.service.experiment import configured_experiment
    from shoal.service.security import check_address, keys_of
    from shoal.service.server import address_of, listen, serve
    from shoal.service.start_checks import check_events, check_folders
    from shoal.service.workers import serve_with_workers

    check_folders(settings)
    experiment = configured_experiment(settings)
    check_events(settings)
    keys = keys_of(settings)
    check_address(settings, keys)
    opened = listen(settings.host, settings.port)
    try:
        if say is None:
            url = address_of(opened)
            say_what_is_served(settings, url, bool(keys), experiment, as_json=as_json)
        else:
            say(address_of(opened))
        sys.stdout.flush()
        if settings.workers > 1:
            serve_with_workers(settings, opened)
        else:
            serve(settings, opened)
    finally:
        opened.close()


def say_what_is_served(
    settings: Settings,
    url: str,
    has_keys: bool,
    experiment: Experiment | None = None,
    *,
    as_json: bool,
) -> None:
    """Print the address of the page, what is served, and how to ask."""
    import json

    from shoal.artifact import is_store

    docs = f"{url}/docs" if settings.docs else None
    if as_json:
        about: dict[str, Any] = {
            "url": url,
            "docs": docs,
            "model": str(settings.model),
            "also": {name: str(path) for name, path in settings.also.items()},
            "experiment": None if experiment is None else experiment.name,
            "workers": settings.workers,
            "keys": has_keys,
        }
        show.as_json(about)
    else:
        kind = "the live version of" if is_store(settings.model) else "the model"
        if experiment is not None and not settings.events:
            show.line(
                f"nothing of experiment {experiment.name} is counted: name a database of events "
                "with --events FILE",
                "yellow",
            )
        if settings.pages:
            show.line(f"{url}/ is the page", "bold")
        rest = "" if settings.pages else "bold"
        show.line(f"shoal serves {kind} {settings.model} at {url}", rest)
        for name, path in settings.also.items():
            show.line(f'  also           {path}, for requests with "model": "{name}"')
        if experiment is not None:
            shares = ", ".join(f"{name} {share:.0%}" for name, share in experiment.shares.items())
            show.line(f"  experiment     {experiment.name}: {shares}")
        if docs:
            show.line(f"  documentation  {docs}")
        show.line(f"  ready?         {url}/ready   metrics: {url}/metrics")
        show.line("  the model is being loaded; until it is, answers have the status 503")
        if not has_keys:
            show.line(
                "  no key is set: only this machine can ask (keys: shoal serve --make-key read)"
            )
        body = json.dumps({"history": _some_items(settings.model), "k": 5})
        show.line(
            f"  try            curl {url}/v1/recommend -H 'Content-Type: application/json' "
            f"-d {suggest.quoted(body)}"
        )


def _some_items(model: Path) -> list[Any]:
    """Two ids of the model that is served, for an example; none if they cannot be read quickly."""
    from shoal.artifact import first_items
    from shoal.errors import ShoalError

    try:
        return first_items(model, 2)
    except ShoalError:  # the service itself says what is wrong, when it loads the model
        return []


def _make_key(role: str, keys: Path | None, *, as_json: bool) -> None:
    from shoal.service.security import make_key

    name: Any = one_of(role, ROLES, "--make-key")
    text = make_key(name, keys)
    if as_json:
        show.as_json({"role": name, "key": text, "file": None if keys is None else str(keys)})
        return
    show.line(text)
    if keys is None:
        variable = f"SHOAL_{name.upper()}_KEY"
        show.aside(f"kept nowhere: set {variable} to it for the service, or give --keys FILE")
    else:
        show.aside(
            f"its hash is in {keys}; the key itself is kept nowhere. Next: "
            f"{suggest.command('serve', 'MODEL', '--keys', keys)}"
        )


def named_paths(options: list[str] | None) -> dict[str, Path] | None:
    """The paths of `--also NAME=PATH`, by their names; None without any."""
    from shoal.service.settings import ServiceError

    if not options:
        return None
    paths: dict[str, Path] = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not (name and equals and path):
            raise ServiceError(f"--also {option}: write NAME=PATH, such as elsa=models/elsa")
        if name in paths:
            raise ServiceError(f"--also gives the name {name} twice")
        paths[name] = Path(path)
    return paths


def _weights(text: str | None) -> dict[str, float] | None:
    from shoal.cli.parse import pairs
    from shoal.service.settings import ServiceError

    if not text:
        return None
    try:
        return {name: float(value) for name, value in pairs(text, "--event-weights").items()}
    except ValueError:
        raise ServiceError(
            f"--event-weights {text}: write types and numbers, such as view=1,buy=5"
        ) from None
