"""Training: loops that change a cloud so that its renders match photos. ``gscodec.train.loop.train`` is the door.

All modules but ``options`` and ``ssim`` need torch, an extra; so nothing is imported here.
"""
