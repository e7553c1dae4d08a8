"""Reports from databases of events: what counts, what is left out, and what is said of it."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shoal.events import Event, EventStore, ShownList, experiment_lists
from shoal.events.event import ExperimentList, Promotion
from shoal.online import Experiment, Guards, Variant
from shoal.online.counting import count
from shoal.online.doubts import doubts
from shoal.online.report import report
from shoal.online.sequence import LEAST_USERS

HALVES = Experiment(
    name="autumn",
    variants={"control": Variant(share=0.5), "diverse": Variant(share=0.5, diversity=0.3)},
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EventStore]:
    with EventStore(tmp_path / "events.db") as opened:
        yield opened


class Shop:
    """Shows lists to people of an experiment, and stores what they click."""

    def __init__(self, store: EventStore, experiment: Experiment = HALVES) -> None:
        self.store, self.experiment = store, experiment
        self._lists: list[ShownList] = []
        self._events: list[Event] = []
        self._n = 0  # lists so far, which name the requests

    def show(
        self,
        user: str | None,
        items: list[str],
        clicked: list[str] = [],  # noqa: B006 - never changed
        *,
        variant: str | None = None,
        time: float | None = None,
        experiment: str = "autumn",
        type: str = "click",
    ) -> str:
        self._n += 1
        request = f"r{self._n}"
        if variant is None:
            variant = self.experiment.variant_of(user)
        shown = ShownList(request, user, items, "ease", "1", time, experiment, variant)
        self._lists.append(shown)
        for item in clicked:
            name = f"{request}:{item}:{type}"
            self._events.append(Event(user or "?", item, type, None, time, request, name))
        return request

    def save(self) -> EventStore:
        self.store.append(self._events, lists=self._lists)
        self._lists, self._events = [], []
        return self.store


def users_of(variant: str, n: int, experiment: Experiment = HALVES) -> list[str]:
    """The first users who are assigned a variant."""
    names = (f"user{number}" for number in range(100_000))
    chosen = (name for name in names if experiment.variant_of(name) == variant)
    return [next(chosen) for _ in range(n)]


def test_what_counts_by_hand(store: EventStore) -> None:
    shop = Shop(store)
    (ann, bob), (eve,) = users_of("control", 2), users_of("diverse", 1)
    shop.show(ann, ["a", "b", "c"], ["a", "c"])
    shop.show(ann, ["a", "d"], ["zebra"])  # zebra was not shown
    shop.show(bob, ["a"])
    shop.show(bob, ["b", "b"], ["b"])  # shown once, though it stands there twice
    shop.show(eve, ["e", "f"], ["e"])
    shop.show(eve, ["e", "f"], ["f"], type="view")  # no click
    shop.show(None, ["a"], variant="control")
    shop.show(eve, ["a", "b"], experiment="winter", variant="control")
    made = report(shop.save(), HALVES)
    control, diverse = made.variants
    numbers = (control.users, control.lists, control.impressions, control.clicks)
    assert numbers == (2, 4, 3 + 2 + 1 + 1, 3)
    assert control.rate == pytest.approx(3 / 7)
    assert (diverse.users, diverse.lists, diverse.impressions, diverse.clicks) == (1, 2, 4, 1)
    assert diverse.difference is not None
    assert diverse.difference.value == pytest.approx(1 / 4 - 3 / 7)
    assert diverse.difference.relative == pytest.approx((1 / 4) / (3 / 7) - 1)
    assert (diverse.difference.interval, diverse.difference.verdict) == (None, "too few users")
    assert (diverse.is_control, control.is_control, control.difference) == (False, True, None)
    assert diverse.settings == {"diversity": 0.3}
    assert made.left_out.without_user == 1
    assert made.left_out.clicks_not_shown == 1
    assert "1 list was shown without a user, and left out." in made.notes
    assert "1 click on items that were not in the list, not counted." in made.notes
    # 4 of the control's 7 impressions (a, a, b, b, c, d and one more a) show so many items
    draws = 1 - _missing(7, 3, 4), 1 - _missing(7, 2, 4), 1 - _missing(7, 1, 4)
    assert control.coverage == pytest.approx(draws[0] + draws[1] + 2 * draws[2])
    assert diverse.coverage == 2
    json.dumps(made.to_dict())  # plain data


def _missing(total: int, times: int, drawn: int) -> float:
    """The probability that none of an item's impressions is drawn, one draw after another."""
    probability = 1.0
    for n in range(drawn):
        probability *= (total - times - n) / (total - n)
    return probability


def crowd(store: EventStore, rates: dict[str, float], n: int = 400, **settings: Any) -> EventStore:
    """Many users with several lists, from whose items they click by chance."""
    experiment = settings.pop("experiment", HALVES)
    shop, rng = Shop(store, experiment), random.Random(7)
    catalogue = settings.pop("catalogue", {})
    for number in range(n):
        user = f"user{number}"
        variant = experiment.variant_of(user)
        for _ in range(rng.randint(1, 4)):
            items = rng.sample(catalogue.get(variant, [f"i{k}" for k in range(100)]), 5)
            clicked = [item for item in items if rng.random() < rates[variant]]
            shop.show(user, items, clicked, **settings)
    return shop.save()


def test_a_better_variant_is_found_with_its_guards(store: EventStore) -> None:
    crowd(store, {"control": 0.1, "diverse": 0.25}, 800)
    users = {f"i{k}": k for k in range(100)}
    made = report(store, HALVES, training_users=users)
    diverse = made.variant("diverse")
    assert diverse.difference is not None
    assert diverse.difference.interval is not None
    assert 0 < diverse.difference.interval.low < 0.15 < diverse.difference.interval.high
    assert diverse.difference.verdict == "better"
    assert [guard.passed for guard in diverse.guards] == [True, True]
    assert diverse.guards_passed
    assert diverse.popularity == pytest.approx(49.5, abs=2)  # the mean of 0 … 99
    assert not made.sample_ratio.mismatch
    assert "diverse gets more clicks than control (+" in made.conclusion
    assert made.conclusion.endswith("and its guards hold: it can be promoted.")
    assert made.notes == ()
    told = report(store, HALVES).conclusion
    assert told.endswith("it can be promoted, but its guard of popularity is not known.")


def test_guards_that_fail_are_told_with_the_numbers(store: EventStore) -> None:
    popular = {"diverse": [f"i{k}" for k in range(80, 100)]}
    crowd(store, {"control": 0.1, "diverse": 0.3}, 600, catalogue=popular)
    users = {f"i{k}": k for k in range(100)}
    made = report(store, HALVES, training_users=users)
    coverage, popularity = made.variant("diverse").guards
    assert (coverage.passed, popularity.passed) == (False, False)
    assert coverage.ratio == pytest.approx(0.2, abs=0.02)  # 20 items in place of 100
    assert popularity.ratio == pytest.approx(89.5 / 49.5, abs=0.05)
    assert "but it shows 0.2" in made.conclusion
    assert "times as many different items as control; the guard asks for 0.8" in made.conclusion
    assert "what it shows is 1.8" in made.conclusion
    assert made.conclusion.endswith("as what control shows; the guard allows 1.25.")
    told = doubts(made, "diverse")
    assert [doubt.is_serious for doubt in told] == [True, True]
    assert told[0].text.startswith("It shows 0.2")
    assert doubts(made, "control") == []


def test_guards_that_are_not_known_say_why(store: EventStore) -> None:
    crowd(store, {"control": 0.1, "diverse": 0.1}, 200)
    coverage, popularity = report(store, HALVES).variant("diverse").guards
    assert (coverage.passed, popularity.passed) == (True, None)
    assert "no model was named" in popularity.why
    made = report(store, HALVES, training_users={"other": 3})
    assert "knows none of the items" in made.variant("diverse").guards[1].why
    without = HALVES.model_copy(update={"guards": Guards(coverage=None, popularity=None)})
    assert report(store, without).variant("diverse").guards == ()


def test_a_variant_of_few_users_spoils_no_guard_of_the_others(store: EventStore) -> None:
    """In a few impressions all items are distinct: the coverage of 20 items seemed to be 100 %."""
    shares = {"control": 0.49, "diverse": 0.49, "rare": 0.02}
    experiment = Experiment(
        name="autumn", variants={name: Variant(share=share) for name, share in shares.items()}
    )
    popular = {"diverse": [f"i{k}" for k in range(80, 100)]}
    rates = {"control": 0.1, "diverse": 0.3, "rare": 0.1}
    crowd(store, rates, 400, catalogue=popular, experiment=experiment)
    made = report(store, experiment)
    rare, diverse = made.variant("rare"), made.variant("diverse")
    assert 0 < rare.users < LEAST_USERS
    assert rare.coverage is None
    assert "fewer than" in rare.guards[0].why
    assert diverse.guards[0].passed is False
    assert diverse.guards[0].ratio == pytest.approx(0.2, abs=0.02)


def test_a_worse_variant_is_told(store: EventStore) -> None:
    crowd(store, {"control": 0.3, "diverse": 0.1}, 600)
    made = report(store, HALVES)
    assert made.conclusion.startswith("diverse gets fewer clicks than control (−")


def test_users_that_are_lost_are_a_mismatch(store: EventStore) -> None:
    shop = Shop(store)
    for number in range(3_000):
        user = f"user{number}"
        variant = HALVES.variant_of(user)
        if variant == "diverse" or number % 5:  # a fifth of the control's lists is never sent
            shop.show(user, ["a"])
    made = report(shop.save(), HALVES)
    assert made.sample_ratio.mismatch
    assert made.sample_ratio.expected["control"] == pytest.approx(
        (made.variants[0].users + made.variants[1].users) / 2
    )
    assert "Do not trust the comparison" in made.conclusion


def test_nothing_yet_and_what_may_be_meant(store: EventStore) -> None:
    made = report(store, HALVES)
    assert [variant.rate for variant in made.variants] == [None, None]
    assert made.conclusion == "Nothing was shown yet, so there is nothing to conclude."
    assert "No list of experiment autumn is stored yet" in made.notes[0]
    assert (made.sample_ratio.p, made.first) == (1.0, None)
    shop = Shop(store)
    shop.show("ann", ["a"], experiment="autum", variant="control")
    shop.save()
    assert report(store, HALVES).notes[0] == (
        "No list of experiment autumn is stored; this database has autum (1 list): is the name "
        "right?"
    )


def test_a_type_that_no_event_has_is_told(store: EventStore) -> None:
    crowd(store, {"control": 0.1, "diverse": 0.1}, 100)
    made = report(store, HALVES.model_copy(update={"success": "buy"}))
    assert made.variants[0].clicks == 0
    assert "No event of type 'buy'" in made.notes[0]


def test_one_variant_alone(store: EventStore) -> None:
    alone = Experiment(name="autumn", variants={"control": Variant(share=1)})
    crowd(store, {"control": 0.2}, 100, experiment=alone)
    made = report(store, alone)
    assert made.variants[0].interval is not None
    assert made.conclusion == "There is one variant alone, and nothing to compare it with."


def test_a_user_belongs_to_the_variant_of_the_first_list(store: EventStore) -> None:
    shop = Shop(store)
    (ann,) = users_of("control", 1)
    shop.show(ann, ["a"], variant="diverse")
    shop.show(ann, ["b"], ["b"], variant="control")
    shop.show(ann, ["c"], ["c"], variant="diverse")
    shop.show(ann, ["d"], variant="spring")
    made = report(shop.save(), HALVES)
    assert [(v.users, v.lists, v.clicks) for v in made.variants] == [(0, 0, 0), (1, 2, 1)]
    assert made.left_out.of_another_variant == 1
    assert made.left_out.unknown_variants == {"spring": 1}
    told = " ".join(made.notes)
    assert "1 list was of a second variant that 1 user came to, and left out." in told
    assert "1 user is counted in another variant than the file assigns" in told
    assert "1 list was of variant 'spring', which the experiment does not have" in told


def test_lists_from_while_a_variant_was_promoted_are_left_out() -> None:
    (ann,) = users_of("control", 1)
    lists = [
        ExperimentList(ann, variant, time, ("a",), frozenset({"a"}))
        for time, variant in [(1, "control"), (10, "diverse"), (19.5, "diverse"), (21, "control")]
    ]
    decisions = [Promotion("diverse", 5.0), Promotion(None, 20.0)]
    counts = count(lists, HALVES, decisions)
    assert counts.while_promoted == 2
    assert counts.variants["control"].sums.clicks == 2
    assert counts.variants["diverse"].sums.users == 0
    assert (counts.first, counts.last) == (1, 21)
    assert count(lists, HALVES, decisions[:1]).while_promoted == 3


def test_a_promoted_variant_is_named(store: EventStore) -> None:
    crowd(store, {"control": 0.1, "diverse": 0.1}, 100, time=1_000.0)
    store.promote("autumn", "diverse")
    made = report(store, HALVES)
    assert made.promoted == "diverse"
    assert made.conclusion.startswith("diverse is promoted: everybody gets it.")
    assert made.variants[0].users > LEAST_USERS  # the lists from before still count


def test_a_time_window(store: EventStore) -> None:
    shop = Shop(store)
    (ann,) = users_of("control", 1)
    for time in (1_000.0, 2_000.0, 3_000.0):
        shop.show(ann, ["a"], ["a"], time=time)
    shop.save()
    made = report(store, HALVES, since=2_000, until=3_000)
    assert (made.variants[0].lists, made.since, made.until) == (1, 2_000, 3_000)
    assert "in this time window" in report(store, HALVES, since=5_000).notes[0]


def test_one_user_with_most_of_the_lists_is_told(store: EventStore) -> None:
    crowd(store, {"control": 0.1, "diverse": 0.1}, 120)
    shop = Shop(store)
    (robot,) = users_of("diverse", 1)
    shop._n = 1_000_000
    for n in range(50):
        shop.show(robot, [f"x{n}-{k}" for k in range(10)])
    made = report(shop.save(), HALVES)
    assert any(note.startswith("One user accounts for") for note in made.notes)


def test_differences_share_the_probability_of_an_error(store: EventStore) -> None:
    three = Experiment(
        name="autumn",
        variants={"a": Variant(share=0.5), "b": Variant(share=0.25), "c": Variant(share=0.25)},
    )
    crowd(store, {"a": 0.2, "b": 0.2, "c": 0.2}, 400, experiment=three)
    made = report(store, three)
    two = Experiment(name="autumn", variants={"a": Variant(share=0.5), "b": Variant(share=0.5)})
    narrow, wide = report(store, two).variant("b").difference, made.variant("b").difference
    assert narrow is not None
    assert wide is not None
    assert narrow.interval is not None
    assert wide.interval is not None
    assert narrow.value == wide.value
    assert narrow.interval.high < wide.interval.high


def test_a_user_who_is_deleted_is_deleted_from_experiments(store: EventStore) -> None:
    shop = Shop(store)
    ann, bob = users_of("control", 2)
    shop.show(ann, ["a"], ["a"])
    shop.show(bob, ["a"], ["a"])
    shop.save().delete_user(ann)
    assert report(store, HALVES).variants[0].users == 1
    assert [shown.user for shown in store.experiment_lists("autumn")] == [bob]


def test_memory_does_not_grow_with_users_and_lists(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiment_lists, "PAGE", 200)
    peaks = []
    for n in (1_000, 10_000):
        shop = Shop(store, HALVES.model_copy(update={"name": f"of-{n}"}))
        shop._n = 1_000_000 + n
        for number in range(n):
            items = [f"i{(number + k) % 300}" for k in range(10)]
            shop.show(f"{n}-{number}", items, items[:1], experiment=f"of-{n}")
        shop.save()
        tracemalloc.start()
        made = report(store, shop.experiment)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert sum(variant.clicks for variant in made.variants) == n
    assert peaks[1] < 1.5 * peaks[0]
