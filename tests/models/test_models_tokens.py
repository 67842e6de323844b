"""Attention and pooling against their definitions, one number at a time."""

import math

import pytest
import torch
from torch import Tensor

from heliosight.models.tokens import Attention, TemporalPooling, sinusoids


def slow_attention(layer: Attention, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k / sqrt(d)) v for each head and query alone (Vaswani et al. 2017, eq. 1)."""
    q, k, v = layer.query(query), layer.key(key), layer.value(value)
    depth = q.shape[-1] // layer.heads
    rows = []
    for b in range(len(q)):
        for n in range(q.shape[1]):
            heads = []
            for head in range(layer.heads):
                part = slice(head * depth, (head + 1) * depth)
                scores = [float(q[b, n, part] @ row[part]) / math.sqrt(depth) for row in k[b]]
                raw = [math.exp(s - max(scores)) for s in scores]
                mixed = [r / sum(raw) * row[part] for r, row in zip(raw, v[b], strict=True)]
                heads.append(torch.stack(mixed).sum(0))
            rows.append(torch.cat(heads))
    return layer.out(torch.stack(rows).view(len(q), q.shape[1], -1))


@pytest.mark.accuracy
@torch.no_grad()
def test_attention_is_equation_1():
    torch.manual_seed(0)
    layer = Attention(8, 4).double()
    query, key = torch.randn(2, 3, 8).double(), torch.randn(2, 5, 8).double()
    value = torch.randn(2, 5, 8).double()
    out, weights = layer(query, key, value)
    assert torch.allclose(out, slow_attention(layer, query, key, value), atol=1e-12)
    assert weights.shape == (2, 4, 3, 5)
    assert torch.allclose(weights.sum(-1), torch.ones(2, 4, 3).double())


@pytest.mark.accuracy
def test_sinusoids_are_the_papers():
    code = sinusoids(6, 7)
    for t in range(6):
        for j in range(7):
            angle = t / 1e4 ** ((j - j % 2) / 7)
            wanted = math.cos(angle) if j % 2 else math.sin(angle)
            assert float(code[t, j]) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("kind", ["last", "mean", "attention", "self_attention"])
def test_pooling_shapes_and_weights(kind):
    torch.manual_seed(0)
    pooling, tokens = TemporalPooling(kind, 8, 5, 4), torch.randn(3, 5, 8)
    pooled, weights = pooling(tokens)
    assert pooled.shape == (3, 8)
    if kind in ("last", "mean"):
        wanted = tokens[:, -1] if kind == "last" else tokens.mean(1)
        assert weights is None and torch.equal(pooled, wanted)
    else:
        assert weights.shape == (3, 4, 5)
        assert torch.allclose(weights.sum(-1), torch.ones(3, 4))


@pytest.mark.parametrize("kind", ["attention", "self_attention"])
def test_attention_pooling_sees_order(kind):
    torch.manual_seed(0)
    pooling, tokens = TemporalPooling(kind, 8, 5, 4), torch.randn(3, 5, 8)
    assert not torch.allclose(pooling(tokens)[0], pooling(tokens.flip(1))[0], atol=1e-4)


def test_mean_pooling_does_not_see_order():
    pooling, tokens = TemporalPooling("mean", 8, 5, 4), torch.randn(3, 5, 8)
    assert torch.allclose(pooling(tokens)[0], pooling(tokens.flip(1))[0], atol=1e-6)


def test_fewer_frames_keep_their_place_before_the_issue_time():
    torch.manual_seed(0)
    pooling = TemporalPooling("attention", 8, 5, 4)
    assert torch.equal(pooling.position[-3:], sinusoids(5, 8)[2:])
    assert pooling(torch.randn(2, 3, 8))[1].shape == (2, 4, 3)


def test_a_single_token_is_taken_as_it_is():
    pooling, tokens = TemporalPooling("attention", 8, 1, 4), torch.randn(3, 1, 8)
    assert not list(pooling.parameters())
    assert torch.equal(pooling(tokens)[0], tokens[:, 0])
