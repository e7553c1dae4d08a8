"""`shoal serve` before it serves: what it refuses, in one line, and keys that it makes."""

from __future__ import annotations

import json
import re
import shlex
import stat
from collections.abc import Callable
from importlib import util
from pathlib import Path

import numpy as np
import pytest

import shoal

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SHOAL_READ_KEY", "SHOAL_ADMIN_KEY"):
        monkeypatch.delenv(name, raising=False)


def refused(answer: tuple[int, str, str]) -> str:
    code, out, err = answer
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_what_is_not_there(shoal_command: Command, tmp_path: Path) -> None:
    assert "no folder" in refused(shoal_command("serve", tmp_path / "nothing"))
    assert "name the model folder" in refused(shoal_command("serve"))
    assert "cannot be read" in refused(shoal_command("serve", "--config", tmp_path / "no.yaml"))


def test_a_folder_that_can_never_be_served(shoal_command: Command, tmp_path: Path) -> None:
    for place in ("models/ease", "far/too/deep/ease"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "manifest.json").write_text("{}")
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "CURRENT").write_text("v1")
    (tmp_path / "empty").mkdir()
    told = refused(shoal_command("serve", tmp_path))
    assert f"{tmp_path} holds neither a model (manifest.json) nor a store of versions" in told
    assert told.endswith("below it there are: models/ease, store\n")
    folder = tmp_path / "models"
    told = refused(shoal_command("serve", tmp_path / "store", "--also", f"second={folder}"))
    assert f"--also second: {folder} holds neither" in told
    assert told.endswith("below it there are: ease\n")
    # a store to come: what is wrong then is the file of events, which is looked at next
    (tmp_path / "log.csv").write_text("user,item\n1,2\n")
    told = refused(
        shoal_command("serve", tmp_path / "empty", "--events", tmp_path / "log.csv", "--port", 0)
    )
    assert "log.csv is no database of events: name a new file, or one that shoal made" in told
    told = refused(shoal_command("serve", tmp_path / "empty", "--events", tmp_path / "no/x.db"))
    assert "no/x.db cannot be made" in told


def test_others_are_not_served_without_a_key(shoal_command: Command, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    told = refused(shoal_command("serve", tmp_path / "store", "--host", "0.0.0.0"))  # noqa: S104
    assert "SHOAL_READ_KEY" in told


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot: 80", "prot"),
        ("port: eighty", "port"),
        ("workers: 0", "workers"),
        ("cors: [shop.example]", "shop.example"),
        ("- 1", "a setting and its value"),
        ("a: [", "line 1"),
        ("log_level: loud", "log_level"),
    ],
)
def test_a_configuration_that_is_wrong_names_file_and_setting(
    shoal_command: Command, tmp_path: Path, text: str, words: str
) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text(text)
    told = refused(shoal_command("serve", tmp_path, "--config", file))
    assert str(file) in told
    assert words in told


def test_options_that_are_wrong(shoal_command: Command, tmp_path: Path) -> None:
    assert "port" in refused(shoal_command("serve", tmp_path, "--port", 70_000))
    told = refused(shoal_command("serve", tmp_path, "--event-weights", "view=much"))
    assert "view=1,buy=5" in told
    assert "--make-key" in refused(shoal_command("serve", "--make-key", "root"))


def test_a_missing_extra_is_named(
    shoal_command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "fastapi" else find(name))
    assert "pip install 'shoal[serve]' (fastapi)" in refused(shoal_command("serve", tmp_path))


def test_a_key_is_printed_once_and_kept_as_a_hash(shoal_command: Command, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    code, out, err = shoal_command("serve", "--make-key", "read", "--keys", file)
    assert code == 0
    key = out.strip()
    assert key.startswith("shoal_read_")
    assert key not in file.read_text() + err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    code, out, _ = shoal_command("serve", "--make-key", "admin", "--keys", file, "--json")
    assert json.loads(out)["role"] == "admin"
    assert [json.loads(line)["role"] for line in file.read_text().splitlines()] == ["read", "admin"]


def test_the_example_has_ids_of_the_model_and_can_be_pasted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from shoal.artifact import Store, save
    from shoal.cli.serve import say_what_is_served
    from shoal.service.settings import make_settings
    from shoal.testing.toys import from_dense

    def body(model: Path) -> object:
        without = make_settings(model=model, pages=False)
        say_what_is_served(without, "http://127.0.0.1:8000", True, as_json=False)
        assert "is the page" not in capsys.readouterr().out
        settings = make_settings(model=model)
        say_what_is_served(settings, "http://127.0.0.1:8000", True, as_json=False)
        out = capsys.readouterr().out
        assert out.startswith("http://127.0.0.1:8000/ is the page")
        (line,) = re.findall("(curl .*)", out.replace("\n", " "))
        words = shlex.split(line)
        return json.loads(words[words.index("-d") + 1])

    ratings = from_dense(np.eye(3) + 1, ["it's", "o2", "o3"])
    model = shoal.EASE().fit(ratings)
    save(model, tmp_path / "model")
    assert body(tmp_path / "model") == {"history": ["it's", "o2"], "k": 5}
    store = Store(tmp_path / "store", create=True)
    assert body(store.path) == {"history": [], "k": 5}  # no version is live
    store.publish(shoal.EASE().fit(from_dense(np.eye(3) + 1)))
    assert body(store.path) == {"history": [100, 101], "k": 5}
    (tmp_path / "model" / "items.parquet").write_bytes(b"PAR1")
    assert body(tmp_path / "model") == {"history": [], "k": 5}


def test_it_says_which_models_and_experiment_are_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from shoal.cli.serve import say_what_is_served
    from shoal.online import Experiment
    from shoal.service.settings import make_settings

    variants = {"old": {"share": 0.75}, "new": {"share": 0.25, "diversity": 0.3}}
    experiment = Experiment.model_validate({"name": "autumn", "variants": variants})
    settings = make_settings(model=tmp_path, also={"elsa": tmp_path / "e"})
    say_what_is_served(settings, "http://127.0.0.1:1", True, experiment, as_json=False)
    out = capsys.readouterr().out
    assert '"model": "elsa"' in out
    assert out.startswith("nothing of experiment autumn is counted: name a database of events")
    assert "autumn: old 75%, new 25%" in out
    say_what_is_served(settings, "http://127.0.0.1:1", True, experiment, as_json=True)
    assert json.loads(capsys.readouterr().out)["experiment"] == "autumn"
