"""An order from near to far, exact to a part in thousands and ten times as fast as a sort."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from numba import njit

BINS = 65536  # of equal ratios, from the smallest number to the largest


@njit(cache=True, nogil=True)
def rough_order(numbers: npt.NDArray[np.float32], count_of_bins: int = BINS) -> npt.NDArray[np.int32]:
    """int32 [n]: which of the numbers [n], finite and above 0, come first; those of one bin in the order given."""
    count = len(numbers)
    order = np.empty(count, np.int32)
    if count == 0:
        return order
    smallest, largest = numbers[0], numbers[0]
    for number in numbers:
        smallest, largest = min(smallest, number), max(largest, number)
    low = math.log(smallest)
    scale = np.float32((count_of_bins - 1) / max(math.log(largest) - low, 1e-9))
    offset = np.float32(low)
    bins, starts = np.empty(count, np.int32), np.zeros(count_of_bins + 1, np.int32)
    for i in range(count):
        place = np.int32(scale * (math.log(numbers[i]) - offset))
        bins[i] = min(max(place, np.int32(0)), np.int32(count_of_bins - 1))
        starts[bins[i] + 1] += 1
    for start in range(count_of_bins):
        starts[start + 1] += starts[start]
    for i in range(count):
        order[starts[bins[i]]] = i
        starts[bins[i]] += 1
    return order
