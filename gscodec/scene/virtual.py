"""Views of a cloud that comes without cameras, from where a person would stand.

Many places are tried: around the densest part of the cloud, looking at it, and within it, looking around, then others
close to the best of them, as photos may all come from one corner. A glance from each tells what a trained camera would
have shown: a full image, nothing close before the lens, a clear sight, fine splats, and colours within range. Bad
places show the back of a wall, a hole, or blur. The best are kept, but none that is much like another.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numba
import numpy as np
import numpy.typing as npt

from gscodec.cloud import GaussianCloud
from gscodec.errors import BadInputError
from gscodec.scene.camera import Camera
from gscodec.scene.probe import NEAR_PLANE, Glance, Subject, glance, light, subject
from gscodec.scene.upright import up_directions

F64 = npt.NDArray[np.float64]

MAX_VIEWS = 1000
TRIES = 160  # at random, for each direction that may be up
HOPELESS = 0.6  # of what the best direction shows after so many: one that shows less is given up
LIKELIER = 1.1  # how much more another direction must show than that which most trainers have
# Radii: standard deviation of eyes about the best, twice that of what is looked at.
ROUNDS = (0.5, 0.3, 0.2, 0.1)
PARENTS, CHILDREN = 12, 40  # the best so far, and tries of a round about them; one for each view if that is more
FULLY_TRAINED = 1.5  # Glance.trained up to which more is better
FOCAL = 0.875  # of the width: 59 degrees across
INWARD = 0.75  # part of the tries that look at the middle
NEAREST, FARTHEST = 0.5, 2.8  # distances from the middle, in radii
HIGHEST = 40.0  # degrees above the middle; a tenth of the tries is a little below it
TARGET_SPREAD = 0.2  # radii by which views miss the middle
COMPACT = 1.4  # ratio of nine tenths of the distances to half of them in a cloud that has no far parts
ALONE = 0.6  # cover of three quarters of the tries up to which there are no surroundings
NEAR = 0.45  # of the distance looked at: closer things stand in the way
ACCEPTED = 0.5  # score below the best at which a place is no longer taken, if there are enough
APART = 0.6  # radii within which two places are alike


@dataclass(frozen=True, eq=False)
class Place:
    """The middle [3] of what is worth seeing, its radius, and which splats [n] are near."""

    middle: F64
    radius: float
    within: npt.NDArray[np.bool_]


def virtual_views(
    cloud: GaussianCloud, count: int = 8, seed: int = 0, width: int = 640, height: int = 480
) -> list[Camera]:
    """``count`` cameras of split "test" that look at ``cloud``, on one machine the same for the same arguments.

    Raises BadInputError for a cloud without visible, finite splats, a count outside 1..1000 or a negative seed.
    """
    if not 1 <= count <= MAX_VIEWS:
        raise BadInputError("bad number of views", field="count", found=count, allowed=f"1..{MAX_VIEWS}")
    if seed < 0:
        raise BadInputError("bad seed", field="seed", found=seed, allowed="0 or more")
    rng = np.random.default_rng(seed)
    seen = subject(cloud, rng)
    if len(seen.positions) == 0:
        raise BadInputError("no visible splat to look at", field="cloud", found=len(cloud), allowed="at least 1")
    place = find_place(seen)
    ups = up_directions(seen.normals, seen.opacities * seen.grain**2)
    # Which way is up shows in how much of the scene is seen by those who stand upright: from below, or from behind a
    # wall, it is little. Where all show as much, the likelier one stays.
    searches = [_Tries(seen, place, up, (width, height)) for up in ups]
    for search in searches:
        search.add([_somewhere(place, search.up, rng) for _ in range(TRIES)])
    shown = [_variety(seen, search.best_cameras(count)) for search in searches]
    searches = [search for search, found in zip(searches, shown, strict=True) if found >= HOPELESS * max(shown)]
    for search in searches:
        _come_closer(search, count, rng)
    shown = [_variety(seen, search.best_cameras(count)) for search in searches]
    shown = [found * (LIKELIER if search.up is ups[0] else 1.0) for search, found in zip(searches, shown, strict=True)]
    views = searches[int(np.argmax(shown))].best_cameras(count)
    names = [f"virtual_{number:04d}" for number in range(count)]
    return [replace(view, name=name, image=name) for view, name in zip(views, names, strict=True)]


def _come_closer(tries: _Tries, count: int, rng: np.random.Generator) -> None:
    """Try in rounds around the best places so far."""
    for spread in ROUNDS:
        parents = [tries.places[number] for number in tries.best(PARENTS)]
        children = []
        for number in range(max(CHILDREN, count)):
            eye, target = parents[number % PARENTS]
            off = spread * tries.place.radius * rng.standard_normal((2, 3))
            children.append((eye + off[0], target + 0.5 * off[1]))
        tries.add(children)


def _variety(seen: Subject, views: list[Camera]) -> float:
    """How many splats share the light that the views show: the exponential of its entropy."""
    shown = np.sum([light(seen, view) for view in views], axis=0)
    shares = shown[shown > 0.0] / max(float(shown.sum()), 1e-30)
    return float(np.exp(-(shares * np.log(shares)).sum()))


class _Tries:
    """Places to look from with ``up`` upwards: cameras, what each sees at a glance, and (eye [3], target [3])."""

    def __init__(self, seen: Subject, place: Place, up: F64, size: tuple[int, int]) -> None:
        self.place, self.up = place, up
        self._seen, self._size = seen, size
        self.places: list[tuple[F64, F64]] = []
        self._cameras: list[Camera] = []
        self._glances: list[Glance] = []

    def add(self, places: list[tuple[F64, F64]]) -> None:
        cameras = [look_at(eye, target, self.up, *self._size) for eye, target in places]
        with ThreadPoolExecutor(numba.get_num_threads()) as pool:
            self._glances += pool.map(lambda camera: glance(self._seen, camera, self.place.within), cameras)
        self.places += places
        self._cameras += cameras

    def scores(self) -> F64:
        return _scores(self._glances, self._cameras, self.place)

    def best(self, count: int) -> list[int]:
        """The numbers of the best ``count`` that are not alike."""
        return _choose(self._cameras, self.scores(), self.place, count)

    def best_cameras(self, count: int) -> list[Camera]:
        return [self._cameras[number] for number in self.best(count)]


def find_place(seen: Subject) -> Place:
    """Where the middle of the cloud is, by number of splats: trained clouds are dense where cameras looked."""
    middle = np.median(seen.positions, axis=0)
    distances = np.linalg.norm(seen.positions - middle, axis=1)
    reach, radius = float(np.quantile(distances, 0.9)), float(np.median(distances))
    if reach > COMPACT * radius:
        near = seen.positions
        for _ in range(2):
            distances = np.linalg.norm(near - middle, axis=1)
            near = near[distances <= np.median(distances)]
            middle = np.median(near, axis=0)
        distances = np.linalg.norm(seen.positions - middle, axis=1)
        radius = reach = float(np.median(distances))
    # One splat, or all at one place: its own size is all there is to see, if numbers tell such places apart.
    radius = max(radius, 4.0 * float(np.median(seen.grain)), 1e-6 * float(np.abs(middle).max()))
    return Place(middle, radius, distances <= max(reach, radius))


def look_at(eye: F64, target: F64, up: F64, width: int, height: int) -> Camera:
    """A camera at ``eye`` [3] that has ``target`` [3] in the middle and ``up`` [3] upwards."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    pose = np.eye(4)
    pose[:3, :3] = right, np.cross(forward, right), forward
    pose[:3, 3] = -pose[:3, :3] @ eye
    focal = FOCAL * width
    return Camera("virtual", "virtual", width, height, focal, focal, width / 2, height / 2, pose, "test")


def _somewhere(place: Place, up: F64, rng: np.random.Generator) -> tuple[F64, F64]:
    """Where to stand [3] and what to look at [3], as photographers might."""
    azimuth, drawn, elevation = rng.uniform(0, 2 * np.pi), rng.uniform(), rng.uniform(-0.1, 1.0)
    miss = np.clip(rng.standard_normal(3), -2.0, 2.0) * TARGET_SPREAD
    aside = _sideways(up)
    level = np.cos(azimuth) * aside + np.sin(azimuth) * np.cross(up, aside)
    if rng.uniform() < INWARD:
        tilt = np.radians(HIGHEST) * elevation
        distance = NEAR_PLANE + place.radius * NEAREST * (FARTHEST / NEAREST) ** drawn
        target = place.middle + min(distance, place.radius) * miss
        return target + distance * (np.cos(tilt) * level + np.sin(tilt) * up), target
    eye = place.middle + 3.0 * place.radius * miss
    return eye, eye + place.radius * (level + 0.3 * (0.3 - elevation) * up)


def _sideways(up: F64) -> F64:
    axis = np.cross(up, np.eye(3)[np.argmin(np.abs(up))])
    return np.asarray(axis / np.linalg.norm(axis), np.float64)


def _scores(glances: list[Glance], cameras: list[Camera], place: Place) -> F64:
    """Larger is better; differences of 1 are large."""
    cover = np.array([look.cover for look in glances])
    grain = np.maximum([look.grain for look in glances], 1e-30)
    distances = np.array([np.linalg.norm(camera.centre - place.middle) for camera in cameras])
    typical = np.array([_typical(look) for look in glances])
    nearest = np.array([np.quantile(look.depths, 0.02, method="lower") for look in glances])
    # Holes are a fault where there are surroundings; an object that stands alone has none.
    surroundings = np.clip((np.quantile(cover, 0.75) - ALONE) / (1.0 - ALONE), 0.0, 1.0)
    # Inside, what matters is how far one sees; outside, also whether one sees the middle at all.
    expected = np.maximum(distances - place.radius, 0.5 * place.radius)
    close = np.clip(1.0 - nearest / (NEAR * np.clip(typical, 1e-30, 2.0 * place.radius)), 0.0, 1.0)
    blocked = np.clip(1.0 - typical / expected, 0.0, 1.0)
    clear = (blocked < 0.5) & (cover >= 0.8 * cover.max())
    finest = np.quantile(grain[clear] if clear.any() else grain, 0.25)
    blur = np.clip(np.log2(grain / finest), 0.0, 4.0)
    junk = np.minimum([look.junk for look in glances], 0.1)
    framed = np.array([look.framed for look in glances])
    scores = 4.0 * surroundings * cover + (3.0 - 2.0 * surroundings) * framed
    scores -= 2.0 * close + 2.0 * blocked + (0.2 + 0.9 * surroundings) * blur + 10.0 * junk
    scores += np.minimum([look.trained for look in glances], FULLY_TRAINED)
    return np.asarray(np.where(cover > 0.0, scores, scores.min() - 10.0), np.float64)


def _typical(look: Glance) -> float:
    """Median depth of what is covered in the middle of the image, else anywhere; 0 where nothing is."""
    rows, columns = look.depths.shape
    for part in (look.depths[rows // 3 : -rows // 3, columns // 3 : -columns // 3], look.depths):
        covered = part[np.isfinite(part)]
        if len(covered):
            return float(np.median(covered))
    return 0.0


def _choose(cameras: list[Camera], scores: F64, place: Place, count: int) -> list[int]:
    """The best, each judged after those taken before it that are alike."""
    eyes = np.array([camera.centre for camera in cameras]) / place.radius
    axes = np.array([camera.world_to_camera[2, :3] for camera in cameras])
    left = np.where(scores >= scores.max() - ACCEPTED, scores, scores - 10.0)
    chosen: list[int] = []
    for _ in range(count):
        best = int(np.argmax(left))
        chosen.append(best)
        left[best] = -np.inf
        alike = np.exp(-(((eyes - eyes[best]) / APART) ** 2).sum(axis=1) - 2.0 * (1.0 - axes @ axes[best]))
        left -= alike
    return chosen
