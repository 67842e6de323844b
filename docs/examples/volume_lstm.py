"""A 3D convolution over the week of frames, an LSTM over the wind, a linear layer over both."""

import torch
from torch import nn


class VolumeLSTM(nn.Module):
    """`forward(video (B, C, T, H, W), wind (B, S, V))` to 24 leads `(B, 24, 1)`."""

    def __init__(self, channels: int = 3, variables: int = 6, leads: int = 24) -> None:
        super().__init__()
        self.volume = nn.Sequential(
            nn.Conv3d(channels, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv3d(8, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool3d((7, 2, 2)),
            nn.Flatten(),
            nn.Linear(8 * 7 * 4, 16),
        )
        self.lstm = nn.LSTM(variables, 16, batch_first=True)
        self.mix = nn.Linear(32, 32)
        self.last = nn.Linear(32, leads)

    def forward(self, video: torch.Tensor, wind: torch.Tensor) -> torch.Tensor:
        """The forecast."""
        seen = self.volume(video)
        felt = self.lstm(wind)[0][:, -1]
        return self.last(torch.relu(self.mix(torch.cat([seen, felt], 1)))).unsqueeze(-1)


def build() -> nn.Module:
    """What `--model volume_lstm:build` calls."""
    torch.manual_seed(0)
    return VolumeLSTM()
