"""Prediction of integers from an earlier row, the reference, and from columns decoded before: residuals ⇄ cells.

Row i has at most one reference j < i (−1: none) and that row's own reference k (j where it has none). The prediction
of cell c[i] weighs c[j], c[k], and of each of up to two companion columns the cells a[i] and a[j]. All in integers.

A second integer per row, the activity, follows how large the residuals of a row have been: it chooses the table in
which the row's next residual is coded.
"""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import numpy.typing as npt

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
BOOL = npt.NDArray[np.bool_]

WEIGHTS = 6  # of c[j], c[k], a[i], a[j], b[i], b[j]: a is the column before c, b the one before a
WEIGHT_BITS = 12  # fraction bits
INPUT_LIMIT = 1 << 24  # cells and predictions are clamped to ± this
ACTIVITY_START = 40
ACTIVITY_CLASSES = 12


def second_references(references: I32) -> I32:
    """int32[n]: the reference of each row's reference; the reference itself where that has none."""
    own = np.where(references < 0, 0, references)
    further = references[own] if len(references) else references
    return np.where((references < 0) | (further < 0), references, further).astype(np.int32)


def predict(cells: I32, references: I32, seconds: I32, companions: I32, weights: I64) -> I32:
    """Residuals int32[n] (modulo 2**32) of cells int32[n]; companions int32[2, n], weights int64[6]."""
    residuals = np.empty(len(cells), np.int32)
    _forward(cells, references, seconds, companions, weights, residuals)
    return residuals


def restore(residuals: I32, copied: BOOL, references: I32, seconds: I32, companions: I32, weights: I64) -> I32:
    """Inverse of ``predict``: cells int32[n]. A copied row has its reference's cell, and no residual.

    ``residuals`` int32[number of rows that are not copied]. The caller guarantees −1 <= references[i] < i, the same
    of ``seconds``, a reference for every copied row, and as many residuals as rows that are not copied.
    """
    cells = np.empty(len(references), np.int32)
    _inverse(residuals, copied, references, seconds, companions, weights, cells)
    return cells


def copy_rows(values: npt.NDArray[np.uint32], copied: BOOL, references: I32) -> None:
    """Fill the copied rows of values uint32[n] from their references, in row order, in place."""
    _copy_rows(values, copied, references)


def update_activity(activity: I32, residuals: I32, copied: BOOL) -> None:
    """Let the activity int32[n] follow a column's residuals, in place; copied rows keep theirs."""
    _update_activity(activity, residuals, copied)


def activity_classes(activity: I32) -> npt.NDArray[np.uint16]:
    """uint16[n], 0..11: the class of each row's activity, half an octave of residuals each."""
    classes: npt.NDArray[np.uint16] = np.minimum(activity >> 3, ACTIVITY_CLASSES - 1).astype(np.uint16)
    return classes


@nb.njit(inline="always")
def _clamp(value: Any) -> Any:
    return min(max(np.int64(value), -INPUT_LIMIT), INPUT_LIMIT)


@nb.njit(inline="always")
def _prediction(i: int, cells: I32, references: I32, seconds: I32, companions: I32, weights: I64) -> Any:
    j, k = references[i], seconds[i]
    total = weights[2] * _clamp(companions[0, i]) + weights[4] * _clamp(companions[1, i])
    if j >= 0:
        total += weights[0] * _clamp(cells[j]) + weights[1] * _clamp(cells[k])
        total += weights[3] * _clamp(companions[0, j]) + weights[5] * _clamp(companions[1, j])
    return _clamp((total + (1 << (WEIGHT_BITS - 1))) >> WEIGHT_BITS)


@nb.njit(cache=True, nogil=True)
def _forward(cells: I32, references: I32, seconds: I32, companions: I32, weights: I64, residuals: I32) -> None:
    for i in range(len(cells)):
        predicted = _prediction(i, cells, references, seconds, companions, weights)
        residuals[i] = np.int32(np.int64(cells[i]) - predicted)  # wraps, as the inverse does


@nb.njit(cache=True, nogil=True)
def _inverse(
    residuals: I32, copied: BOOL, references: I32, seconds: I32, companions: I32, weights: I64, cells: I32
) -> None:
    taken = 0
    for i in range(len(cells)):
        if copied[i]:
            cells[i] = cells[references[i]]
        else:
            predicted = _prediction(i, cells, references, seconds, companions, weights)
            cells[i] = np.int32(predicted + np.int64(residuals[taken]))
            taken += 1


@nb.njit(cache=True, nogil=True)
def _copy_rows(values: npt.NDArray[np.uint32], copied: BOOL, references: I32) -> None:
    for i in range(len(values)):
        if copied[i]:
            values[i] = values[references[i]]


@nb.njit(cache=True, nogil=True)
def _update_activity(activity: I32, residuals: I32, copied: BOOL) -> None:
    taken = 0
    for i in range(len(activity)):
        if copied[i]:
            continue
        size = abs(np.int64(residuals[taken])) + 1
        taken += 1
        octave = (np.float64(size).view(np.int64) >> 52) - 1023
        level = 4 * octave + (((size << 2) >> octave) & 3)  # a quarter octave each
        activity[i] = np.int32((3 * np.int64(activity[i]) + 4 * level) >> 2)
