"""Bjøntegaard deltas against the bjontegaard package, and what is refused."""

import json
from pathlib import Path

import bjontegaard
import numpy as np
import pytest
from gscodec_tools.bd_rate import Curve, bd_psnr, bd_rate, rate_at_quality
from gscodec_tools.compare_runs import main
from hypothesis import given, settings
from hypothesis import strategies as st
from report_results import Row, row, write_results

from gscodec.errors import BadInputError

POINTS = [(620e3, 30.7), (920e3, 35.5), (1360e3, 41.0), (1950e3, 46.2), (2680e3, 52.0)]
OTHERS = [(700e3, 31.2), (1010e3, 35.0), (1500e3, 41.9), (2050e3, 45.8), (2500e3, 48.1), (3000e3, 53.0)]


def arrays(curve: Curve) -> tuple[np.ndarray, np.ndarray]:
    return np.array(curve.rates), np.array(curve.qualities)


def steps(least: float, most: float) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(least, most), min_size=5, max_size=5)


@pytest.mark.parametrize("method", ["pchip", "akima"])
def test_deltas_agree_with_the_package(method: str) -> None:
    anchor, test = Curve.of("anchor", POINTS), Curve.of("test", OTHERS)
    for ours, theirs in ((bd_rate, bjontegaard.bd_rate), (bd_psnr, bjontegaard.bd_psnr)):
        expected = theirs(*arrays(anchor), *arrays(test), method=method, require_matching_points=False)
        assert getattr(ours(anchor, test), method) == pytest.approx(expected, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(rates=steps(0.05, 0.5), gains=steps(0.1, 6.0), others=steps(0.1, 6.0))
def test_deltas_of_random_curves_agree_with_the_package(
    rates: list[float], gains: list[float], others: list[float]
) -> None:
    sizes = 10 ** (5 + np.cumsum(rates))
    anchor = Curve.of("anchor", zip(sizes, 30 + np.cumsum(gains), strict=True))
    test = Curve.of("test", zip(1.1 * sizes, gains[0] + 30 + np.cumsum([0.0, *others[1:]]), strict=True))
    for method in ("pchip", "akima"):
        for ours, theirs in ((bd_rate, bjontegaard.bd_rate), (bd_psnr, bjontegaard.bd_psnr)):
            expected = theirs(*arrays(anchor), *arrays(test), method=method, min_overlap=0)
            assert getattr(ours(anchor, test, min_overlap=0), method) == pytest.approx(expected, abs=1e-6, rel=1e-6)


def test_ten_percent_less_rate_is_minus_ten() -> None:
    anchor = Curve.of("anchor", POINTS)
    test = Curve.of("test", [(0.9 * rate, quality) for rate, quality in reversed(POINTS)])
    found = bd_rate(anchor, test)
    assert found.pchip == pytest.approx(-10.0, abs=1e-9)
    assert found.akima == pytest.approx(-10.0, abs=1e-9)
    assert (found.overlap, found.interval) == (100.0, (30.7, 52.0))


def test_one_decibel_more_is_plus_one() -> None:
    anchor = Curve.of("anchor", POINTS)
    found = bd_psnr(anchor, Curve.of("test", [(rate, quality + 1) for rate, quality in POINTS]))
    assert (found.pchip, found.akima) == pytest.approx((1.0, 1.0), abs=1e-9)
    assert found.interval == pytest.approx((620e3, 2680e3))


def test_overlap_is_required() -> None:
    anchor = Curve.of("anchor", POINTS)
    shifted = Curve.of("test", [(rate, quality + 10) for rate, quality in POINTS])
    with pytest.raises(BadInputError, match=r"overlap too little.*36\.1 %.*75 %"):
        bd_rate(anchor, shifted)
    assert bd_rate(anchor, shifted, min_overlap=30).overlap == pytest.approx(100 * 11.3 / 31.3)
    apart = Curve.of("test", [(rate, quality + 50) for rate, quality in POINTS])
    with pytest.raises(BadInputError, match=r"0\.0 %"):
        bd_rate(anchor, apart, min_overlap=0)


@pytest.mark.parametrize(
    ("points", "named"),
    [
        (POINTS[:3], "too few points.*620000"),
        ([*POINTS, (3e6, 51.9)], r"not monotone.*2680000\.0, 52\.0.*3000000\.0, 51\.9"),
        ([*POINTS, (620e3, 30.0)], r"not monotone.*30\.0.*30\.7"),
        ([*POINTS, (3e6, 52.0)], "not monotone"),
        ([*POINTS, (0.0, 20.0)], "not a point"),
        ([*POINTS, (3e6, float("inf"))], "not a point.*inf"),
    ],
)
def test_bad_curves_are_refused(points: list[tuple[float, float]], named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        Curve.of("curve", points)


def test_rate_at_quality_meets_the_points_and_nothing_beyond() -> None:
    curve = Curve.of("ours", POINTS)
    assert [rate_at_quality(curve, quality) for _, quality in POINTS] == pytest.approx([rate for rate, _ in POINTS])
    assert 920e3 < rate_at_quality(curve, 38.0) < 1360e3
    for outside in (30.6, 52.1, float("nan")):
        with pytest.raises(BadInputError, match="outside of the curve"):
            rate_at_quality(curve, outside)


def results(folder: Path, factor: float, peers: list[Row]) -> str:
    sweep = [
        row("room", "gscodec", f"q{10 * place}", int(factor * rate), quality)
        for place, (rate, quality) in enumerate(POINTS, start=1)
    ]
    lossless = row("room", "gscodec", "lossless", 9_000_000, None)
    return str(write_results(folder, {"room": [*sweep, lossless, *peers]}))


def test_command_line_compares_with_peers_at_their_quality(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peers = [row("room", "sog", "A", 2_720_000, 41.0), row("room", "spz", "B", 1000, 60.0)]
    folder = results(tmp_path, 1.0, peers)
    assert main([folder, "--json"]) == 0
    inside, outside = json.loads(capsys.readouterr().out)
    assert (inside["peer"], inside["our_bytes"], inside["ratio"]) == (
        "SOG A",
        pytest.approx(1_360_000),
        pytest.approx(0.5),
    )
    assert (outside["our_bytes"], outside["ratio"]) == (None, None)
    assert main([folder]) == 0
    text = capsys.readouterr().out
    assert "0.500" in text
    assert "above our sweep" in text


def test_command_line_compares_two_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = results(tmp_path / "old", 1.0, []), results(tmp_path / "new", 0.9, [])
    assert main([new, "--against", old, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"]["bd_rate_pchip"] == pytest.approx(-10.0, abs=1e-3)
    assert main([new, "--against", old]) == 0
    assert "-10.00" in capsys.readouterr().out


def test_results_that_cannot_be_compared_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = results(tmp_path / "good", 1.0, [])
    other = str(write_results(tmp_path / "other", {"yard": [row("yard", "gscodec", "q50", 10, 30.0)]}))
    (tmp_path / "bad" / "rd").mkdir(parents=True)
    (tmp_path / "bad" / "rd" / "room.json").write_text("{}")
    for folder in ("bad", "absent"):
        assert main([str(tmp_path / folder)]) == BadInputError.exit_code
        assert "compare_runs: " in capsys.readouterr().err
    assert main([good, "--against", other]) == BadInputError.exit_code
    assert "too few points" in capsys.readouterr().err
