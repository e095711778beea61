"""Image metrics against plain, slow ones written from their definitions."""

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gscodec_tools.lpips import SLICES, Lpips, lpips
from gscodec_tools.metrics import psnr_8bit, psnr_float, ssim
from gscodec_tools.quality import ViewQuality, main

from gscodec.errors import BadInputError


def pair(shape: tuple[int, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two similar images that leave [0, 1] a little."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(-0.1, 1.1, shape).astype(np.float32)
    return a, a + rng.normal(0.0, 0.05, shape).astype(np.float32)


def plain_ssim(a: np.ndarray, b: np.ndarray) -> float:
    weights = np.array([[math.exp(-(i * i + j * j) / 4.5) for j in range(-5, 6)] for i in range(-5, 6)])
    weights /= weights.sum()
    values = []
    for channel in range(a.shape[2]):
        x = np.pad(np.clip(a[:, :, channel], 0, 1).astype(np.float64), 5)
        y = np.pad(np.clip(b[:, :, channel], 0, 1).astype(np.float64), 5)
        for row in range(a.shape[0]):
            for column in range(a.shape[1]):
                p, q = x[row : row + 11, column : column + 11], y[row : row + 11, column : column + 11]
                mp, mq = (weights * p).sum(), (weights * q).sum()
                vp, vq = (weights * p * p).sum() - mp * mp, (weights * q * q).sum() - mq * mq
                cov = (weights * p * q).sum() - mp * mq
                top = (2 * mp * mq + 1e-4) * (2 * cov + 9e-4)
                values.append(top / ((mp * mp + mq * mq + 1e-4) * (vp + vq + 9e-4)))
    return float(np.mean(values))


def test_float_psnr_clamps_both_images() -> None:
    a = np.full((4, 5, 3), 1.5, np.float32)
    b = np.full((4, 5, 3), 0.9, np.float32)
    assert psnr_float(a, b) == pytest.approx(20.0, abs=1e-5)
    assert psnr_float(a, np.ones_like(a)) == math.inf


def test_8_bit_psnr_rounds_half_up_before_it_compares() -> None:
    a = np.full((2, 3, 3), 100.4 / 255, np.float32)
    b = np.full((2, 3, 3), 100.6 / 255, np.float32)  # 100 and 101
    assert psnr_8bit(a, b) == pytest.approx(20 * math.log10(255))
    assert psnr_8bit(a, a - np.float32(0.001)) == math.inf
    assert psnr_8bit(a + 5, np.full_like(a, 254.5 / 255)) == math.inf


def test_both_psnr_agree_where_rounding_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    a, b = (rng.integers(0, 256, (9, 8, 3)).astype(np.float32) / np.float32(255) for _ in range(2))
    assert psnr_8bit(a, b) == pytest.approx(psnr_float(a, b), abs=1e-4)


@pytest.mark.parametrize("shape", [(17, 23, 3), (4, 13, 1)])
def test_ssim_agrees_with_its_definition(shape: tuple[int, ...]) -> None:
    a, b = pair(shape)
    assert ssim(a, b) == pytest.approx(plain_ssim(a, b), abs=1e-12)
    assert ssim(a, a) == 1.0
    assert ssim(a, b) < 1.0


@pytest.mark.parametrize("metric", [psnr_float, psnr_8bit, ssim])
def test_images_that_cannot_be_compared_are_refused(metric: Any) -> None:
    a, b = pair((4, 5, 3))
    with pytest.raises(BadInputError, match="different shape"):
        metric(a, b[1:])
    with pytest.raises(BadInputError, match="different shape"):
        metric(a[:0], b[:0])
    b[1, 2, 0] = np.nan
    with pytest.raises(BadInputError, match="not finite"):
        metric(a, b)


def random_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    weights = {}
    for rank, layers in enumerate(SLICES):
        for index, channels_in, channels_out in layers:
            size = math.sqrt(2 / (9 * channels_in))
            weights[f"features.{index}.weight"] = rng.normal(0, size, (channels_out, channels_in, 3, 3))
            weights[f"features.{index}.bias"] = rng.normal(0, 0.1, channels_out)
        weights[f"lin{rank}.model.1.weight"] = rng.uniform(0, 1, (1, layers[-1][2], 1, 1))
    return {name: values.astype(np.float32) for name, values in weights.items()}


def plain_features(image: np.ndarray, weights: dict[str, np.ndarray]) -> list[np.ndarray]:
    """relu1_2, relu2_2, relu3_3, relu4_3, relu5_3 of VGG16 as published: layer by layer, in numpy."""
    plan = "c0 c2 f p c5 c7 f p c10 c12 c14 f p c17 c19 c21 f p c24 c26 c28 f"
    x, features = image.astype(np.float64), []
    for step in plan.split():
        height, width = x.shape[:2]
        if step == "p":
            x = x[: height // 2 * 2, : width // 2 * 2].reshape(height // 2, 2, width // 2, 2, -1).max(axis=(1, 3))
        elif step == "f":
            features.append(x)
        else:
            kernel, padded = weights[f"features.{step[1:]}.weight"], np.pad(x, ((1, 1), (1, 1), (0, 0)))
            total = np.zeros((height, width, len(kernel))) + weights[f"features.{step[1:]}.bias"]
            for i in range(3):
                for j in range(3):
                    total += padded[i : i + height, j : j + width] @ kernel[:, :, i, j].T.astype(np.float64)
            x = np.maximum(total, 0.0)
    return features


def plain_lpips(a: np.ndarray, b: np.ndarray, weights: dict[str, np.ndarray], scaled: bool) -> float:
    both = []
    for image in (a, b):
        x = np.clip(image, 0, 1).astype(np.float64)
        x = 2 * x - 1 if scaled else x
        both.append(plain_features((x - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450], weights))
    total = 0.0
    for rank, (p, q) in enumerate(zip(*both, strict=True)):
        p, q = (x / (np.linalg.norm(x, axis=2, keepdims=True) + 1e-10) for x in (p, q))
        total += float((np.square(p - q) @ weights[f"lin{rank}.model.1.weight"].ravel()).mean())
    return total


def test_lpips_agrees_with_a_plain_network(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="LPIPS runs on PyTorch")
    weights = random_weights()
    unused = {"classifier.0.weight": torch.zeros(2)}
    torch.save({name: torch.from_numpy(value) for name, value in weights.items()} | unused, tmp_path / "weights.pt")
    a, b = pair((18, 21, 3))
    found = {}
    for variant, scaled in (("lpips_vgg", True), ("lpips_vgg_3dgs", False)):
        measure = Lpips(tmp_path / "weights.pt", variant)
        found[variant] = measure(a, b)
        assert found[variant] == pytest.approx(plain_lpips(a, b, weights, scaled), rel=1e-4)
        assert measure(a, a) == 0.0
        assert ViewQuality.of(a, b, measure).lpips == found[variant]
    assert found["lpips_vgg"] != pytest.approx(found["lpips_vgg_3dgs"], rel=1e-3)
    with pytest.raises(BadInputError, match="unfit"):
        lpips(a[:15], b[:15], tmp_path / "weights.pt", "lpips_vgg")


def test_lpips_says_what_is_wrong_with_the_weights(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="LPIPS runs on PyTorch")
    a, b = pair((16, 16, 3))
    with pytest.raises(BadInputError, match="needs a file of weights"):
        lpips(a, b, tmp_path / "absent.pt", "lpips_vgg")
    files = [str(tmp_path / name) for name in ("source.ply", "decoded.ply", "cameras.json")]
    assert main([*files, "--lpips", str(tmp_path / "absent.pt")]) == BadInputError.exit_code
    path = tmp_path / "weights.pt"
    path.write_bytes(b"not weights")
    with pytest.raises(BadInputError, match="cannot read weights"):
        lpips(a, b, path, "lpips_vgg")
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(63)}, path)
    with pytest.raises(BadInputError, match=r"features\.0\.bias.*63.*64"):
        lpips(a, b, path, "lpips_vgg")


def test_lpips_names_its_variants_and_needs_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInputError, match="lpips_vgg_3dgs"):
        Lpips(tmp_path / "weights.pt", "lpips")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BadInputError, match=r"needs PyTorch.*gscodec\[train\]"):
        Lpips(tmp_path / "weights.pt", "lpips_vgg")
