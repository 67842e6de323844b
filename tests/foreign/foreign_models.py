"""Networks as other people write them; none knows this project. Written to be diagnosed.

`Published`: ConvLSTM over (B, T, C, H, W) with tuple states, Transformer over (B, S, V), one-token
cross attention, gate, head. `Volume`: Conv3D over (B, C, T, H, W) and an LSTM. `Patches`: a vision
transformer on each frame, then a GRU over frames, and a GRU over the wind.
"""

import torch
from torch import nn

CHANNELS, FRAMES, SIZE, STEPS, VARIABLES, LEADS = 3, 28, 16, 56, 6, 24


class ConvLSTMCell(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.hidden = hidden
        self.conv = nn.Conv2d(inputs + hidden, 4 * hidden, 3, padding=1)

    def forward(self, x, state):
        if state is None:
            zero = x.new_zeros(x.size(0), self.hidden, x.size(2), x.size(3))
            state = (zero, zero)
        h, c = state
        i, f, o, g = torch.split(self.conv(torch.cat([x, h], 1)), self.hidden, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class ConvLSTMEncoder(nn.Module):
    def __init__(self, carries, features=8):
        super().__init__()
        self.carries = carries
        self.cells = nn.ModuleList([ConvLSTMCell(CHANNELS, 4), ConvLSTMCell(4, 4)])
        self.fc = nn.Linear(4, features)

    def forward(self, x):
        states = [None, None]
        for t in range(x.size(1)):
            h = x[:, t]
            for k, cell in enumerate(self.cells):
                if not self.carries:
                    zero = h.new_zeros(h.size(0), 4, h.size(2), h.size(3))
                    states[k] = (zero, zero)
                states[k] = cell(h, states[k])
                h = states[k][0]
        return self.fc(h.mean(dim=(2, 3)))


class PositionalEncoding(nn.Module):
    def __init__(self, width, axis):
        super().__init__()
        self.axis = axis
        self.register_buffer("pe", torch.randn(1000, 1, width))

    def forward(self, x):
        if self.axis == "batch":
            return x + self.pe[: x.size(0)]  # meant for (S, B, F), given (B, S, F)
        return x + self.pe[: x.size(1)].transpose(0, 1)


class OMNIEncoder(nn.Module):
    def __init__(self, position, features=8):
        super().__init__()
        self.embed = nn.Linear(VARIABLES, features)
        self.position = PositionalEncoding(features, position)
        layer = nn.TransformerEncoderLayer(features, 2, 16, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1)

    def forward(self, x):
        return self.encoder(self.position(self.embed(x))).mean(1)


class CrossModalAttention(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.out = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, one, other):
        q, k, v = (
            x.unsqueeze(1) for x in (self.q_proj(one), self.k_proj(other), self.v_proj(other))
        )
        weights = torch.softmax(q @ k.transpose(1, 2) / q.size(-1) ** 0.5, -1)
        return one + self.out((weights @ v).squeeze(1))


class Published(nn.Module):
    def __init__(self, position="time", carries=True, gated=True):
        super().__init__()
        self.gated = gated
        self.sdo_encoder = ConvLSTMEncoder(carries)
        self.omni_encoder = OMNIEncoder(position)
        self.cross = CrossModalAttention()
        self.gate = nn.Sequential(nn.Linear(16, 8), nn.Sigmoid())
        self.regressor = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, LEADS))

    def forward(self, sdo, omni):
        a, b = self.sdo_encoder(sdo), self.omni_encoder(omni)
        if not self.gated:
            return {"prediction": self.regressor(self.cross(b, a))}
        g = self.gate(torch.cat([a, b], 1))
        return {"prediction": self.regressor(self.cross(g * a, (1 - g) * b)), "gate": g}


class Volume(nn.Module):
    def __init__(self, sees_images=True):
        super().__init__()
        self.sees_images = sees_images
        self.features = nn.Sequential(
            nn.Conv3d(CHANNELS, 4, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv3d(4, 8, 3, stride=2, padding=1), nn.ReLU(), nn.AdaptiveAvgPool3d((4, 1, 1)),
        )  # fmt: skip
        self.flat = nn.Linear(32, 8)
        self.lstm = nn.LSTM(VARIABLES, 8, batch_first=True)
        self.mixer, self.last = nn.Linear(16, 16), nn.Linear(16, LEADS)

    def forward(self, x_img, x_ts):
        a = self.flat(self.features(x_img).flatten(1))
        if not self.sees_images:
            a = a.detach()
        b = self.lstm(x_ts)[0][:, -1]
        return self.last(torch.relu(self.mixer(torch.cat([a, b], 1)))).unsqueeze(-1)


class Patches(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(CHANNELS, 8, 8, stride=8)
        self.place = nn.Parameter(torch.randn(1, 4, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.vit = nn.TransformerEncoder(layer, 1)
        self.over_time = nn.GRU(8, 8, batch_first=True)
        self.cell = nn.GRUCell(VARIABLES, 8)
        self.fuse, self.out = nn.Linear(16, 8), nn.Linear(8, LEADS)

    def forward(self, frames, plasma):
        b, t = frames.shape[:2]
        tokens = self.patch(frames.flatten(0, 1)).flatten(2).transpose(1, 2) + self.place
        seen = self.over_time(self.vit(tokens).mean(1).view(b, t, -1))[1][-1]
        h = plasma.new_zeros(b, 8)
        for s in range(plasma.shape[1]):
            h = self.cell(plasma[:, s], h)
        return self.out(torch.tanh(self.fuse(torch.cat([seen, h], 1))))


def _seeded(make):
    torch.manual_seed(5)
    return make()


def published():
    return _seeded(Published)


def published_batch_position():
    return _seeded(lambda: Published(position="batch"))


def published_forgetful():
    return _seeded(lambda: Published(carries=False))


def volume():
    return _seeded(Volume)


def volume_detached():
    return _seeded(lambda: Volume(sees_images=False))


def patches():
    return _seeded(Patches)
