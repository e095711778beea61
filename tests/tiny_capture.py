"""A capture of photos rendered from a small random cloud, for tests of training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from clouds import random_cloud

from gscodec.cloud import GaussianCloud
from gscodec.render.cpu import render
from gscodec.scene.camera import Camera
from gscodec.scene.virtual import look_at

WIDTH, HEIGHT = 48, 32


def tiny_cloud(count: int = 60, seed: int = 3) -> GaussianCloud:
    """Opaque, coloured blobs around the origin."""
    cloud = random_cloud(count, 0, seed)
    rng = np.random.default_rng(seed)
    return GaussianCloud(
        positions=rng.uniform(-1.0, 1.0, (count, 3)).astype(np.float32),
        log_scales=rng.uniform(-2.3, -1.4, (count, 3)).astype(np.float32),
        quats_wxyz=cloud.quats_wxyz,
        opacity_logits=np.full(count, 2.0, np.float32),
        sh_dc=rng.uniform(-1.5, 1.5, (count, 3)).astype(np.float32),
        sh_rest=cloud.sh_rest,
    )


def tiny_cameras(count: int = 7) -> list[Camera]:
    """A ring of views that look at the origin."""
    up = np.array([0.0, 1.0, 0.0])
    angles = [2.0 * np.pi * number / count for number in range(count)]
    eyes = [np.array([4.0 * np.cos(angle), 1.0, 4.0 * np.sin(angle)]) for angle in angles]
    return [look_at(eye, np.zeros(3), up, WIDTH, HEIGHT) for eye in eyes]


def write_capture(folder: Path, *, alpha: bool = False) -> GaussianCloud:
    """cameras.json, images/ and points.npz in ``folder``, the first view for testing; the cloud that they show."""
    from PIL import Image

    cloud = tiny_cloud()
    (folder / "images").mkdir(parents=True)
    entries = []
    for number, camera in enumerate(tiny_cameras()):
        pixels = np.rint(255.0 * np.clip(render(cloud, camera), 0.0, 1.0)).astype(np.uint8)
        if alpha:
            pixels = np.dstack([pixels, np.full(pixels.shape[:2], 128, np.uint8)])
        name = f"images/{number}.png"
        Image.fromarray(pixels).save(folder / name)
        pose = camera.world_to_camera.tolist()
        lens = {key: getattr(camera, key) for key in ("width", "height", "fx", "fy", "cx", "cy")}
        split = "train" if number else "test"
        entries.append({"name": name, "image": name, **lens, "world_to_camera": pose, "split": split})
    (folder / "cameras.json").write_text(json.dumps(entries), encoding="utf-8")
    rgb = np.full((len(cloud), 3), 128, np.uint8)
    np.savez(folder / "points.npz", xyz=cloud.positions, rgb=rgb)
    return cloud
