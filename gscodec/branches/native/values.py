"""The splats of a tile as integers: what the streams say, before floats are made of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gscodec.branches.native.bases import Bases, from_components
from gscodec.branches.native.placement import Placement, as_float32
from gscodec.branches.native.syntax import Params
from gscodec.cloud import GaussianCloud
from gscodec.errors import CorruptStreamError
from gscodec.transform.fixed import LN2_PER_UNIT
from gscodec.transform.intervals import centres
from gscodec.transform.opacity import opacity_logits
from gscodec.transform.rotation import decode_rotation, rotation_levels
from gscodec.transform.scales import short_logs

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
U8 = npt.NDArray[np.uint8]


@dataclass(eq=False)
class Rotations:
    """codes int64[3,n] a, b and roll; needle uint8[n]; levels: how many there are of a and b, and of roll, int64[n].

    ``machine`` as ``transform.trellis`` has it.
    """

    codes: I64
    needle: U8
    levels: tuple[I64, I64]
    machine: I64

    def centres(self) -> list[F64]:
        """Of a, b and roll, float64[n] in -1..1."""
        direction, roll = self.levels
        pairs = zip(self.codes, (direction, direction, roll), strict=True)
        return [centres(codes, levels, self.machine) for codes, levels in pairs]

    def check(self, stream: str) -> None:
        """Raises CorruptStreamError for a code that is not below its number of levels."""
        direction, roll = self.levels
        bad = np.any((self.codes < 0) | (self.codes >= np.stack([direction, direction, roll])), axis=0)
        if bad.any():
            first = int(np.argmax(bad))
            found = tuple(self.codes[:, first].tolist())
            allowed = f"0.. below {int(direction[first])}, {int(direction[first])}, {int(roll[first])}"
            raise CorruptStreamError("code beyond its levels", field=f"{stream}[{first}]", found=found, allowed=allowed)


def levels_of(params: Params, placement: Placement, scale_logs: I64, needle: U8) -> tuple[U8, U8]:
    """(direction, roll) uint8[n] of ``rotation_levels`` for log scales int64[n,3], long to short."""
    offsets = params.values["direction_offset"], params.values["roll_offset"]
    pixels = placement.pixel_logs(params)
    found: tuple[U8, U8] = rotation_levels(scale_logs, pixels, placement.weights, needle, *offsets)
    return found


def sorted_logs(long: I64, middle: I64, ratio: I64) -> I64:
    """Log scales int64[n,3], long to short, from the two longer ones and the shortest over the middle one."""
    return np.ascontiguousarray(np.stack([long, middle, short_logs(ratio, middle)], axis=1))


@dataclass(eq=False)
class TileValues:
    """Of n splats in coding order; logs in 1/65536 octave.

    opacity int64[n] log2; middle, long int64[n] log scales; ratio int64[n], the shortest axis over the middle one in
    1/65536; colours int64[n,3], component 0 in opponent channels, others int64[3 * K,n], the channels of a
    component side by side, in 2**-20; offsets int64[n,3] of positions from the
    middles of the parts of cells that they lie in, in 3**-refined of a part.
    """

    opacity: I64
    middle: I64
    long: I64
    ratio: I64
    rotations: Rotations
    colours: I64
    others: I64
    offsets: I64
    refined: int = 0

    @property
    def scale_logs(self) -> I64:
        """Log scales int64[n,3], long to short."""
        return sorted_logs(self.long, self.middle, self.ratio)

    def fill(self, cloud: GaussianCloud, placement: Placement, bases: Bases, factors: F64) -> None:
        """The arrays of a cloud of n splats."""
        positions = placement.positions
        if self.refined:
            thirds = placement.sizes / float(3**self.refined)
            positions = as_float32(placement.exact + self.offsets * thirds[:, None])
        cloud.positions[:] = positions
        cloud.opacity_logits[:] = opacity_logits(self.opacity)
        cloud.log_scales[:] = self.scale_logs.astype(np.float64) * LN2_PER_UNIT
        a, b, roll = self.rotations.centres()
        decode_rotation(a, b, roll, self.rotations.needle, cloud.quats_wxyz)
        regions = bases.regions(placement.positions)
        from_components(factors, regions, self.colours, self.others, cloud.sh_dc, cloud.sh_rest)
