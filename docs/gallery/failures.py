"""Where each explanation method fails, on examples small enough to be checked by hand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes

BLUE, ORANGE, GREY = "#1f77b4", "#d9822b", "0.6"


def _blobs() -> tuple[np.ndarray, np.ndarray]:
    """A state with two equal structures, and the gradient of a forecast that reads the left one."""
    state, gradient = np.zeros((12, 24)), np.zeros((12, 24))
    state[4:8, 4:8] = state[4:8, 16:20] = 1.0
    gradient[:, :12] = 1.0
    return state, gradient


def _maps(ax: Axes, maps: dict[str, np.ndarray]) -> None:
    rows = [np.pad(m / max(np.abs(m).max(), 1e-12), 1) for m in maps.values()]
    ax.imshow(np.concatenate(rows, 0), cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
    height = len(rows[0])
    ax.set_yticks(height * (np.arange(len(rows)) + 0.5), list(maps), fontsize=8)
    ax.set_xticks([])


def grad_cam(ax: Axes) -> None:
    """The gradient is averaged over the map."""
    state, gradient = _blobs()
    _maps(ax, {"read": state * gradient, "Grad-CAM": state * gradient.mean()})
    ax.set_title("only the left structure is read", fontsize=9)


def hires_cam(ax: Axes) -> None:
    """A rough gradient gives a rough map."""
    state, gradient = _blobs()
    noise = np.random.default_rng(0).normal(0, 4, gradient.shape)
    smooth = np.full((12, 24), 0.5)
    _maps(ax, {"smooth read": state * smooth, "rough read": (state + 0.2) * (smooth + noise)})
    ax.set_title("same sum, a gradient that is rough", fontsize=9)


def grad_cam_plus_plus(ax: Axes) -> None:
    """Its weight for evidence against."""
    x = np.linspace(-4, 4, 400)
    weight = 1 / (2 + x)
    ax.plot(x, np.where(np.abs(2 + x) > 0.05, weight, np.nan), color=BLUE)
    ax.axvline(-2, color=GREY, ls="--", lw=1)
    ax.set(ylim=(-5, 5), xlabel="evidence (gradient times map, summed)", ylabel="weight")
    ax.set_title("eq. 19 as published: a pole where evidence is against", fontsize=9)


def integrated_gradients(ax: Axes) -> None:
    """f = x1 x2 at (2, 3) against three baselines."""
    x, starts = np.array([2.0, 3.0]), {"(0, 0)": (0, 0), "(2, 0)": (2, 0), "(-1, 3)": (-1, 3)}
    for k, start in enumerate(starts.values()):
        b = np.array(start, float)
        parts = (x - b) * (x + b)[::-1] / 2
        ax.bar([k - 0.17, k + 0.17], parts, 0.3, color=[BLUE, ORANGE])
    ax.set_xticks(range(3), starts)
    ax.set(xlabel="baseline", ylabel="share of each input")
    ax.set_title("f = x1 x2 at (2, 3): three answers, all exact", fontsize=9)


def expected_gradients(ax: Axes) -> None:
    """Gap of completeness by number of draws, f = relu(x1 + x2)."""
    rng, counts, spread = np.random.default_rng(1), 2 ** np.arange(2, 11), []
    x, mean = np.array([1.0, 0.5]), None
    others = rng.normal(0, 1, (4000, 2))
    mean = np.maximum(others.sum(1), 0).mean()
    for n in counts:
        draws = rng.normal(0, 1, (200, n, 2))
        at = draws + rng.random((200, n, 1)) * (x - draws)
        total = (((at.sum(-1) > 0)[..., None]) * (x - draws)).sum(-1).mean(1)
        spread.append(np.std(total) / abs(x.sum() - mean))
    ax.loglog(counts, spread, "o-", color=BLUE)
    ax.set(xlabel="draws", ylabel="gap / difference")
    ax.set_title("noise of sampling", fontsize=9)


def gradient_x_input(ax: Axes) -> None:
    """f = tanh(x)."""
    x = np.linspace(0, 4, 100)
    ax.plot(x, np.tanh(x), color=GREY, label="what x brings")
    ax.plot(x, x * (1 - np.tanh(x) ** 2), color=BLUE, label="gradient x input")
    ax.set(xlabel="x", ylabel="tanh x")
    ax.legend(frameon=False, fontsize=8)
    ax.set_title("a saturated model: the answer goes to 0", fontsize=9)


def smooth_grad(ax: Axes) -> None:
    """Gradient of relu(x - 1), plain and under noise."""
    x = np.linspace(-1, 3, 200)
    noise = np.random.default_rng(0).normal(0, 0.5, 4000)
    ax.plot(x, x > 1, color=GREY, label="gradient")
    ax.plot(x, [(at + noise > 1).mean() for at in x], color=BLUE, label="SmoothGrad")
    ax.set(xlabel="x", ylabel="gradient of relu(x - 1)")
    ax.legend(frameon=False, fontsize=8)
    ax.set_title("an edge is blurred by the noise", fontsize=9)


def occlusion(ax: Axes) -> None:
    """f = max(a, b), both 1."""
    ax.bar(range(3), [0, 0, 1], color=[BLUE, BLUE, GREY])
    ax.set_xticks(range(3), ["without a", "without b", "without both"])
    ax.set(ylabel="loss of f")
    ax.set_title("f = max(a, b): either patch looks idle", fontsize=9)


def importance(ax: Axes) -> None:
    """Two models that agree on every real window, for b is a copy of a."""
    for k, (weights, colour) in enumerate((((1.0, 0.0), BLUE), ((0.5, 0.5), ORANGE))):
        ax.bar(np.arange(2) + 0.3 * k - 0.15, np.sqrt(2) * np.array(weights), 0.28, color=colour)
    ax.set_xticks(range(2), ["channel a", "channel b = a"])
    ax.set(ylabel="importance")
    ax.set_title("f = a (blue) and f = (a + b) / 2: equal forecasts", fontsize=9)


def shapley(ax: Axes) -> None:
    """Coalitions of two inputs that always move together."""
    a = np.random.default_rng(0).normal(0, 1, 60)
    b = a + 0.1 * np.random.default_rng(1).normal(0, 1, 60)
    ax.plot(a, b, ".", color=GREY, label="real windows")
    ax.plot(a, np.roll(b, 7), "x", ms=4, color=BLUE, label="coalitions asked about")
    ax.set(xlabel="193", ylabel="211")
    ax.legend(frameon=False, fontsize=8)
    ax.set_title("asks about Suns that do not exist", fontsize=9)


def attention_weights(ax: Axes) -> None:
    """Weight against what is added."""
    weight, value = np.array([0.7, 0.2, 0.1]), np.array([0.02, 1.0, 0.6])
    ax.bar(np.arange(3) - 0.17, weight, 0.3, color=ORANGE, label="weight")
    ax.bar(np.arange(3) + 0.17, weight * value, 0.3, color=BLUE, label="weight times value")
    ax.set_xticks(range(3), ["token 1", "token 2", "token 3"])
    ax.legend(frameon=False, fontsize=8)
    ax.set_title("the token with the weight adds the least", fontsize=9)


FAILURES: dict[str, Callable[[Axes], None]] = {
    f.__name__: f
    for f in (
        grad_cam, hires_cam, grad_cam_plus_plus, integrated_gradients, expected_gradients,
        gradient_x_input, smooth_grad, occlusion, importance, shapley, attention_weights,
    )
}  # fmt: skip
