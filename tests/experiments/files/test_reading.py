"""Experiment files: what they mean, and what is told of those that are wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shoal.base.ranges import Choices, Range
from shoal.errors import DataError, FileError
from shoal.experiments.files.paths import expanded
from shoal.experiments.files.reading import read_experiment

Written = Callable[[str], Path]

WHOLE = """\
name: ml-1m-all
description: all of it
data:
  name: films
  file: ratings.csv
  items: ${FILMS}/movies.csv
  texts: true
  read: {min_value: 4, min_user_items: 2, values: binary, columns: {user: userId}}
split: {kind: strong, test: 0.2, validation: 0.1, resplit: false}
seeds: 3
models:
  - ease
  - name: elsa-512
    model: elsa
    set: {factors: 512, lr: auto, n_epochs: 20, device: auto, decay: {min: 0.7, max: 1}}
  - {name: rlae-two, model: RLAE, set: {xi: [0.1, 0.3], l2: {min: 1e-1, max: 100, scale: log}}}
  - {name: ease-default, model: ease, tune: false}
  - {policy: mine.yaml}
tuning: {trials: 20, minutes: 2, metric: NDCG@10, sampler: random, each_seed: true}
evaluation: {metrics: [ndcg@100, recall@20, "ndcg@100:head", coverage@100]}
run: {device: cpu, threads: 2, memory: 8GB, precision: float32}
output: {models: all, report: false, trackers: [mlflow, comet]}
published:
  - {model: ease, metric: ndcg@100, value: 0.420, source: "Steck 2019, table 1", note: differs}
expect:
  hashes: {films: {matrix: %s}}
  figures: [{data: films, model: ease, metric: ndcg@100, value: 0.44, tolerance: 0.002}]
""" % ("a" * 64)


def test_a_file_with_every_key(
    written: Written, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILMS", str(folder))
    (folder / "mine.yaml").write_text(
        "training:\n  models:\n    - {name: pop, policy_type: popularity}\n"
        "    - {policy_type: ease, l2: {type: tunable_float, min: 10, max: 100}}\n"
    )
    text = WHOLE.replace("- {policy: mine.yaml}", "- {name: mine, policy: mine.yaml}")
    experiment = read_experiment(written(text))
    assert experiment.seeds == (0, 1, 2)
    assert [entrant.label for entrant in experiment.entrants] == [
        "ease", "elsa-512", "rlae-two", "ease-default", "mine-pop", "mine-ease",
    ]  # fmt: skip
    ease, elsa, rlae, default, popularity, policy = experiment.entrants
    assert (ease.kind.name, ease.settings, ease.space, ease.tune) == ("ease", {}, None, True)
    assert elsa.settings == {"factors": 512, "n_epochs": 20, "device": "auto"}
    assert elsa.space == {"lr": Range(0.01, 0.3, "log"), "decay": Range(0.7, 1.0)}
    assert rlae.kind.name == "rlae"
    assert rlae.space == {"xi": Choices((0.1, 0.3)), "l2": Range(0.1, 100.0, "log")}
    assert [experiment.searches(one) for one in experiment.entrants] == [
        True, True, True, False, False, True,
    ]  # fmt: skip
    assert policy.space == {"l2": Range(10.0, 100.0)}
    assert (default.tune, popularity.kind.name) == (False, "popularity")
    assert experiment.tuning is not None
    assert experiment.tuning.metric == "ndcg@10"
    assert experiment.evaluation.metrics[0] == "ndcg@100"
    assert experiment.data[0].items is not None
    assert expanded(experiment.data[0].items, experiment.folder) == folder / "movies.csv"


def test_what_is_left_out_has_a_default(written: Written) -> None:
    experiment = read_experiment(written("name: 7\ndata: {file: ratings.csv}\nmodels: [ease]\n"))
    assert (experiment.name, experiment.seeds, experiment.tuning) == ("7", (0,), None)
    assert experiment.data[0].label == "ratings"
    assert experiment.split.kind == "strong"
    assert experiment.evaluation.metrics[0] == "ndcg@100"
    assert not experiment.searches(experiment.entrants[0])
    listed = written("name: a\nseeds: [5, 2]\ndata: [{file: ratings.csv}]\nmodels: [ease]\n")
    assert read_experiment(listed).seeds == (5, 2)


def test_texts_are_numbers_where_yaml_says_so(written: Written) -> None:
    """YAML reads 1e-4, which has no point, as a text."""
    text = "name: a\ndata: {file: ratings.csv}\nmodels: [{model: elsa, set: {lr: 1e-4}}]\n"
    (elsa,) = read_experiment(written(text)).entrants
    assert elsa.settings == {"lr": 0.0001}


# a file that is right but for one place, and what is told of that place
HEAD = "name: a\ndata: {file: ratings.csv}\n"
WRONG = [
    # YAML, keys and values
    ("name: a\ndata: [\n", r"line 3: this is no YAML"),
    ("- a\n", "no keys and values"),
    (HEAD + "models: [ease]\nname: b\n", "line 4: the key name stands here for the second time"),
    (HEAD + "modles: [ease]\n", "line 3: there is no key modles .*did you mean models"),
    (HEAD + "models: [ease]\nrun:\n  thraeds: 2\n",
     r"line 5: there is no key run.thraeds .*device, threads, memory.*did you mean threads"),
    (HEAD, "models is missing: add it"),
    (HEAD + "models: []\n", "line 3: models: name one at least"),
    (HEAD + "models: [{}]\n", "line 3: models.0: name a model"),
    (HEAD + "models: [ease]\nrun: {threads: 0}\n", "line 4: run.threads: 0: .*greater"),
    (HEAD + "models: [ease]\nrun: {threads: true}\n", "line 4: run.threads: true: give a number"),
    (HEAD + "models: [ease]\nrun: {memory: lots}\n", "line 4: run.memory: .*8GB"),
    (HEAD + "models: [ease]\nrun: {device: gpu}\n", "line 4: run.device: 'gpu': write cpu, cuda"),
    (HEAD.replace("name: a", "name: a/b") + "models: [ease]\n", "line 1: name: 'a/b'.*letters"),
    ("name: a\ndata:\n\tfile: b\n", r"line 3: this is no YAML \(found character .*cannot start"),
    (HEAD + "models: ease\n", "line 3: models: 'ease': write a list, such as"),
    (HEAD + "models: [3]\n", "line 3: models.0: 3: write keys and values"),
    (HEAD + "models:\n", "line 3: models: null: write a list"),
    (HEAD + "models: [ease]\n3: 4\n", "line 4: .*put it in quotes"),
    # data
    ("name: a\nmodels: [ease]\ndata: {}\n", "line 3: data: say where the data are"),
    ("name: a\nmodels: [ease]\ndata: {file: no.csv}\n",
     r"line 3: data.file: there is no file .*no.csv.*--data no=PATH"),
    ("name: a\nmodels: [ease]\ndata:\n  public: ml-1n\n",
     "line 4: data.public: .*no data set is called 'ml-1n'.*ml-1m"),
    ("name: a\nmodels: [ease]\ndata: {file: ratings.csv, public: ml-1m}\n",
     "line 3: data.file: public and file both say"),
    ("name: a\nmodels: [ease]\ndata: {train: ratings.csv}\n", "there is train and no test"),
    ("name: a\nmodels: [ease]\ndata: {file: ratings.csv, texts: true}\n",
     "line 3: data.texts: .*item table"),
    ("name: a\nmodels: [ease]\ndata: {file: ratings.csv, items: movies.csv, texts: [1]}\n",
     r"line 3: data.texts: \[1\]: .*boolean, or: .*write a text"),
    ("name: a\nmodels: [ease]\ndata:\n  - file: ratings.csv\n  - file: ratings.csv\n",
     "line 5: data.1: two data sets are called ratings"),
    ("name: a\nmodels: [ease]\ndata:\n  - {file: ratings.csv}\n"
     "  - {file: ratings.csv, name: Ratings}\n",
     r"line 5: data.1.name: two data sets are called Ratings \(large and small letters"),
    ("name: a\nmodels: [ease]\ndata: {file: '${NOT_SET_HERE}/x.csv'}\n",
     "line 3: data.file: .*NOT_SET_HERE of the environment.*not set"),
    ("name: a\nmodels: [ease]\ndata:\n  file: ratings.csv\n  read: {min_valeu: 4}\n",
     "line 5: there is no key data.read.min_valeu .*did you mean min_value"),
    # split and seeds
    (HEAD + "models: [ease]\nsplit: {kind: stronk}\n",
     "line 4: split.kind: 'stronk'.*'weak'.*did you mean strong"),
    (HEAD + "models: [ease]\nsplit: {test: 1.5}\n", "line 4: split.test: 1.5: give a share"),
    (HEAD + "models: [ease]\nsplit: {test: 0}\n", "line 4: split.test: nothing is left to measure"),
    (HEAD + "models: [ease]\nsplit: {test: 0.6, validation: 0.4}\n",
     "line 4: split.test: test and validation take 1 of the data"),
    (HEAD + "models: [ease]\ntuning: {trials: 2}\nsplit: {validation: 0}\n",
     "line 5: split.validation: models are tuned on validation users alone"),
    (HEAD + "models: [ease]\nsplit: {last: 2}\n", "line 4: split.last: .*leave-last"),
    (HEAD + "models: [ease]\nsplit: {kind: weak, protocol: mult-vae}\n", "is a strong split"),
    (HEAD + "models: [ease]\nsplit: {protocol: mult-vae, validation: 0.2}\n", "leave it out"),
    ("name: a\ndata: {train: ratings.csv, test: ratings.csv}\nmodels: [ease]\n"
     "split:\n  kind: weak\n", "line 5: split.kind: the training and the test file say"),
    ("name: a\ndata: {public: gowalla}\nmodels: [ease]\nsplit:\n  test: 0.2\n",
     "line 5: split.test: the training and the test file say"),
    (HEAD + "models: [ease]\nseeds: [0, 1, 0]\n", "line 4: seeds.2: the seed 0 .*second time"),
    (HEAD + "models: [ease]\nseeds: 0\n", "line 4: seeds: .*1 to 1000"),
    (HEAD + "models: [ease]\nseeds: some\n", "line 4: seeds: 'some'"),
    # models
    (HEAD + "models:\n  - ease\n  - eaze\n",
     "line 5: models.1.model: no model is called 'eaze'.*Did you mean ease"),
    (HEAD + "models: [ease, ease]\n", "line 3: models.1: two models are called ease"),
    (HEAD + "models:\n  - ease\n  - model: elsa\n    name: ease\n",
     "line 6: models.1.name: two models are called ease"),
    (HEAD + "models: [ease, {model: elsa, name: EASE}]\n",
     "line 3: models.1.name: two models are called EASE .*letters are the same"),
    (HEAD + "models: [i-autorec]\n",
     "line 3: .*predicts ratings.*shoal evaluate --model i-autorec"),
    (HEAD + "models: [l3ae]\n", "line 2: data: no data set has vectors.*l3ae.*texts: true"),
    (HEAD + "models:\n  - model: ease\n    set:\n      alhpa: 5\n",
     "line 6: models.0.set.alhpa: ease has no hyper-parameter alhpa .*l2, .*did you mean alpha"),
    (HEAD + "models: [{model: ease, set: {l2: -1}}]\n", "line 3: models.0.set.l2: .*l2=-1"),
    (HEAD + "models: [{model: ease, set: {l2: yes}}]\n", "models.0.set.l2: .*true or false"),
    (HEAD + "models: [{model: ease, set: {l2: }}]\n", "models.0.set.l2: None is no value"),
    (HEAD + "models: [{model: ease, set: {l2: {min: 9, max: 2}}}]\ntuning: {trials: 2}\n",
     "line 3: models.0.set.l2: .*9 to 2 is reversed"),
    (HEAD + "models: [{model: ease, set: {l2: {min: -9, max: 2}}}]\ntuning: {trials: 2}\n",
     "line 3: models.0.set.l2: .*-9"),
    (HEAD + "models: [{model: ease, set: {l2: {min: 1, maxi: 2}}}]\ntuning: {trials: 2}\n",
     "line 3: models.0.set.l2: .*did you mean max"),
    (HEAD + "models: [{model: ease, set: {nonnegative: auto}}]\ntuning: {trials: 2}\n",
     "line 3: models.0.set.nonnegative: .*declares no range.*l2, alpha, beta"),
    (HEAD + "models: [{model: ease, set: {l2: []}}]\ntuning: {trials: 2}\n", "empty list"),
    (HEAD + "models: [{model: ease, set: {l2: auto}}]\n",
     "line 3: models.0.set.l2: .*not tuned here.*tuning: {trials: 20}"),
    (HEAD + "models: [{model: ease, set: {l2: auto}, tune: false}]\ntuning: {trials: 2}\n",
     "leave out tune: false"),
    (HEAD + "models: [{policy: no.yaml}]\n", "line 3: models.0.policy: .*no.yaml cannot be read"),
    (HEAD + "models: [{policy: no.yaml, model: ease}]\n", "line 3: models.0.policy: .*keep one"),
    # tuning and metrics
    (HEAD + "models: [ease]\ntuning: {metric: ndcg@10}\n", "line 4: tuning: tuning has no budget"),
    (HEAD + "models: [ease]\ntuning: {trials: 0}\n", "line 4: tuning.trials: 0"),
    (HEAD + "models: [ease]\ntuning: {minutes: .inf}\n", "line 4: tuning.minutes"),
    (HEAD + "models: [ease]\ntuning: {trials: 2, metric: coverage@10}\n",
     "line 4: tuning.metric: .*chosen by one of recall"),
    (HEAD + "models: [ease]\nevaluation: {metrics: [ndcg@100, recal@20]}\n",
     "line 4: evaluation.metrics.1: .*no metric 'recal@20'"),
    (HEAD + "models: [ease]\nevaluation: {metrics: [rmse]}\n", "rmse measures predicted ratings"),
    (HEAD + "models: [ease]\nevaluation: {metrics: [ndcg@5, NDCG@5]}\n", "ndcg@5 .*second time"),
    (HEAD + "models: [ease]\nevaluation: {metrics: [coverage@5]}\n", "chosen by one of"),
    # what others found
    (HEAD + "models: [ease]\npublished: [{data: x, model: ease, metric: ndcg@100, value: 1}]\n",
     "line 4: published.0.data: no data set is called x here .*ratings"),
    (HEAD + "models: [ease]\npublished: [{model: ease, metric: ndcg@7, value: 1}]\n",
     "line 4: published.0.metric: ndcg@7 is not measured here: add it to evaluation.metrics"),
    (HEAD + "models: [ease]\nexpect: {hashes: {rating: {}}}\n",
     "line 4: expect.hashes.rating: no data set .*did you mean ratings"),
    (HEAD + "models: [ease]\nexpect: {hashes: {ratings: {matrix: abc}}}\n",
     "line 4: expect.hashes.ratings.matrix: 'abc': write sha256 as 64 digits"),
    (HEAD + "models: [ease]\nexpect:\n  figures:\n"
     "    - {model: eas, metric: ndcg@100, value: 1, tolerance: 0.1}\n",
     "line 6: expect.figures.0.model: no model is called eas .*did you mean ease"),
    (HEAD + "models: [ease]\nexpect: {figures: [{model: ease, metric: ndcg@100, value: 1}]}\n",
     "line 4: expect.figures.0.tolerance is missing"),
    (HEAD + "models: [ease]\noutput: {trackers: [wandb]}\n",
     r"line 4: output.trackers.0: 'wandb'.*'mlflow' or 'comet'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "complaint"), WRONG)
def test_what_is_wrong_is_told_with_its_line(
    text: str, complaint: str, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET_HERE", raising=False)
    path = written(text)
    with pytest.raises(DataError, match=complaint) as error:
        read_experiment(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert "\n" not in message


STRANGE = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8),
    st.sampled_from(["auto", "ease", "ml-1m", "ndcg@100", [], {}, [[]], {"min": 1}, [None]]),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)  # fmt: skip


@given(data=st.data())
@settings(
    max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_whatever_stands_somewhere_is_read_or_refused_in_one_line(
    data: st.DataObject, written: Written
) -> None:
    content = yaml.safe_load(
        WHOLE.replace("${FILMS}/", "").replace("  - {policy: mine.yaml}\n", "")
    )
    node, steps = content, data.draw(st.integers(1, 4))
    for step in range(steps):
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = data.draw(st.sampled_from(keys))
        if step == steps - 1 or not isinstance(node[key], dict | list) or not node[key]:
            node[key] = data.draw(STRANGE)
            break
        node = node[key]
    path = written(yaml.safe_dump(content))
    try:
        read_experiment(path)
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017 - it need not be refused


def test_all_problems_are_told_at_once(written: Written) -> None:
    text = """\
name: a
data:
  - {file: ratings.csv}
  - {file: not-here.csv}
  - {file: ratings.csv, texts: true}
  - {file: ratings.csv}
models:
  - eaze
  - {model: ease, set: {l3: 1}}
  - {model: ease, tuen: false}
  - ease
  - {model: ease, set: {l2: {min: 9, max: 2}}}
seeds: -1
seeds: 0
split: {kind: stronk}
tuning: {trials: 0}
published: [{data: nobody, model: nothing, metric: ndcg@7, value: 1}]
"""
    path = written(text)
    with pytest.raises(FileError) as caught:
        read_experiment(path)
    assert [line for line, _ in caught.value.problems] == [4, 5, 6, 8, 9, 10, 12, 14, 14, 15, 16]
    told = [message for _, message in caught.value.problems]
    starts = (
        "data.1.file: there is no file", "data.2.texts: ",
        "data.3: two data sets are called ratings", "models.0.model: no model is called 'eaze'",
        "models.1.set.l3: ease has no", "there is no key models.2.tuen", "models.4.set.l2: ",
        "the key seeds stands here for the second time", "seeds: ", "split.kind: ", "tuning.trials",
    )  # fmt: skip
    for message, start in zip(told, starts, strict=True):
        assert message.startswith(start), message
    first = "line 4: data.1.file: there is no file .*; and 10 more: `shoal validate .*` lists them"
    assert re.search(first, str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_elsewhere_is_not_looked_for(written: Written, folder: Path) -> None:
    path = written("name: a\ndata: {file: not-here.csv}\nmodels: [ease]\n")
    experiment = read_experiment(path, elsewhere={"not-here": folder / "ratings.csv"})
    assert experiment.data[0].label == "not-here"
    with pytest.raises(DataError, match=r"no data set is called so .*not-here.*did you mean"):
        read_experiment(path, elsewhere={"not-hear": folder / "ratings.csv"})


def test_policies_that_count_different_events_are_refused(written: Written, folder: Path) -> None:
    (folder / "p.yaml").write_text(
        "policy_configs: {scoring_policy: {policy_type: ease, event_values: [5]}}\n"
    )
    with pytest.raises(DataError, match=r"line 3: models.1: event_values .*the same for all"):
        read_experiment(written(HEAD + "models: [popularity, {policy: p.yaml}]\n"))
    assert read_experiment(written(HEAD + "models: [{policy: p.yaml}]\n")).events == (5,)


def test_a_policy_whose_model_has_the_name_of_another_is_named(
    written: Written, folder: Path
) -> None:
    (folder / "p.yaml").write_text(
        "training: {models: [{policy_type: ease, l2: 5}, {policy_type: lae}]}\n"
    )
    with pytest.raises(DataError, match=r"called ease.*: name this entry, .*policy: "):
        read_experiment(written(HEAD + "models: [ease, {policy: p.yaml}]\n"))
    named = read_experiment(written(HEAD + "models: [ease, {name: mine, policy: p.yaml}]\n"))
    assert [e.label for e in named.entrants] == ["ease", "mine-ease", "mine-lae"]


def test_a_policy_file_is_no_experiment(written: Written) -> None:
    path = written("policy_configs: {scoring_policy: {policy_type: ease}}\n")
    with pytest.raises(DataError, match=r"is a policy file, which is run with data: --data LOG"):
        read_experiment(path)


def test_a_file_in_another_encoding_is_told_with_the_line(written: Written) -> None:
    path = written(HEAD)
    path.write_bytes(b"name: a\ndescription: caf\xe9\n")
    with pytest.raises(DataError, match="line 2: this is no YAML in UTF-8"):
        read_experiment(path)


def test_what_is_not_tuned_needs_no_validation_users(written: Written) -> None:
    text = HEAD + "models: [{model: ease, tune: false}]\ntuning: {trials: 2}\n"
    assert read_experiment(written(text + "split: {validation: 0}\n")).split.validation == 0
