"""What differs between two trees of plain data."""

from __future__ import annotations

from shoal.experiments.runs.differences import differences, in_words


def test_parts_of_a_list_are_matched_by_name() -> None:
    before = {"models": [{"name": "a", "l2": 1}, {"name": "b", "l2": 2}], "seeds": [0, 1]}
    after = {"models": [{"name": "b", "l2": 2.0}, {"name": "a", "l2": 3}], "seeds": [0]}
    assert [str(one) for one in differences(before, after)] == [
        "models.a.l2: 1 → 3",
        "seeds.2: 1 → absent",
    ]


def test_what_is_new_or_gone() -> None:
    assert [str(one) for one in differences({"x": []}, {"x": [], "y": {"z": None}})] == [
        "y: absent → present"
    ]
    assert differences({"x": {}}, {"x": {}}) == []
    assert [str(one) for one in differences({"x": []}, {"x": [1]})] == ["x.1: absent → 1"]


def test_what_one_of_the_two_lacks_altogether_is_one_place() -> None:
    model = {"name": "a", "set": {"l2": 1, "alpha": 0.5}}
    found = differences(
        {"models": [model], "tuning": {"trials": 3}}, {"models": [], "tuning": None}
    )
    assert [str(one) for one in found] == [
        "models.a: present → absent",
        'tuning: {"trials": 3} → null',
    ]
    assert found[0].to_dict() == {"place": "models.a", "before": model, "after": "absent"}


def test_many_differences_are_counted() -> None:
    found = differences({}, {str(number): number for number in range(9)})
    assert in_words(found, most=2) == "0: absent → 0; 1: absent → 1; and 7 more"
