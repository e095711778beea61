"""Colours moved by what renders of the decoded file lack: the transpose of blending, and the search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from slow_renderer import camera, random_cloud, with_each_thread_count

from gscodec.cli import views as cli_views
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, StepOffsets
from gscodec.decoder import decode
from gscodec.encoder import encode_chunks
from gscodec.errors import BadInputError
from gscodec.rate import fixed_quality
from gscodec.rate.fixed_quality import FixedQuality, Judges
from gscodec.rate.recolour import recoloured
from gscodec.rate.reference import Reference
from gscodec.render import cpu
from gscodec.render.measuring import ColourRenderer
from gscodec.scene.camera import Camera
from gscodec.transform.harmonics import SH_DC

COARSE = EncodeConfig(quality=30.0, threads=1)


def views() -> list[Camera]:
    turned = []
    for number in range(6):
        angle = 0.2 * number
        turn = np.eye(4)
        turn[:3, :3] = [[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]
        turn[:3, 3] = [0.0, 0.1 * number, 5.0]
        turned.append(camera(world_to_camera=turn, name=str(number)))
    return turned


def shaded(count: int = 300) -> GaussianCloud:
    cloud = random_cloud(1, count, 4)
    return replace(cloud, log_scales=cloud.log_scales - 0.7)


def test_the_renderer_can_tell() -> None:
    assert isinstance(cpu, ColourRenderer)


def test_transpose_of_blending() -> None:
    """<residual, image of the colours> is <what splats are told, their colours>."""
    cloud, view = random_cloud(0, count=300), camera(width=51, height=37, cx=22.3, cy=20.1)
    cloud = replace(cloud, sh_dc=np.clip(cloud.sh_dc, -1.7, 0.0))  # colours up to a half: nothing is above 1
    lacking = np.random.default_rng(2).uniform(-0.5, 0.5, (37, 51, 3)).astype(np.float32)
    image = cpu.render(cloud, view)
    told = cpu.colour_residuals(cloud, view, image + lacking)
    colours = np.maximum(0.5 + SH_DC * cloud.sh_dc.astype(np.float64), 0.0)
    for channel in range(3):
        expected = np.sum(lacking[..., channel].astype(np.float64) * image[..., channel])
        assert told[:, channel] @ colours[:, channel] == pytest.approx(expected, rel=1e-3, abs=1e-3)
    weights = cpu.contributions(cloud, view).weight_sum
    np.testing.assert_allclose(told[:, 3], weights, rtol=1e-4, atol=1e-5)


def test_what_is_above_one_shows_as_one() -> None:
    cloud = random_cloud(0, count=100)
    bright = replace(cloud, sh_dc=np.full_like(cloud.sh_dc, 9.0), opacity_logits=np.full(100, 9.0, np.float32))
    image = cpu.render(bright, camera())
    told = cpu.colour_residuals(bright, camera(), np.where(image > 1.0, np.float32(5.0), image))
    assert image.max() > 1.0
    assert not told[:, :3].any()


def test_an_image_of_another_shape() -> None:
    with pytest.raises(BadInputError, match="wanted"):
        cpu.colour_residuals(random_cloud(0), camera(), np.zeros((1, 1, 3), np.float32))


def test_a_clamped_colour_is_told_nothing() -> None:
    cloud = random_cloud(0, count=40)
    dark = replace(cloud, sh_dc=np.where(np.arange(3) == 1, np.float32(-5.0), cloud.sh_dc).astype(np.float32))
    told = cpu.colour_residuals(dark, camera(), np.ones((32, 48, 3), np.float32))
    assert not told[:, 1].any()
    assert told[:, 0].any()
    assert told[:, 2].any()


def test_same_bits_for_any_number_of_threads() -> None:
    cloud, wanted = random_cloud(0, count=500), np.full((32, 48, 3), 0.5, np.float32)
    results = with_each_thread_count(lambda: cpu.colour_residuals(cloud, camera(), wanted).tobytes())
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("config", [COARSE, EncodeConfig(lossless=True, threads=1)])
def test_rows_say_which_splat_is_which(config: EncodeConfig) -> None:
    cloud = random_cloud(1, 3000, 8)
    positions = cloud.positions.copy()
    positions[5] = np.nan
    cloud = replace(cloud, positions=positions) if not config.lossless else cloud
    chunks, report = encode_chunks(cloud, config)
    rows, found = np.concatenate(report.rows), decode(b"".join(chunks))
    assert sorted(rows.tolist()) == [row for row in range(3000) if config.lossless or row != 5]
    away = np.abs(found.positions - cloud.positions[rows]).max(axis=1)
    others = np.abs(found.positions - cloud.positions[np.roll(rows, 1)]).max(axis=1)
    assert np.median(away) < 0.05 * np.median(others)
    assert np.corrcoef(found.sh_dc[:, 0], cloud.sh_dc[rows, 0])[0, 1] > 0.98


def test_files_look_more_like_the_source() -> None:
    cloud, reference = shaded(), Reference(shaded(), views())

    def shown(colours: GaussianCloud) -> float:
        return reference.psnr(decode(b"".join(encode_chunks(colours, COARSE)[0])))

    broken = cloud.positions.copy()
    broken[7] = np.nan
    other = recoloured(cloud, COARSE, reference)
    assert recoloured(replace(cloud, positions=broken), COARSE, reference).sh_dc[7].tolist() == cloud.sh_dc[7].tolist()
    assert len(recoloured(cloud.select(slice(0, 0)), COARSE, reference)) == 0
    assert shown(other) > shown(cloud) + 1.0
    for name in ("positions", "log_scales", "quats_wxyz", "opacity_logits", "sh_rest"):
        assert getattr(other, name) is getattr(cloud, name), name


def test_a_renderer_that_cannot_tell() -> None:
    class Plain:
        render, contributions = staticmethod(cpu.render), staticmethod(cpu.contributions)

    with pytest.raises(BadInputError, match="renderer"):
        Reference(shaded(), views(), Plain()).lacking(shaded())


@pytest.mark.parametrize("better", [True, False])
def test_colours_move_only_where_judges_see_it(monkeypatch: pytest.MonkeyPatch, better: bool) -> None:
    cloud = shaded(60)
    judges = Judges(Reference(cloud, views()[::2]), Reference(cloud, views()[1::2]))
    monkeypatch.setattr(fixed_quality, "allocate", lambda *_: StepOffsets())
    if not better:
        spoilt = replace(cloud, sh_dc=cloud.sh_dc + np.float32(1.0))
        monkeypatch.setattr(fixed_quality, "recoloured", lambda *_: spoilt)
    chunks, _, _ = FixedQuality(cloud, COARSE, None, 0.0, judges).encode(30.0)
    plain: Any = encode_chunks(cloud, COARSE)[0]
    assert (b"".join(chunks) == b"".join(plain)) != better


@pytest.mark.parametrize(
    ("count", "width", "expected"),
    [(14, 48, "virtual"), (16, 48, 8), (200, 48, 72), (200, 1 << 16, 23), (20, 1 << 16, 10)],
)
def test_views_that_colours_are_moved_by(
    monkeypatch: pytest.MonkeyPatch, count: int, width: int, expected: int | str
) -> None:
    """None that judges; virtual ones where few are left; as many as there is memory for."""
    taken = [camera(name=str(number), width=width) for number in range(count)]
    judges = taken[::2][: count // 2]
    monkeypatch.setattr(cli_views, "capture_views", lambda _: taken)
    monkeypatch.setattr(cli_views, "virtual_views", lambda *_: ["virtual"])
    found = cli_views.colour_views(shaded(10), "capture/", judges)
    assert found == ("virtual",) if expected == "virtual" else len(found) == expected
    assert not {id(view) for view in found} & {id(view) for view in judges}
    assert cli_views.colour_views(shaded(10), None, judges) == ("virtual",)
