"""The quantiser that uniform bits are measured with."""

import numpy as np
import pytest
from clouds import random_cloud
from gscodec_tools.uniform_quantiser import PARTS, entropy_bits, quantised, values_per_splat


def test_values_of_a_splat():
    assert sum(values_per_splat(random_cloud(3, 3, seed=1)).values()) == 59
    assert "ac" not in values_per_splat(random_cloud(3, 0, seed=1))


@pytest.mark.parametrize("bits", [1.0, 6.0, 7.4])
def test_levels(bits):
    cloud = random_cloud(500, 1, seed=2)
    found, codes = quantised(cloud, dict.fromkeys(PARTS, bits))
    levels = round(2.0**bits)
    for name, part in PARTS.items():
        if name == "rotation":
            continue
        source = getattr(cloud, part).astype(np.float64)
        step = np.ptp(source) / (levels - 1)
        assert codes[name].min() == 0
        assert codes[name].max() == levels - 1
        np.testing.assert_allclose(getattr(found, part), source, rtol=1e-6, atol=step / 2.0 * (1.0 + 1e-6))
    assert np.unique(found.quats_wxyz).size <= levels


def test_what_is_not_named_stays():
    cloud = random_cloud(50, 2, seed=3)
    found, codes = quantised(cloud, {"dc": 4.0})
    assert list(codes) == ["dc"]
    assert found.positions is cloud.positions
    assert not np.array_equal(found.sh_dc, cloud.sh_dc)


def test_entropy():
    codes = {"position": np.array([[0, 5], [1, 5], [2, 5], [3, 5]]), "opacity": np.array([[0], [0], [1], [1]])}
    assert entropy_bits(codes) == pytest.approx(3.0)
