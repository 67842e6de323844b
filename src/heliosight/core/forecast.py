"""The predictive distribution of log1p(ap) per lead, and what follows from it in ap.

Quantiles q_k at levels a_k describe the marginal of each lead; between levels the quantile function
is linear in log1p(ap), beyond the outer levels it continues with an exponential tail of the same
slope. Days are joined by a Gaussian copula over leads (Pinson & Girard 2012, Appl. Energy 96, 12):
the probability that any lead of a day exceeds a threshold needs their dependence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from heliosight.core.joint import all_below, correlation_of

DEFAULT_LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
LARGEST = float(np.log1p(400.0))  # the ap scale ends at 400
# Nodes and weights of the mean's quadrature; finding them anew costs more than using them.
LEGENDRE = np.polynomial.legendre.leggauss(4)
LAGUERRE = np.polynomial.laguerre.laggauss(10)
FARTHEST = 80.0  # tails are followed for so many scales; exp(-80) is about 0 in float32


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
        """Mean ap, `(B, L)`: expm1(y), kept within the ap scale, over the whole distribution.

        Gauss-Legendre between the levels and Gauss-Laguerre in the exponential tails: these hold
        the storms, and leaving them out makes the mean several per cent too small.
        """
        combine, weight = _quadrature(self.levels.to(self.quantiles))
        with torch.autocast(self.quantiles.device.type, enabled=False):
            ap = torch.expm1((self.quantiles @ combine.T).clamp(0.0, LARGEST))
        return (ap * weight).sum(-1)

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
        # Clamped, because an overflow in the branch not taken would still make the gradient NaN.
        under = ((q[..., :1] - y) / _scale(q, a, 0)).clamp(0, FARTHEST)
        over = ((y - q[..., -1:]) / _scale(q, a, -1)).clamp(0, FARTHEST)
        below, above = a[0] * torch.exp(-under), 1 - (1 - a[-1]) * torch.exp(-over)
        out = torch.where(y < q[..., :1], below, torch.where(y > q[..., -1:], above, inside))
        return out.squeeze(-1)

    def quantile(self, levels: Tensor) -> Tensor:
        """Quantiles of y at any levels `(K,)` in (0, 1), `(B, L, K)`: the inverse of `cdf`."""
        q, a = self.quantiles, self.levels
        u = levels.to(a)
        upper = torch.searchsorted(a, u).clamp(1, len(a) - 1)
        part = ((u - a[upper - 1]) / (a[upper] - a[upper - 1])).clamp(0, 1)
        inside = q[..., upper - 1] + (q[..., upper] - q[..., upper - 1]) * part
        below = _scale(q, a, 0) * torch.log((u / a[0]).clamp(max=1))
        above = _scale(q, a, -1) * torch.log(((1 - u) / (1 - a[-1])).clamp(max=1))
        return inside + below - above

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

    def smooth_day_exceedance(
        self, ap: float, normal_draws: Tensor, leads_a_day: int = 8
    ) -> Tensor:
        """`day_exceedance` with a gradient, `(B, D)`: the copula's correlation in place of draws.

        Both are the same probability; they differ by the sampling error of the draws.
        """
        below = 1 - self.exceedance(ap)
        joint = correlation_of(normal_draws)
        days = [slice(k, k + leads_a_day) for k in range(0, below.shape[1], leads_a_day)]
        return torch.stack([1 - all_below(below[:, d], joint[d, d]) for d in days], 1)


def _quadrature(levels: Tensor) -> tuple[Tensor, Tensor]:
    """Nodes of the mean as combinations of the quantiles `(K, Q)`, and their weights `(K,)`."""
    at, share = (levels.new_tensor(x) for x in LEGENDRE)
    far, tail = (levels.new_tensor(x) for x in LAGUERRE)
    a, each = levels, torch.eye(len(levels), dtype=levels.dtype, device=levels.device)
    part = (at[:, None] + 1) / 2
    inside = each[:-1, None] * (1 - part) + each[1:, None] * part
    lower = each[0] - (each[1] - each[0]) * (a[0] / _slope(a, 0)) * far[:, None]
    upper = each[-1] + (each[-1] - each[-2]) * ((1 - a[-1]) / _slope(a, -1)) * far[:, None]
    weights = (a.diff()[:, None] * share / 2, a[0] * tail, (1 - a[-1]) * tail)
    return (
        torch.cat([inside.flatten(0, 1), lower, upper]),
        torch.cat([w.flatten() for w in weights]),
    )


def _scale(q: Tensor, levels: Tensor, end: int) -> Tensor:
    """Scale of an exponential tail that continues the outermost interval's density."""
    mass = levels[0] if end == 0 else 1 - levels[-1]
    width = q[..., 1:2] - q[..., :1] if end == 0 else q[..., -1:] - q[..., -2:-1]
    return width.clamp(min=1e-3) * mass / _slope(levels, end)


def _slope(levels: Tensor, end: int) -> Tensor:
    """Probability in the outermost interval."""
    return levels[1] - levels[0] if end == 0 else levels[-1] - levels[-2]
