"""What the CUDA renderer says where PyTorch, a GPU, gsplat or nvcc is missing."""

from __future__ import annotations

import sys
import types

import pytest
from cuda_checks import VIEW
from slow_renderer import random_cloud

from gscodec.errors import BadInputError
from gscodec.render import cuda


def test_importing_needs_neither_torch_nor_gsplat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    cloud = random_cloud(0)
    calls = (
        lambda: cuda.render(cloud, VIEW),
        lambda: cuda.contributions(cloud, VIEW),
        lambda: cuda.CudaRenderer(),
        lambda: cuda.load(b""),
        lambda: cuda.view_arguments(VIEW),
    )
    for call in calls:
        with pytest.raises(BadInputError, match=r"PyTorch.*gscodec\[cuda\]") as caught:
            call()
        assert caught.value.field == "torch"


def fake_torch(devices: int) -> types.SimpleNamespace:
    """Just enough of torch to say how many GPUs there are."""
    device = lambda name: types.SimpleNamespace(type=name.partition(":")[0], index=int(name[5:] or 0))  # noqa: E731
    counts = types.SimpleNamespace(is_available=lambda: devices > 0, device_count=lambda: devices)
    return types.SimpleNamespace(device=device, cuda=counts, __version__="2.0")


def test_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(0))
    with pytest.raises(BadInputError, match=r"no CUDA device.*NVIDIA.*gscodec\[cuda\]"):
        cuda.render(random_cloud(0), VIEW)


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(1))
    with pytest.raises(BadInputError, match=r"cuda:0\.\.0"):
        cuda.load(b"", "cuda:1")


def test_no_gsplat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(1))
    monkeypatch.setitem(sys.modules, "gsplat", None)
    with pytest.raises(BadInputError, match=r"gsplat cannot be imported.*gscodec\[cuda\]"):
        cuda.render(random_cloud(0), VIEW)


def test_no_nvcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", fake_torch(1))
    monkeypatch.setitem(sys.modules, "gsplat", types.ModuleType("gsplat"))
    monkeypatch.setitem(sys.modules, "gsplat.cuda", types.ModuleType("gsplat.cuda"))
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", types.SimpleNamespace(_C=None))
    with pytest.raises(BadInputError, match="nvcc"):
        cuda.render(random_cloud(0), VIEW)


def test_wrong_device() -> None:
    pytest.importorskip("torch", reason="names of devices are torch's")
    with pytest.raises(BadInputError, match="CUDA devices only"):
        cuda.render(random_cloud(0), VIEW, device="cpu")
    with pytest.raises(BadInputError, match="no such device"):
        cuda.load(b"", "nonsense")
