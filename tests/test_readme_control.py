"""The README's tables of targets, larger scenes and progressive order, line by line."""

from __future__ import annotations

from typing import Any

from gscodec_tools.readme_control import larger_table, palette_table, progressive_table, target_tables


def target(
    ratio: float | None, floor: float | None, size: int, deviation: float | None, test_psnr: float, **changes: Any
) -> dict[str, Any]:
    asked = {"ratio": ratio, "size": None if ratio is None else round(32_000 / ratio), "min_psnr": floor}
    return {
        "asked": asked | {"views": "capture", "pruning": True} | changes.pop("asked", {}),
        "bytes": size,
        "size_deviation": deviation,
        "psnr_above_floor": None if floor is None else 0.04,
        "trials": 3,
        "seconds": 10.0,
        "test_psnr": test_psnr,
    } | changes


def targets_of(scene: str, *rows: dict[str, Any]) -> dict[str, Any]:
    seconds = {"capture": {"seconds": 40.0}, "capture, no pruning": {"seconds": 5.0}, "virtual": {"seconds": 20.0}}
    return {"scene": scene, "splats": 1000, "preparation": seconds, "rows": list(rows)}


UNPRUNED = {"pruning": False}


def test_targets_count_where_they_decide() -> None:
    rows = [
        target(16.0, None, 1990, -0.005, 50.0),
        target(32.0, None, 982, -0.018, 44.0, trials=4, asked={"views": "virtual"}),
        target(None, 40.0, 700, None, 39.5, psnr_above_floor=0.071, trials=6, seconds=20.0),
        target(32.0, 30.0, 998, -0.002, 44.0, psnr_above_floor=9.0),  # the size decides
        target(64.0, 42.0, 900, 0.8, 41.5, psnr_above_floor=0.01),  # the floor decides
        {"asked": target(64.0, None, 1, 0.0, 1.0)["asked"], "error": "not reached", "seconds": 1.0},
    ]
    lines = target_tables([targets_of("yard", *rows)])
    assert lines[3:] == [
        "| scene | targets | size | PSNR over floor | encodes: mean, max | seconds: mean, max |",
        "|---|---|---|---|---|---|",
        "| yard, 1,000 splats | 6, 1 out of reach | -1.8 to -0.2 % | +0.01 to +0.07 dB | 3.8, 6 | 48, 60 |",
        "",
    ]


def test_a_target_missed_shows() -> None:
    rows = [target(16.0, None, 2040, 0.02, 50.0), target(None, 40.0, 700, None, 39.5, psnr_above_floor=-0.2)]
    assert "| +2.0 to +2.0 % | -0.20 to -0.20 dB |" in target_tables([targets_of("yard", *rows)])[5]


def test_pruning_stands_beside_quality_alone_where_both_were_measured() -> None:
    yard = targets_of(
        "yard",
        target(16.0, None, 1990, -0.005, 50.0),
        target(32.0, None, 990, -0.01, 44.126),
        target(32.0, None, 990, -0.01, 10.0, asked={"views": "virtual"}),
        target(32.0, 30.0, 990, -0.01, 10.0),
        target(32.0, None, 990, -0.01, 43.0, asked=UNPRUNED),
        target(64.0, None, 490, -0.02, 38.0, asked=UNPRUNED),
    )
    room = targets_of("room", target(16.0, None, 1990, 0.0, 55.0), target(16.0, None, 1990, 0.0, 54.5, asked=UNPRUNED))
    lines = target_tables([yard, room])
    assert lines[lines.index("| times smaller | yard | room |") :] == [
        "| times smaller | yard | room |",
        "|---|---|---|",
        "| 16 | – | 55.00, 54.50 dB |",
        "| 32 | 44.13, 43.00 dB | – |",
        "",
    ]
    assert target_tables([]) == []


def test_larger_scenes() -> None:
    def way(seconds: float, peak: int, floats: float) -> dict[str, float]:
        return {"seconds": seconds, "peak_bytes": peak, "peak_to_floats": floats}

    row = {"format": "gscodec", "bytes_per_splat": 10.46, "bytes": 1}
    row |= {"encode": way(61.4, 4_640_000_000, 3.93), "decode": way(18.6, 350_000_000, 0.3)}
    scale = {"larger": [{"splats": 5_000_000, "float_bytes": 1_180_000_000, "rows": [row, row | {"format": "SPZ v4"}]}]}
    assert larger_table(scale) == [
        "| larger, whole command | bytes per splat | encode | decode | peak memory, GB | of the floats |",
        "|---|---|---|---|---|---|",
        "| 5,000,000 splats, gscodec | 10.5 | 61 s | 19 s | 4.6 / 0.3 | 3.9 / 0.3 |",
        "| 5,000,000 splats, SPZ v4 | 10.5 | 61 s | 19 s | 4.6 / 0.3 | 3.9 / 0.3 |",
        "",
    ]
    assert larger_table({"larger": []}) == larger_table({}) == []


def test_the_first_part_of_a_file() -> None:
    def cut(share: float, *values: float | None) -> dict[str, Any]:
        normal, progressive, separate = values
        return {
            "share": share,
            "normal": {"psnr": normal},
            "progressive": {"psnr": progressive},
            "separate_psnr": separate,
        }

    cuts = [cut(0.25, None, 22.03, 28.71), cut(0.375, 1.0, 2.0, 3.0), cut(0.5, 12.52, 28.35, 37.57)]
    scene = {"scene": "yard", "overhead_percent_at_equal_psnr": 3.26, "cuts": cuts}
    assert progressive_table([scene]) == [
        "PSNR of the first part of a normal file, of a progressive one, and of a whole file encoded to that size:",
        "",
        "| first part | yard |",
        "|---|---|",
        "| 25 % | –, 22.0, 28.7 dB |",
        "| 50 % | 12.5, 28.4, 37.6 dB |",
        "| 75 % | – |",
        "| bytes that being progressive costs at equal PSNR | +3.3 % |",
        "",
    ]
    assert progressive_table([]) == []


def test_palettes() -> None:
    coded = {"components": {"bytes": 1_000, "psnr": 40.123}, "chosen": {"bytes": 900, "psnr": 41.0}}
    row = {"scene": "skull", "splats": 9000, "entries": 4096, "quality": 75.0, "palette": True, **coded}
    assert palette_table([row])[-2] == "| skull, 4,096 | 75 | 1,000, 40.12 dB | 900, 41.00 dB | yes |"
    assert palette_table([]) == []
