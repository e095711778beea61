"""Files with bases of colour: nearer where views look, whole, of lower degrees, cut, with huge colours."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from clouds import assert_same_arrays, random_cloud
from directions import complete, cone, harmonics
from scipy.spatial import cKDTree

from bitstream_spec.layout import StreamKind
from gscodec import EncodeConfig, GaussianCloud, decode, encode
from gscodec.bitstream.container import Container
from gscodec.bitstream.source import BytesSource
from gscodec.branches.native import decode as native
from gscodec.branches.native.bases import Bases
from gscodec.cloud import SH_REST_COUNTS
from gscodec.config import Visibility
from gscodec.entropy.bytes import decompress
from gscodec.selection import layer_ends


def shaded_cloud(sh_degree: int, seed: int = 0) -> GaussianCloud:
    """Splats so far apart that each decoded one is nearest to its own source, enough for a basis."""
    side = 11
    cloud = random_cloud(side**3, sh_degree, seed)
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), axis=-1).reshape(-1, 3) - (side - 1) / 2
    jitter = np.random.default_rng(seed).uniform(-0.2, 0.2, grid.shape)
    opaque = np.full(len(cloud), 2.0, np.float32)
    return replace(cloud, positions=(grid + jitter).astype(np.float32), opacity_logits=opaque)


def source_of(found: GaussianCloud, cloud: GaussianCloud) -> GaussianCloud:
    """For each found splat its own source."""
    index = cKDTree(cloud.positions).query(found.positions)[1]
    assert len(set(index.tolist())) == len(cloud)
    return cloud.select(index)


def sh_of(cloud: GaussianCloud) -> np.ndarray:
    return np.concatenate([cloud.sh_dc[:, None], cloud.sh_rest], axis=1).astype(np.float64)


def seen_error(found: GaussianCloud, cloud: GaussianCloud, centres: np.ndarray) -> float:
    """Mean squared error of colours as the cameras see them."""
    own = source_of(found, cloud)
    error, total = sh_of(found) - sh_of(own), 0.0
    for centre in centres:
        basis = harmonics(own.positions.astype(np.float64) - centre, error.shape[1])
        total += float((np.einsum("nk,nkc->nc", basis, error) ** 2).mean())
    return total / len(centres)


def bases_of(data: bytes) -> Bases:
    container = Container.open(BytesSource(data))
    stream = container.read(StreamKind.BASES)
    payload = decompress(stream.coder, stream.payload, stream.raw_length, 1 << 20)
    return Bases.unpack(payload, container.header.sh_degree)


def test_known_directions_make_a_file_smaller_and_nearer() -> None:
    cloud, centres = shaded_cloud(3), cone(24, 60.0)
    weights = np.full(len(cloud), 30.0)
    sample = np.arange(len(cloud))
    shown = np.full((len(centres), len(cloud)), 30.0 / len(centres), np.float32)
    plain = encode(cloud, EncodeConfig(), Visibility(weights, 0.1))
    aware = encode(cloud, EncodeConfig(), Visibility(weights, 0.1, centres, sample, shown))
    assert len(aware) < len(plain)
    assert seen_error(decode(aware), cloud, centres) < 0.8 * seen_error(decode(plain), cloud, centres)
    # That from the other side it is worse is the price.
    assert seen_error(decode(aware), cloud, -centres) > seen_error(decode(plain), cloud, -centres)


def test_directions_are_those_of_the_splats_that_are_coded() -> None:
    """Splats that are left out move no other's directions."""
    cloud, centres = shaded_cloud(2), cone(6)
    rng = np.random.default_rng(6)
    sample = np.arange(0, len(cloud), 3)
    shown = rng.random((6, len(sample))).astype(np.float32)
    visibility = Visibility(rng.random(len(cloud)), 0.1, centres, sample, shown)
    bad = cloud.sh_dc.copy()
    bad[[0, 1, 9, 500]] = np.nan
    kept = np.flatnonzero(np.isfinite(bad[:, 0]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = encode(replace(cloud, sh_dc=bad), EncodeConfig(), visibility)
    assert found == encode(cloud.select(kept), EncodeConfig(), visibility.select(kept))
    assert found != encode(cloud.select(kept), EncodeConfig(), Visibility(visibility.weights[kept], 0.1))


@pytest.fixture(scope="module", params=[1, 2, 3, 4])
def coded(request: pytest.FixtureRequest) -> tuple[GaussianCloud, bytes]:
    """A cloud and its file of several tiles, with bases."""
    cloud = shaded_cloud(request.param, request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gscodec.branches.native.tiling.TILE_SPLATS", 400)
        data = encode(cloud, EncodeConfig(quality=90))
    assert len(bases_of(data).centres) == 1
    return cloud, data


def test_every_degree_comes_back(coded: tuple[GaussianCloud, bytes]) -> None:
    cloud, data = coded
    found = decode(data)
    error = np.abs(sh_of(found) - sh_of(source_of(found, cloud)))
    assert np.sqrt((error**2).mean()) < 0.25 * np.sqrt((cloud.sh_rest**2).mean())


def test_degree_0_of_a_file_is_component_0(coded: tuple[GaussianCloud, bytes]) -> None:
    """The mean colour is the same whatever else is decoded: SH without what the other components add to them."""
    _, data = coded
    mean, whole = decode(data, sh_degree=0), decode(data)
    assert mean.sh_degree == 0
    (matrix,) = complete(bases_of(data))
    components = np.einsum("nkc,kj->njc", sh_of(whole), np.linalg.inv(matrix))
    np.testing.assert_allclose(mean.sh_dc, components[:, 0], atol=1e-5)
    for name in ("positions", "log_scales", "quats_wxyz", "opacity_logits"):
        assert getattr(mean, name).tobytes() == getattr(whole, name).tobytes()


def test_lower_degrees_and_cut_files(coded: tuple[GaussianCloud, bytes]) -> None:
    cloud, data = coded
    degree = cloud.sh_degree
    whole = decode(data)
    bases = bases_of(data)
    (matrix,) = complete(bases)
    components = np.einsum("nkc,kj->njc", sh_of(whole), np.linalg.inv(matrix))
    ends = layer_ends(Container.open(BytesSource(data)), native.layers_of(degree, []), degree)[0]
    for layers in range(degree + 1):
        count = SH_REST_COUNTS[layers] + 1
        some = components.copy()
        some[:, count:] = 0
        # All layers up to here, as SH of all degrees (of degree 0 where it is the mean alone).
        cut = decode(data[: ends[layers]], max_bytes=ends[layers])
        assert cut.sh_degree == (degree if layers else 0)
        expected = np.einsum("njc,jk->nkc", some, matrix)[:, : cut.sh_rest.shape[1] + 1]
        np.testing.assert_allclose(sh_of(cut), expected, atol=1e-4)
        # The same, but SH of a lower degree: the least-squares fit.
        reduced = decode(data, sh_degree=layers)
        assert reduced.sh_degree == layers
        to_components_ = np.linalg.inv(matrix)[:count]
        for channel in range(3):
            fit = np.linalg.lstsq(to_components_.T, some[:, :, channel].T, rcond=None)[0].T
            np.testing.assert_allclose(sh_of(reduced)[:, :, channel], fit, atol=1e-4)
    assert_same_arrays(decode(data, sh_degree=degree), whole)
    assert_same_arrays(decode(data, max_bytes=len(data)), whole)


@pytest.mark.parametrize("quality", [1.0, 75.0, 100.0])
@pytest.mark.parametrize("how", ["in step", "in one splat"])
def test_huge_colours_come_back(how: str, quality: float) -> None:
    """What the encoder takes it can hold, also where components would be larger than SH."""
    cloud = shaded_cloud(4)
    rng = np.random.default_rng(7)
    huge = rng.choice([-4e5, 4e5], (len(cloud), 1, 3)) * np.ones((1, 24, 1))
    rows = slice(None) if how == "in step" else slice(7, 8)
    sh_rest = cloud.sh_rest.copy()
    sh_rest[rows] = huge[rows]
    cloud = replace(cloud, sh_rest=sh_rest)
    found = decode(encode(cloud, EncodeConfig(quality=quality)))
    own = source_of(found, cloud).sh_rest
    coded = np.abs(own) == 4e5
    assert coded.any()
    np.testing.assert_allclose(found.sh_rest[coded], own[coded], rtol=1e-3)
