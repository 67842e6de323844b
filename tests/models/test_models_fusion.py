"""Fusion: over tokens of one sample, in both directions, with its weights in sight."""

import pytest
import torch

from heliosight.core.errors import ConfigError, SpecError
from heliosight.models.fusion import (
    Branch,
    BranchSize,
    ConcatConfig,
    CrossAttentionConfig,
    GatedConfig,
    build_fusion,
)

SIZES = {"images": BranchSize(6, 5), "solar_wind": BranchSize(4, 8), "ch_area": BranchSize(3, 2)}
CONFIGS = (
    ConcatConfig(width=8),
    GatedConfig(width=8),
    CrossAttentionConfig(width=8),
)
IDS = [config.type for config in CONFIGS]


def branches(sizes=None, batch: int = 3, seed: int = 0) -> dict[str, Branch]:
    stream = torch.Generator().manual_seed(seed)
    return {
        name: Branch(
            torch.randn(batch, size.tokens, size.features, generator=stream),
            torch.randn(batch, size.features, generator=stream),
        )
        for name, size in (sizes or SIZES).items()
    }


def fusion_of(config, sizes=None):
    torch.manual_seed(1)
    return build_fusion(config, sizes or SIZES).eval()


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
@pytest.mark.parametrize("names", [("images",), ("images", "ch_area"), tuple(SIZES)])
def test_any_number_of_branches_and_every_parameter_lives(config, names):
    sizes = {name: SIZES[name] for name in names}
    fusion = fusion_of(config, sizes)
    out = fusion(branches(sizes))
    assert out.vector.shape == (3, 8)
    out.vector.square().sum().backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 1e-9, name


@pytest.mark.accuracy
def test_gates_weigh_the_branches():
    fusion, given = fusion_of(CONFIGS[1]), branches()
    out = fusion(given)
    beside = torch.cat([b.summary for b in given.values()], -1)
    slow = sum(
        torch.sigmoid(fusion.gates[n](beside)) * fusion.values[n](b.summary)
        for n, b in given.items()
    )
    assert torch.allclose(out.vector, torch.nn.functional.gelu(slow), atol=1e-6)
    assert sorted(out.features) == [f"gate.{n}" for n in sorted(SIZES)]
    assert all(torch.all((g > 0) & (g < 1)) for g in out.features.values())


@pytest.mark.accuracy
def test_cross_attention_asks_all_others_and_adds_their_mean_answer():
    fusion, given = fusion_of(CONFIGS[2]), branches()
    out = fusion(given)
    parts = []
    for name, branch in given.items():
        mine = fusion.widen[name](branch.tokens)
        others = torch.cat([fusion.widen[o](b.tokens) for o, b in given.items() if o != name], 1)
        answers = [
            fusion.attention[name](mine[:, n : n + 1], others, others)[0]
            for n in range(mine.shape[1])
        ]
        answer = torch.stack(answers).mean(0)[:, 0]
        parts.append(fusion.norm(fusion.widen[name](branch.summary) + answer))
    assert torch.allclose(out.vector, fusion.mix(torch.cat(parts, -1)), atol=1e-6)


def test_cross_attention_weights_run_over_tokens_in_both_directions():
    out = fusion_of(CONFIGS[2])(branches())
    assert out.features["cross_attention.images"].shape == (3, 4, 5, 10)
    assert out.features["cross_attention.solar_wind"].shape == (3, 4, 8, 7)
    for weights in out.features.values():
        assert torch.allclose(weights.sum(-1), torch.ones(weights.shape[:-1]), atol=1e-5)


@pytest.mark.parametrize("config", CONFIGS, ids=IDS)
def test_a_sample_does_not_read_its_neighbours(config):
    fusion, one, other = fusion_of(config), branches(), branches(seed=9)
    mixed = {
        name: Branch(
            torch.cat([one[name].tokens[:1], 1e3 * other[name].tokens[1:]]),
            torch.cat([one[name].summary[:1], 1e3 * other[name].summary[1:]]),
        )
        for name in one
    }
    assert torch.equal(fusion(one).vector[0], fusion(mixed).vector[0])


def test_attention_over_a_single_key_is_refused():
    sizes = {"images": BranchSize(6, 5), "ch_area": BranchSize(3, 1)}
    with pytest.raises(SpecError, match=r"at least two tokens.*'images' would read a single one"):
        build_fusion(CrossAttentionConfig(width=8), sizes)


def test_heads_that_do_not_divide_the_width_are_refused():
    with pytest.raises(ConfigError, match=r"heads divides width.*heads=4, width=10"):
        CrossAttentionConfig(width=10)
