"""Files of experiments: what they say, and what is refused with which words."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path

import pytest

from shoal.errors import DataError
from shoal.online import Experiment, Variant, read_experiment

FILE = """
name: autumn
variants:
  control: {share: 0.5}
  diverse: {share: 0.25, diversity: 0.3, filter: "year > 1990", steer: {war: -1.5}}
  sparse: {share: 0.25, model: elsa, boost: {"genres ~ Drama": 2}}
guards: {coverage: 0.7}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "experiment.yaml"
    path.write_text(text)
    return path


def test_a_file_is_read(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, FILE))
    assert experiment.name == "autumn"
    assert list(experiment.variants) == ["control", "diverse", "sparse"]
    assert (experiment.control, experiment.success) == ("control", "click")
    assert experiment.shares == {"control": 0.5, "diverse": 0.25, "sparse": 0.25}
    assert experiment.variants["control"].settings == {}
    assert experiment.variants["diverse"].settings == {
        "diversity": 0.3,
        "filter": "year > 1990",
        "steer": {"war": -1.5},
    }
    assert experiment.variants["sparse"].model == "elsa"
    assert (experiment.guards.coverage, experiment.guards.popularity) == (0.7, 1.25)


def test_a_user_is_assigned_by_the_hash_of_name_and_id(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, FILE))
    for user in ("ann", "bob", "carl", "17", "Zoë", "dora", "emil"):
        number = int(hashlib.sha256(f"autumn\0{user}".encode()).hexdigest()[:16], 16) / 2**64
        expected = "control" if number < 0.5 else "diverse" if number < 0.75 else "sparse"
        assert experiment.variant_of(user) == expected
    assert experiment.variant_of(17) == experiment.variant_of(" 17 ") == experiment.variant_of("17")


def test_shares_of_many_users_are_those_of_the_file(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, FILE))
    n = 40_000
    counts = Counter(experiment.variant_of(f"user{number}") for number in range(n))
    for name, share in experiment.shares.items():
        margin = 4.5 * (n * share * (1 - share)) ** 0.5  # once in 150,000 by chance
        assert abs(counts[name] - n * share) < margin


def test_experiments_with_other_names_do_not_share_their_chances() -> None:
    halves = {"a": Variant(share=0.5), "b": Variant(share=0.5)}
    first, second = (Experiment(name=name, variants=halves) for name in ("one", "two"))
    n = 10_000
    both = sum(first.variant_of(u) == second.variant_of(u) == "a" for u in range(n))
    assert abs(both - n / 4) < 4.5 * (n * 3 / 16) ** 0.5


def test_shares_that_are_no_binary_fractions_sum_to_1() -> None:
    tenths = {f"v{n}": Variant(share=0.1) for n in range(10)}
    experiment = Experiment(name="tenths", variants=tenths)
    assert {experiment.variant_of(user) for user in range(1000)} == set(tenths)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (FILE + "sucess: buy\n", r"no key sucess \(there are: name, .*did you mean success\?"),
        (FILE.replace("diversity", "divrsity"), r"variants.diverse.divrsity.*mean diversity\?"),
        (FILE.replace("coverage", "coverge"), r"guards.coverge.*mean coverage\?"),
        (FILE.replace("0.5}", "0.4}"), r"variants: the shares sum to 0.9: make them sum to 1"),
        (FILE.replace("sparse:", "control:"), r"line 6: the key control stands .* second time"),
        (FILE + "name: winter\n", r"line 8: the key name stands here for the second time"),
        (FILE.replace("model: elsa", "model: a, version: b"), r"leave out one of them"),
        (FILE.replace("name: autumn", "name: Autumn 1"), r"'Autumn 1' is no name: write lower"),
        (FILE.replace("diverse:", "Diverse_1:"), r"'Diverse_1' is no name"),
        (FILE + "control: contrl\n", r"'contrl' is no variant .*mean control\?"),
        (FILE.replace("share: 0.5", "share: -0.5"), r"variants.control.share: -0.5: .*greater"),
        (FILE.replace("0.5}", ".nan}"), r"variants.control.share: nan: "),
        (FILE.replace("diversity: 0.3", "diversity: 1.3"), r"diversity: 1.3: .*less than or equal"),
        (FILE.replace("war: -1.5", "war: -9"), r"the level of 'war' must be from -3 to 3"),
        (FILE.replace("Drama\": 2", "Drama\": 0"), r"must be above 0"),
        (FILE.replace("share: 0.5", "share: true"), r"variants.control.share: true: give a number"),
        (FILE.replace("diversity: 0.3", "diversity: on"), r"diverse.diversity: true: give a numb"),
        (FILE.replace("war: -1.5", "war: yes"), r"diverse.steer.war: true: give a number"),
        (FILE.replace("Drama\": 2", "Drama\": true"), r"'genres ~ Drama' must be a number"),
        (FILE.replace("coverage: 0.7", "coverage: no"), r"guards.coverage: false: give a number"),
        (FILE + 'success: "a\\nb"\n', r"success: .*control characters are not allowed"),
        (FILE + 'success: "a\\x85b"\n', r"success: .*control characters are not allowed"),
        (FILE + 'success: "  "\n', r"success: .*is empty"),
        (FILE + f"success: {'x' * 65}\n", r"success: .*64 characters"),
        ("name: autumn\nvariants: {}\n", r"name at least one variant"),
        ("name: autumn\n", r"variants is missing: add it"),
        ("variants: {a: {share: 1}}\n", r"name is missing: add it"),
        ("- name\n", r"holds no keys and values"),
        ("name: [\n", r"this is no YAML"),
        ("name: autumn\nvariants: {a: 3}\n", r"variants.a: "),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_the_place(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(DataError, match=told) as error:
        read_experiment(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_the_type_that_counts_is_written_as_a_stored_one(tmp_path: Path) -> None:
    """Types are stored without outer spaces, so a type with them would never be met."""
    assert read_experiment(written(tmp_path, FILE + 'success: " buy "\n')).success == "buy"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.yaml cannot be read"):
        read_experiment(tmp_path / "none.yaml")


def test_one_variant_alone_and_names_that_are_numbers(tmp_path: Path) -> None:
    experiment = read_experiment(written(tmp_path, "name: 2026\nvariants: {1: {share: 1}}\n"))
    assert (experiment.name, experiment.control) == ("2026", "1")
    assert experiment.variant_of("anybody") == "1"


def test_a_variant_that_is_not_there_is_named_with_the_nearest() -> None:
    experiment = Experiment(name="one", variants={"control": Variant(share=1)})
    assert experiment.check_variant("control") == "control"
    with pytest.raises(DataError, match=r"no variant 'contrl'.*did you mean control"):
        experiment.check_variant("contrl")
