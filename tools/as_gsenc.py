"""What gsenc makes of a cloud by quality alone, without files."""

from __future__ import annotations

from gscodec.cli.views import visibility_for
from gscodec.cloud import GaussianCloud
from gscodec.config import EncodeConfig, no_progress
from gscodec.rate.fixed_quality import FixedQuality


def as_gsenc(cloud: GaussianCloud, config: EncodeConfig | None = None) -> FixedQuality:
    """At any quality, preset "default": seen from virtual views, below quality 75 without what does not show."""
    visibility, _ = visibility_for(cloud, None, no_progress)
    return FixedQuality(cloud, config or EncodeConfig(), visibility)
