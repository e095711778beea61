"""The report: what goes into it, what the numbers are, what it refuses."""

import argparse
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from gscodec_tools.bd_rate import Curve, bd_psnr, bd_rate, rate_at_quality
from gscodec_tools.report.command import configure, work
from gscodec_tools.report.compare import deltas, equal_quality, mean_ratio, our_curve, trimmed
from gscodec_tools.report.findings import sentences, shares
from gscodec_tools.report.markup import Markup, element
from gscodec_tools.report.rows import load_results
from gscodec_tools.report.series import mean_rows, pareto_front
from report_results import NAIVE, OURS, SPZ, row, scene_rows, write_pictures, write_results

from gscodec.cli.common import Summary
from gscodec.errors import BadInputError, OutputError

SECTIONS = ("curves", "bd", "streams", "speed", "pictures", "literature", "reproduce")
OUR_POINTS = [(float(size), psnr) for _, size, psnr in OURS]
NAIVE_POINTS = [(float(size), psnr) for _, size, psnr in NAIVE]
ROOT = Path(__file__).parents[1]


def report(*arguments: str | Path) -> Summary:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    configure(parser)
    return work(parser.parse_args([str(argument) for argument in arguments]))


def page(folder: Path, *options: str | Path) -> str:
    output = folder / "report.html"
    report(folder, "-o", output, "-f", *options)
    return output.read_text(encoding="utf-8")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return write_results(tmp_path, {"garden": scene_rows("garden"), "room": scene_rows("room", 1.5)})


class Outline(HTMLParser):
    """Sections, unclosed elements, and tables as lists of texts by caption."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.open: list[str] = []
        self.tables: dict[str, list[list[str]]] = {}
        self.missing_alt = 0
        self.links: list[str] = []
        self._rows: list[list[str]] = []
        self._caption = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [value for name in ("src", "href") if (value := found.get(name))]
        self.missing_alt += tag == "img" and not found.get("alt")
        if tag == "section":
            self.sections.append(found["id"] or "")
        if tag == "table":
            self._rows, self._caption = [], ""
        if tag == "tr":
            self._rows.append([])
        if tag in ("td", "th"):
            self._rows[-1].append("")
        if tag not in ("img", "input", "link", "meta"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag == "table":
            self.tables[self._caption] = self._rows

    def handle_data(self, data: str) -> None:
        if "caption" in self.open[-1:]:
            self._caption += data
        elif {"td", "th"} & set(self.open[-3:]):
            self._rows[-1][-1] += data


def test_the_page_has_all_sections_and_nothing_from_elsewhere(results: Path) -> None:
    text = page(results, "--literature", ROOT / "results" / "literature")
    outline = Outline(text)
    assert outline.sections == list(SECTIONS)
    assert outline.open == []
    assert outline.missing_alt == 0
    assert outline.links
    assert all(link.startswith(("data:", "#")) for link in outline.links)
    assert "http" not in text
    assert "@import" not in text


def test_bd_rates_are_those_of_bd_rate(results: Path) -> None:
    found = [delta for delta in deltas(load_results(results)) if delta.codec == "naive"]
    anchor, test = Curve.of("naive", NAIVE_POINTS), Curve.of("ours", OUR_POINTS)
    expected = bd_rate(anchor, test), bd_psnr(anchor, test)
    assert [delta.scene for delta in found] == ["garden", "room"]
    for delta in found:
        assert delta.rate is not None
        assert delta.quality is not None
        assert delta.rate.pchip == pytest.approx(expected[0].pchip, rel=1e-3)  # sizes of "room" are rounded
        assert delta.rate.akima == pytest.approx(expected[0].akima, rel=1e-3)
        assert delta.quality.pchip == pytest.approx(expected[1].pchip, rel=1e-3)
    table = Outline(page(results)).tables["Bjøntegaard deltas of gscodec against other codecs"]
    cells = next(cells for cells in table if cells[:2] == ["naive", "garden"])
    values = [float(cell.replace("−", "-")) for cell in cells[2:7]]
    rate, quality = expected
    wanted = [rate.pchip, rate.akima, quality.pchip, quality.akima, rate.overlap]
    assert values == [pytest.approx(value, abs=0.051 if place == 4 else 0.0051) for place, value in enumerate(wanted)]
    means = next(cells for cells in table if cells[:2] == ["naive", "mean"])
    assert float(means[2].replace("−", "-")) == pytest.approx(rate.pchip, abs=0.05)


def test_a_codec_of_one_point_gets_bytes_at_its_quality(results: Path) -> None:
    scenes = load_results(results)
    delta = next(delta for delta in deltas(scenes) if delta.codec == "spz")
    assert (delta.rate, delta.quality) == (None, None)
    assert "SPZ has 1 point" in delta.notes[0]
    pair = next(pair for pair in equal_quality(scenes) if pair.row.codec == "spz")
    expected = rate_at_quality(Curve.of("ours", OUR_POINTS), SPZ[1])
    assert pair.ours == expected
    assert pair.ratio == expected / SPZ[0]
    assert pair.gain == 53.0 - SPZ[1]
    assert pair.sizes_match
    table = Outline(page(results)).tables["Bytes of gscodec at the PSNR of each result, and PSNR at its size, by scene"]
    cells = next(cells for cells in table if cells[:2] == ["SPZ v4", "garden"])
    assert cells[2:8] == ["34.50", "20,000", f"{expected:,.0f}", f"{100 * expected / SPZ[0]:.1f}", "53.00", "+18.50"]


def test_bytes_at_its_quality_where_ours_was_asked_for_sizes(tmp_path: Path) -> None:
    aimed = [row("garden", "gscodec-targets", f"r{step}", 2000 + 4000 * step, 24.0 + 6 * step) for step in range(5)]
    pairs = {
        scene: next(
            pair
            for pair in equal_quality(load_results(write_results(tmp_path / scene, {"garden": rows})))
            if pair.row.codec == "spz"
        )
        for scene, rows in (("with", [*scene_rows("garden"), *aimed]), ("without", scene_rows("garden")))
    }
    expected = rate_at_quality(Curve.of("aimed", [(2000 + 4000 * step, 24.0 + 6 * step) for step in range(5)]), SPZ[1])
    assert (pairs["with"].targeted, pairs["with"].targeted_ratio) == (expected, expected / SPZ[0])
    assert (pairs["without"].targeted, pairs["without"].targeted_ratio) == (None, None)


def test_qualities_beyond_our_sweep_are_not_extrapolated(tmp_path: Path) -> None:
    rows = [*scene_rows("garden"), row("garden", "sog", "", 90_000, 58.0), row("garden", "gpcc", "", 900, 12.0)]
    pairs = {pair.row.codec: pair for pair in equal_quality(load_results(write_results(tmp_path, {"garden": rows})))}
    assert (pairs["sog"].ours, pairs["gpcc"].ours) == (None, None)
    assert "above our sweep" in pairs["sog"].note
    assert "below our sweep" in pairs["gpcc"].note


def test_curves_that_hardly_overlap_get_no_number_but_a_reason(tmp_path: Path) -> None:
    low = [row("garden", "gpcc", f"r{step}", 2000 + 500 * step, 20.0 + 3 * step) for step in range(4)]
    scenes = load_results(write_results(tmp_path, {"garden": [*scene_rows("garden"), *low]}))
    delta = next(delta for delta in deltas(scenes) if delta.codec == "gpcc")
    assert delta.rate is None
    assert "curves overlap too little" in delta.notes[0]


def test_settings_that_are_beaten_are_left_out_of_a_curve_and_it_says_so(tmp_path: Path) -> None:
    rows = [*scene_rows("garden"), row("garden", "naive", "7bit", 9000, 31.0)]
    delta = next(d for d in deltas(load_results(write_results(tmp_path, {"garden": rows}))) if d.rate)
    assert delta.rate == bd_rate(Curve.of("naive", NAIVE_POINTS), Curve.of("ours", OUR_POINTS))
    assert delta.notes == ("the Pareto front of its 5 settings",)
    assert delta.peer_labels == ("6bit", "8bit", "10bit", "12bit")


def test_pareto_front_rises_strictly() -> None:
    points = [(3.0, 5.0), (1.0, 2.0), (2.0, 2.0), (2.0, 3.0), (4.0, 4.9)]
    assert pareto_front(points) == [(1.0, 2.0), (2.0, 3.0), (3.0, 5.0)]
    assert pareto_front([]) == []


def test_trimming_keeps_the_next_point_on_either_side_and_at_least_four() -> None:
    points = [(float(10 * place), float(place)) for place in range(1, 10)]
    assert [y for _, y in trimmed(points, [(0.0, 3.5), (0.0, 6.5)], 1)] == [3, 4, 5, 6, 7]
    assert [y for _, y in trimmed(points, [(0.0, 5.0), (0.0, 5.5)], 1)] == [4, 5, 6, 7]
    assert [y for _, y in trimmed(points, [(0.0, 0.0), (0.0, 0.5)], 1)] == [1, 2, 3, 4]
    assert trimmed(points, [(0.0, 0.0), (0.0, 20.0)], 1) == points
    assert [x for x, _ in trimmed(points, [(25.0, 0.0), (55.0, 0.0)], 0)] == [20, 30, 40, 50, 60]


def test_findings_follow_the_numbers(results: Path) -> None:
    scenes = load_results(results)
    pairs = equal_quality(scenes)
    spz = next(share for share in shares(pairs, scenes) if share.codec == "spz")
    assert spz.ratio == mean_ratio([pair.ratio for pair in pairs if pair.row.codec == "spz" and pair.ratio])
    text = " ".join(sentences(scenes, pairs))
    assert f"{100 * spz.ratio:.0f} % of the bytes of SPZ v4 (34.5 dB, 2 scenes)" in text
    assert "+18.5 dB against SPZ v4" in text
    assert "default quality (q75)" in text
    assert "Not everything worked" not in text


def test_a_worse_codec_says_so(tmp_path: Path) -> None:
    rows = [*scene_rows("garden"), row("garden", "gpcc", "", 3500, 40.0)]
    scenes = load_results(write_results(tmp_path, {"garden": rows}))
    pairs = equal_quality(scenes)
    share = next(share for share in shares(pairs, scenes) if share.codec == "gpcc")
    assert share.ratio > 2
    assert f"{100 * share.ratio:.0f} % of the bytes of G-PCC" in sentences(scenes, pairs)[0]


def test_means_are_over_scenes_that_all_have_the_setting(tmp_path: Path) -> None:
    rooms = [*scene_rows("room", 3.0), row("room", "sog", "", 9000, 40.0)]
    scenes = load_results(write_results(tmp_path, {"garden": scene_rows("garden"), "room": rooms}))
    rows = {row.name: row for row in mean_rows(scenes)}
    assert list(rows)[: len(OURS)] == [f"gscodec q{quality}" for quality, _, _ in OURS]
    assert "SOG" not in rows
    assert rows["gscodec q75"].measure("bytes") == 22_000.0
    assert rows["gscodec q75"].measure("psnr_renders") == 45.0
    assert "Mean over 2 scenes" in page(tmp_path)


def test_an_encoder_with_a_part_replaced_has_no_speed(tmp_path: Path) -> None:
    assert "left out: a search in it" not in page(write_results(tmp_path, {"garden": scene_rows("garden")}))
    write_results(tmp_path, {"garden": [*scene_rows("garden"), row("garden", "sog", "default", 9000, 40.0)]})
    text = page(tmp_path)
    assert "Encoding SOG is left out: a search in it was replaced" in text
    table = Outline(text).tables["Speed and memory, garden"]
    assert next(cells for cells in table if cells[0] == "SOG default")[1:] == ["–", "250.00", "–", "1.5×"]
    assert next(cells for cells in table if cells[0] == "SPZ v4")[1:] == ["500.00", "250.00", "2.0×", "1.5×"]


def test_one_scene_has_no_mean(tmp_path: Path) -> None:
    write_results(tmp_path, {"garden": scene_rows("garden")})
    text = page(tmp_path)
    assert "Mean over" not in text
    assert "mean over 1" not in text


def test_a_few_rows_of_ours_make_no_curve_and_no_claim(tmp_path: Path) -> None:
    rows = [*scene_rows("garden")[:3], row("garden", "spz", "v4", 20000, 34.5)]
    write_results(tmp_path, {"garden": rows})
    with pytest.raises(BadInputError, match="too few points"):
        our_curve(load_results(tmp_path)[0])
    text = page(tmp_path)
    assert "our curve: too few points" in text
    assert "of the bytes of SPZ v4 at its quality" not in text


def test_equal_renders_and_missing_photos_are_said(tmp_path: Path) -> None:
    photos = {name: None for name in row("x", "naive", "", 1, 1.0) if "photos" in name}
    rows = [
        row("garden", "gscodec", "lossless", 150_000, None, **photos),
        row("garden", "naive", "", 9000, 40.0, **photos),
    ]
    text = page(write_results(tmp_path, {"garden": rows}))
    assert "With 64 % of the source's bytes, its renders equal the source's (1 scene)." in text
    assert "There are no such numbers: no row compares with photos" in text


def test_rows_without_a_result_are_listed_with_their_message(tmp_path: Path) -> None:
    nothing = {"bytes": None, "bits_per_splat": None, "psnr_renders": None, "identical": False}
    lost = row("garden", "gpcc", "r1", 1, None, **nothing) | {"status": "timeout", "message": "more than <600> seconds"}
    text = page(write_results(tmp_path, {"garden": [*scene_rows("garden"), lost]}))
    table = Outline(text).tables["Rows without a result"]
    assert table[1] == ["G-PCC r1", "garden", "timeout", "more than <600> seconds"]
    assert "1 of 12 rows have no result (G-PCC)" in text
    assert "gsrd run garden --codecs gpcc --labels r1" in text


def test_text_of_results_cannot_become_markup(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\"'&"
    rows = [one | {"scene": name, "key": one["key"] + name} for one in scene_rows("x")]
    rows.append(row(name, "<img src=x onerror=alert(2)>", "</style>", 9000, 40.0))
    text = page(write_results(tmp_path, {name: rows}))
    outline = Outline(text)
    assert outline.open == []
    assert text.count("<script>") == 1
    assert "&lt;script&gt;alert(1)" in text
    assert "x" not in outline.links


def test_elements_escape_all_but_markup() -> None:
    inner = element("b", "<&>", title='"<')
    assert inner == '<b title="&quot;&lt;">&lt;&amp;&gt;</b>'
    assert element("p", inner, ["<", Markup("<i>")]) == f"<p>{inner}&lt;<i></p>"
    assert element("line", x1=1, class_="a", data_tip=None) == '<line x1="1" class="a"/>'


def test_pictures_are_compared_at_equal_size(results: Path) -> None:
    for name in ("garden", "room"):
        write_pictures(results, name)
    text = page(results)
    assert "SPZ v4 and gscodec at equal size (99.5 % of its bytes)" in text
    assert "Where the error of SPZ v4 is largest" in text or "Where the error of both is largest" in text
    assert text.count("data:image/webp;base64,") >= 10
    assert "amplified" in text
    assert "no row of gscodec at its size: naive 6bit, naive 8bit" in text


def test_a_page_that_would_grow_too_large_leaves_pictures_out(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_pictures(results, "garden")
    monkeypatch.setattr("gscodec_tools.report.pictures.BUDGET", 1)
    text = page(results)
    assert "Left out to keep this page below 10 MB. 19,900 bytes, 53.00 dB over all views; 20,000 bytes" in text
    assert "data:image/webp" not in text


def test_missing_pictures_are_said_and_how_to_make_them(results: Path) -> None:
    write_pictures(results, "garden")
    (results / "rd/pictures/garden/match.png").unlink()
    text = page(results)
    assert "no picture: gscodec's: SPZ v4" in text
    assert "no picture: its own and gscodec's: SPZ v4" in text
    assert "<code>gsrd run</code> without --no-match and --no-pictures makes it" in text


@pytest.mark.parametrize(
    ("name", "pixels", "message"), [("match", b"no PNG", "cannot read picture"), ("match", None, "of another size")]
)
def test_bad_pictures_are_refused(results: Path, name: str, pixels: bytes | None, message: str) -> None:
    write_pictures(results, "garden")
    path = results / f"rd/pictures/garden/{name}.png"
    if pixels is None:
        from PIL import Image

        Image.new("RGB", (8, 8)).save(path)
    else:
        path.write_bytes(pixels)
    with pytest.raises(BadInputError, match=message):
        page(results)


def test_a_picture_outside_of_the_results_is_refused(tmp_path: Path) -> None:
    rows = [one | {"picture": "../../secret.png" if one["picture"] else None} for one in scene_rows("garden")]
    with pytest.raises(BadInputError, match="outside of the results"):
        page(write_results(tmp_path, {"garden": rows}))


def test_literature_stands_apart(results: Path, tmp_path: Path) -> None:
    text = page(results, "--literature", ROOT / "results" / "literature")
    tables = {caption for caption in Outline(text).tables if "as published" in caption}
    assert any(caption.startswith("3dgs_zip.csv, as published, not measured by us") for caption in tables)
    assert any("Table II, as published" in caption for caption in tables)
    assert "As published, not measured by us." in text
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "odd.csv").write_text("a,b\n1\n")
    with pytest.raises(BadInputError, match=r"literature/odd\.csv"):
        page(results, "--literature", tmp_path / "papers")
    assert "There are none" in page(results)


def test_no_results_names_folder_and_command(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no results to report: `gsrd run") as caught:
        report(tmp_path, "-o", tmp_path / "report.html")
    assert str(tmp_path) in str(caught.value)
    assert not (tmp_path / "report.html").exists()


def test_an_output_is_replaced_only_with_force(results: Path) -> None:
    output = results / "report.html"
    first = report(results, "-o", output)
    assert first.data["bytes"] == output.stat().st_size
    output.write_text("mine")
    with pytest.raises(BadInputError, match="exists already"):
        report(results, "-o", output)
    assert output.read_text() == "mine"
    report(results, "-o", output, "-f")
    assert output.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    with pytest.raises(OutputError, match="there is no directory"):
        report(results, "-o", results / "nowhere" / "report.html")


def test_the_same_results_make_the_same_page(results: Path) -> None:
    write_pictures(results, "garden")
    assert page(results) == page(results)
    assert json.loads((results / "rd" / "0.json").read_text())["format"] == 1
