"""Quality against renders of the source."""

import math

import numpy as np
import pytest
from clouds import random_cloud

from gscodec.errors import BadInputError
from gscodec.quality import psnr
from gscodec.rate.reference import Reference, log_mean_error
from gscodec.render.cpu import render
from gscodec.scene import virtual_views
from gscodec.scene.virtual import look_at


def test_mean_of_the_views() -> None:
    cloud = random_cloud(300, 1, seed=1)
    views = virtual_views(cloud, 2, 0, 64, 48)
    other = cloud.select(np.arange(200))
    expected = [psnr(render(cloud, view), render(other, view)) for view in views]
    reference = Reference(cloud, views)
    assert reference.view_psnrs(other) == expected
    assert reference.psnr(other) == pytest.approx(np.mean(expected))
    assert reference.psnr(cloud) == math.inf


def test_geometric_mean() -> None:
    assert log_mean_error([30.0, 50.0]) == pytest.approx(1e-4)


def test_no_views() -> None:
    with pytest.raises(BadInputError, match="views"):
        Reference(random_cloud(3, 0, seed=1), [])


def test_blank() -> None:
    cloud = random_cloud(50, 0, seed=1)
    eye, up = np.array([50.0, 0.0, 0.0]), np.array([0.0, 1.0, 0.0])
    away, towards = (look_at(eye, np.array([x, 0.0, 0.0]), up, 64, 48) for x in (100.0, 0.0))
    blank, mixed = Reference(cloud, [away]), Reference(cloud, [away, towards, away])
    assert (blank.blank, blank.views) == (True, (away,))
    assert (mixed.blank, mixed.views) == (False, (towards,))
    part = cloud.select(slice(0, 25))
    assert mixed.view_psnrs(part) == Reference(cloud, [towards]).view_psnrs(part)
