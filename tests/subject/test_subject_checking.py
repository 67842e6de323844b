from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from subject_worlds import SPEC, batch_of, foreign
from torch import nn

from heliosight.core.errors import SubjectError
from heliosight.subject import check_subject, wrap


def probe(forward):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.lin = nn.Linear(2, 4)
            self.count = nn.Buffer(torch.zeros(1))

    Net.forward = forward
    return wrap(Net(), SPEC)


def mean_wind(batch):
    return batch.inputs["solar_wind"].mean(1)


def test_a_sound_wrapping_has_no_problem():
    assert check_subject(foreign(), batch_of(4)) == []


def test_randomness_in_evaluation_is_named():
    subject = probe(lambda self, b: self.lin(F.dropout(mean_wind(b), 0.5, training=True)))
    assert any("differ in evaluation mode" in line for line in check_subject(subject, batch_of(4)))


def test_a_changed_input_is_named():
    def forward(self, b):
        b.inputs["solar_wind"].mul_(2.0)
        return self.lin(mean_wind(b))

    lines = check_subject(probe(forward), batch_of(4))
    assert any("changes its input 'solar_wind'" in line for line in lines)


def test_changed_buffers_are_named_and_put_back():
    def forward(self, b):
        self.count += 1
        return self.lin(mean_wind(b))

    subject = probe(forward)
    lines = check_subject(subject, batch_of(4))
    assert any("changes the subject's weights or buffers" in line for line in lines)
    assert float(subject.module.count) == 0


def test_nan_is_named_with_its_first_window():
    def forward(self, b):
        y = self.lin(mean_wind(b))
        return y.masked_fill((b.issue_time == 10800)[:, None], float("nan"))

    lines = check_subject(probe(forward), batch_of(4))
    assert lines == ["the forecast is not finite for 1 of 4 windows, first 1970-01-01T03:00:00Z"]


def test_no_graph_is_named():
    lines = check_subject(probe(lambda self, b: self.lin(mean_wind(b)).detach()), batch_of(4))
    assert any("has no graph" in line for line in lines)


def test_names_and_shapes_that_disagree_are_named():
    batch = batch_of(3)
    wind = SPEC.modalities["solar_wind"]
    spec = replace(SPEC, modalities={"solar_wind": replace(wind, steps=9), "radio": wind})
    subject = wrap(foreign().module, spec, call=lambda _, b: torch.zeros(len(b), 4))
    text = "\n".join(check_subject(subject, batch))
    assert "declares 'radio'" in text
    assert "the batch has 'images'" in text
    assert "wants (B, 9, 2" in text


def test_without_a_forecast_it_is_refused():
    with pytest.raises(SubjectError, match="a forecast is"):
        check_subject(probe(lambda _, b: mean_wind(b)), batch_of(3))
