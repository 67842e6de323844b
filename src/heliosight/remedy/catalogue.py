"""Every remedy there is: what it answers, why, what it changes and what it promises.

Sources: chrono initialisation, Tallec & Ollivier 2018 (ICLR); LayerNorm, Ba et al. 2016
(arXiv:1607.06450); modality dropout, Neverova et al. 2016 (IEEE TPAMI 38, 1692); rates by branch,
Wu et al. 2022 (ICML) and Peng et al. 2022 (CVPR); curriculum, Bengio et al. 2009 (ICML).
"""

from __future__ import annotations

from heliosight.core.records_remedy import Prescription
from heliosight.remedy.quick import QUICK
from heliosight.remedy.schedule import SCHEDULE
from heliosight.remedy.structural import STRUCTURAL
from heliosight.remedy.unrepaired import UNREPAIRED

CATALOGUE: tuple[Prescription, ...] = (*QUICK, *STRUCTURAL, *SCHEDULE, *UNREPAIRED)
REPAIRS: tuple[Prescription, ...] = (*QUICK, *STRUCTURAL, *SCHEDULE)


def named(name: str) -> Prescription:
    """The remedy of a name; `KeyError` when there is none."""
    return {p.name: p for p in CATALOGUE}[name]
