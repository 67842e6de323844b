"""T14, T15: what each branch contributes at the fusion, and gates that really look at the input."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any, ClassVar, final

import numpy as np
import torch
from torch import Tensor, nn

from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding
from heliosight.diagnosis.blocks import Estimate, jackknife
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.gradient import query_key_layers
from heliosight.subject import capture_calls, change_outputs, flat_tensors


@final
class Balance(Check):
    """T14."""

    id: ClassVar[str] = "T14"
    question: ClassVar[str] = "How much does each branch contribute after the fusion?"
    needs: ClassVar[str] = "the parts fusion and encoder.<modality>"
    cost: ClassVar[str] = "what follows the encoders, twice per window and modality"
    rule: ClassVar[str] = (
        "share of the fused vector's variance that moves with the branch, each unit in its own "
        "standard deviations; below the smallest use (equivalence test) the branch is lost at the "
        "fusion. Imbalance alone is no fault, and raw feature sizes decide nothing: a rescaling "
        "that the next weight undoes changes them at will"
    )
    level: ClassVar[str] = "standard"

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a branch; whether a lost branch is a fault is judged in USE."""
        evidence.part("fusion")
        if len(evidence.modalities) < 2:
            raise NotApplicable("balance needs two branches", f"{len(evidence.modalities)}")
        plain, size = _fused(evidence, None)
        return [self._branch(evidence, m, plain, size.get(m)) for m in evidence.modalities]

    def _branch(self, evidence: Evidence, m: str, plain: np.ndarray, size: float | None) -> Finding:
        share = _share(evidence, m, plain)
        config = evidence.config
        statistic = "share of the fused vector's variance"
        raw = f"; raw feature size {size:.3g}, which decides nothing" if size is not None else ""
        if share.p_above(config.smallest_use) < config.level_of_test:
            return self.finding(
                m, "healthy", statistic, share.interval(), f"it arrives at the fusion{raw}"
            )
        if share.p_below(config.smallest_use) < config.level_of_test:
            reason = f"it is lost at the fusion{raw}; whether that matters is judged in USE"
            action = "LayerNorm on each branch before fusion, if USE says that it should be used."
            return self.finding(m, "inconclusive", statistic, share.interval(), reason, "", action)
        return self.finding(m, "inconclusive", statistic, share.interval(), f"not resolved{raw}")


def _fused(
    evidence: Evidence, shifted: dict[str, np.ndarray] | None
) -> tuple[np.ndarray, dict[str, float]]:
    """`(N, F)` fused vectors, with some modalities taken from other windows; raw branch sizes."""
    place = np.arange(len(evidence.batch))
    if not evidence.crossable:
        raise NotApplicable("this check needs branches that are encoded apart", "they are not")
    index = {m: (shifted or {}).get(m, place) for m in evidence.modalities}
    with capture_calls(evidence.subject, "fusion") as calls:
        evidence.crossed(index)
    found = torch.cat([flat_tensors(output)[0].flatten(1) for output in calls.outputs])
    return found.double().cpu().numpy(), _sizes(evidence)


def _sizes(evidence: Evidence) -> dict[str, float]:
    """Root mean square of each branch's features as the encoder gives them."""
    return {
        m: float(torch.cat([t.flatten() for t in flat_tensors(value)]).pow(2).mean().sqrt())
        for m, value in evidence.features.items()
    }


def _share(evidence: Evidence, m: str, plain: np.ndarray) -> Estimate:
    spread = plain.var(0)
    alive = spread > 1e-20 * max(float((plain**2).mean()), 1e-30)
    if not alive.any():
        raise NotApplicable("shares of variance need a fused vector that varies", "it is constant")
    moved, usable_rows = np.zeros(len(plain)), np.zeros(len(plain))
    for other, usable in evidence.shifts[:2]:
        z, _ = _fused(evidence, {m: other})
        half = ((z - plain)[:, alive] ** 2 / 2 / spread[alive]).mean(1)
        moved += np.where(usable, half, 0.0)
        usable_rows += usable
    terms = np.stack([moved, usable_rows], 1)
    days = evidence.config.block_days
    return jackknife(terms, evidence.rows, lambda s: s[..., 0] / s[..., 1], days)


@final
class LooksAtInput(Check):
    """T15."""

    id: ClassVar[str] = "T15"
    question: ClassVar[str] = "Do gates and attention depend on the input?"
    needs: ClassVar[str] = "gates or attention with separate query and key layers"
    cost: ClassVar[str] = "1 F per window of the subset and layer"
    rule: ClassVar[str] = (
        "share of forecast variance that moves when the gate, or queries and keys, are replaced by "
        "their mean over windows; static only by an equivalence test. A static gate over used "
        "branches is benign: fixed weights would do the same"
    )
    level: ClassVar[str] = "standard"

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a gate or attention layer."""
        layers = _choosing_layers(evidence)
        if not layers:
            raise NotApplicable("this check needs gates or attention", "none found")
        return [self._layer(evidence, name, parts) for name, parts in layers.items()]

    def _layer(self, evidence: Evidence, name: str, parts: list[nn.Module]) -> Finding:
        effect, config = _static_effect(evidence, parts), evidence.config
        statistic, value = "share of forecast variance that its choice moves", effect.interval()
        if effect.p_above(config.smallest_use) < config.level_of_test:
            return self.finding(name, "healthy", statistic, value, "it depends on the input")
        if effect.p_below(config.smallest_use) < config.level_of_test:
            reason = "it is the same for every input: fixed weights would do"
            return self.finding(name, "benign_unused", statistic, value, reason)
        return self.finding(name, "inconclusive", statistic, value, "not resolved")


def _choosing_layers(evidence: Evidence) -> dict[str, list[nn.Module]]:
    """Modules whose outputs choose: gates by role or name, query and key layers by owner."""
    module = evidence.subject.module
    found = {
        role: [part] for role, part in evidence.subject.parts.items() if role.startswith("gate")
    }
    known = {id(parts[0]) for parts in found.values()}
    for name, part in module.named_modules():
        owner = name.split(".")[-2:-1]
        gate = name.rsplit(".", 1)[-1] == "gate" or owner == ["gates"]
        recurrent = any(name.startswith(c) for c in _cell_paths(evidence))
        if gate and not recurrent and id(part) not in known and list(part.parameters()):
            found[name] = [part]
    for owner_name, weights in query_key_layers(module).items():
        if not any(w.endswith("]") for w in weights):
            found[owner_name] = [module.get_submodule(w.rpartition(".")[0]) for w in weights]
    return found


def _cell_paths(evidence: Evidence) -> list[str]:
    cells = {id(evidence.subject.parts[role]) for role in evidence.roles("cell.")}
    return [n for n, part in evidence.subject.module.named_modules() if id(part) in cells]


def _static_effect(evidence: Evidence, parts: list[nn.Module]) -> Estimate:
    rows, still = _still(evidence, parts)
    moved = ((still - evidence.forecast[rows]) ** 2 / 2).mean(1) / evidence.variance
    blocks = np.unique(evidence.rows[rows], return_inverse=True)[1]
    terms = np.stack([moved, np.ones_like(moved)], 1)
    days = evidence.config.block_days
    return jackknife(terms, blocks, lambda s: s[..., 0] / s[..., 1], days)


def _still(evidence: Evidence, parts: list[nn.Module]) -> tuple[np.ndarray, np.ndarray]:
    """Windows and their forecasts with the parts' outputs at their mean over those windows.

    All windows where only a series is encoded again or nothing is, else a subset.
    """
    m = _encoder_of(evidence, parts[0])
    cheap = evidence.crossable and (m == "" or evidence.batch.inputs[m].ndim == 3)
    count = len(evidence.batch) if cheap else 2 * evidence.config.subset_count
    rows, means = evidence.spread(count), [_Mean() for _ in parts]
    with torch.no_grad(), ExitStack() as stack:
        for part, mean in zip(parts, means, strict=True):
            stack.enter_context(change_outputs(evidence.subject, part, mean))
        _asked(evidence, m, rows, cheap)
        for mean in means:
            mean.known = True
        return rows, _asked(evidence, m, rows, cheap)


def _asked(evidence: Evidence, m: str, rows: np.ndarray, cheap: bool) -> np.ndarray:
    """Forecasts of some windows, encoding again as little as may be."""
    if cheap and m == "":
        return evidence.crossed(dict.fromkeys(evidence.modalities, rows))
    size, found = evidence.config.chunk, []
    for start in range(0, len(rows), size):
        piece = rows[start : start + size]
        if cheap:
            found.append(evidence.beside(m, piece))
        else:
            found.append(evidence.scaled(evidence.batch.select(torch.as_tensor(piece))))
    return np.concatenate(found)


@final
class _Mean:
    """Takes the mean of each call's output over windows, then gives it in its place."""

    def __init__(self) -> None:
        self.known = False
        self._sums: dict[int, tuple[Tensor, int]] = {}

    def __call__(self, index: int, output: Any) -> Any:
        if not isinstance(output, Tensor):
            return output
        if self.known:
            total, count = self._sums[index]
            return (total / count).expand_as(output)
        total, count = self._sums.get(index, (output.new_zeros(()), 0))
        self._sums[index] = total + output.sum(0, keepdim=True), count + len(output)
        return output


def _encoder_of(evidence: Evidence, part: nn.Module) -> str:
    """The modality whose encoder holds a part; empty for one after the encoders."""
    for role in evidence.roles("encoder."):
        if any(inner is part for inner in evidence.subject.parts[role].modules()):
            return role.split(".")[1]
    return ""
