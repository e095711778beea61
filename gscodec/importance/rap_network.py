"""A small multilayer perceptron from features to a score in 0..1: inference in numba, weights in an .npz file.

No BLAS: its sums depend on the library and on the number of threads, and which splats are removed must not.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from numba import njit, prange

from gscodec.bitstream.atomic import atomic_write
from gscodec.errors import BadInputError

F32 = npt.NDArray[np.float32]

HIDDEN = (32, 32, 16)
LIMIT = 4.0
MAX_WIDTH = 1024
MAX_FILE = 16 << 20  # bytes


@dataclass(frozen=True, eq=False)
class Network:
    """Four layers: ``weights`` float32 [inputs, outputs] and ``biases`` [outputs] of each, the last with one output.

    ReLU between them, a sigmoid at the end. ``features``: names of the inputs, of which ``offsets`` [inputs] are
    subtracted, which are divided by ``scales`` [inputs] and clipped to -LIMIT..LIMIT before the first layer.
    Raises BadInputError for arrays that do not fit together or are not finite.
    """

    weights: tuple[F32, ...]
    biases: tuple[F32, ...]
    features: tuple[str, ...]
    offsets: F32
    scales: F32

    def __post_init__(self) -> None:
        layers = len(HIDDEN) + 1
        if len(self.weights) != layers or len(self.biases) != layers:
            raise BadInputError("wrong number of layers", field="weights", found=len(self.weights), allowed=layers)
        width = len(self.features)
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            out = weight.shape[-1] if number + 1 < layers else 1
            fits = weight.shape == (width, out) and bias.shape == (out,) and 1 <= width <= MAX_WIDTH
            if not fits or not 1 <= out <= MAX_WIDTH:
                found = f"{weight.shape} and {bias.shape}"
                raise BadInputError("wrong shape", field=f"layer {number}", found=found, allowed=f"({width}, {out})")
            if weight.dtype != np.float32 or bias.dtype != np.float32:
                raise BadInputError("wrong type", field=f"layer {number}", found=weight.dtype, allowed="float32")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise BadInputError("not finite", field=f"layer {number}", allowed="finite weights")
            width = out
        for name, values in (("offsets", self.offsets), ("scales", self.scales)):
            good = values.shape == (len(self.features),) and values.dtype == np.float32 and np.isfinite(values).all()
            if not good or (name == "scales" and not (values > 0).all()):
                raise BadInputError("bad values", field=name, found=values.shape, allowed="finite, scales above 0")

    def scores(self, features: F32) -> F32:
        """The scores float32 [N] of ``features`` float32 [N, inputs]; NaN for a row that holds one.

        The same bits for any number of threads. Raises BadInputError for another number of columns.
        """
        if features.ndim != 2 or features.shape[1] != len(self.features):
            raise BadInputError("wrong shape", field="features", found=features.shape, allowed=(len(self.features),))
        result = np.empty(len(features), np.float32)
        weights = tuple(np.ascontiguousarray(weight) for weight in self.weights)
        biases = tuple(np.ascontiguousarray(bias) for bias in self.biases)
        inputs = np.ascontiguousarray(features, np.float32)
        _forward(inputs, self.offsets, self.scales, weights, biases, result)
        return result

    def save(self, path: str | Path, force: bool = False) -> None:
        """Write the .npz, the same bytes for the same numbers. Raises OutputError or BadInputError as atomic_write."""
        arrays = {f"weights_{number}": weight for number, weight in enumerate(self.weights)}
        arrays |= {f"biases_{number}": bias for number, bias in enumerate(self.biases)}
        arrays |= {"offsets": self.offsets, "scales": self.scales, "features": np.array(self.features)}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **arrays)
        atomic_write(Path(path), [buffer.getvalue()], force=force)


def load_network(path: str | Path, features: Sequence[str]) -> Network:
    """The network of an .npz that ``Network.save`` wrote, for inputs named ``features``.

    Raises BadInputError if it cannot be read, is not such a file, or is for other features.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MAX_FILE:
            raise BadInputError("too large for weights", field=path.name, found=path.stat().st_size, allowed=MAX_FILE)
        # From memory: numpy leaves the file open when it is no archive.
        content = io.BytesIO(path.read_bytes())
        with zipfile.ZipFile(content) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > MAX_FILE:
            raise BadInputError("too large for weights", field=path.name, found=size, allowed=MAX_FILE)
        with np.load(content, allow_pickle=False) as archive:
            names = tuple(str(name) for name in np.atleast_1d(archive["features"]))
            layers = range(len(HIDDEN) + 1)
            weights = tuple(archive[f"weights_{number}"] for number in layers)
            biases = tuple(archive[f"biases_{number}"] for number in layers)
            offsets, scales = archive["offsets"], archive["scales"]
    except (OSError, ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile, NotImplementedError) as error:
        raise BadInputError(f"cannot read weights: {error}", field="weights", found=path.name) from error
    if names != tuple(features):
        raise BadInputError("weights for other features", field="features", found=len(names), allowed=len(features))
    return Network(weights, biases, names, offsets, scales)


@njit(cache=True, nogil=True, parallel=True)
def _forward(
    features: F32, offsets: F32, scales: F32, weights: tuple[F32, ...], biases: tuple[F32, ...], result: F32
) -> None:
    zero, limit = np.float32(0.0), np.float32(LIMIT)
    rows, blocks = len(features), (len(features) + 1023) // 1024
    widest = features.shape[1]
    for bias in biases:
        widest = max(widest, len(bias))
    for block in prange(blocks):
        one, other = np.empty(widest, np.float32), np.empty(widest, np.float32)
        for row in range(block * 1024, min(rows, block * 1024 + 1024)):
            inputs = features.shape[1]
            broken = False
            for i in range(inputs):
                value = (features[row, i] - offsets[i]) / scales[i]
                broken |= value != value
                one[i] = min(max(value, -limit), limit)
            for layer in range(len(weights)):
                weight, bias = weights[layer], biases[layer]
                outputs = len(bias)
                for j in range(outputs):
                    other[j] = bias[j]
                for i in range(inputs):
                    value = one[i] if layer == 0 else max(one[i], zero)
                    for j in range(outputs):
                        other[j] += value * weight[i, j]
                one, other = other, one
                inputs = outputs
            score = 1.0 / (1.0 + math.exp(-min(max(np.float64(one[0]), -80.0), 80.0)))
            result[row] = np.float32(np.nan) if broken else np.float32(score)
