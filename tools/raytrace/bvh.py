"""A bounding volume hierarchy over the primitives, and the two questions asked of it: what is hit first, is anything.

The tree is split by the surface area heuristic (Goldsmith and Salmon 1987) and laid out once for each of the eight
octants of ray directions, nearer child first, with skip links: a traversal is a walk along an array, without a stack.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from gscodec_tools.raytrace.shapes import NEVER, hit_shape, local_bounds
from numba import njit

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]


class Primitives(NamedTuple):
    """Shapes in space: kind [P], world to local [P,3,4], shape parameters [P,4], metres per local unit [P,3], row of
    the material [P]."""

    kind: I64
    to_local: F64
    par: F64
    size: F64
    material: I64


class Bvh(NamedTuple):
    """Nodes in walking order for each octant of directions: box [8,N,6]; next node if missed, primitive or -1 [8,N]."""

    box: F64
    skip: I64
    primitive: I64


def build_bvh(primitives: Primitives) -> Bvh:
    """The hierarchy of at least one primitive."""
    boxes = np.array([_world_box(primitives, index) for index in range(len(primitives.kind))])
    nodes: list[tuple[F64, int, int, int, int]] = []  # box, primitive, left, right, axis

    def split(members: I64) -> int:
        box = np.concatenate([boxes[members, :3].min(axis=0), boxes[members, 3:].max(axis=0)])
        place = len(nodes)
        if len(members) == 1:
            nodes.append((box, int(members[0]), -1, -1, 0))
            return place
        nodes.append((box, -1, -1, -1, 0))
        axis, order, cut = _best_cut(boxes, members)
        left, right = split(order[:cut]), split(order[cut:])
        nodes[place] = (box, -1, left, right, axis)
        return place

    split(np.arange(len(boxes)))
    count = len(nodes)
    laid_out = Bvh(np.empty((8, count, 6)), np.empty((8, count), np.int64), np.empty((8, count), np.int64))
    for octant in range(8):
        stack, place = [0], 0
        ends: list[tuple[int, int]] = []  # node in walking order, how many nodes its subtree has
        sizes = _subtree_sizes(nodes)
        while stack:
            node = stack.pop()
            box, primitive, left, right, axis = nodes[node]
            laid_out.box[octant, place], laid_out.primitive[octant, place] = box, primitive
            ends.append((place, place + sizes[node]))
            if primitive < 0:
                stack += (right, left) if octant >> axis & 1 == 0 else (left, right)  # the nearer child comes next
            place += 1
        laid_out.skip[octant] = [end for _, end in ends]
    return laid_out


def _subtree_sizes(nodes: list[tuple[F64, int, int, int, int]]) -> list[int]:
    sizes = [1] * len(nodes)
    for place in range(len(nodes) - 1, -1, -1):  # children come after their parent
        _, primitive, left, right, _ = nodes[place]
        if primitive < 0:
            sizes[place] += sizes[left] + sizes[right]
    return sizes


def _best_cut(boxes: F64, members: I64) -> tuple[int, I64, int]:
    """Axis, members sorted along it, and where to cut: the cheapest by the surface area heuristic."""
    best = (NEVER, 0, members, 1)
    for axis in range(3):
        order = members[np.argsort(boxes[members, axis] + boxes[members, axis + 3], kind="stable")]
        own = boxes[order]
        sides = []
        for part in (own, own[::-1]):
            extent = np.maximum.accumulate(part[:, 3:]) - np.minimum.accumulate(part[:, :3])
            sides.append((extent * extent[:, [1, 2, 0]]).sum(axis=1))
        counts = np.arange(1, len(order))
        cost = sides[0][:-1] * counts + sides[1][::-1][1:] * counts[::-1]
        cut = int(np.argmin(cost))
        if cost[cut] < best[0]:
            best = (float(cost[cut]), axis, order, cut + 1)
    return best[1:]


def _world_box(primitives: Primitives, index: int) -> F64:
    low, high = local_bounds(int(primitives.kind[index]), primitives.par[index])
    corners = np.stack(np.meshgrid(*zip(low, high, strict=True), indexing="ij"), axis=-1).reshape(-1, 3)
    matrix = primitives.to_local[index]
    world = np.linalg.solve(matrix[:, :3], (corners - matrix[:, 3]).T).T
    margin = 1e-6  # flat shapes have a box without thickness
    return np.concatenate([world.min(axis=0) - margin, world.max(axis=0) + margin])


@njit(cache=True, nogil=True)
def nearest_hit(primitives, bvh, ox, oy, oz, dx, dy, dz, near, far):
    """(primitive, distance) of the first hit in (near, far); (-1, infinity) without one. d need not be of length 1."""
    return _walk(primitives, bvh, ox, oy, oz, dx, dy, dz, near, far, False)


@njit(cache=True, nogil=True)
def is_blocked(primitives, bvh, ox, oy, oz, dx, dy, dz, near, far):
    """Whether anything is hit in (near, far)."""
    return _walk(primitives, bvh, ox, oy, oz, dx, dy, dz, near, far, True)[0] >= 0


@njit(cache=True, nogil=True)
def _walk(primitives, bvh, ox, oy, oz, dx, dy, dz, near, far, any_hit):
    ix = 1.0 / dx if dx != 0.0 else 1e300
    iy = 1.0 / dy if dy != 0.0 else 1e300
    iz = 1.0 / dz if dz != 0.0 else 1e300
    octant = (1 if dx < 0.0 else 0) | (2 if dy < 0.0 else 0) | (4 if dz < 0.0 else 0)
    box, skip, leaf = bvh.box[octant], bvh.skip[octant], bvh.primitive[octant]
    best, found, node = far, -1, 0
    while node < len(skip):
        a, b = (box[node, 0] - ox) * ix, (box[node, 3] - ox) * ix
        enter, leave = max(near, min(a, b)), min(best, max(a, b))
        a, b = (box[node, 1] - oy) * iy, (box[node, 4] - oy) * iy
        enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
        a, b = (box[node, 2] - oz) * iz, (box[node, 5] - oz) * iz
        enter, leave = max(enter, min(a, b)), min(leave, max(a, b))
        if enter > leave:
            node = skip[node]
            continue
        index = leaf[node]
        if index >= 0:
            m = primitives.to_local[index]
            t = hit_shape(
                primitives.kind[index],
                primitives.par[index],
                m[0, 0] * ox + m[0, 1] * oy + m[0, 2] * oz + m[0, 3],
                m[1, 0] * ox + m[1, 1] * oy + m[1, 2] * oz + m[1, 3],
                m[2, 0] * ox + m[2, 1] * oy + m[2, 2] * oz + m[2, 3],
                m[0, 0] * dx + m[0, 1] * dy + m[0, 2] * dz,
                m[1, 0] * dx + m[1, 1] * dy + m[1, 2] * dz,
                m[2, 0] * dx + m[2, 1] * dy + m[2, 2] * dz,
                near,
                best,
            )
            if t < best:
                best, found = t, index
                if any_hit:
                    break
        node += 1
    return found, (best if found >= 0 else NEVER)
