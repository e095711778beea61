"""Captures of a scene: cameras, photos, and virtual views where there are none."""

from gscodec.scene.camera import Camera
from gscodec.scene.capture import Capture, load_capture
from gscodec.scene.colmap import SfmPoints
from gscodec.scene.photos import load_photo
from gscodec.scene.scene_json import load_cameras
from gscodec.scene.virtual import virtual_views

__all__ = ["Camera", "Capture", "SfmPoints", "load_cameras", "load_capture", "load_photo", "virtual_views"]
