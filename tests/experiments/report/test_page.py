"""The HTML of a report: it asks nothing of anybody, has all sections, and names stay text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from shoal.experiments.report.page import flat, report_page
from shoal.experiments.report.run_files import RunFiles
from shoal.web import script_json
from tests.experiments.report import invented

VOID = {"meta", "link", "img", "br", "wbr", "input", "hr"}
DRAWING = {"path", "rect", "line", "circle", "g", "svg"}


class Reader(HTMLParser):
    """What a page is made of."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.data: dict[str, str] = {}  # elements of scripts that hold data, by id
        self.crossed: list[str] = []
        self._id = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._id = dict(attrs).get("id") or ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.crossed.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "script" and self._id:
            self.data[self._id] = data
        elif "script" not in self.open and "style" not in self.open:
            self.texts.append(data)


def read(results: dict[str, Any], run_files: RunFiles | None = None) -> Reader:
    reader = Reader()
    reader.feed(report_page(results, run_files))
    reader.close()
    return reader


def headings(reader: Reader) -> set[str]:
    return {a.get("id") or "" for tag, a in reader.tags if tag == "section"} - {""}


def test_elements_close_in_the_order_in_which_they_opened() -> None:
    reader = read(invented.results("one", "two"))
    assert reader.open == []
    assert reader.crossed == []


def test_nothing_is_loaded_from_anywhere() -> None:
    page = report_page(invented.results())
    reader = read(invented.results())
    for tag, attributes in reader.tags:
        assert "src" not in attributes, tag
        assert tag not in ("link", "img", "iframe", "object", "embed", "base", "form"), tag
        assert (attributes.get("href") or "#").startswith("#"), attributes
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(styles) == 1
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]
    assert "sourceMappingURL" not in page
    policy = next(a for t, a in reader.tags if t == "meta" and "http-equiv" in a)
    # what a script might still try is refused: no source but the page itself is named
    assert "default-src 'none'" in str(policy["content"])
    assert not re.search(r"https?:|'unsafe-eval'|'self'|\*", str(policy["content"]))


def test_every_section_is_there() -> None:
    there = headings(read(invented.results()))
    names = (
        "verdict leaderboard differences costs curves popularity history negative people map data "
        "tuning published"
    )
    assert {f"d1-{name}" for name in names.split()} | {"d1", "reproduce"} <= there
    assert "overview" not in there


def test_several_data_sets_have_a_section_each_and_an_overview_first() -> None:
    reader = read(invented.results("one", "two"))
    sections = [a["id"] for t, a in reader.tags if t == "section" and "id" in a]
    assert sections[0] == "overview"
    assert {"d1", "d2", "d1-verdict", "d2-verdict"} <= set(sections)
    ids = [a["id"] for _, a in reader.tags if "id" in a]
    assert len(ids) == len(set(ids))


def test_names_and_titles_stay_text() -> None:
    reader = read(invented.results())
    text = "".join(reader.texts)
    for name in (invented.SCRIPT, invented.QUOTES):
        assert name in text
    assert not any("onerror" in attributes for _, attributes in reader.tags)
    # ours alone: data and libraries, and none that a name brought
    kinds = [attributes.get("type") for tag, attributes in reader.tags if tag == "script"]
    assert kinds == ["application/json", "application/json", *[None] * 5]


def test_data_for_scripts_come_back_as_they_were() -> None:
    reader = read(invented.results())
    titles = json.loads(reader.data["d1-map-data"])["titles"]
    assert titles[-3:] == [invented.SCRIPT, invented.QUOTES, invented.LINES]
    specs = json.loads(reader.data["charts"])["specs"]
    labels = {row["label"] for row in specs["d1-costs-fit_seconds"]["data"]["values"]}
    assert invented.QUOTES in labels


@pytest.mark.parametrize("text", [invented.SCRIPT, invented.LINES, "<!--", "&lt;"])
def test_json_for_a_script_has_no_letter_that_ends_it(text: str) -> None:
    made = script_json({"a": text})
    assert not set(made) & set("<>&\u2028\u2029")
    assert json.loads(made) == {"a": text}


def test_every_chart_has_its_place_and_every_place_its_chart() -> None:
    reader = read(invented.results("one", "two", n_more=3))
    places = {a["data-chart"] for _, a in reader.tags if "data-chart" in a}
    assert places == set(json.loads(reader.data["charts"])["specs"])
    assert len(places) >= 2 * 8
    described = [a for _, a in reader.tags if "data-chart" in a]
    assert all(a["role"] == "img" and len(str(a["aria-label"])) > 20 for a in described)


def test_tables_have_captions_and_their_values_stand_without_scripts() -> None:
    reader = read(invented.results())
    tags = [tag for tag, _ in reader.tags]
    assert tags.count("table") == tags.count("caption") >= 7
    text = "".join(reader.texts)
    for value in ("0.4500", "± 0.0100", "−0.0500 [−0.0600, −0.0400]", "0.125", "−0.0100"):
        assert value in text, value


@pytest.mark.parametrize(
    ("change", "gone"),
    [
        (lambda c: c.update(extras={}), ("people", "map")),
        (lambda c: [m.update(curve=[]) for m in c["models"]], ("curves",)),
        (lambda c: [m.update(by_popularity=None) for m in c["models"]], ("popularity",)),
        (lambda c: [m.update(by_history=[]) for m in c["models"]], ("history",)),
        (lambda c: c.update(published=[]), ("published",)),
        (lambda c: c.update(models=c["models"][:1]), ("differences", "tuning", "curves")),
    ],
)
def test_what_is_not_known_has_no_section(
    change: Callable[[dict[str, Any]], None], gone: tuple[str, ...]
) -> None:
    results = invented.results()
    change(results["comparisons"][0])
    there = headings(read(results))
    assert not there & {f"d1-{name}" for name in gone}
    assert {"d1-verdict", "d1-leaderboard", "d1-data"} <= there


def test_results_with_nothing_but_what_they_must_have_make_a_page() -> None:
    bare = {"label": "ease", "metrics": {}}
    comparison = {"data": {"name": "x"}, "metric": "ndcg@100", "models": [bare]}
    reader = read({"comparisons": [comparison]})
    assert "No model could be fitted." in "".join(reader.texts)
    read({"comparisons": [{**comparison, "models": []}]})
    read({"comparisons": []})


def test_the_file_the_environment_and_the_trials_are_folded_in() -> None:
    trials = [
        {"data": "set", "model": invented.QUOTES, "score": s, "seconds": 2.0, "state": state,
         "source": "drawn", "settings": {"l2": 1.0}}
        for s, state in ((0.40, "complete"), (0.44, "complete"), (0.46, "pruned"))
    ]  # fmt: skip
    files = RunFiles(
        experiment="name: x\nmodels: [ease]  # </pre><script>\n",
        environment={
            "shoal": "1.2.3",
            "packages": {"numpy": "9.8.7"},
            "memory_bytes": 8_000_000_000,
        },
        data={"set": {"hashes": {"matrix": "abc123"}, "facts": {"users": 5}}},
        run={"started": "2031-05-06T07:08:09", "seconds": 300, "status": "interrupted"},
        trials=trials,
    )
    reader = read(invented.results(), files)
    text = "".join(reader.texts)
    for part in ("models: [ease]  # </pre><script>", "numpy 9.8.7", "8.0 GB", "abc123"):
        assert part in text, part
    assert "2031-05-06" in text
    assert "interrupted" in text
    assert "0.4400" in text  # the best trial that was not stopped early
    points = json.loads(reader.data["charts"])["specs"]["d1-tuning-1"]["data"]["values"]
    assert [(p["seconds"], p["value"]) for p in points] == [(2, 0.40), (4, 0.44), (6, 0.44)]


def test_nested_facts_become_rows() -> None:
    nested = {"a": {"b": 1, "c": [1, 2]}, "d": None, "e": [{"f": "x"}, {"f": "y"}]}
    assert flat(nested) == [("a b", "1"), ("a c", "1, 2"), ("e 1 f", "x"), ("e 2 f", "y")]


def test_each_answer_of_the_verdict_is_a_paragraph_and_that_on_depth_is_set_off() -> None:
    results = invented.results()
    page = report_page(results)
    (block,) = re.findall(r'<div class="verdict">(.*?)</div>', page, re.DOTALL)
    paragraphs = re.findall(r"<p.*?>(.*?)</p>", block)
    assert len(paragraphs) == 2
    assert paragraphs[0].startswith("rdlae is best.")
    assert paragraphs[1] == "<b>Does depth pay here? No.</b> Depth does not pay here"
    # results that were written before they had lines
    del results["comparisons"][0]["verdict"]["lines"]
    (block,) = re.findall(r'<div class="verdict">(.*?)</div>', report_page(results), re.DOTALL)
    assert len(re.findall(r"<p[ >]", block)) == 1


def test_long_lists_of_models_are_folded() -> None:
    results = invented.results()
    labels = [f"model-{n}" for n in range(36)]
    results["comparisons"][0]["notes"] = [
        f"Budgets of tuning differ in trials: {', '.join(labels)}.",
        "Cold users: ease is best there too.",
    ]
    results["comparisons"][0]["unfinished"] = labels
    page = report_page(results)
    folded = re.findall(r"<details><summary>([^<]*)</summary>(.*?)</details>", page)
    titles = ["Not finished", "Budgets of tuning differ in trials"]
    assert [title for title, _ in folded][:2] == titles
    assert all("model-0, " in text and "model-35" in text for _, text in folded[:2])
    assert "<li>Cold users: ease is best there too.</li>" in page


def test_hardware_is_told_where_models_were_measured_on_different_machines() -> None:
    results = invented.results()
    assert "measured on" not in "".join(read(results).texts)
    for model in results["comparisons"][0]["models"]:
        model["hardware"] = "GPU <1>" if model["kind"] == "deep" else "2 threads of a processor"
    reader = read(results)
    text = "".join(reader.texts)
    assert text.count("GPU <1>") == 1 + 4  # a row of the table, and below each of the charts
    assert "Hollow: measured on GPU <1>; filled: on 2 threads of a processor." in text
    spec = json.loads(reader.data["charts"])["specs"]["d1-costs-fit_seconds"]
    hollow = {row["label"]: row["hollow"] for row in spec["data"]["values"]}
    assert [label for label, is_hollow in hollow.items() if is_hollow] == ["mult-vae"]
    marks = [layer["mark"] for layer in spec["layer"] if layer["mark"]["type"] == "point"]
    assert [mark["filled"] for mark in marks] == [True, False]


def test_a_page_of_36_models_with_thousands_of_trials_is_small_and_keeps_each_best_score() -> None:
    results = invented.results(n_more=32)
    labels = [model["label"] for model in results["comparisons"][0]["models"]]
    assert len(labels) == 36
    trials = [
        # rises at trials 0, 1, 1000 and 2000, and is lower between them
        {"model": label, "score": 0.1 + n // 1000 / 10 + (n == 1) / 20 - (n % 1000 > 1) / 30,
         "seconds": 0.123456789, "state": "complete"}
        for label in labels for n in range(3000)
    ]  # fmt: skip
    page = report_page(results, RunFiles(trials=trials))
    assert len(page.encode()) < 1_500_000
    reader = Reader()
    reader.feed(page)
    specs = json.loads(reader.data["charts"])["specs"]
    for n in range(1, 37):
        points = specs[f"d1-tuning-{n}"]["data"]["values"]
        assert len(points) < 100
        steps = {p["value"]: p["seconds"] for p in reversed(points)}  # the first of each value
        assert steps == pytest.approx(
            {0.1: 0.12, 0.15: 0.25, 0.2: 1001 * 0.123457, 0.3: 2001 * 0.123457}, abs=0.01
        )
    assert "<summary>The best so far over the time of the search</summary>" in page
