from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import pytest
from clouds import random_cloud

from gscodec.errors import BadInputError
from gscodec.importance import METHODS, rap, rap_distilled, rap_distilled_features, rap_features
from gscodec.importance.prune import PruneSpec, prune
from gscodec.importance.rap_network import LIMIT, Network, load_network

METHOD = pytest.mark.parametrize("method", ["rap", "rap-distilled"])
MODULES = {"rap": rap, "rap-distilled": rap_distilled}
INPUTS = ("a", "b", "c")


def network(seed: int = 0, features: tuple[str, ...] = INPUTS) -> Network:
    rng = np.random.default_rng(seed)
    widths = (len(features), 32, 32, 16, 1)
    pairs = list(pairwise(widths))
    weights = tuple((rng.standard_normal(pair) / np.sqrt(pair[0])).astype(np.float32) for pair in pairs)
    biases = tuple(rng.standard_normal(pair[1]).astype(np.float32) * np.float32(0.1) for pair in pairs)
    offsets = rng.standard_normal(len(features)).astype(np.float32)
    return Network(weights, biases, features, offsets, np.full(len(features), 2.0, np.float32))


def test_inference_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    net = network()
    inputs = np.random.default_rng(1).standard_normal((3000, 3)).astype(np.float32) * np.float32(5.0)
    value = torch.from_numpy(inputs).sub(torch.from_numpy(net.offsets)).div(2.0).clamp(-LIMIT, LIMIT)
    for number, (weight, bias) in enumerate(zip(net.weights, net.biases, strict=True)):
        value = torch.from_numpy(bias) + (torch.relu(value) if number else value) @ torch.from_numpy(weight)
    assert np.abs(net.scores(inputs) - torch.sigmoid(value[:, 0]).numpy()).max() < 1e-6


def test_scores_do_not_depend_on_threads_or_company() -> None:
    net = network()
    inputs = np.random.default_rng(2).standard_normal((2500, 3)).astype(np.float32)
    expected = net.scores(inputs)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        assert net.scores(inputs).tobytes() == expected.tobytes()
    finally:
        numba.set_num_threads(threads)
    assert net.scores(inputs[700:710]).tobytes() == expected[700:710].tobytes()


def test_nan_in_nan_out() -> None:
    inputs = np.zeros((3, 3), np.float32)
    inputs[1, 2] = np.nan
    assert np.isnan(network().scores(inputs)).tolist() == [False, True, False]


def test_wrong_number_of_features() -> None:
    with pytest.raises(BadInputError, match="features"):
        network().scores(np.zeros((2, 4), np.float32))


def test_save_and_load(tmp_path: Path) -> None:
    net = network()
    for name in ("one.npz", "two.npz"):
        net.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    back = load_network(tmp_path / "one.npz", INPUTS)
    inputs = np.random.default_rng(3).standard_normal((50, 3)).astype(np.float32)
    assert back.scores(inputs).tobytes() == net.scores(inputs).tobytes()
    assert back.features == INPUTS
    with pytest.raises(BadInputError, match="other features"):
        load_network(tmp_path / "one.npz", ("a", "b", "d"))
    with pytest.raises(BadInputError, match="exists"):
        net.save(tmp_path / "one.npz")


def arrays_of(net: Network) -> dict[str, np.ndarray]:
    arrays = {f"weights_{n}": weight for n, weight in enumerate(net.weights)}
    arrays |= {f"biases_{n}": bias for n, bias in enumerate(net.biases)}
    return arrays | {"offsets": net.offsets, "scales": net.scales, "features": np.array(net.features)}


def altered(key: str, change: Callable[[np.ndarray], np.ndarray] | None) -> bytes:
    """A file with one array changed or, for None, left out."""
    arrays = arrays_of(network())
    value = arrays.pop(key)
    if change is not None:
        arrays[key] = change(value)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize("content", [
    b"", b"no weights", b"PK\x03\x04 broken", b"\x80\x04K\x01.",
    altered("weights_2", None), altered("features", None), altered("offsets", None),
    altered("weights_0", lambda a: a.T.copy()),
    altered("weights_1", lambda a: a.astype(np.float64)),
    altered("weights_3", lambda a: np.concatenate([a, a], axis=1)),
    altered("weights_3", lambda a: a[0, 0]),
    altered("biases_1", lambda a: a[:-1]),
    altered("biases_1", lambda a: a * np.float32(np.nan)),
    altered("scales", lambda a: a * 0),
    altered("scales", lambda a: a[:2]),
    altered("weights_1", lambda a: a.astype(object)),
])  # fmt: skip
def test_malformed_weights_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.npz"
    path.write_bytes(content)
    with pytest.raises(BadInputError):
        load_network(path, INPUTS)


def test_truncated_and_damaged_weights_are_refused(tmp_path: Path) -> None:
    network().save(tmp_path / "good.npz")
    good = (tmp_path / "good.npz").read_bytes()
    path = tmp_path / "bad.npz"
    for size in range(0, len(good) - 1, 97):
        path.write_bytes(good[:size])
        with pytest.raises(BadInputError):
            load_network(path, INPUTS)
    damaged = bytearray(good)
    damaged[len(good) // 3] ^= 1  # the zip's checksum tells
    path.write_bytes(bytes(damaged))
    with pytest.raises(BadInputError):
        load_network(path, INPUTS)


def test_missing_and_oversized_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="cannot read"):
        load_network(tmp_path / "none.npz", INPUTS)
    with (tmp_path / "huge.npz").open("wb") as file:
        file.truncate((16 << 20) + 1)
    with pytest.raises(BadInputError, match="too large"):
        load_network(tmp_path / "huge.npz", INPUTS)


@METHOD
@pytest.mark.parametrize("degree", range(5))
def test_packaged_scores_are_spread_within_0_and_1(method: str, degree: int) -> None:
    scores = METHODS[method].score(random_cloud(1500, degree, 2))
    assert scores.dtype == np.float32
    assert scores.min() >= 0.0
    assert scores.max() <= 1.0
    assert np.unique(scores).size > 1400
    assert np.ptp(scores) > 0.2


@METHOD
def test_packaged_scores_know_what_shows(method: str) -> None:
    cloud = random_cloud(2000, 1, 4)
    scores = METHODS[method].score(cloud)
    footprint = cloud.opacity_logits + cloud.log_scales.max(axis=1)
    faint, strong = footprint < np.quantile(footprint, 0.2), footprint > np.quantile(footprint, 0.8)
    assert scores[faint].mean() < scores[strong].mean() - 0.1


@METHOD
def test_broken_splats_go_first(method: str) -> None:
    cloud = random_cloud(100, 1, 4)
    places = cloud.positions.copy()
    places[7] = np.nan
    kept, _ = prune(replace(cloud, positions=places), PruneSpec(method, 0.01))
    assert len(kept) == 99
    assert np.isfinite(kept.positions).all()


@METHOD
def test_packaged_weights_fit_their_features(method: str) -> None:
    names = {"rap": rap_features.NAMES, "rap-distilled": rap_distilled_features.NAMES}[method]
    module = MODULES[method]
    assert module.packaged().features == names
    assert module.WEIGHTS.stat().st_size < 32_000
    assert METHODS[method].needs == "nothing"
    other = network(5, names)
    cloud = random_cloud(200, 1, 4)
    assert not np.array_equal(module.score(cloud, network=other), module.score(cloud))
