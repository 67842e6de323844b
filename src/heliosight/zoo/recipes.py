"""How a zoo model is trained: the plain recipe, and the choices that plant a fault.

Training itself is not done here; a recipe says what to do, in plain numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from heliosight.core.errors import ConfigError
from heliosight.zoo.worlds import SPECTRA, Law

LAWS = (
    "plain", "uninformative", "redundant", "short_memory", "low_signal", "corner", "small_share",
    "with_copy", "broken_copy",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """One training.

    Attributes
    ----------
    law : the world it is trained in, see `law_of`.
    copy : share of the further wind variable that copies the image driver, in the laws with one.
    frozen : the image branch is never given to the optimiser.
    image_rate : learning rate of the image branch, as a share of the others'.
    image_gain : the image branch's features arrive that many times as large.
    zero_start : the image branch's readout starts at zero.
    auxiliary : weight of the loss of an auxiliary head on the images, 0 for no such head.
    clip : largest gradient norm of all weights together.
    strangers : the images of every training window are those of another one.
    """

    law: str = "plain"
    copy: float = 0.0
    frozen: bool = False
    image_rate: float = 1.0
    image_gain: float = 1.0
    zero_start: bool = False
    auxiliary: float = 0.0
    clip: float = 5.0
    strangers: bool = False


def law_of(spectrum: str, name: str, copy: float = 0.0) -> Law:
    """A spectrum's plain law, or one with the dial of a hard world turned.

    Raises
    ------
    ConfigError : no such law.
    """
    plain = SPECTRA[spectrum].law
    if name not in LAWS:
        raise ConfigError("a law is one of the zoo's", name, f"Known: {', '.join(LAWS)}.")
    turned = {
        "uninformative": replace(plain, images=0.0, interaction=0.0, wind=0.5),
        "redundant": replace(plain, copy=0.95),
        "short_memory": replace(plain, near=24.0, far=36.0),
        "low_signal": replace(plain, images=0.02, wind=0.02, interaction=0.0),
        "corner": replace(plain, corner=True),
        "small_share": replace(plain, images=0.08, wind=0.6, interaction=0.0),
        "with_copy": replace(plain, copy=copy),
        "broken_copy": replace(plain, copy=0.0),
    }
    return turned.get(name, plain)
