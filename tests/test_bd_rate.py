"""Bjøntegaard deltas against the bjontegaard package, and what is refused."""

import json
from pathlib import Path
from typing import Any

import bjontegaard
import numpy as np
import pytest
from gscodec_tools.bd_rate import Curve, bd_psnr, bd_rate, main, rate_at_quality
from hypothesis import given, settings
from hypothesis import strategies as st

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


def results(path: Path, factor: float, peers: dict[str, Any]) -> str:
    sweep = [{"bytes": int(factor * rate), "psnr_renders": quality} for rate, quality in POINTS]
    path.write_text(json.dumps({"scenes": [{"scene": "room", "sweep": sweep, "peers": peers}]}))
    return str(path)


def test_command_line_compares_with_peers_at_their_quality(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    peers = {"A": {"bytes": 2_720_000, "psnr_renders": 41.0}, "B": {"bytes": 1000, "psnr_renders": 60.0}}
    path = results(tmp_path / "codec.json", 1.0, peers)
    assert main([path, "--json"]) == 0
    inside, outside = json.loads(capsys.readouterr().out)["room"]
    assert (inside["our_bytes"], inside["ratio"]) == pytest.approx((1_360_000, 0.5))
    assert (outside["our_bytes"], outside["ratio"]) == (None, None)
    assert main([path]) == 0
    text = capsys.readouterr().out
    assert "0.500" in text
    assert "off our sweep" in text


def test_command_line_compares_two_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old, new = results(tmp_path / "old.json", 1.0, {}), results(tmp_path / "new.json", 0.9, {})
    assert main([new, "--against", old, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mean"]["bd_rate_pchip"] == pytest.approx(-10.0, abs=1e-3)
    assert main([new, "--against", old]) == 0
    assert "-10.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"scenes": [{}]}',
        '{"scenes": [{"scene": "a", "sweep": [], "peers": 3}]}',
        '{"scenes": [{"scene": "a", "sweep": [{"bytes": 1, "psnr_renders": null}]}]}',
    ],
)
def test_bad_results_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "codec.json"
    path.write_text(text)
    assert main([str(path)]) == BadInputError.exit_code
    assert main([str(tmp_path / "absent.json")]) == BadInputError.exit_code
    assert "bd_rate: " in capsys.readouterr().err
