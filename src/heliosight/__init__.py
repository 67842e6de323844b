"""Forecast geomagnetic activity from Sun images and solar wind, and prove both are used.

    import heliosight
    subject = heliosight.wrap(module, spec, inputs={"sdo": ("images", "B T C H W"), ...})
    print(heliosight.text(heliosight.diagnose(subject, windows)))

Names are loaded when they are first asked for: importing the package imports nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "Batch": "heliosight.core.batch",
    "DiagnosisConfig": "heliosight.diagnosis",
    "ForecastSpec": "heliosight.core.spec",
    "ModalitySpec": "heliosight.core.spec",
    "check_subject": "heliosight.subject",
    "diagnose": "heliosight.diagnosis",
    "load_published": "heliosight.workflows.published",
    "text": "heliosight.diagnosis",
    "wrap": "heliosight.subject",
}
_ROOMS = ("subject",)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"heliosight.{name}")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'heliosight' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, *_ROOMS])
