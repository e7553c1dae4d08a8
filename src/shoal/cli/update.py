"""``update``."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shoal.cli import show, suggest
from shoal.cli.app import app
from shoal.cli.options import OF_A_FIT, Folder, LogOptions, RunOptions, takes
from shoal.cli.outputs import OutputOptions
from shoal.cli.parse import id_list
from shoal.errors import DataError, ModelError

if TYPE_CHECKING:
    from shoal.base.recommender import Recommender
    from shoal.data.interactions import Interactions

# options of reading that say which rows of the training log were taken, not what a row means
_OF_TRAINING_ROWS = ("since", "until", "min_item_users", "min_user_items", "k_core")


@app.command()
@takes(LogOptions, RunOptions, OutputOptions, hide=(*OF_A_FIT, "device", "vectors", "cold_items"))
def update(
    model: Folder,
    events: Annotated[
        Path | None, typer.Argument(help="New rows of users; - is the standard input.")
    ] = None,
    before: Annotated[
        Path | None,
        typer.Option(
            help="The log that the model was fitted to, or the part with these users; without it, "
            "all users are new."
        ),
    ] = None,
    remove_users: Annotated[
        str | None,
        typer.Option(metavar="ID,ID,…|FILE", help="Users to remove; a file has an id per line."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to; may be that of the model.")
    ] = None,
    publish: Annotated[
        Path | None,
        typer.Option(
            metavar="STORE", help="Store in which the model becomes the live version; made if new."
        ),
    ] = None,
    *,
    reading: LogOptions,
    running: RunOptions,
    writing: OutputOptions,
) -> None:
    """Give a model the new rows of some users, exactly and without a fit (the family of ease).

    The rows are added to those that --before has of these users; items that the model does not
    have are new. --since, --until, --min-item-users, --min-user-items and --k-core are about
    --before alone, which must give the rows that the model was fitted to.
    """
    from shoal.artifact import Store, load, save

    if events is None and remove_users is None:
        raise DataError("name a file of new rows, or --remove-users")
    removing = None if remove_users is None else Path(remove_users)
    if removing is not None and not _is_file(removing):
        removing = None
    writing.check_targets(out, publish, events, before, reading.items, removing)
    run = running.run()
    fitted = load(model, run)
    if reason := fitted.reason_to_refit():
        raise ModelError(f"{model}: {reason}")
    options = reading.like_training_log(fitted, quiet=running.json_output)
    old = None if before is None else options.read(before, run)
    new = None if events is None else _without_filters(options).read(events, run)
    gone = [] if remove_users is None else _ids(remove_users, removing)
    change = _Change.of(fitted, old, new, gone, options.duplicates)
    began = time.perf_counter()
    updated = fitted.update(change.after, before=change.before, run=run)
    seconds = time.perf_counter() - began
    facts = change.facts(fitted, updated) | {"seconds": seconds}
    if out is not None:
        facts["folder"] = str(save(updated, out))
    if publish is not None:
        facts["store"] = str(publish)
        facts["version"] = Store(publish, create=True).publish(updated, note="update").name
    if running.json_output:
        show.as_json(facts | ({"notes": change.notes} if change.notes else {}))
    else:
        _print(facts, change.notes, out, publish)


@dataclasses.dataclass
class _Change:
    """The rows of the users who change.

    Parameters
    ----------
    before, after : Interactions or None
        As `Recommender.update` takes them.
    added, changed, removed : int
        Number of users.
    notes : list of str
        What a person should know.
    """

    before: Interactions | None
    after: Interactions | None
    added: int
    changed: int
    removed: int
    notes: list[str]

    @staticmethod
    def of(
        model: Recommender,
        old: Interactions | None,
        new: Interactions | None,
        gone: list[str],
        duplicates: Any,
    ) -> _Change:
        """Put old and new rows of each user together."""
        import numpy as np

        from shoal.data.changes import with_new_rows

        if gone and old is None:
            raise DataError("--remove-users needs the rows that the users have: --before LOG")
        if old is None:
            assert new is not None
            return _Change(None, new, new.n_users, 0, 0, [])
        notes = [] if old.fingerprint() == model.fingerprint else [_OTHER_LOG]
        found = old.users.lookup(gone)
        if (unknown := old.users.unknown(gone)) and len(unknown) == len(gone) and new is None:
            raise DataError(f"user {unknown[0]!r}, who is to be removed, is not in --before")
        if unknown:
            notes.append(f"{len(unknown):,} users to be removed are not in --before")
        removed = np.unique(found[found >= 0])
        if new is None:
            return _Change(old.take_users(removed), None, 0, 0, removed.size, notes)
        if both := [user for user in gone if new.users.lookup([user])[0] >= 0]:
            raise DataError(f"user {both[0]!r} is to be removed and has new rows: leave one out")
        there = old.users.match(new.users)
        known = there[there >= 0]
        return _Change(
            old.take_users(np.concatenate([known, removed])),
            with_new_rows(old, new, duplicates),
            new.n_users - known.size,
            known.size,
            removed.size,
            notes,
        )

    def facts(self, fitted: Recommender, updated: Recommender) -> dict[str, Any]:
        """The update as plain data."""
        done = "updated_rank"
        return {
            "model": updated.name,
            "users_added": self.added,
            "users_changed": self.changed,
            "users_removed": self.removed,
            "items": updated.n_items,
            "items_added": updated.n_items - fitted.n_items,
            "rank": int(updated.facts[done] - fitted.facts.get(done, 0)),
            "residual": updated.facts["residual"],
            "updates": int(updated.facts["updates"]),
        }


_OTHER_LOG = (
    "--before is not the very log that the model was fitted to, by its fingerprint: the rows that "
    "it has of these users must be those that the model knows"
)


def _without_filters(options: LogOptions) -> LogOptions:
    """The same options without those that choose rows of the training log."""
    others = dataclasses.replace(options)
    for field in dataclasses.fields(options):
        if field.name in _OF_TRAINING_ROWS:
            setattr(others, field.name, field.default)
    others._trained_with = options._trained_with
    return others


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a list of ids that is too long for a name
        return False


def _ids(text: str, file: Path | None) -> list[str]:
    """The ids in a file, one per line, or in a list with commas."""
    if file is None:
        ids = id_list(text)
    else:
        try:
            ids = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeError) as error:
            raise DataError(f"--remove-users {file} cannot be read: {error}") from None
        ids = [line for line in ids if line]
    if not ids:
        raise DataError(f"--remove-users {text}: there is no id in it")
    return ids


def _print(facts: dict[str, Any], notes: list[str], out: Path | None, store: Path | None) -> None:
    for note in notes:
        show.line(note, "yellow")
    users = ", ".join(
        f"{facts[f'users_{what}']:,} {what}" for what in ("added", "changed", "removed")
    )
    show.line(f"{facts['model']}: users {users}; rank {facts['rank']:,}", "bold")
    show.line(f"{facts['items']:,} items, {facts['items_added']:,} of them new")
    show.line(f"{facts['seconds']:.2f} s, residual {facts['residual']:.1e}")
    show.line(f"update {facts['updates']:,} since the last fit")
    if out is not None:
        show.line(f"saved to {out}")
    if store is not None:
        show.line(f"published to {store}: {facts['version']} is live")
    place = suggest.file(out or store or "")
    show.line(f"next: {suggest.command('info', place)}", "dim")
