"""Credit of groups and attention on the explanation: exact sums, groups in order, words."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from heliosight.explain import checks
from heliosight.explain.attribution import Attribution
from heliosight.explain.credit import attended, credit, of_one_window, players
from heliosight.explain.evaluator import Evaluator, floating
from heliosight.explain.explainer import explain
from heliosight.explain.question import ExplainConfig, Question
from heliosight.explain.structures import Structure, sentences
from heliosight.explain.targets import target_named
from heliosight.explain.telling import decisive
from heliosight.subject import wrap

PLACE = (np.zeros((2, 4, 4), bool), (0, 1), (10.0, 10.0), (0.0, 3.0))


def question(subject, batch, context, **config):
    settings = ExplainConfig(**config)
    target = target_named(settings.target, subject.spec)
    return Question(Evaluator(subject, target, settings.chunk), batch, context, settings)


def test_players_cover_every_step_once(windows_of):
    batch = windows_of(1)
    found = players(batch)
    for name, x in batch.inputs.items():
        steps = [e.place for items in found.values() for e in items if e.modality == name]
        assert len(steps) == len(set(map(str, steps))) == x.shape[2 if x.ndim == 5 else 1]
    labels = [label for label in found if label.startswith("images")]
    count = batch.inputs["images"].shape[2]
    assert labels[0].startswith(f"images {-count}..") and labels[-1].endswith("..-1")


def test_credit_sums_to_the_forecast_less_its_mean_with_everything_replaced(subject_of, windows_of):
    subject, batch = subject_of(), floating(windows_of(1), torch.float64)
    context = floating(windows_of(5, seed=1), torch.float64)
    asked = question(subject, batch, context, donors=2)
    found = credit(asked, batch, context)
    replaced = [float(asked.evaluator.values(context.select([k]))) for k in (0, 4)]
    total = float(asked.evaluator.values(batch)) - np.mean(replaced)
    assert np.isclose(found.value.sum(), total)
    assert f"they sum to {total:+.3g}" in found.how and "2 other real windows" in found.how
    assert np.isnan(found.low).all() and of_one_window(found.name)


class Attending(nn.Module):
    """Attention over wind steps, its weights shown."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(2, 1, batch_first=True).double()
        self.head = nn.Linear(2, 24).double()

    def forward(self, images, wind):
        x = wind.double()
        return self.head(self.attention(x, x, x)[0].mean(1)) + 0 * images.double().mean()


def test_attention_stands_beside_importance_in_groups_that_sum_to_one(windows_of, toy_spec):
    names = list(toy_spec.modalities)
    axes = {"images": "B C T H W"}
    inputs = dict(zip(("images", "wind"), ((n, axes.get(n, "B S V")) for n in names), strict=True))
    subject = wrap(Attending(), toy_spec, inputs=inputs, name="toy")
    config = ExplainConfig(methods=("gradient_x_input",), nulls=19, donors=2)
    whole = explain(subject, windows_of(1), config, windows_of(4, seed=1))
    blind = {c.name: c for c in whole.explanations[0][0].checks}["weight randomisation"]
    assert not blind.passed and blind.reason == "both maps are zero everywhere"
    assert "size" in whole.explanations[0][0].withheld
    found = whole.importance
    shown = {p.name: p for p in found}
    assert {"shapley", "attention attention"} <= shown.keys()
    weights = shown["attention attention"]
    assert np.isclose(weights.value.sum(), 1.0) and weights.how.startswith(
        "weights, not importance"
    )
    assert json.dumps(weights.labels) and weights.labels[-1].endswith("-1")
    quick = ExplainConfig(methods=("gradient_x_input",), nulls=19, donors=1, quick=True)
    less = explain(subject, windows_of(1), quick, windows_of(4, seed=1)).importance
    assert not [p.name for p in less if of_one_window(p.name)]


@pytest.mark.parametrize(("share", "told"), [(0.0009, True), (0.002, False)])
def test_a_map_worth_next_to_nothing_is_no_explanation(share, told):
    parts = torch.full((1, 3, 4, 4), -7.0 * share / 48)
    check = checks.size(Attribution("gradient_x_input", "", {"images": parts}, 7.0), "images")
    assert (check is not None) == told
    if check:
        assert not check.passed and check.value == pytest.approx(share)
        assert decisive([check]) == ("size",)


def test_a_structure_without_effect_is_not_told():
    found = [Structure("coronal hole", *PLACE), Structure("active region", *PLACE)]
    lines = sentences(np.array([[0.0, 0.5], [0.0, 0.0]]), found, "day 1", "ap", 0.25)
    assert len(lines) == 1 and "coronal hole" in lines[0]


def test_one_token_is_no_choice_to_show(windows_of, toy_spec):
    class One(Attending):
        def forward(self, images, wind):
            return super().forward(images, wind[:, -1:])

    names = list(toy_spec.modalities)
    axes = {"images": "B C T H W"}
    inputs = dict(zip(("images", "wind"), ((n, axes.get(n, "B S V")) for n in names), strict=True))
    subject = wrap(One(), toy_spec, inputs=inputs, name="toy")
    batch = windows_of(1)
    assert attended(question(subject, batch, batch), batch) == []
