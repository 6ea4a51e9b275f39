"""The report of a demo: one file that works alone, says what the files say, and survives odd countries."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
import vl_convert

from deploy.demo.agreement import charter_of, zoning_of
from deploy.demo.compare import Distance, distance, read_rows
from deploy.demo.country import Country, load_country
from deploy.demo.report import words, write_report
from deploy.demo.report.attribution import Block, blocks
from deploy.demo.report.geometry import draw
from deploy.demo.report.maps import breaks, steps
from deploy.demo.report.rows import wilson
from deploy.demo.simulation import Settings
from deploy.demo.simulation.calendar import local_day, range_period
from privacy.errors import ResourceProblem, UsageProblem
from privacy.statistics import PRESENCE_BY_HOUR, RESIDENTS
from quorate.contract.charter import Charter
from tests.keys import keys_for
from tests.small_country import write_small_country

PRODUCTS = ("residents", "presence")
HEADER = ("ref_area", "time_period", "estimate", "std_error", "lower_95", "upper_95", "obs_status")
WEEK = Settings(scale=0.02)
Publish = Callable[[str, str, str], bool]


@dataclass(frozen=True)
class Demo:
    """What a demo leaves, made up: exact truth, estimates a few per cent off, two releases in each ledger."""

    out: Path
    country: Country
    charter: Charter
    distances: tuple[Distance, ...]
    directory: Path

    def report(self) -> Report:
        path = write_report(self.out, self.country, self.charter, self.distances, self.directory)
        assert path == self.out / "report.html"
        return Report.of(path.read_text(encoding="utf-8"))


class Report(HTMLParser):
    """The page as a browser reads it: attributes, text, and the content of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.html, self.text = "", ""
        self.attributes: list[tuple[str, str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.styles: list[str] = []
        self._inside: str | None = None

    @classmethod
    def of(cls, html: str) -> Report:
        report = cls()
        report.html = html
        report.feed(html)
        report.close()
        return report

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self._inside = tag if tag in {"script", "style"} else None
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        self._inside = None
        self.text += " " if tag in {"td", "th", "p", "dt", "dd", "h1", "caption", "summary"} else ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            attrs, text = self.scripts[-1]
            self.scripts[-1] = (attrs, text + data)
        elif self._inside == "style":
            self.styles.append(data)
        else:
            self.text += data.replace("\u00a0", " ")

    def data(self, name: str) -> Any:
        (text,) = [text for attrs, text in self.scripts if attrs.get("id") == name]
        return json.loads(text)

    def svg(self, chart: str) -> str:
        """Draw a chart as the browser would."""
        found, datasets = self.data("specs")[chart], self.data("datasets")
        own = {name: datasets[name] for name in found["sets"]}
        whole = {**found["spec"], "width": 500, "height": 400}
        whole["datasets"] = {**found["spec"].get("datasets", {}), **own}
        return str(vl_convert.vegalite_to_svg(whole, vl_version="v6.4", config=self.data("look")["config"]))


def make_demo(
    root: Path,
    settings: Settings = WEEK,
    *,
    zones: int = 12,
    names: tuple[str, ...] = (),
    publish: Publish = lambda product, area, period: True,
) -> Demo:
    directory = write_small_country(root / "country", zones=zones)
    rename(directory / "zones.geojson", names)
    country, out = load_country(directory), root / "out"
    for part in ("estimates", "truth"):
        (out / part).mkdir(parents=True)
    zoning = zoning_of(country)
    charter = charter_of(
        zoning, settings, {RESIDENTS: "a" * 64, PRESENCE_BY_HOUR: "b" * 64}, keys_for(settings.operator_ids)
    )
    write_tables(out, country, settings, publish)
    write_json(out / "settings.json", simulated(settings, country))
    write_json(
        out / "ledger.json", {operator: ledger(settings, operator) for operator in settings.operator_ids}
    )
    distances = tuple(
        distance(
            product,
            level,
            zoning.members(level),
            *(rows(out, part, product) for part in ("estimates", "truth")),
        )
        for product in PRODUCTS
        for level in charter.publication.levels
    )
    return Demo(out, country, charter, distances, directory)


def rename(path: Path, names: tuple[str, ...]) -> None:
    collection = json.loads(path.read_text(encoding="utf-8"))
    for feature, name in zip(collection["features"], names, strict=False):
        feature["properties"]["name"] = name
    if names:
        collection["name"] = names[0]
    write_json(path, collection)


def write_tables(out: Path, country: Country, settings: Settings, publish: Publish) -> None:
    day = local_day(settings.presence_date, settings.timezone)
    periods = {
        "residents": [range_period(settings.start, settings.days, settings.timezone)],
        "presence": day.hour_periods(),
    }
    size = country.population.sum(axis=1)
    areas = dict(zip(country.zone_codes, size.tolist(), strict=True))
    for index, code in enumerate(country.district_codes):
        areas[code] = int(size[country.district_index == index].sum())
    rng = np.random.default_rng(1)
    for product in PRODUCTS:
        truth, estimates = [], []
        for area, persons in areas.items():
            for number, period in enumerate(periods[product]):
                true = persons + (number * persons // 100 if product == "presence" else 0)
                truth.append((area, period, true))
                estimates.append((area, period, *cell(true, rng, shown=publish(product, area, period))))
        write_csv(out / "truth" / f"{product}.csv", ("ref_area", "time_period", "value"), truth)
        write_csv(out / "estimates" / f"{product}.csv", HEADER, estimates)


def cell(true: int, rng: np.random.Generator, *, shown: bool) -> tuple[object, ...]:
    error = 0.05 * true
    value = round(true + rng.normal(0.0, error), 1)
    interval = (round(value - 1.96 * error, 1), round(value + 1.96 * error, 1))
    return (value, error, *interval, "E") if shown else ("", error, "", "", "Q")


def simulated(settings: Settings, country: Country) -> dict[str, Any]:
    operators = settings.operator_ids
    counts = {
        "register": 12_000,
        "persons": 12_345,
        "owners": 10_000,
        "subscriptions": dict.fromkeys(operators, 4_000),
        "events": dict.fromkeys(operators, 1_234_567),
    }
    asked = settings.model_dump(mode="json") | {"presence_day": settings.presence_date.isoformat()}
    return {"country": country.name, "settings": asked, "operators": list(operators), "counts": counts}


def ledger(settings: Settings, operator: str) -> dict[str, Any]:
    days = [day.date.isoformat() for day in settings.local_days]
    presence = settings.presence_date.isoformat()
    charges = [
        charge(1, "residents", (days[0], days[-1]), (5_000_000, 10_000_000), operator),
        charge(2, "presence", (presence, presence), (20_000_000, 20_000_000), operator),
    ]
    spent = {day: 30_000_000 if day == presence else 10_000_000 for day in days}
    caps = {"day": 30_000_000, "window": 600_000_000, "window_days": 31}
    head = f"{operator}-{'c' * 60}"
    return {
        "charges": charges,
        "days": spent,
        "windows": {days[0]: 25_000_000},
        "caps": caps,
        "entries": 2,
        "chain_head": head,
    }


def charge(
    number: int, product: str, days: tuple[str, str], nano: tuple[int, int], operator: str
) -> dict[str, Any]:
    return {
        "sequence": number,
        "release_id": product + "d" * 50,
        "product": product,
        "first_day": days[0],
        "last_day": days[1],
        "revision": 0,
        "mechanism": "discrete-gaussian",
        "scales": {"zone": 10.01},
        "by_period": nano[0],
        "by_day": nano[1],
        "result_sha256": operator + "e" * 60,
    }


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def write_csv(path: Path, header: tuple[str, ...], lines: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *lines])


def rows(out: Path, part: str, product: str) -> list[dict[str, str]]:
    return read_rows(out / part / f"{product}.csv")


def addresses(value: object) -> list[str]:
    """Every text in a JSON value that is an address, but for the name of the schema."""
    if isinstance(value, dict):
        return [text for key, inner in value.items() if key != "$schema" for text in addresses(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in addresses(inner)]
    return [value] if isinstance(value, str) and re.match(r"(https?:)?//", value) else []


def shape_fills(svg: str) -> list[str]:
    """Fill of every shape of the second layer, the one over the hatching; empty if one has none."""
    layer = svg[svg.index("layer_1_marks") :]
    paths = re.findall(r"<path[^>]*>", layer[: layer.index("</g>")])
    return [(re.findall(r'fill="(#[^"]+)"', path) or [""])[0] for path in paths]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return make_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def report(demo: Demo) -> Report:
    return demo.report()


def test_the_file_is_complete_and_nothing_else_is_left(demo: Demo, report: Report) -> None:
    assert report.html.startswith("<!DOCTYPE html>")
    assert report.html.rstrip().endswith("</html>")
    assert [path.name for path in demo.out.iterdir() if "report" in path.name] == ["report.html"]


def test_a_report_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    demo = make_demo(tmp_path)
    (demo.out / "report.html").write_text("earlier", encoding="utf-8")
    (demo.out / "report.html.part").mkdir()
    with pytest.raises(ResourceProblem, match=r"report\.html cannot be written"):
        demo.report()
    assert (demo.out / "report.html").read_text(encoding="utf-8") == "earlier"


@pytest.mark.parametrize(
    "file", ["ledger.json", "settings.json", "estimates/presence.csv", "truth/residents.csv"]
)
def test_a_file_that_is_missing_is_named(tmp_path: Path, file: str) -> None:
    demo = make_demo(tmp_path)
    (demo.out / file).unlink()
    with pytest.raises(UsageProblem, match=re.escape(Path(file).name)):
        demo.report()


def test_the_page_asks_no_other_host_for_anything(report: Report) -> None:
    pointing = {
        "src",
        "href",
        "srcset",
        "data",
        "action",
        "formaction",
        "poster",
        "background",
        "cite",
        "ping",
    }
    assert [found for found in report.attributes if found[1] in pointing or found[1] == "xlink:href"] == []
    assert report.styles
    assert not any(re.search(r"url\(|@import", style) for style in report.styles)
    for name in ("datasets", "specs", "look"):
        assert addresses(report.data(name)) == []
    (policy,) = [
        value for _, name, value in report.attributes if name == "content" and "default-src" in value
    ]
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_every_chart_is_drawn_has_a_title_and_says_what_it_shows(report: Report) -> None:
    specs = report.data("specs")
    figures = [value for tag, name, value in report.attributes if (tag, name) == ("figure", "id")]
    assert sorted(figures) == sorted(specs)
    for name, found in specs.items():
        assert len(found["spec"]["description"]) > 40
        assert "<path" in report.svg(name)
    assert report.html.count("<figcaption><h3>") == len(specs)


def test_each_set_of_rows_is_there_once_and_no_chart_carries_shapes_of_its_own(report: Report) -> None:
    assert "coordinates" not in json.dumps(report.data("specs"))
    named = {name for found in report.data("specs").values() for name in found["sets"]}
    assert named == set(report.data("datasets"))


def test_zones_and_hours_are_the_numbers_of_the_files(demo: Demo, report: Report) -> None:
    estimates = {row["ref_area"]: row for row in rows(demo.out, "estimates", "residents")}
    truth = {row["ref_area"]: float(row["value"]) for row in rows(demo.out, "truth", "residents")}
    zones = report.data("datasets")["zones"]
    assert [zone["code"] for zone in zones] == list(demo.country.zone_codes)
    for zone in zones:
        row = estimates[zone["code"]]
        shown = (zone["estimate"], zone["lower"], zone["upper"], zone["status"], zone["truth"])
        assert shown == (*(float(row[name]) for name in HEADER[2:3] + HEADER[4:6]), "E", truth[zone["code"]])
    presence = rows(demo.out, "estimates", "presence")
    hours = {row["area"]: row for row in report.data("datasets")["hours"]}
    assert set(hours) == set(demo.country.district_codes) | set(demo.country.zone_codes)
    for area, row in hours.items():
        assert row["estimate"] == [float(cell["estimate"]) for cell in presence if cell["ref_area"] == area]


def test_the_change_is_presence_from_14_to_15_over_residents(demo: Demo, report: Report) -> None:
    home = {row["ref_area"]: float(row["estimate"]) for row in rows(demo.out, "estimates", "residents")}
    day = {
        row["ref_area"]: float(row["estimate"])
        for row in rows(demo.out, "estimates", "presence")
        if "T14:00" in row["time_period"]
    }
    for district in report.data("datasets")["districts"]:
        code = district["code"]
        assert district["estimate"] == day[code]
        assert district["change"] == pytest.approx(day[code] / home[code] - 1.0, abs=1e-4)
        # A coefficient of variation of 5 % in both: 1.96·√2·0.05, about, of the ratio.
        assert district["margin"] == pytest.approx(0.1386 * day[code] / home[code], rel=0.2)
        assert (district["label"] is not None) == (abs(district["change"]) > district["margin"])


def test_key_figures_are_those_of_settings_ledgers_and_distances(demo: Demo, report: Report) -> None:
    text = " ".join(report.text.split())
    for figure in ("12,345", "12,000", "3,703,701", "ρ 0.03", "ε 1.12 at δ = 10⁻⁶", "19–25 Oct 2026"):
        assert figure in text
    for found in demo.distances:
        assert f"{100 * found.wmape:.1f} %" in text
        assert f"{100 * found.coverage:.1f} %" in text
    assert "simulated at 2 % of the real population" in text


def test_ledgers_are_shown_by_operator_with_charges_totals_and_heads(demo: Demo, report: Report) -> None:
    text = " ".join(report.text.split())
    for operator in demo.charter.operators:
        assert f"{operator} 2 0.03 of 0.03 1.12 0.025 of 0.6" in text
        assert f"{operator} 1 residents 19–25 Oct 2026 σ = 10.01 0.01 0.005 resident…" in text
        assert ("td", "title", f"{operator}-{'c' * 60}") in report.attributes
    assert "21 Oct 2026 0.03 0.03 0.03 0.03" in text
    budget = report.data("datasets")["budget"]
    assert sum(row["rho"] for row in budget if row["day"] == "2026-10-21") == pytest.approx(0.03)
    assert len(budget) == 8


def test_names_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    hostile = (
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "\"quotes\" & 'apostrophes' <!-- -->",
        "Ōsaka 大阪 \u2028 {{ 7 * 7 }}",
    )
    demo = make_demo(tmp_path, names=hostile)
    (demo.directory / "ATTRIBUTION.md").write_text(
        "# <b>Source</b>\n\n<script>alert(1)</script>\n", encoding="utf-8"
    )
    report = demo.report()
    assert [attrs.get("type") for attrs, _ in report.scripts] == ["application/json"] * 3 + ["module"] * 2
    assert not any(tag == "img" or name.startswith("on") for tag, name, _ in report.attributes)
    assert [zone["name"] for zone in report.data("datasets")["zones"][:4]] == list(hostile)
    assert f"{hostile[0]}: residents and presence" in report.text
    for chart in report.data("specs"):
        assert "<script" not in report.svg(chart)


def test_half_a_surrogate_pair_in_a_name_does_not_stop_the_report(tmp_path: Path) -> None:
    demo = make_demo(tmp_path)
    assert "?: residents" in replace(demo, country=replace(demo.country, name="\ud800")).report().text


def test_a_country_of_which_everything_is_suppressed_has_a_report(tmp_path: Path) -> None:
    demo = make_demo(tmp_path, publish=lambda product, area, period: False)
    report = demo.report()
    sets = report.data("datasets")
    assert {zone["estimate"] for zone in sets["zones"]} == {None}
    assert sets["coverage"] == []
    assert len(sets["hatch_zones"]) == len(sets["hatch_districts"]) == 1
    assert "nan" not in report.text.lower()
    assert "0 of 12 zones are published" in report.text
    drawn = [value for tag, name, value in report.attributes if (tag, name) == ("figure", "data-ratio")]
    assert len(drawn) == 4
    assert report.text.count("No zone is published.") == 2
    assert "every hour is suppressed here" in report.svg("hours")


def test_what_is_suppressed_has_no_value_anywhere_and_is_hatched(tmp_path: Path) -> None:
    def publish(product: str, area: str, period: str) -> bool:
        return area not in {"Z001", "D2"} and "T05" not in period

    report = make_demo(tmp_path, publish=publish).report()
    sets = report.data("datasets")
    empty = {zone["code"]: zone for zone in sets["zones"] if zone["estimate"] is None}
    assert set(empty) == {"Z001"}
    assert [empty["Z001"][name] for name in ("lower", "upper", "density", "status")] == [
        None,
        None,
        None,
        "Q",
    ]
    assert {row["code"] for row in sets["districts"] if row["change"] is None} == {"D2"}
    lines = shapely.geometry.shape(sets["hatch_zones"][0]["geometry"])
    assert shapely.geometry.shape(empty["Z001"]["geometry"]).buffer(2).covers(lines)
    # Suppressed shapes are drawn, for their tooltip, but do not hide their hatching.
    for chart, number in (("density", 12), ("change", 3)):
        fills = shape_fills(report.svg(chart))
        assert len(fills) == number
        assert fills.count("") == 1
    hours = {row["area"]: row for row in sets["hours"]}
    assert hours["D1"]["estimate"][5] is None
    assert hours["D1"]["published"] == 23
    assert hours["D2"]["published"] == 0


@pytest.mark.parametrize(("day", "hours", "daytime"), [("2026-10-25", 25, 15), ("2026-03-29", 23, 13)])
def test_days_of_25_and_23_hours_are_shown_by_the_clock(
    tmp_path: Path, day: str, hours: int, daytime: int
) -> None:
    demo = make_demo(tmp_path, Settings(scale=0.5, days=1, start=date.fromisoformat(day)))
    report = demo.report()
    row = report.data("datasets")["hours"][0]
    assert len(row["clock"]) == len(row["estimate"]) == hours
    assert len(set(row["clock"])) == hours
    assert row["clock"][daytime] == "14:00"
    district = next(one for one in report.data("datasets")["districts"] if one["code"] == row["area"])
    assert district["estimate"] == row["estimate"][daytime]
    assert f"{hours} hours" in report.text
    assert "<path" in report.svg("hours")


def test_three_zones_one_operator_and_one_day_are_enough(tmp_path: Path) -> None:
    report = make_demo(tmp_path, Settings(scale=1.0, days=1, operators=1), zones=3).report()
    text = " ".join(report.text.split())
    assert "counted from one mobile network without collecting its data" in text
    assert "1 mobile network operator or of none" in text
    assert "19 Oct 2026 (1 day)" in text
    for chart in report.data("specs"):
        assert "<path" in report.svg(chart)


def test_a_ledger_without_charges_is_shown_as_such(tmp_path: Path) -> None:
    demo = make_demo(tmp_path)
    content = json.loads((demo.out / "ledger.json").read_text(encoding="utf-8"))
    content["mno2"] |= {"charges": [], "days": {}, "windows": {}, "entries": 0}
    write_json(demo.out / "ledger.json", content)
    text = " ".join(demo.report().text.split())
    assert "mno2 0 0 of 0.03 0.00 0 of 0.6 0.00" in text
    assert "mno2 nothing was released" in text
    assert "Of each day, the operator that was charged most." in text


def test_the_source_of_the_data_is_named_or_its_absence_is(
    demo: Demo, report: Report, tmp_path: Path
) -> None:
    assert "names no source" in report.text
    belgium = write_report(demo.out, demo.country, demo.charter, demo.distances)
    text = Report.of(belgium.read_text(encoding="utf-8")).text
    assert "names no source" not in text
    assert "Statbel, the Belgian statistical office (https://statbel.fgov.be)" in text


def test_the_plain_part_of_markdown_becomes_blocks() -> None:
    text = (
        "# Who\nFrom [the office](https://x.test/a), **free**.\n\n- one\n  more\n- `two`\n"
        "| a | b |\n|---|:-:|\n| 1 | <https://x.test> |\n"
    )
    assert list(blocks(text)) == [
        Block("heading", (("Who",),)),
        Block("paragraph", (("From the office, free.",),)),
        Block("list", (("one more",), ("two",))),
        Block("table", (("a", "b"), ("1", "https://x.test"))),
    ]


def test_areas_are_those_of_the_sphere_wherever_the_country_is() -> None:
    def square(west: float, south: float) -> shapely.Polygon:
        return shapely.segmentize(shapely.box(west, south, west + 0.1, south + 0.1), 0.01)

    for west, south in ((4.0, 50.0), (-60.0, -30.0), (10.0, 78.0)):
        drawing = draw([square(west, south), square(west + 0.1, south)], np.array([0, 0]))
        sines = np.sin(np.radians(south + 0.1)) - np.sin(np.radians(south))
        expected = 6371.007**2 * np.radians(0.1) * sines
        assert drawing.area == pytest.approx([expected, expected], rel=1e-5)


def test_a_country_across_the_antimeridian_stays_in_one_piece() -> None:
    drawing = draw(
        [shapely.box(179.5, -17.0, 180.0, -16.5), shapely.box(-180.0, -17.0, -179.5, -16.5)], np.array([0, 0])
    )
    assert drawing.ratio == pytest.approx(0.5, abs=0.05)
    assert drawing.districts[0].geom_type == "Polygon"


def test_gaps_between_zones_are_closed_in_the_district_and_points_are_whole_numbers() -> None:
    drawing = draw(
        [shapely.box(4.0, 50.0, 4.4999, 50.5), shapely.box(4.5001, 50.0, 5.0, 50.5)], np.array([0, 0])
    )
    assert drawing.districts[0].geom_type == "Polygon"
    ring = drawing.geometry(drawing.districts[0])["coordinates"][0]
    assert all(isinstance(number, int) and -10 <= number <= 4010 for point in ring for number in point)


def test_classes_of_density_and_change_have_round_limits() -> None:
    assert breaks([]) == []
    assert breaks([0.0, 0.0]) == []
    assert breaks([3.0]) == [3.0]
    assert breaks([1.0, 3.0, 7.0, 30.0, 60.0]) == [2.0, 5.0, 10.0, 20.0, 50.0]
    assert len(breaks(list(np.geomspace(1e-3, 1e6, 100)))) <= 7
    assert steps([-0.2, 0.1, 0.25]) == [-0.2, -0.1, -0.05, 0.05, 0.1, 0.2]
    assert steps([0.0]) == [-0.04, -0.02, -0.01, 0.01, 0.02, 0.04]


def test_the_interval_of_a_share_is_wilsons() -> None:
    # Newcombe 1998, table I: 15 of 148 has the score interval 0.0624 to 0.1605; 0 of 20 reaches 0.1611.
    assert wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_numbers_and_days_are_written_for_people() -> None:
    assert words.rho(30_000_000) == "0.03"
    assert words.rho(10) == "0.00000001"
    assert words.rho(2_000_000_000) == "2"
    assert words.rho(0) == "0"
    assert words.percent(float("nan")) == "–"
    assert words.noise({"zone": 25.01}, "discrete-gaussian") == "σ = 25.01"
    assert words.noise({"zone": 12.91, "district": 1015.8}, "discrete-laplace") == (
        "zone b = 12.91, district b = 1,015.80"
    )
    assert words.several(1, "day") == "1 day"
    assert words.several(1200, "zone") == "1,200 zones"
    assert words.days(date(2026, 9, 28), date(2026, 10, 4)) == "28 Sep – 4 Oct 2026"
    assert words.days(date(2026, 12, 28), date(2027, 1, 3)) == "28 Dec 2026 – 3 Jan 2027"
    assert words.clock(
        ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]
    ) == [
        "02:00 (+02:00)",
        "02:00 (+01:00)",
        "03:00",
    ]
