"""Makes the gallery of the explanations: each method on a planted truth, and where it fails."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from bench import Case, case
from checks import STYLE
from failures import FAILURES

from heliosight.core.batch import Batch
from heliosight.explain.attribution import Attribution
from heliosight.explain.evaluator import Evaluator, floating
from heliosight.explain.explainer import attributions_made, explain
from heliosight.explain.importance import attention_weights, elements, importance, shapley
from heliosight.explain.question import METHOD_NAMES, ExplainConfig
from heliosight.explain.targets import target_named
from heliosight.subject import examine
from heliosight.zoo.recipes import Recipe

mpl.use("Agg")
OTHERS = ("importance", "shapley", "attention_weights")
CONFIG = ExplainConfig(
    target="mean_ap", methods=METHOD_NAMES, patch=4, patch_frames=2, series_steps=2
)
PLACE = (slice(4, 7), slice(8, 11))  # of the planted signal, see `heliosight.zoo.worlds`
HOURS = 12 * (np.arange(8) - 7)


@dataclass(frozen=True)
class Told:
    """One window, the others, and what every method says of it."""

    case: Case
    window: Batch
    context: Batch
    answers: dict[str, Attribution]
    checks: dict[str, str]


@cache
def told() -> Told:
    """The strongest forecast of a model whose signal lies off the disc's centre."""
    found = case("", recipe=Recipe("corner"))
    with examine(found.subject):
        top = int(found.subject.forecast(found.batch).mean(1).argmax())
        window, context = found.batch.select([top]), found.batch.select(slice(0, None, 16))
        answers = {
            m.name: m.found for m in attributions_made(found.subject, window, CONFIG, context)
        }
    records = explain(found.subject, window, CONFIG, context).explanations
    checks = {r.method.split(" (")[0]: _checks(r.checks) for r, _ in records if r.checks}
    return Told(found, window, context, answers, checks)


def _checks(found: tuple) -> str:
    return "\n".join(
        f"  {'passed' if c.passed else 'FAILED':<7} {c.name:<32}"
        f"{'' if c.value is None else f'{c.value:8.3f}'}"
        for c in found
    )


def make(method: str, folder: Path) -> None:
    """Write `METHOD.svg` and `METHOD.md`."""
    draw = {"importance": _importance, "shapley": _shapley, "attention_weights": _attention}
    with mpl.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, 2, figsize=(9.2, 2.9), layout="constrained", width_ratios=(1.35, 1)
        )
        draw.get(method, _film)(axes[0], method)
        FAILURES[method](axes[1])
        figure.savefig(folder / f"{method}.svg", metadata={"Date": None})
        plt.close(figure)
    lines = [f"![{method}: an answer, and where it fails](../gallery/made/{method}.svg)", ""]
    if method in told().checks:
        lines += [
            "Its checks on the window of the left picture:",
            "",
            "```text",
            told().checks[method],
            "```",
            "",
        ]
    (folder / f"{method}.md").write_text("\n".join(lines))


def _film(ax: plt.Axes, method: str) -> None:
    """Maps of all frames, oldest left; the planted place framed."""
    part = told().answers[method].parts["images"]
    maps = (part.sum(0) if part.ndim == 4 else part).detach().numpy()
    row = np.concatenate([np.concatenate(list(half), 1) for half in (maps[:4], maps[4:])], 0)
    top = np.abs(row).max() or 1.0
    shown = ax.imshow(row, cmap="RdBu_r", vmin=-top, vmax=top)
    for t in range(8):
        x, y = 16 * (t % 4), 16 * (t // 4)
        corner = (x + PLACE[1].start - 0.5, y + PLACE[0].start - 0.5)
        ax.add_patch(plt.Rectangle(corner, 3, 3, fill=False, ec="k", lw=0.8))
        ax.text(x + 0.2, y + 1.6, f"{HOURS[t]} h", fontsize=7)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_title("one window; frames of the planted place", fontsize=9)
    plt.colorbar(shown, ax=ax, shrink=0.8, label="share of mean ap\n[2 nT a pixel]")


def _profile(
    ax: plt.Axes, value: np.ndarray, low: np.ndarray, high: np.ndarray, names: list[str]
) -> None:
    ends = np.nan_to_num(np.stack([value - low, high - value])).clip(0)
    ax.bar(range(len(value)), value, yerr=ends, color="#1f77b4", capsize=2)
    ax.set_xticks(range(len(value)), names, fontsize=7)


def _evaluator() -> tuple[Evaluator, Batch]:
    found = told()
    target = target_named("mean_ap", found.case.subject.spec)
    return Evaluator(found.case.subject, target), found.context


def _importance(ax: plt.Axes, _: str) -> None:
    evaluator, windows = _evaluator()
    with examine(told().case.subject):
        found = importance(evaluator, windows, elements(windows, "images", "steps"), "frames")
    _profile(ax, found.value, found.low, found.high, [f"{h} h" for h in HOURS])
    ax.set(ylabel="change of mean ap [2 nT]", title="replacing one frame, 25 windows")


def _shapley(ax: plt.Axes, _: str) -> None:
    evaluator, others = _evaluator()
    window, spec = floating(told().window), told().case.subject.spec.modalities
    players = {
        e.label: [e] for m in spec for e in elements(window, m, "variables", spec[m].variables)
    }
    with examine(told().case.subject):
        found = shapley(evaluator, window, floating(others.select(slice(0, 6))), players)
    ax.bar(range(len(found)), list(found.values()), color="#1f77b4")
    ax.set_xticks(range(len(found)), [name.replace("_", "\n") for name in found], fontsize=7)
    ax.axhline(0, color="0.7", lw=1)
    ax.set(ylabel="Shapley value of mean ap [2 nT]", title="one window, six donors")


def _attention(ax: plt.Axes, _: str) -> None:
    found = told()
    with examine(found.case.subject):
        weights = attention_weights(found.case.subject, floating(found.window))
    one = weights["encoders.solar_wind.pooling.attention"].mean((0, 1))
    ax.bar(
        3 * (np.arange(one.numel()) - one.numel() + 1), one.flatten().numpy(), 2.2, color="#d9822b"
    )
    ax.set(xlabel="hours before issue", ylabel="weight", title="pooling over the wind, one window")
