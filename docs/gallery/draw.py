"""Panels of the gallery: one case each, drawn from what the checks themselves compute."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from bench import Case
from matplotlib.axes import Axes

from heliosight.diagnosis.elements import profile
from heliosight.diagnosis.explaining import maps_of
from heliosight.diagnosis.faithful import shuffled
from heliosight.diagnosis.fusion import _choosing_layers
from heliosight.diagnosis.gradient import QUERY_KEY, input_gradients
from heliosight.diagnosis.lamp import lamp
from heliosight.diagnosis.memory import gradient_kernel
from heliosight.diagnosis.output import _last, calibration
from heliosight.diagnosis.recurrence import dependence
from heliosight.diagnosis.structure import _permuted
from heliosight.diagnosis.training import movements
from heliosight.diagnosis.use import holdings, uses
from heliosight.subject import capture_calls, examine

COLOURS = {"images": "#1f77b4", "solar_wind": "#d9822b"}


def dots(line: float) -> Callable[[Axes, Case, str], None]:
    """A check's own numbers with their intervals, and a line at the number that decides."""

    def panel(ax: Axes, case: Case, check: str) -> None:
        shown = [f for f in case.findings(check) if f.value is not None]
        for row, f in enumerate(shown):
            low, high = f.value.low, f.value.high
            ends = [[f.value.value - (low if low is not None else f.value.value)],
                    [(high if high is not None else f.value.value) - f.value.value]]  # fmt: skip
            ax.errorbar(f.value.value, row, xerr=np.maximum(ends, 0), fmt="o", color="k", capsize=3)
        ax.set_yticks(range(len(shown)), [f.subject for f in shown])
        ax.set_ylim(len(shown) - 0.5, -0.5)
        ax.axvline(line, color="0.6", ls="--", lw=1)
        ax.axvline(0, color="0.8", lw=1)

    return panel


def lamp_maps(ax: Axes, case: Case, _check: str) -> None:
    """Six maps side by side."""
    lit, (explain,) = lamp(0), case.explainers.values()
    with examine(lit.subject):
        maps = maps_of(explain, lit.subject, lit.batch, "images")[0]
    row = np.concatenate(list(maps.sum(0)), axis=1)
    top = np.abs(row).max() or 1.0
    ax.imshow(row, cmap="RdBu_r", vmin=-top, vmax=top)
    ax.set_xticks(8 + 16 * np.arange(6), [f"frame {k}" for k in range(6)])
    ax.set_yticks([])


def alone_and_together(ax: Axes, case: Case, _check: str) -> None:
    """Forecast together against alone."""
    some = case.batch.select(slice(0, 48))
    with examine(case.subject):
        together = case.subject.forecast(some)[:, 0]
        alone = torch.cat([case.subject.forecast(some.select([k])) for k in range(48)])[:, 0]
    _scatter(ax, alone, together, "ap alone", "ap beside others")


def permuted(ax: Axes, case: Case, _check: str) -> None:
    """Change under a permutation of the wind's steps."""
    some = case.batch.select(slice(0, 48))
    with examine(case.subject):
        plain, changed = _permuted(case.evidence, "solar_wind", 16)(some)
    change = (changed - plain)[:48, 0]
    ax.bar(range(48), change.numpy(), color=COLOURS["solar_wind"])
    ax.set_ylim(-3, 3)
    ax.set(xlabel="window", ylabel="change of ap")


def dependence_of(case: Case) -> np.ndarray:
    """`(calls, frames)` answers."""
    with examine(case.subject):
        return dependence(case.evidence, "cell.images.0")[1]


def dependence_panel(ax: Axes, case: Case, _check: str) -> None:
    """Calls by frames."""
    ax.imshow(dependence_of(case), cmap="Blues", vmin=0, vmax=1.3)
    ax.set(xlabel="frame", ylabel="call")


def gradients(ax: Axes, case: Case, _check: str) -> None:
    """Channels by frames."""
    with examine(case.subject):
        g = input_gradients(case.evidence)["images"].amax(0).numpy()
    shown = np.log10(np.where(g > 0, g, np.nan))
    ax.imshow(shown, cmap="viridis", aspect="auto")
    ax.set_yticks(range(3), case.subject.spec.modalities["images"].variables)
    ax.set(xlabel="frame, oldest left")


def query_gradients(ax: Axes, case: Case, _check: str) -> None:
    """A bar an attention layer."""
    with examine(case.subject):
        module = case.subject.module
        case.subject.score(case.batch.select(slice(0, 8))).sum().backward()
        found = {}
        for name, weight in module.named_parameters():
            if QUERY_KEY.search(name) or "in_proj_weight" in name:
                grad = weight.grad if weight.grad is not None else torch.zeros_like(weight)
                rows = len(grad) * 2 // 3 if "in_proj" in name else len(grad)
                found[name.rsplit(".", 1)[0]] = float(grad[:rows].abs().max())
        module.zero_grad(set_to_none=True)
    names = list(found)
    ax.barh(range(len(names)), [max(v, 1e-12) for v in found.values()], color="#1f77b4")
    ax.set_xscale("log")
    ax.set_xlim(1e-10, 10)
    ax.set_yticks(
        range(len(names)), [n.replace("encoders.", "").replace(".attention", "") for n in names]
    )
    ax.set(xlabel="largest gradient of queries and keys")


def other_target(ax: Axes, case: Case, _check: str) -> None:
    """Forecast with a neighbour's target against the forecast."""
    batch = case.batch.select(slice(0, 96))
    other = batch.select([*range(1, 96), 0])
    swapped = type(batch)(
        batch.inputs, batch.observed, batch.issue_time, other.target, batch.target_mask
    )
    with examine(case.subject):
        a, b = case.subject.forecast(batch)[:, 0], case.subject.forecast(swapped)[:, 0]
    _scatter(ax, a, b, "ap", "ap with another target")


def use_bars(ax: Axes, case: Case, _check: str) -> None:
    """Moves, needs, holds by modality."""
    with examine(case.subject):
        use, hold = uses(case.evidence), holdings(case.evidence)
    for k, m in enumerate(use):
        numbers = (use[m].share, use[m].gain, hold[m].gain)
        for j, found in enumerate(numbers):
            i = found.interval()
            at = j + 0.3 * k - 0.15
            ax.bar(at, i.value, 0.28, color=COLOURS[m], label=m if j == 0 else None)
            ax.plot([at, at], [i.low, i.high], color="k", lw=1)
    ax.set_xticks(range(3), ["forecast moves (T8)", "skill needs (T9)", "data hold (T10)"])
    ax.set_ylim(-0.1, 0.9)
    ax.legend(frameon=False)


def time_profile(ax: Axes, case: Case, _check: str) -> None:
    """Share by frame."""
    with examine(case.subject):
        found = profile(case.evidence, "images")
    hours = 12 * (np.array(found.steps) - 7)
    ax.bar(hours, found.share, 9, color=COLOURS["images"])
    ax.set(xlabel="hours before the newest frame", ylabel="share of variance")
    ax.set_ylim(0, 0.25)


def memory(ax: Axes, case: Case, _check: str) -> None:
    """Energy by call."""
    with examine(case.subject):
        energy, _ = gradient_kernel(case.evidence, "cell.images.0")
    known = np.flatnonzero(energy)
    ax.semilogy(known, energy[known] / energy[-1], "o-")
    ax.set(xlabel="call", ylabel="gradient energy")
    ax.set_ylim(1e-8, 3)


def gates(ax: Axes, case: Case, _check: str) -> None:
    """Mean gate by window."""
    some = case.batch.select(slice(0, 200))
    layers = {n: p[0] for n, p in _choosing_layers(case.evidence).items() if "gates" in n}
    for name, part in layers.items():
        m = name.rsplit(".", 1)[-1]
        with examine(case.subject), capture_calls(case.subject, part) as calls:
            case.subject.forecast(some)
        open_by = torch.sigmoid(calls.tensors()[0].detach()).mean(1)
        ax.plot(open_by.numpy(), lw=1, color=COLOURS.get(m, "k"), label=m)
    ax.set(xlabel="window", ylabel="mean gate")
    ax.set_ylim(0, 1)
    ax.legend(frameon=False)


def pace(ax: Axes, case: Case, _check: str) -> None:
    """Movement by epoch."""
    for m, values in movements([r for r in case.log if r["kind"] == "epoch"]).items():
        ax.plot(1 + np.arange(len(values)), values, "o-", color=COLOURS[m], label=m)
    ax.set(xlabel="epoch", ylabel="movement")
    ax.legend(frameon=False)


def curves(ax: Axes, case: Case, _check: str) -> None:
    """Losses by epoch."""
    rows = [r for r in case.log if r["kind"] == "epoch"]
    for key, colour in (("loss", "0.5"), ("validation_loss", "#c0392b")):
        ax.plot(
            1 + np.arange(len(rows)),
            [r[key] for r in rows],
            "o-",
            color=colour,
            label=key.replace("_", " "),
        )
    ax.set(xlabel="epoch", ylabel="loss")
    ax.legend(frameon=False)


def calibration_panel(ax: Axes, case: Case, _check: str) -> None:
    """Observed against forecast of log1p(ap)."""
    with examine(case.subject):
        f, (y, _) = case.evidence.forecast, case.evidence.observed
        slope = calibration(case.evidence)[0].interval().value
    ax.plot(f[:, 0], y[:, 0], ".", color="#1f77b4", ms=3)
    ends = np.array([1.0, 3.2])
    ax.plot(ends, ends, color="0.6", ls="--", lw=1)
    ax.plot(ends, y.mean() + slope * (ends - f.mean()), color="#c0392b")
    ax.set(xlabel="forecast of log(1 + ap)", ylabel="observed", xlim=ends, ylim=(0.5, 3.7))


def against_last(ax: Axes, case: Case, _check: str) -> None:
    """Forecast against the last value."""
    with examine(case.subject):
        f, last = case.evidence.forecast, _last(case.evidence)
    ax.plot(last[:, 0], f[:, 0], ".", color="#1f77b4", ms=3)
    ax.set(xlabel="last value of log(1 + ap)", ylabel="forecast")


def with_and_without_weights(ax: Axes, case: Case, _check: str) -> None:
    """Two maps of the newest frame."""
    (explain,), one = case.explainers.values(), case.batch.select([10])
    with examine(case.subject):
        with_ = maps_of(explain, case.subject, one, "images")[0].sum(0)[-1]
        with shuffled(case.subject, 0, 0):
            without = maps_of(explain, case.subject, one, "images")[0].sum(0)[-1]
    row = np.concatenate([x / max(np.abs(x).max(), 1e-30) for x in (with_, without)], 1)
    ax.imshow(row, cmap="RdBu_r", vmin=-1, vmax=1)
    ax.set_xticks([8, 24], ["trained", "shuffled"])
    ax.set_yticks([])


def _scatter(ax: Axes, a: torch.Tensor, b: torch.Tensor, x: str, y: str) -> None:
    ends = [float(min(a.min(), b.min())), float(max(a.max(), b.max()))]
    ax.plot(ends, ends, color="0.7", lw=1)
    ax.plot(a.numpy(), b.numpy(), ".", color="#1f77b4")
    ax.set(xlabel=x, ylabel=y)
