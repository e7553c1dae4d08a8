import json
import os
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from shoal.errors import DataError
from shoal.experiments.trackers import Tracked, track
from shoal.experiments.trackers.track import without_secrets
from tests.experiments.trackers.run_folder import write_run_folder

mlflow = pytest.importorskip("mlflow")
pytest.importorskip("comet_ml")


@pytest.fixture(autouse=True)
def no_trackers_of_the_machine(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "COMET_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))  # comet reads ~/.comet.config
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def folder(tmp_path) -> Path:
    return write_run_folder(tmp_path / "runs" / "small")


# Asked in another process: mlflow warns about its own use of SQLAlchemy when it is imported.
_READ_BACK = """
import json, sys
from mlflow.tracking import MlflowClient

client = MlflowClient(tracking_uri=sys.argv[1])
found = []
for experiment in client.search_experiments():
    for run in client.search_runs([experiment.experiment_id]):
        names = list(run.data.metrics)
        found.append({
            "experiment": experiment.name,
            "id": run.info.run_id,
            "name": run.info.run_name,
            "status": run.info.status,
            "tags": dict(run.data.tags),
            "params": dict(run.data.params),
            "metrics": dict(run.data.metrics),
            "steps": {n: [[m.step, m.value] for m in client.get_metric_history(run.info.run_id, n)]
                      for n in names},
            "files": sorted(file.path for file in client.list_artifacts(run.info.run_id)),
        })
print(json.dumps(found))
"""


def read_mlflow(uri: str) -> list[dict]:
    import subprocess
    import sys

    answer = subprocess.run(
        [sys.executable, "-c", _READ_BACK, uri],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    return json.loads(answer.stdout.splitlines()[-1])


def test_mlflow_holds_the_run_and_its_models(folder, monkeypatch, tmp_path):
    uri = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert track(["mlflow"], folder) == Tracked()
    runs = {run["name"]: run for run in read_mlflow(uri)}
    assert set(runs) == {"small", "toy: ease", "toy: elsa"}
    parent, ease, elsa = runs["small"], runs["toy: ease"], runs["toy: elsa"]
    assert {run["experiment"] for run in runs.values()} == {"small"}
    assert {run["status"] for run in runs.values()} == {"FINISHED"}
    assert {"report.html", "table.csv", "experiment.yaml", "results.json"} <= set(parent["files"])
    assert not any("weights" in file or "models" in file for file in parent["files"])
    assert parent["tags"]["mlflow.note.content"] == "toy: ease is best."
    assert parent["tags"]["shoal.version"] == "1.2.3"
    assert parent["tags"]["shoal.commit"] == "abc123"
    assert ease["tags"]["mlflow.parentRunId"] == parent["id"]
    assert ease["tags"]["shoal.fingerprint"] == "22"
    assert ease["params"] == {"model": "ease", "l2": "500.0", "xi": "null"}
    assert ease["metrics"]["ndcg_at_100"] == 0.41
    assert ease["metrics"]["ndcg_at_100_seed_1"] == pytest.approx(0.42)
    assert ease["metrics"]["fit_seconds"] == 1.5
    assert not any("tail" in name for name in ease["metrics"])  # it has no value
    assert elsa["steps"]["epoch/loss"] == [[1, 0.9], [2, 0.5]]
    assert elsa["steps"]["epoch/ndcg_at_100"] == [[1, 0.3]]


def test_mlflow_is_told_once_and_again_when_results_change(folder, monkeypatch, tmp_path):
    uri = f"sqlite:///{tmp_path}/store.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    track(["mlflow"], folder)
    first = {run["id"] for run in read_mlflow(uri)}
    (note,) = track(["mlflow"], folder).notes
    assert "there already" in note
    assert {run["id"] for run in read_mlflow(uri)} == first
    results = json.loads((folder / "results.json").read_text())
    results["comparisons"][0]["models"].pop()
    (folder / "results.json").write_text(json.dumps(results))
    (note,) = track(["mlflow"], folder).notes
    assert "replaced" in note
    after = read_mlflow(uri)
    assert {run["name"] for run in after} == {"small", "toy: ease"}
    assert not {run["id"] for run in after} & first


def test_mlflow_without_an_address_is_a_file_of_the_working_folder(folder, tmp_path):
    assert track(["mlflow"], folder) == Tracked()
    assert len(read_mlflow(f"sqlite:///{tmp_path}/mlflow.db")) == 3


def read_comet(where: Path) -> dict[str, list[dict]]:
    found = {}
    for archive in sorted(where.glob("*.zip")):
        with zipfile.ZipFile(archive) as content:
            lines = content.read("messages.json").decode().splitlines()
            messages = [json.loads(line) for line in lines]
            about = json.loads(content.read("experiment.json"))
        others = {
            m["payload"]["key"]: m["payload"]["value"] for m in messages if m["type"] == "log_other"
        }
        found[others["Name"]] = [*messages, {"type": "others", "payload": others}, about]
    return found


def test_comet_offline_archives_hold_each_model(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("COMET_OFFLINE_DIRECTORY", str(tmp_path / "comet"))
    monkeypatch.setenv("COMET_API_KEY", "a-key-that-is-secret")
    (note,) = track(["comet"], folder).notes
    assert "comet upload" in note
    archives = read_comet(tmp_path / "comet")
    assert set(archives) == {"toy: ease", "toy: elsa"}
    messages = archives["toy: elsa"]
    metrics = [m["payload"]["metric"] for m in messages if m.get("type") == "metric_msg"]
    values = {(m["metricName"], m["step"]): m["metricValue"] for m in metrics}
    assert values["epoch/loss", 1] == 0.9
    assert values["epoch/loss", 2] == 0.5
    assert 0.39 in [m["metricValue"] for m in metrics if m["metricName"] == "ndcg@100"]
    params = [m["payload"]["param"] for m in messages if m.get("type") == "parameter_msg"]
    assert {p["paramName"]: p["paramValue"] for p in params if p["source"] == "manual"} == {
        "model": "elsa",
        "l2": "500.0",
        "xi": "null",
    }
    (others,) = (m["payload"] for m in messages if m.get("type") == "others")
    assert others["shoal.commit"] == "abc123"
    assert others["shoal.fingerprint"] == "22"
    sent = {
        m["payload"]["additional_params"]["fileName"]
        for m in messages
        if m.get("type") == "file_upload"
    }
    assert {"report.html", "table.csv", "experiment.yaml"} <= sent
    assert "weights.bin" not in sent
    with zipfile.ZipFile(next((tmp_path / "comet").glob("*.zip"))) as content:
        assert not any(b"a-key-that-is-secret" in content.read(name) for name in content.namelist())


def test_comet_archives_are_not_doubled(folder):
    track(["comet"], folder)
    first = {path: path.stat().st_mtime_ns for path in (folder / "comet").iterdir()}
    assert len(first) == 2
    (note,) = track(["comet"], folder).notes
    assert "up to date" in note
    assert {path: path.stat().st_mtime_ns for path in (folder / "comet").iterdir()} == first
    run = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**run, "status": "interrupted"}))
    track(["comet"], folder)
    assert set((folder / "comet").iterdir()) == set(first)
    others = read_comet(folder / "comet")["toy: ease"][-2]["payload"]
    assert others["shoal.status"] == "interrupted"


def test_nothing_is_sent_anywhere_but_to_the_tracker(folder, monkeypatch, tmp_path):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    log = tmp_path / "connections"
    (hooks / "sitecustomize.py").write_text(
        textwrap.dedent(f"""
        import socket

        def refuse(*where, **more):
            with open({str(log)!r}, "a") as file:
                file.write(repr(where[-1]) + "\\n")
            raise OSError("no network in this test")

        socket.socket.connect = socket.socket.connect_ex = refuse
        socket.getaddrinfo = refuse
        with open({str(log)!r} + ".hooked", "a") as file:
            file.write("yes")
        """)
    )
    monkeypatch.syspath_prepend(str(hooks))
    assert track(["mlflow", "comet"], folder).warnings == ()
    assert Path(f"{log}.hooked").exists()  # the hook was there, so the test can fail
    assert not log.exists()


def test_a_server_that_is_down_is_a_warning(folder, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:my-password@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (warning,) = track(["mlflow"], folder).warnings
    assert warning.startswith("mlflow: the run was not reported (")
    assert "127.0.0.1" in warning
    assert "shoal runs track" in warning
    assert "my-password" not in warning


def test_comet_servers_that_are_down_are_a_warning(folder, monkeypatch):
    monkeypatch.setenv("COMET_API_KEY", "a-key-that-is-secret")
    monkeypatch.setenv("COMET_URL_OVERRIDE", "http://127.0.0.1:9/clientlib/")
    (warning,) = track(["comet"], folder, seconds=60).warnings
    assert warning.startswith("comet: the run was not reported (")
    assert "a-key-that-is-secret" not in warning


def fake(tmp_path, monkeypatch, code: str) -> None:
    """A package mlflow of which importing does what the code says."""
    package = tmp_path / "fake" / "mlflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "fake"))


def test_a_tracker_that_hangs_is_ended(folder, monkeypatch, tmp_path):
    fake(tmp_path, monkeypatch, "import time\ntime.sleep(600)\n")
    before = time.monotonic()
    (warning,) = track(["mlflow"], folder, seconds=3).warnings
    assert time.monotonic() - before < 300
    assert "no answer within 3 s" in warning


def test_a_tracker_that_raises_or_dies_is_a_warning(folder, monkeypatch, tmp_path):
    fake(tmp_path, monkeypatch, "raise RuntimeError('the store is\\nbroken')\n")
    told = track(["mlflow", "comet"], folder)
    (warning,), (note,) = told.warnings, told.notes
    assert "RuntimeError: the store is broken" in warning
    assert "comet upload" in note  # the next tracker has its turn
    (tmp_path / "fake" / "mlflow" / "__init__.py").write_text("import os\nos._exit(3)\n")
    (warning,) = track(["mlflow"], folder).warnings
    assert "it ended with status 3" in warning


def test_a_tracker_that_is_not_installed_is_a_warning(folder, monkeypatch, tmp_path):
    code = "raise ModuleNotFoundError(\"No module named 'mlflow'\", name='mlflow')\n"
    fake(tmp_path, monkeypatch, code)
    (warning,) = track(["mlflow"], folder).warnings
    assert "mlflow is not installed: pip install 'shoal[track]'" in warning


def test_unknown_trackers_and_folders_are_refused(folder, tmp_path):
    with pytest.raises(DataError, match="did you mean mlflow"):
        track(["mlfow"], folder)
    with pytest.raises(DataError, match="is not a folder"):
        track(["mlflow"], tmp_path / "nothing")
    with pytest.raises(DataError, match=r"no run\.json"):
        track(["mlflow"], tmp_path)
    (folder / "results.json").write_text("{")
    with pytest.raises(DataError, match=r"results\.json cannot be read"):
        track(["mlflow"], folder)


def test_secrets_are_left_out_of_messages(monkeypatch):
    monkeypatch.setenv("SOME_API_TOKEN", "abcdefgh12345")
    text = without_secrets("postgresql://me:pw@db/x refused abcdefgh12345")
    assert text == "postgresql://…@db/x refused …"


def test_a_run_is_reported_at_its_end_and_later(shoal_command, tmp_path, monkeypatch):
    rows = "".join(f"u{u},{(u * 7 + k * 3) % 23}\n" for u in range(60) for k in range(9))
    (tmp_path / "log.csv").write_text(f"user,item\n{rows}")
    (tmp_path / "small.yaml").write_text(
        """
name: small
data: {file: log.csv}
models: [popularity, {model: ease, set: {l2: 10}}]
evaluation: {metrics: [ndcg@10, recall@5]}
output: {report: false, trackers: [comet]}
"""
    )
    status, _, err = shoal_command("run", tmp_path / "small.yaml", "--out", tmp_path / "run")
    assert status == 0, err
    archives = read_comet(tmp_path / "run" / "comet")
    assert set(archives) == {"log: popularity", "log: ease"}
    status, out, _ = shoal_command("runs", "track", tmp_path / "run", "--to", "comet,mlflow")
    assert status == 0
    assert "up to date" in out
    runs = {run["name"]: run for run in read_mlflow(f"sqlite:///{tmp_path}/mlflow.db")}
    assert set(runs) == {"small", "log: popularity", "log: ease"}
    results = json.loads((tmp_path / "run" / "results.json").read_text())["comparisons"][0]
    data = json.loads((tmp_path / "run" / "data.json").read_text())
    assert runs["log: ease"]["tags"]["shoal.fingerprint"] == data["log"]["hashes"]["matrix"]
    for model in results["models"]:
        for metric in ("ndcg@10", "recall@5"):
            reported = runs[f"log: {model['label']}"]["metrics"][metric.replace("@", "_at_")]
            assert reported == model["metrics"][metric]["mean"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    status, _, err = shoal_command("runs", "track", tmp_path / "run", "--to", "mlflow")
    assert status == 1
    assert "warning: mlflow: the run was not reported" in err
