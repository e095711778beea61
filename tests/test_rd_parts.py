"""The parts of `gsrd run`: what is kept, how sizes are matched, the codecs' wrappers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud
from gscodec_tools.commands import CommandTimeoutError, run_command
from gscodec_tools.rd.codecs import CODECS, CodecOptions, Point, all_codecs, gsplat_png, naive
from gscodec_tools.rd.codecs.external import ExternalCodec
from gscodec_tools.rd.match import match_size
from gscodec_tools.rd.scenes import ViewOptions, load_scene, load_scenes
from gscodec_tools.rd.store import Store, read_rows

from gscodec.cloud import ATTRIBUTES, GaussianCloud
from gscodec.config import EncodeConfig
from gscodec.encoder import encode
from gscodec.errors import BadInputError
from gscodec.formats.ply import write_ply


def row(codec: str, label: str, size: int | None, status: str = "ok", version: str = "1") -> dict[str, Any]:
    return {
        "key": f"{codec}|{label}|{version}",
        "scene": "yard",
        "codec": codec,
        "label": label,
        "status": status,
        "bytes": size,
        "settings": {},
    }


def test_rows_are_sorted_and_read_back(tmp_path: Path) -> None:
    with Store(tmp_path, ["yard"]) as store:
        for one in (row("b", "x", 5), row("a", "large", 9), row("a", "none", None, "failed"), row("a", "small", 3)):
            store.put(one)
        assert store.done("yard", "a|small|1") == row("a", "small", 3)
        assert store.done("yard", "a|none|1") is None
    found = read_rows(tmp_path / "rd" / "yard.json")
    assert [one["label"] for one in found] == ["small", "large", "none", "x"]


def test_a_new_row_replaces_that_of_an_older_version(tmp_path: Path) -> None:
    with Store(tmp_path, ["yard"]) as store:
        store.put(row("a", "x", 3))
        store.put(row("a", "x", 4, version="2"))
        store.put(row("a", "x", None, "unavailable", version=""))
        assert store.rows("yard") == [row("a", "x", 4, version="2")]


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path, ["yard"]), pytest.raises(BadInputError, match="another gsrd"):
        Store(tmp_path, ["yard"]).__enter__()
    with Store(tmp_path, ["yard"]) as store:
        assert store.rows("yard") == []


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"format": 2, "rows": []}', '{"format": 1, "rows": [{}]}', '{"format": 1}', "\xff"]
)
def test_a_foreign_file_is_an_error_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rd" / "yard.json"
    path.parent.mkdir()
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInputError, match=r"yard\.json"):
        Store(tmp_path, ["yard"]).__enter__()
    assert path.read_bytes() == text.encode("latin-1")
    with Store(tmp_path, ["other"]) as store:  # the failed one holds no lock
        assert store.rows("other") == []


def test_a_failing_write_leaves_the_old_file(tmp_path: Path) -> None:
    with Store(tmp_path, ["yard"]) as store:
        store.put(row("a", "x", 3))
        with pytest.raises(ValueError, match="JSON"):
            store.put(row("a", "y", 3) | {"psnr_renders": float("nan")})
    assert read_rows(tmp_path / "rd" / "yard.json") == [row("a", "x", 3)]


@pytest.mark.parametrize("quality", [22.0, 51.3, 97.0])
def test_a_size_is_matched_within_one_percent(quality: float) -> None:
    cloud = random_cloud(300, 2, seed=9)
    target = len(encode(cloud, EncodeConfig(quality=quality))) + 20
    asked = []

    def size_at(value: float) -> int:
        asked.append(value)
        return len(encode(cloud, EncodeConfig(quality=value)))

    known = [(15.0, size_at(15.0)), (100.0, size_at(100.0))]
    found = match_size(size_at, target, known)
    assert 0.99 * target <= found.size <= target
    assert found.size == len(encode(cloud, EncodeConfig(quality=found.quality)))
    assert found.note == ""
    assert len(asked) <= 2 + 6


def test_sizes_out_of_reach_say_so() -> None:
    def size_at(quality: float) -> int:
        return round(1000 * quality)

    assert match_size(size_at, 500).quality == 1.0
    assert "larger" in match_size(size_at, 500).note
    assert match_size(size_at, 200_000).size == 100_000
    assert "smaller" in match_size(size_at, 200_000).note
    stairs = match_size(lambda quality: 1000 if quality < 40.0 else 2000, 1500)
    assert stairs.size == 1000
    assert "33.3 % smaller" in stairs.note


@pytest.mark.parametrize("bits", naive.BITS)
def test_the_naive_codec_errs_by_half_a_step(bits: int) -> None:
    cloud = random_cloud(300, 3, seed=2)
    quats = cloud.quats_wxyz / np.linalg.norm(cloud.quats_wxyz, axis=1, keepdims=True)
    quats[quats[:, 0] < 0] *= -1
    back = naive.decode(naive.encode(cloud, bits))
    # Positions are fine enough to tell which splat is which.
    distances = np.linalg.norm(cloud.positions[:, None] - back.positions[None], axis=2)
    order = distances.argmin(axis=1)
    assert sorted(order) == list(range(300))
    for name in ATTRIBUTES:
        source = quats if name == "quats_wxyz" else getattr(cloud, name)
        source, found = source.reshape(300, -1), getattr(back, name)[order].reshape(300, -1)
        depth = 16 if name == "positions" else bits
        step = np.ptp(source, axis=0) / ((1 << depth) - 1)
        assert (np.abs(found - source) <= 0.501 * step + 1e-6).all(), name


def test_the_naive_codec_takes_no_splats_and_refuses_damage() -> None:
    assert len(naive.decode(naive.encode(random_cloud(0, 1, seed=0), 8))) == 0
    data = naive.encode(random_cloud(20, 0, seed=0), 8)
    for damaged in (b"", data[:10], data[:-5], b"{}\n" + data.partition(b"\n")[2]):
        with pytest.raises(BadInputError, match="damaged"):
            naive.decode(damaged)


def test_every_codec_has_labelled_points() -> None:
    codecs = all_codecs(CodecOptions())
    assert (
        list(codecs)
        == ["gscodec", "gscodec-targets", "spz", "compressed-ply", "sog", "gsplat-png", "naive"]
        == list(CODECS)
    )
    for codec in codecs.values():
        labels = [point.label for point in codec.points()]
        assert labels
        assert len(set(labels)) == len(labels)
        assert not any("," in label for label in labels)  # --labels takes them apart there
        json.dumps([dict(point.settings) for point in codec.points()])
    assert codecs["gscodec"].points()[-1] == Point("lossless", {"lossless": True})
    few = [point.label for point in codecs["spz"].points() if point.applies_to(1)]
    assert few == ["v4", "v4-H0", "v3", "v3-H0"]
    assert [point.label for point in codecs["sog"].points()] == ["default", "default-H2", "default-H1", "default-H0"]


def test_an_external_template_is_filled_in() -> None:
    codec = ExternalCodec("mine=echo enc {in} {out.x.drc} -b{point} ;; echo dec {in} {out} ;; 8 10")
    assert (codec.name, codec.ending) == ("mine", ".x.drc")
    assert codec.points() == [Point("8", {"point": "8"}), Point("10", {"point": "10"})]
    encoded = codec.encode(Path("a b.ply"), Path("c.x.drc"), codec.points()[1], 10.0)
    assert encoded.output == "enc a b.ply c.x.drc -b10\n"
    assert codec.decode(Path("c.x.drc"), Path("d.ply"), 10.0).output == "dec c.x.drc d.ply\n"
    assert codec.version() == ExternalCodec(codec.template + " 12").version()
    assert codec.version() != ExternalCodec(codec.template.replace("-b", "-c")).version()


@pytest.mark.parametrize(
    "template",
    [
        "",
        "mine",
        "mine=enc {in} {out}",
        "mi ne=enc {in} {out} ;; dec {in} {out}",
        "mine=enc {in} ;; dec {in} {out}",
        "mine=enc {in} {out} ;; dec {in}",
        "mine=enc {in} {out} {point} ;; dec {in} {out}",
        "mine=enc {in} {out} ;; dec {in} {out} ;; 1 2",
        "mine=enc '{in} {out} ;; dec {in} {out}",
    ],
)
def test_a_bad_template_is_refused(template: str) -> None:
    with pytest.raises(BadInputError, match="template"):
        ExternalCodec(template)


def test_two_codecs_of_one_name_are_refused() -> None:
    with pytest.raises(BadInputError, match="two codecs"):
        all_codecs(CodecOptions(("naive=enc {in} {out} ;; dec {in} {out}",)))


@pytest.mark.parametrize("degree", [0, 2])
def test_gsplat_arrays_there_and_back(degree: int) -> None:
    cloud = random_cloud(10, degree, seed=4)
    named = gsplat_png.arrays(cloud)
    assert ("shN" in named) == (degree > 0)
    assert named["sh0"].shape == (10, 1, 3)
    assert_same_arrays(gsplat_png.cloud_of(named), cloud)


def test_a_command_over_its_limit_is_killed_with_its_children(tmp_path: Path) -> None:
    late = tmp_path / "late"
    with pytest.raises(CommandTimeoutError, match=r"0\.5 seconds"):
        run_command(["bash", "-c", f"(sleep 1.5; touch {late}) & wait"], limit_s=0.5)
    with pytest.raises(CommandTimeoutError):
        run_command(["sleep", "5"], limit_s=1.5)
    assert not late.exists()


def test_scenes_take_their_views_from_where_there_are_any(tmp_path: Path) -> None:
    cloud = random_cloud(80, 0, seed=7)
    lone = _scene(tmp_path / "a.ply", cloud)
    assert (lone.name, lone.views.kind, len(lone.views.cameras)) == ("a", "virtual", 2)
    assert lone.views.identity == _scene(tmp_path / "a.ply", cloud).views.identity
    (tmp_path / "b").mkdir()
    bare = _scene(tmp_path / "b" / "point_cloud.ply", cloud, tmp_path / "b")
    assert (bare.name, bare.views.kind, bare.digest) == ("b", "virtual", lone.digest)
    (tmp_path / "b" / "cameras.json").write_text("{}")
    with pytest.raises(BadInputError, match="missing field"):
        _scene(tmp_path / "b" / "point_cloud.ply", cloud, tmp_path / "b")
    with pytest.raises(BadInputError, match="not a scene"):
        load_scene(str(tmp_path), ViewOptions())
    (tmp_path / "c").mkdir()
    _scene(tmp_path / "c" / "a.ply", cloud)
    with pytest.raises(BadInputError, match="one name"):
        load_scenes([str(tmp_path / "a.ply"), str(tmp_path / "c" / "a.ply")], ViewOptions(count=2))


def _scene(ply: Path, cloud: GaussianCloud, argument: Path | None = None) -> Any:
    write_ply(ply, cloud, force=True)
    return load_scene(str(argument or ply), ViewOptions(count=2))


def test_targets_are_asked_as_ratios(monkeypatch: pytest.MonkeyPatch) -> None:
    codec = all_codecs(CodecOptions())["gscodec-targets"]
    called: list[list[str]] = []
    monkeypatch.setattr("gscodec_tools.rd.codecs.own._compile_once", lambda *_: None)
    monkeypatch.setattr("gscodec_tools.rd.codecs.own.run_command", lambda words, **_: called.append(words))
    codec.encode(Path("in.ply"), Path("out.gsb"), codec.points()[0], 60.0)
    assert called[0][1:] == ["in.ply", "-o", "out.gsb", "--target-ratio", "16", "--quiet"]
