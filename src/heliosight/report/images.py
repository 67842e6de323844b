"""Film strips as PNG data URIs: all frames of a channel side by side in one image."""

from __future__ import annotations

import base64
import io

import matplotlib.image
import numpy as np

from heliosight.report.colours import signed_overlay


def data_uri(pixels: np.ndarray) -> str:
    """`data:image/png;base64,...` of grey `(H, W)` 0..255 or RGBA `(H, W, 4)` uint8 pixels."""
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[..., None], 3, axis=-1)
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, pixels, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def strip(frames: np.ndarray) -> np.ndarray:
    """Frames `(T, H, W, ...)` side by side, `(H, T W, ...)`."""
    return np.concatenate(list(frames), axis=1)


def grey_strips(frames: np.ndarray) -> list[str]:
    """One data URI per channel of `(C, T, H, W)` grey levels 0..255, shown as they are."""
    levels = np.nan_to_num(np.asarray(frames, dtype=np.float64)).clip(0, 255).round()
    return [data_uri(strip(channel.astype(np.uint8))) for channel in levels]


def overlay_strips(maps: np.ndarray, scale: float) -> list[str]:
    """One transparent data URI per channel of signed maps `(C, T, H, W)`, on one common scale."""
    signed = np.nan_to_num(np.asarray(maps, dtype=np.float64))
    return [data_uri(strip(signed_overlay(channel, scale))) for channel in signed]
