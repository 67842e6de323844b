"""Series encoders: all see order, causal ones only the past, and each what is not observed."""

import pytest
import torch
from torch import nn

from heliosight.core.errors import ConfigError
from heliosight.core.spec import ModalitySpec
from heliosight.models.series import (
    LinearConfig,
    LstmConfig,
    TcnConfig,
    TransformerConfig,
    series_encoder,
)

SPEC = ModalitySpec("series", "solar_wind", ("bz_gsm", "speed", "density"), 9, 3)
CONFIGS = (
    TransformerConfig(features=8, dropout=0.0),
    TransformerConfig(features=8, position="learned", pooling="mean"),
    TransformerConfig(features=8, pooling="self_attention"),
    TcnConfig(features=8, layers=3),
    LstmConfig(features=8, layers=2),
    LinearConfig(features=8),
)
IDS = [f"{c.type}-{getattr(c, 'pooling', '')}" for c in CONFIGS]


def given(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    stream = torch.Generator().manual_seed(seed)
    values = torch.randn(2, 9, 3, generator=stream)
    return values, torch.rand(2, 9, 3, generator=stream) > 0.2


def encoder_of(config) -> nn.Module:
    torch.manual_seed(3)
    return series_encoder(config, SPEC).eval()


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_shapes_and_living_parameters(config):
    encoder = encoder_of(config)
    out = encoder(*given())
    tokens = 1 if config.type == "linear" else 9
    assert out.tokens.shape == (2, tokens, 8) and out.summary.shape == (2, 8)
    assert out.hidden.shape[:2] == (2, tokens)
    out.summary.square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 1e-9, name


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_order_in_time_matters(config):
    values, seen = given()
    order = torch.tensor([4, 0, 7, 1, 8, 3, 2, 6, 5])
    encoder = encoder_of(config)
    mixed = encoder(values[:, order], seen[:, order]).summary
    assert (encoder(values, seen).summary - mixed).abs().max() > 1e-3


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_observed_zero_differs_from_unobserved(config):
    values, seen = given()
    values = values.masked_fill(~seen, 0)
    encoder = encoder_of(config)
    other = encoder(values, torch.ones_like(seen)).summary
    assert (encoder(values, seen).summary - other).abs().max() > 1e-4


@pytest.mark.accuracy
def test_position_lies_on_the_time_axis_and_not_on_the_batch():
    """With equal values at every step tokens differ along time and not along the batch."""
    encoder = encoder_of(CONFIGS[0])
    out = encoder(torch.ones(3, 9, 3), torch.ones(3, 9, 3) > 0)
    assert torch.allclose(out.tokens[0], out.tokens[2], atol=1e-6)
    assert (out.tokens[0, 0] - out.tokens[0, 8]).abs().max() > 1e-2


@pytest.mark.parametrize("config", CONFIGS[3:5], ids=IDS[3:5])
def test_a_causal_token_sees_no_later_step(config):
    values, seen = given()
    encoder = encoder_of(config)
    changed = values.clone()
    changed[:, 5:] += 3
    before, after = encoder(values, seen).tokens, encoder(changed, seen).tokens
    assert torch.equal(before[:, :5], after[:, :5])
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.accuracy
def test_tcn_block_is_a_sum_over_the_past():
    block = encoder_of(TcnConfig(features=4, layers=2)).blocks[1].eval()
    x = torch.randn(1, 9, 4)
    slow = x.clone()
    for s in range(9):
        found = block.conv.bias.clone()
        for k in range(3):
            back = s - 2 * (2 - k)
            if back >= 0:
                found = found + block.conv.weight[:, :, k] @ x[0, back]
        slow[0, s] += nn.functional.gelu(block.norm(found))
    assert torch.allclose(block(x), slow, atol=1e-5)


@pytest.mark.accuracy
def test_linear_encoder_is_one_linear_map():
    encoder, (values, seen) = encoder_of(LinearConfig(features=8)), given()
    base = encoder(torch.zeros_like(values), seen).summary
    both = encoder(3 * values, seen).summary - base
    assert torch.allclose(both, 3 * (encoder(values, seen).summary - base), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TransformerConfig(layers=0), r"transformer\.layers: this key is at least 1"),
        (lambda: TransformerConfig(dropout=1.0), r"transformer\.dropout: this key lies in"),
        (lambda: TcnConfig(features=30), "heads divides features"),
        (lambda: LstmConfig(features=-4), "at least 1"),
        (lambda: LinearConfig(features=0), "at least 1"),
    ],
)
def test_bad_numbers_are_refused(make, message):
    with pytest.raises(ConfigError, match=message):
        make()
