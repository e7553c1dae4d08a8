"""The data of an experiment: where they are found, their hashes, and the splits of seeds."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from shoal.data.read import read
from shoal.errors import DataError
from shoal.experiments.files.data import Loaded, make_split, splits_alike
from shoal.experiments.files.facts import facts_of
from shoal.experiments.files.hashes import held_out_hash, matrix_hash
from shoal.experiments.files.locating import elsewhere_of
from shoal.experiments.files.reading import read_experiment
from tests.experiments.files.loading import load_data

Written = Callable[[str], Path]


def loaded(path: Path, **elsewhere: Path) -> Loaded:
    (one,) = load_data(read_experiment(path, elsewhere=elsewhere), elsewhere)
    return one


# -- hashes ----------------------------------------------------------------------------------

# three users and two items in the order of their ids; u2 has both items
BY_HAND = pl.DataFrame(
    {"user": ["u2", "u10", "u1", "u2"], "item": [20, 20, 3, 3], "value": [5, 1, 2, 4],
     "time": [70, 60, 50, 40]}
)  # fmt: skip


def canonical_form(values: tuple[float, ...] = (2, 1, 4, 5)) -> bytes:
    """What the documentation says is hashed, written out by hand for these four rows."""
    return b"".join(
        [
            b'users 3\n"u1"\n"u10"\n"u2"\n',  # as texts
            b"items 2\n3\n20\n",  # as numbers
            b"interactions 4\n",
            struct.pack("<4q", 0, 1, 2, 4),  # u1: 1, u10: 1, u2: 2
            struct.pack("<4i", 0, 1, 0, 1),  # items 3 | 20 | 3, 20
            b"values float32\n" + struct.pack("<4f", *values),
            b"times int64\n" + struct.pack("<4q", 50, 60, 40, 70),
        ]
    )


def test_the_hash_of_the_matrix_is_that_of_its_canonical_form() -> None:
    log = read(BY_HAND, values="keep")
    assert matrix_hash(log) == hashlib.sha256(canonical_form()).hexdigest()
    other = BY_HAND.with_columns(
        pl.when(pl.col("user") == "u10").then(3).otherwise(pl.col("value")).alias("value")
    )
    changed = hashlib.sha256(canonical_form((2, 3, 4, 5))).hexdigest()
    assert matrix_hash(read(other, values="keep")) == changed


def test_no_order_of_the_rows_changes_the_hashes(rows: pl.DataFrame, written: Written) -> None:
    path = written("name: a\ndata: {file: ratings.csv, read: {values: keep}}\nmodels: [ease]\n")
    experiment = read_experiment(path)
    first = loaded(path)
    target = held_out_hash(make_split(first, experiment, 0).test)
    rows.sample(fraction=1.0, shuffle=True, seed=3).write_csv(path.parent / "ratings.csv")
    shuffled = loaded(path)
    assert shuffled.hashes["matrix"] == first.hashes["matrix"]
    assert shuffled.hashes["raw"] != first.hashes["raw"]
    assert held_out_hash(make_split(shuffled, experiment, 0).test) == target
    rows.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.col("rating") % 5 + 1)
        .otherwise(pl.col("rating")).alias("rating")
    ).write_csv(path.parent / "ratings.csv")  # fmt: skip
    assert loaded(path).hashes["matrix"] != first.hashes["matrix"]


def test_the_hash_of_the_held_out_pairs_is_of_users_and_items_alone(written: Written) -> None:
    path = written("name: a\ndata: {file: ratings.csv}\nmodels: [ease]\n")
    test = make_split(loaded(path), read_experiment(path), 0).test
    matrix = test.target.matrix.tocoo()
    users, items = test.target.users.series.to_list(), test.target.items.series.to_list()
    pairs = sorted(
        (users[u], items[i]) for u, i in zip(matrix.row, matrix.col, strict=True)
    )  # fmt: skip
    own_users, own_items = (sorted({pair[side] for pair in pairs}) for side in (0, 1))
    extents = np.cumsum([0, *(sum(p[0] == u for p in pairs) for u in own_users)])
    text = f"users {len(own_users)}\n" + "".join(f'"{u}"\n' for u in own_users)
    text += f"items {len(own_items)}\n" + "".join(f"{i}\n" for i in own_items)
    form = f"{text}interactions {len(pairs)}\n".encode()
    form += struct.pack(f"<{extents.size}q", *extents)
    form += struct.pack(f"<{len(pairs)}i", *(own_items.index(i) for _, i in pairs))
    form += b"values none\ntimes none\n"
    assert held_out_hash(test) == hashlib.sha256(form).hexdigest()


def test_raw_hashes_are_those_of_the_files(written: Written, folder: Path) -> None:
    path = written("name: a\ndata: {file: 'rat*.csv', items: movies.csv}\nmodels: [ease]\n")
    by_file = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest()
               for name in ("ratings.csv", "movies.csv")}  # fmt: skip
    assert loaded(path).hashes["raw"] == {
        "log/ratings.csv": by_file["ratings.csv"], "items": by_file["movies.csv"]
    }  # fmt: skip


def test_files_of_the_same_name_in_several_folders_have_a_hash_each(
    written: Written, folder: Path, rows: pl.DataFrame
) -> None:
    expected = {}
    for day, part in (("monday", rows[::2]), ("tuesday", rows[1::2])):
        file = folder / "logs" / day / "part.csv"
        file.parent.mkdir(parents=True)
        part.write_csv(file)
        expected[f"log/{day}/part.csv"] = hashlib.sha256(file.read_bytes()).hexdigest()
    path = written("name: a\ndata: {file: 'logs/*/part.csv'}\nmodels: [ease]\n")
    assert loaded(path).hashes["raw"] == expected


# -- facts -----------------------------------------------------------------------------------


def test_the_data_in_short_by_hand() -> None:
    rows = pl.DataFrame({"user": [1, 1, 2, 3, 3, 3], "item": [1, 2, 1, 1, 2, 3]})
    found = facts_of("six", read(rows))
    assert found["name"] == "six"
    assert (found["users"], found["items"], found["interactions"]) == (3, 3, 6)
    assert found["density"] == pytest.approx(6 / 9)
    assert found["median_history"] == 2
    assert found["head_share"] == pytest.approx(3 / 6)  # one of three items is ⌈20 %⌉
    # counts 1, 2, 3: half the mean difference of all pairs over the mean
    pairs = [abs(a - b) for a in (1, 2, 3) for b in (1, 2, 3)]
    assert found["popularity_gini"] == pytest.approx(np.mean(pairs) / 2 / 2)


def test_facts_of_a_log() -> None:
    pairs = [("a", 1), ("a", 2), ("a", 3), ("b", 1), ("c", 1), ("c", 2)]  # items: 3, 2, 1 users
    frame = pl.DataFrame(pairs, schema=["user", "item"], orient="row")
    facts = facts_of("x", read(frame))
    assert (facts["users"], facts["items"], facts["interactions"]) == (3, 3, 6)
    assert facts["density"] == pytest.approx(6 / 9)
    assert facts["median_history"] == 2
    assert facts["head_share"] == pytest.approx(3 / 6)  # ⌈20 % of 3⌉ items: the first one
    # Σ|xi − xj| / (2 n² mean) of 1, 2, 3: 8 / (2 · 9 · 2)
    assert facts["popularity_gini"] == pytest.approx(8 / 36)
    halves = facts_of("x", read(frame[:3]), read(frame[3:]))
    assert halves == facts


# -- where the data are ----------------------------------------------------------------------


def test_a_public_set_is_found_where_it_was_fetched(
    rows: pl.DataFrame, written: Written, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = written("name: a\ndata: {public: ml-100k}\nmodels: [ease]\n")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.delenv("SHOAL_DATA", raising=False)
    with pytest.raises(
        DataError, match=r"shoal data fetch ml-100k`.*--data ml-100k=PATH.*SHOAL_DATA"
    ):
        load_data(read_experiment(path))
    columns = {"userId": "user", "movieId": "item", "timestamp": "time"}
    for place in (tmp_path / "data" / "ml-100k", tmp_path / "work" / "data" / "ml-100k",
                  tmp_path / "sets" / "ml-100k"):  # fmt: skip
        place.mkdir(parents=True)
        rows.rename(columns).write_parquet(place / "interactions.parquet")
        if place.parent.name == "sets":
            monkeypatch.setenv("SHOAL_DATA", str(place.parent))
        one = loaded(path)
        assert (one.files["log"], one.log.n_users) == (place / "interactions.parquet", 60)


def test_a_folder_in_place_of_a_data_set(
    rows: pl.DataFrame, written: Written, folder: Path
) -> None:
    path = written("name: a\ndata: {public: gowalla}\nmodels: [ease]\n")
    given = folder / "given"
    given.mkdir()
    with pytest.raises(DataError, match=r"given.*holds no tables: it needs interactions"):
        loaded(path, gowalla=given)
    rows[::2].write_csv(given / "train.csv")
    with pytest.raises(DataError, match=r"holds train.csv and no test"):
        loaded(path, gowalla=given)
    rows[1::2].write_csv(given / "test.csv")
    one = loaded(path, gowalla=given)
    assert one.is_split
    assert one.facts["interactions"] == len(rows)
    parts = make_split(one, read_experiment(path), 0)
    assert (len(parts.train), parts.validation) == (len(rows[::2]), None)
    rows.write_csv(given / "interactions.csv")
    with pytest.raises(DataError, match="keep the one log, or the two files"):
        loaded(path, gowalla=given)
    (given / "train.csv").unlink()
    (given / "test.csv").unlink()
    assert not loaded(path, gowalla=given).is_split
    rows.write_csv(given / "interactions.tsv", separator="\t")
    with pytest.raises(DataError, match=r"holds both interactions.csv and interactions.tsv"):
        loaded(path, gowalla=given)


def test_a_public_set_of_known_size(
    shoal_data: Callable[[str], Path], written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four stars and more of MovieLens-1M, whose numbers many papers print."""
    monkeypatch.setenv("SHOAL_DATA", str(shoal_data("ml-1m").parent))
    text = "name: a\ndata: {public: ml-1m, read: {min_value: 4}}\nmodels: [ease]\n"
    facts = loaded(written(text)).facts
    sizes = (facts["users"], facts["items"], facts["interactions"])
    assert sizes == (6038, 3533, 575_281)


def test_what_the_command_line_says_of_data(folder: Path) -> None:
    log = folder / "ratings.csv"
    assert elsewhere_of([f"a={log}"], ["a", "b"]) == {"a": log}
    assert elsewhere_of([str(log)], ["a"]) == {"a": log}
    for texts, complaint in (
        ([str(log)], "say of which data set"),
        ([f"c={log}"], "no data set is called c"),
        ([f"a={log}", f"a={log}"], "gives a twice"),
        ([f"a={folder / 'none'}"], "there is no file or folder"),
    ):
        with pytest.raises(DataError, match=complaint):
            elsewhere_of(texts, ["a", "b"])


def test_several_sets_and_vectors_of_texts(written: Written) -> None:
    path = written(
        "name: a\nmodels: [l3ae]\ndata:\n"
        "  - {file: ratings.csv, items: movies.csv, texts: true}\n"
        "  - {name: words, file: ratings.csv, items: movies.csv, texts: 'in {year}'}\n"
        "  - {name: plain, file: ratings.csv}\n"
    )
    all_words, template, plain = load_data(read_experiment(path))
    assert plain.log.item_vectors is None
    vectors = all_words.log.item_vectors
    assert vectors is not None
    # films 1 and 5 have the same title, "Love in Rome"; film 0 is "War in Oslo"
    assert np.allclose(vectors[1], vectors[5], atol=1e-5)
    assert not np.allclose(vectors[0], vectors[1], atol=0.1)
    years = template.log.item_vectors
    assert years is not None
    assert not np.allclose(years[1], years[5], atol=0.1)


# -- splits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "alike"),
    [
        ("{kind: strong}", False),
        ("{kind: weak}", False),
        ("{kind: strong, resplit: false}", True),
        ("{protocol: mult-vae, test: 10}", True),
        ("{kind: leave-last}", True),
        ("{kind: time}", True),
    ],
)
def test_every_seed_has_its_own_split_unless_something_fixes_it(
    split: str, alike: bool, written: Written
) -> None:
    path = written(f"name: a\ndata: {{file: ratings.csv}}\nmodels: [ease]\nsplit: {split}\n")
    experiment, one = read_experiment(path), loaded(path)
    assert splits_alike(one, experiment) is alike
    hashes = {held_out_hash(make_split(one, experiment, seed).test) for seed in (0, 1)}
    assert len(hashes) == (1 if alike else 2)


def test_a_given_split_has_validation_users_where_models_are_tuned(
    rows: pl.DataFrame, written: Written, folder: Path
) -> None:
    rows[::2].write_csv(folder / "train.csv")
    rows[1::2].write_csv(folder / "test.csv")
    text = "name: a\ndata: {train: train.csv, test: test.csv}\nmodels: [ease]\n"
    one = loaded(written(text))
    for more, share in (
        ("", 0.0),
        ("tuning: {trials: 2}\n", 0.1),
        ("split: {validation: 0.3}\n", 0.3),
    ):
        parts = make_split(one, read_experiment(written(text + more)), 5)
        n_held = 0 if parts.validation is None else len(parts.validation.target)
        # a tenth of a user's 4 or 5 training items is one of them, three tenths one or two
        assert n_held == {0.0: 0, 0.1: 60}.get(share, n_held)
        assert len(parts.train) + n_held == len(rows[::2])
        assert (n_held > 0) is (share > 0)
        assert held_out_hash(parts.test) == held_out_hash(
            make_split(one, read_experiment(written(text)), 0).test
        )


def test_the_files_of_a_given_split_joined_are_one_log(
    rows: pl.DataFrame, written: Written, folder: Path
) -> None:
    rows[::2].write_csv(folder / "train.csv")
    rows[1::2].write_csv(folder / "test.csv")
    text = "name: a\ndata: {train: train.csv, test: test.csv, joined: true}\nmodels: [ease]\n"
    experiment = read_experiment(written(text + "split: {kind: weak, test: 0.3}\n"))
    (joined,) = load_data(experiment)
    whole = loaded(written("name: a\ndata: {file: ratings.csv}\nmodels: [ease]\n"))
    assert joined.hashes["matrix"] == whole.hashes["matrix"]
    assert joined.facts | {"name": "ratings"} == whole.facts
    assert make_split(joined, experiment, 0).name.startswith("weak")


def test_a_folder_that_is_split_already_is_not_split_again(
    rows: pl.DataFrame, written: Written, folder: Path
) -> None:
    (folder / "given").mkdir()
    rows[::2].write_csv(folder / "given" / "train.csv")
    rows[1::2].write_csv(folder / "given" / "test.csv")
    path = written("name: a\ndata: {file: given}\nmodels: [ease]\nsplit: {kind: weak}\n")
    experiment = read_experiment(path)
    with pytest.raises(DataError, match=r"given is split already.*leave out split.kind"):
        make_split(loaded(path), experiment, 0)
