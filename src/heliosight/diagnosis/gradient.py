"""T5, T6: what the gradient reaches, and attention that has nothing to choose from."""

from __future__ import annotations

import re
from typing import Any, ClassVar, final

import torch
from torch import Tensor, nn

from heliosight.core.batch import Batch
from heliosight.core.errors import NotApplicable
from heliosight.core.records import Finding, Interval
from heliosight.core.seeding import torch_stream
from heliosight.diagnosis.check import Check
from heliosight.diagnosis.evidence import Evidence
from heliosight.diagnosis.exact import effect, floating
from heliosight.diagnosis.structure import reach
from heliosight.subject import capture_calls, doubled, flat_tensors

QUERY_KEY = re.compile(r"(^|[._])(q|k|query|key|to_q|to_k|w_?q|w_?k)([._]|$|_?proj|_?lin)", re.I)
AUXILIARY = "auxiliary"


@final
class GradientReaches(Check):
    """T5."""

    id: ClassVar[str] = "T5"
    question: ClassVar[str] = "Does the gradient reach every input and every weight?"
    needs: ClassVar[str] = "a forecast with its graph"
    cost: ClassVar[str] = "2 G per exact window in float64"
    rule: ClassVar[str] = (
        "exactly zero in float64 on every window: a channel, a step or a weight tensor is cut off; "
        "cut off but with an effect on the forecast is detached; a weight in the graph that the "
        "module does not list is never trained, moved or saved"
    )
    alone: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding a modality, one for the weights, and one for weights nobody lists."""
        gradients = input_gradients(evidence)
        findings = [self._modality(evidence, m, g) for m, g in gradients.items()]
        return [*findings, self._weights(evidence), *self._unregistered(evidence)]

    def _unregistered(self, evidence: Evidence) -> list[Finding]:
        shapes = unregistered(evidence)
        if not shapes:
            return []
        value = Interval(float(len(shapes)), how="exact")
        told = ", ".join(" x ".join(map(str, shape)) for shape in shapes[:6])
        reason = f"the forecast depends on weights that parameters() does not list: {told}"
        cause = "unregistered_weights"
        return [
            self.finding(
                "weights", "fault", "weight tensors in the graph that are not listed", value,
                reason, cause, _ACTIONS[cause],
            )
        ]  # fmt: skip

    def _modality(self, evidence: Evidence, m: str, gradient: Tensor) -> Finding:
        """`gradient` `(B, C, T)` or `(B, V, S)`: largest absolute value of each element."""
        variables = evidence.subject.spec.modalities[m].variables
        seen = _observed(evidence, m)
        dead = ((gradient == 0) | ~seen).all(0) & seen.any(0)
        asked = seen.any(0)
        share = float(1 - dead.sum() / asked.sum().clamp(min=1))
        statistic = "share of observed (channel, step) elements reached"
        value = Interval(share, how="exact")
        if not dead.any():
            return self.finding(m, "healthy", statistic, value, "all of them are reached")
        cause, reason = self._cause(evidence, m, dead, asked, variables)
        return self.finding(m, "fault", statistic, value, reason, cause, _ACTIONS[cause])

    def _cause(
        self, evidence: Evidence, m: str, dead: Tensor, asked: Tensor, variables: tuple[str, ...]
    ) -> tuple[str, str]:
        moves = not reach(evidence, m).zero
        rows = zip(variables, dead, asked, strict=True)
        channels = [v for v, d, a in rows if a.any() and d[a].all()]
        if len(channels) == len(variables):
            if moves:
                return "detached", "no gradient comes back though the forecast moves with it"
            return "not_connected", "the forecast does not depend on it at all"
        if channels:
            return "dead_channel", f"no gradient for {', '.join(channels)}"
        columns = enumerate(zip(dead.T, asked.T, strict=True))
        steps = [t for t, (d, a) in columns if a.any() and d[a].all()]
        if not _steps_move(evidence, m, steps):
            return "steps_not_connected", f"steps {_spans(steps)} have no effect on the forecast"
        return "steps_detached", f"no gradient for steps {_spans(steps)} though they have an effect"

    def _weights(self, evidence: Evidence) -> Finding:
        dead, frozen, total = dead_weights(evidence)
        statistic, value = "share of weights reached", Interval(1.0, how="exact")
        note = f"; {frozen} frozen tensors" if frozen else ""
        if not total:
            return self.finding("weights", "not_applicable", statistic, None, "it has no weights")
        if not dead:
            return self.finding("weights", "healthy", statistic, value, f"all are reached{note}")
        lost = sum(dead.values())
        value = Interval(1 - lost / total, how="exact")
        names = ", ".join(list(dead)[:6]) + (" ..." if len(dead) > 6 else "")
        reason = f"{lost} of {total} weights never get a gradient: {names}{note}"
        return self.finding(
            "weights", "fault", statistic, value, reason, "dead_weights", _ACTIONS["dead_weights"]
        )


_ACTIONS = {
    "detached": "Remove the detach or no_grad between this input and the forecast.",
    "not_connected": "Connect the branch's output to the fusion.",
    "dead_channel": "Check the first layer and the normalisation of this channel.",
    "steps_not_connected": (
        "Feed every step to the encoder and carry its state or pool over steps; convolutions in "
        "time reach as far back as kernel, dilation and layers let them."
    ),
    "steps_detached": "Remove the detach of the state between steps.",
    "unregistered_weights": "Keep layers in a ModuleList and weights as nn.Parameter attributes.",
    "dead_weights": (
        "Use these weights in the forward pass or delete them; those of a detached branch learn "
        "again with it."
    ),
}


def input_gradients(evidence: Evidence) -> dict[str, Tensor]:
    """Largest absolute gradient by modality: `(B, C, T)` images, `(B, V, S)` series; float64.

    Raises
    ------
    NotApplicable : the forecast has no graph.
    """
    batch = floating(evidence.few, torch.float64)
    leaves = {m: batch.inputs[m].clone().requires_grad_() for m in evidence.modalities}
    with doubled(evidence.subject):
        score = evidence.subject.score(batch.with_inputs({m: x * 1 for m, x in leaves.items()}))
        if not score.requires_grad:
            raise NotApplicable("gradients need a forecast with its graph", "none")
        grads = torch.autograd.grad(
            (score * _mix(score, evidence)).sum(), list(leaves.values()), allow_unused=True
        )
    return {
        m: _by_element(torch.zeros_like(x) if g is None else g)
        for (m, x), g in zip(leaves.items(), grads, strict=True)
    }


def _mix(score: Tensor, evidence: Evidence) -> Tensor:
    """Random weights over leads, so that leads cannot cancel."""
    draw = torch_stream(evidence.config.seed, "diagnosis", "leads")
    return torch.rand(score.shape[1], generator=draw).to(score) + 0.5


def _by_element(gradient: Tensor) -> Tensor:
    size = gradient.detach().abs()
    return size.amax((-2, -1)) if size.ndim == 5 else size.transpose(1, 2)


def _observed(evidence: Evidence, m: str) -> Tensor:
    mask = evidence.few.observed[m]
    return mask if evidence.batch.inputs[m].ndim == 5 else mask.transpose(1, 2)


def _steps_move(evidence: Evidence, m: str, steps: list[int]) -> bool:
    axis = 2 if evidence.batch.inputs[m].ndim == 5 else 1

    def difference(batch: Batch) -> tuple[Tensor, Tensor]:
        x, place = batch.inputs[m].clone(), torch.tensor(steps, dtype=torch.long)
        x.index_copy_(axis, place, batch.inputs[m].roll(1, 0).index_select(axis, place))
        score = evidence.subject.forecast
        return score(batch), score(batch.with_inputs({m: x}))

    return not effect(evidence.subject, evidence.few, difference).zero


def _spans(steps: list[int]) -> str:
    if not steps:
        return "some"
    return f"{steps[0]}..{steps[-1]}" if len(steps) > 1 else str(steps[0])


def dead_weights(evidence: Evidence) -> tuple[dict[str, int], int, int]:
    """Weights with exactly zero gradient from anything the subject returns, by name.

    Returns them, the number of frozen tensors, and the number of all trainable weights. A head that
    only feeds an auxiliary output is reached by that output. The packed query, key and value
    weights of torch's attention are asked one by one.
    """
    named = {n: p for n, p in evidence.subject.module.named_parameters() if p.requires_grad}
    if not named:
        return {}, 0, 0
    frozen = sum(1 for p in evidence.subject.module.parameters() if not p.requires_grad)
    with doubled(evidence.subject):
        batch = floating(evidence.few, torch.float64)
        outputs = [evidence.subject.score(batch), *flat_tensors(evidence.subject.raw(batch))]
        total = sum((_weighed(o, i, evidence) for i, o in enumerate(outputs) if o.requires_grad))
        if not isinstance(total, Tensor):
            raise NotApplicable("gradients need a forecast with its graph", "none")
        grads = torch.autograd.grad(total, list(named.values()), allow_unused=True)
    dead = {
        label: size
        for (name, p), g in zip(named.items(), grads, strict=True)
        for label, size, part in _pieces(name, p, g)
        if part is None or not part.any()
    }
    return dead, frozen, sum(p.numel() for p in named.values())


def unregistered(evidence: Evidence) -> list[tuple[int, ...]]:
    """Shapes of the graph's trainable leaves that the module does not list."""
    score = evidence.subject.score(evidence.few.select([0]))
    known = {id(p) for p in evidence.subject.module.parameters()}
    waiting, seen, found = [score.grad_fn], set(), []
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        waiting += [after for after, _ in node.next_functions]
        leaf = getattr(node, "variable", None)
        if leaf is not None and id(leaf) not in known:
            found.append(tuple(leaf.shape))
    return found


def _weighed(output: Tensor, number: int, evidence: Evidence) -> Tensor:
    """The output times fixed random weights, summed: no two paths cancel by symmetry."""
    draw = torch_stream(evidence.config.seed, "diagnosis", "outputs", number)
    return (output * torch.randn(output.shape, generator=draw).to(output)).sum()


def _pieces(name: str, p: Tensor, g: Tensor | None) -> list[tuple[str, int, Any]]:
    if not name.endswith("in_proj_weight"):
        return [(name, p.numel(), g)]
    return [
        (f"{name}[{part}]", p.numel() // 3, None if g is None else g.chunk(3)[i])
        for i, part in enumerate(("query", "key", "value"))
    ]


@final
class AttentionChooses(Check):
    """T6."""

    id: ClassVar[str] = "T6"
    question: ClassVar[str] = "Does every attention have something to choose from?"
    needs: ClassVar[str] = "attention layers"
    cost: ClassVar[str] = "2 G per exact window in float64"
    rule: ClassVar[str] = (
        "degenerate when there is one key, or when the query and key weights get exactly zero "
        "gradient in float64"
    )
    alone: ClassVar[bool] = True

    def run(self, evidence: Evidence) -> list[Finding]:
        """One finding per attention layer that is asked."""
        layers = query_key_layers(evidence.subject.module)
        if not layers:
            raise NotApplicable("this check needs attention layers", "none found by name or class")
        dead, keys = set(dead_weights(evidence)[0]), _key_counts(evidence)
        return [self._layer(name, own, dead, keys.get(name)) for name, own in layers.items()]

    def _layer(self, name: str, weights: list[str], dead: set[str], keys: int | None) -> Finding:
        statistic = "number of keys"
        value = None if keys is None else Interval(float(keys), how="exact")
        lost = [w for w in weights if w in dead]
        if keys != 1 and not (lost and len(lost) == len(weights)):
            reason = "queries and keys get a gradient" + (f", {keys} keys" if keys else "")
            return self.finding(name, "healthy", statistic, value, reason)
        reason = (
            "softmax over a single key is the constant 1" if keys == 1
            else f"exactly zero gradient for {', '.join(lost)}: the weights choose nothing"
        )  # fmt: skip
        action = "Attend over tokens before pooling (frames by steps), so that there is a choice."
        return self.finding(name, "fault", statistic, value, reason, "single_token", action)


def query_key_layers(module: nn.Module) -> dict[str, list[str]]:
    """Attention layers by path, each with its trainable query and key weights."""
    layers: dict[str, list[str]] = {}
    for name, _ in module.named_parameters():
        if name.endswith("in_proj_weight"):
            owner = name.rpartition(".")[0]
            layers[owner] = [f"{name}[query]", f"{name}[key]"]
        elif name.endswith("weight") and QUERY_KEY.search(name):
            layers.setdefault(name.rpartition(".")[0].rpartition(".")[0], []).append(name)
    return {owner: weights for owner, weights in layers.items() if len(weights) > 1}


def _key_counts(evidence: Evidence) -> dict[str, int]:
    """Number of keys of each of torch's own attention layers."""
    found: dict[str, int] = {}
    for name, layer in evidence.subject.module.named_modules():
        if isinstance(layer, nn.MultiheadAttention):
            with capture_calls(evidence.subject, layer) as calls:
                evidence.subject.forecast(evidence.few)
            if len(calls):
                key = calls.inputs[0][1]
                found[name] = int(key.shape[1 if layer.batch_first else 0])
    return found
