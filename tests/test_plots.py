"""Figures show the numbers they are given, as SVG, as PNG, and inside a page."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfuse.reporting import fonts, lines, plots
from transfuse.reporting.drawing import COLOURS, WIDTH, _style
from transfuse.reporting.lines import Point, Series

SVG = "{http://www.w3.org/2000/svg}"


def line(name, colour, ys):
    return Series(name, colour, tuple(Point(x, y, y - 1, y + 1) for x, y in zip((5, 10, 100), ys, strict=True)))


DRAWINGS = {
    "curves": lambda: lines.curves(
        [line("base", "base", (50, 60, 80)), line("病 & <m>", "c0", (55, 66, 81))],
        title="T <&>",
        x="share",
        y="F1",
        ticks=[(5, "5"), (10, "10"), (100, "100")],
        logarithmic=True,
        level=("none", 52.0),
    ),
    "scatter": lambda: lines.scatter(
        [Series("a", "c0", (Point(30, 5, 4, 6), Point(900, -2, -3, -1, filled=False)))],
        title="T",
        x="n",
        y="gain",
        level=("base", 0.0),
    ),
    "intervals": lambda: plots.intervals(
        [("a", "base", Point(0, 61, 55, 64)), ("$b$", "c0", Point(0, 80, 79, 88))], title="T", x="F1"
    ),
    "stacks": lambda: plots.stacks(
        [("a", {"x": 30, "y": 0, "z": 10}), ("b", {"x": 0, "y": 20, "z": 0})], title="T", x="n"
    ),
    "bars": lambda: plots.bars(["g", "h"], [("a", "base", [1, 2]), ("b", "c0", [3, 4])], title="T", y="F1"),
    "bar panels": lambda: plots.bar_panels(
        ["g", "h"],
        [[(f"{i}{j}", [("a", "base", [1, i]), ("b", "c0", [3, j])]) for j in (5, 6)] for i in (2, 3)],
        title="T",
        y="F1",
    ),
    "curve panels": lambda: lines.curve_panels(
        [(f"p{i}", [line("a", "base", (50, 60, 80)), line("b", "c0", (i, 66, 81))]) for i in range(3)],
        title="T",
        x="round",
        ticks=[(5, "5"), (10, "10"), (100, "100")],
    ),
    "venn": lambda: plots.venn(
        [("tp", (1, 2, 3)), ("none", (0, 0, 0)), ("apart", (5, 0, 5))], rows=[("a", "base"), ("b", "c0")], title="T"
    ),
    "radar": lambda: plots.radar(
        [("up", 0, 10), ("right", -5, 5), ("down", 0, 1), ("left", 0, 100)],
        [("a", "base", [10, 0, 0, 25]), ("b", "c0", [5, -5, 1, 100])],
        title="T",
    ),
    "nothing": lambda: plots.stacks([("a", {"x": 0})], title="none", x="n"),
}


@pytest.fixture(params=DRAWINGS)
def drawing(request):
    return DRAWINGS[request.param]()


def test_it_is_a_picture_in_both_forms(drawing, tmp_path: Path):
    drawing.save(tmp_path / "new" / "figure.1")
    svg, png = ((tmp_path / "new" / f"figure.1.{kind}").read_bytes() for kind in ("svg", "png"))
    assert ElementTree.fromstring(svg).tag == f"{SVG}svg"
    assert png.startswith(b"\x89PNG")
    assert int.from_bytes(png[16:20], "big") == round(200 * WIDTH)


def test_in_a_page_it_takes_the_colours_of_the_page_and_points_nowhere(drawing):
    inline = drawing.inline
    assert inline.startswith("<svg viewBox=")
    assert not re.search(r"#[0-9a-f]{6}|https?:|<metadata|<\?xml", inline)
    names = set(re.findall(r"var\(--(\w+)\)", inline))
    assert names
    assert names <= set(COLOURS)
    assert "<text" in inline, "text stays text"


def test_the_same_numbers_make_the_same_file():
    assert DRAWINGS["curves"]() == DRAWINGS["curves"]()


def test_names_are_shown_as_they_are():
    texts = [element.text for element in ElementTree.fromstring(DRAWINGS["curves"]().svg).iter(f"{SVG}text")]
    assert "病 & <m>" in texts
    assert "$b$" in [e.text for e in ElementTree.fromstring(DRAWINGS["intervals"]().svg).iter(f"{SVG}text")]


def test_points_are_filled_or_outlines_and_an_axis_has_round_ticks():
    svg = DRAWINGS["scatter"]().svg
    styles = re.findall(r'<use [^>]*style="([^"]*)"', svg)
    colour = COLOURS["c0"]
    assert [f"fill: {colour}" in s for s in styles if f"stroke: {colour}" in s and "stroke-width: 1.2" in s] == [
        True,
        False,
    ]
    texts = [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"20", "50", "100", "200", "500", "1,000"} <= set(texts)


def test_a_corner_lies_as_far_out_as_its_value():
    """Of four axes, in the picture's own units: the rim of each is where the outermost ring has its corner."""
    lines = re.findall(r'<path d="([^"]*)" clip-path="[^"]*" style="([^"]*)"', DRAWINGS["radar"]().svg)
    found = {}
    for path, style in lines:
        colour = re.search(r"stroke: (#[0-9a-f]{6})", style)
        points = [(float(x), float(y)) for x, y in re.findall(r"[ML] ([\d.-]+) ([\d.-]+)", path)]
        if colour and len(points) == 5:
            found.setdefault(colour[1], []).append(points)
    *_, rim = found[COLOURS["line"]]
    centre = tuple(sum(p[i] for p in rim[:4]) / 4 for i in (0, 1))
    for colour, shares in (("base", (1, 0.5, 0, 0.25)), ("c0", (0.5, 0, 1, 1))):
        (corners,) = found[COLOURS[colour]]
        for corner, end, share in zip(corners, rim, shares, strict=False):
            assert corner == pytest.approx([c + share * (e - c) for c, e in zip(centre, end, strict=True)], abs=0.01)
        assert corners[4] == corners[0]


def test_colours_can_be_told_apart():
    assert len(set(COLOURS.values())) == len(COLOURS)


@given(st.floats(0.1, 3), st.floats(0.1, 3), st.floats(0, 1))
def test_circles_overlap_by_their_number(first, second, share):
    area = share * math.pi * min(first, second) ** 2
    gap = plots._distance(first, second, area)
    assert abs(first - second) - 1e-9 <= gap <= first + second + 1e-9
    assert plots._lens(first, second, gap) == pytest.approx(area, abs=1e-6)


def test_a_lens_is_what_counting_points_gives():
    first, second, gap = 1.0, 0.7, 0.9
    step = 0.002
    points = range(int(-1 / step), int(1 / step) + 1)
    inside = sum(
        (x * step) ** 2 + (y * step) ** 2 <= first**2 and (x * step - gap) ** 2 + (y * step) ** 2 <= second**2
        for x in points
        for y in points
    )
    assert plots._lens(first, second, gap) == pytest.approx(inside * step**2, rel=0.005)


# Chinese


@pytest.fixture
def no_chinese(monkeypatch):
    """The fonts of a machine that has no Chinese one of its own."""
    from matplotlib import font_manager

    bare = [font for font in font_manager.fontManager.ttflist if font.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", bare)
    caches = (fonts.font_families, _style, fonts._tell_of_boxes, font_manager.fontManager._findfont_cached)
    for each in caches:
        each.cache_clear()
    yield font_manager
    for each in caches:
        each.cache_clear()


def chinese():
    return plots.bars(["疾病和诊断", "药物"], [("骨", "base", [1, 2]), ("crf", "c0", [3, 4])], title="T", y="F1")


def test_chinese_is_drawn_in_the_font_of_the_package_where_the_machine_has_none(no_chinese):
    drawing = chinese()  # a box would be a warning, and so an error
    assert fonts.font_families()[:2] == ["DejaVu Sans", "Noto Sans CJK SC"]
    assert "'Noto Sans CJK SC'" in drawing.svg
    assert drawing.svg.count("sans-serif")
    assert "疾病和诊断" in [e.text for e in ElementTree.fromstring(drawing.svg).iter(f"{SVG}text")]


def test_without_a_chinese_font_boxes_are_told_once_and_in_one_line(no_chinese, monkeypatch):
    monkeypatch.setitem(sys.modules, "noto_cjk_sans_otc", None)
    with pytest.warns(
        UserWarning, match=r"no font .* PNG files show boxes: .*pip install \"transfuse\[cjk\]\""
    ) as told:
        first, second = chinese(), chinese()
    assert len(told) == 1
    assert first == second
    DRAWINGS["bars"]()  # and nothing is said of what can be drawn
    assert "疾病" in first.svg


def test_chinese_groups_are_as_broad_as_they_look():
    assert fonts.breadth("ab") == 2
    assert fonts.breadth("疾病b，") == 7
