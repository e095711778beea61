"""The bench of bit allocation on clouds of a few splats."""

import numpy as np
import pytest
from clouds import random_cloud
from gscodec_tools.bench_allocation import add_native_bits, as_text, bench_native, bench_uniform, search_uniform
from gscodec_tools.uniform_quantiser import quantised, values_per_splat

from gscodec.rate.reference import Reference
from gscodec.scene.virtual import look_at


@pytest.fixture
def case():
    cloud = random_cloud(60, 1, seed=5)
    camera = look_at(np.array([0.0, -8.0, 1.0]), np.zeros(3), np.array([0.0, 0.0, 1.0]), 32, 24)
    return cloud, Reference(cloud, [camera]), values_per_splat(cloud)


def test_rows_of_a_budget_have_its_bits(case):
    cloud, reference, values = case
    tables = bench_uniform(cloud, reference, reference, [], None)
    total = sum(values.values())
    by_name = {(row["allocation"], row["budget_bits"]): row for row in tables["rows"]}
    assert len(by_name) == len(tables["rows"]) == 10
    for (name, budget), row in by_name.items():
        if name != "equation 14 as printed":
            assert row["fixed_bits"] == pytest.approx(budget, abs=1e-6)
        assert 0.0 < row["entropy_bits"] < row["fixed_bits"] + total
    searched, predicted = by_name["search", 6.0 * total], by_name["equation 14", 6.0 * total]
    assert searched["psnr_renders"] >= predicted["psnr_renders"]
    assert predicted["psnr_renders"] > by_name["uniform", 6.0 * total]["psnr_renders"]


def test_search_keeps_the_budget(case):
    cloud, reference, values = case
    start = dict.fromkeys(values, 6.0)
    found = search_uniform(cloud, reference, values, start)
    assert sum(count * found[name] for name, count in values.items()) == pytest.approx(6.0 * sum(values.values()))
    errors = [reference.psnr(quantised(cloud, bits)[0]) for bits in (start, found)]
    assert errors[1] > errors[0]


def test_native_bits_are_those_of_the_curve():
    rows = [{"psnr_renders": psnr} for psnr in (30.0, 35.0, 40.0, 29.0, 41.0)]
    add_native_bits(rows, [(50.0, 30.0), (100.0, 40.0)])
    assert [row["native_bits_at_psnr"] for row in rows] == [50.0, 70.71, 100.0, None, None]


@pytest.mark.slow
def test_text(case):
    cloud, reference, _ = case
    uniform = bench_uniform(cloud, reference, reference, [], None)
    add_native_bits(uniform["rows"], [(50.0, 30.0), (100.0, 40.0)])
    scene = {
        "scene": "made up",
        "splats": 60,
        "uniform": uniform,
        "native": bench_native(cloud, reference, reference, 9),
    }
    text = as_text(scene)
    assert "equation 14 as printed" in text
    assert "BD-rate on test views" in text
