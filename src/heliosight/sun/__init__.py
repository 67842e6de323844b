"""A simulated Sun whose causes are known: images, solar wind and ap from planted structures."""

from heliosight.sun.check import Row, compare
from heliosight.sun.config import SunConfig
from heliosight.sun.information import Knowable
from heliosight.sun.oracle import Oracle, Truth
from heliosight.sun.sent import Sent
from heliosight.sun.simulate import SimulatedSun, simulate

__all__ = [
    "Knowable",
    "Oracle",
    "Row",
    "Sent",
    "SimulatedSun",
    "SunConfig",
    "Truth",
    "compare",
    "simulate",
]
