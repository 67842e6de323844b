"""The predictive distribution of log1p(ap) per lead, and what follows from it in ap.

Quantiles q_k at levels a_k describe the marginal of each lead; between levels the quantile function
is linear in log1p(ap), beyond the outer levels it continues with an exponential tail of the same
slope. Days are joined by a Gaussian copula over leads (Pinson & Girard 2012, Appl. Energy 96, 12):
the probability that any lead of a day exceeds a threshold needs their dependence.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

DEFAULT_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


@dataclass(frozen=True)
class Forecast:
    """Marginal distributions of y = log1p(ap).

    Attributes
    ----------
    mean : `(B, L)` mean of y.
    quantiles : `(B, L, Q)` quantiles of y, ascending in Q.
    levels : `(Q,)` probability levels, ascending in (0, 1).
    """

    mean: Tensor
    quantiles: Tensor
    levels: Tensor

    def mean_ap(self) -> Tensor:
        """Mean ap, `(B, L)`: expm1(y) averaged over the quantile function (trapezoid in level)."""
        ap = torch.expm1(self.quantiles.clamp(0.0, 6.0))
        width = _level_weights(self.levels)
        return (ap * width).sum(-1)

    def quantiles_ap(self) -> Tensor:
        """Quantiles of ap, `(B, L, Q)`."""
        return torch.expm1(self.quantiles.clamp(min=0.0))

    def cdf(self, y: Tensor | float) -> Tensor:
        """P(Y <= y) per lead, `(B, L)`, for one y or a tensor broadcastable to `(B, L)`."""
        q, a = self.quantiles, self.levels
        y = torch.as_tensor(y, dtype=q.dtype, device=q.device).expand(q.shape[:-1]).unsqueeze(-1)
        upper = (q <= y).sum(-1, keepdim=True).clamp(1, q.shape[-1] - 1)
        q0, q1 = q.gather(-1, upper - 1), q.gather(-1, upper)
        a0, a1 = a[upper - 1], a[upper]
        inside = a0 + (a1 - a0) * ((y - q0) / (q1 - q0).clamp(min=1e-6)).clamp(0, 1)
        below = a[0] * torch.exp(-(q[..., :1] - y) / _tail(q, 0) / a[0] * _slope(a, 0))
        above = 1 - (1 - a[-1]) * torch.exp(
            -(y - q[..., -1:]) / _tail(q, -1) / (1 - a[-1]) * _slope(a, -1)
        )
        out = torch.where(y < q[..., :1], below, torch.where(y > q[..., -1:], above, inside))
        return out.squeeze(-1)

    def exceedance(self, ap: float) -> Tensor:
        """P(ap value > `ap`) per lead, `(B, L)`."""
        return 1 - self.cdf(float(torch.log1p(torch.tensor(ap, dtype=torch.float64))))

    def day_exceedance(self, ap: float, normal_draws: Tensor, leads_a_day: int = 8) -> Tensor:
        """P(any lead of the day exceeds `ap`), `(B, D)`.

        normal_draws : `(M, L)` draws of the copula's Gaussian, fixed by the caller so that the
            answer is deterministic.
        """
        p = self.exceedance(ap)
        u = torch.special.ndtr(normal_draws).to(p)
        hit = u.unsqueeze(0) > 1 - p.unsqueeze(1)
        days = hit.unflatten(-1, (-1, leads_a_day)).any(-1)
        return days.to(p.dtype).mean(1)


def _level_weights(levels: Tensor) -> Tensor:
    """Weights of each quantile in the mean: half the distance to its neighbours, tails included."""
    edges = torch.cat([levels.new_zeros(1), (levels[1:] + levels[:-1]) / 2, levels.new_ones(1)])
    return edges.diff()


def _tail(q: Tensor, end: int) -> Tensor:
    """Width of the outermost quantile interval, kept above zero."""
    width = q[..., 1:2] - q[..., :1] if end == 0 else q[..., -1:] - q[..., -2:-1]
    return width.clamp(min=1e-3)


def _slope(levels: Tensor, end: int) -> Tensor:
    """Probability in the outermost interval."""
    return levels[1] - levels[0] if end == 0 else levels[-1] - levels[-2]
