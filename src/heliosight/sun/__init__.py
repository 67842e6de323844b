"""A simulated Sun whose causes are known: images, solar wind and ap from planted structures."""

from heliosight.sun.config import SunConfig
from heliosight.sun.simulate import SimulatedSun, simulate

__all__ = ["SimulatedSun", "SunConfig", "simulate"]
