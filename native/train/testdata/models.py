"""Small models of operators that many real ones use, for record_models.py: each takes float inputs and gives scores of three classes."""

import torch
import torch.nn.functional as F
from torch import nn


class Recurrent(nn.Module):
    """LSTM of two layers and both directions, GRU, RNN with Relu, one of them with a given state."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(7, 5)
        self.lstm = nn.LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(8, 6)
        self.rnn = nn.RNN(6, 5, nonlinearity="relu", batch_first=True)
        self.state = nn.Parameter(torch.randn(1, 1, 6) * 0.3)
        self.head = nn.Linear(5 + 6, 3)

    def forward(self, x):
        h, _ = self.lstm(self.embedding(x))
        h, last = self.gru(h.transpose(0, 1), self.state.expand(1, h.size(0), 6).contiguous())
        y, _ = self.rnn(h.transpose(0, 1))
        return self.head(torch.cat([y[:, -1], last[0]], dim=1))

    @staticmethod
    def example(rows):
        return {"x": torch.randint(0, 7, (rows, 4))}


class Images(nn.Module):
    """An autoencoder as U-Nets, DCGAN and super-resolution have them: transposed convolutions, resizing, padding, normalizations."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 6, 3, stride=2, padding=1, padding_mode="reflect")
        self.group = nn.GroupNorm(3, 6)
        self.act = nn.PReLU(6)
        self.up = nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1, bias=False)
        self.instance = nn.InstanceNorm2d(4, affine=True)
        self.nearest = nn.Upsample(scale_factor=2, mode="nearest")
        self.mix = nn.Conv2d(10, 8, 3, padding=1)
        self.shuffle = nn.PixelShuffle(2)
        self.circular = nn.Conv2d(2, 4, 3, padding=1, padding_mode="circular")
        self.wide = nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2)
        self.head = nn.Linear(4 + 4, 3)

    def forward(self, x):
        deep = self.act(self.group(self.conv(x)))
        h = F.silu(self.instance(self.up(deep)))
        h = torch.cat([h, self.nearest(deep)], dim=1)
        h = self.shuffle(F.hardswish(self.mix(h)))
        h = F.interpolate(h, size=(7, 5), mode="bilinear", align_corners=False)
        h = F.interpolate(h, scale_factor=2, mode="bilinear", align_corners=True)
        h = F.interpolate(h, size=(9, 6), mode="bicubic", align_corners=False)
        h = F.pad(F.celu(self.wide(self.circular(h))), (1, 2, 0, 1), mode="replicate")
        h = F.normalize(F.pad(h, (0, 1), value=0.5), dim=1)
        return self.head(torch.cat([F.adaptive_max_pool2d(h, 1).flatten(1), h.mean(dim=(2, 3))], dim=1))

    @staticmethod
    def example(rows):
        return {"x": torch.randn(rows, 2, 8, 6)}


class Indexing(nn.Module):
    """Gathering, scattering, sorting, reductions, Einstein sums."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.table = nn.Parameter(torch.randn(5, 8))
        self.mix = nn.Parameter(torch.randn(4, 8, 3) * 0.3)
        self.head = nn.Linear(23, 3)

    def forward(self, x, index):
        h = self.fc(x)
        picked = self.table[index]  # (N, 4, 8)
        e = torch.einsum("nd,nkd,kdj->nj", h, picked, self.mix)
        g = torch.gather(h, 1, index)
        s = torch.zeros_like(h).scatter_add(1, index, g * 2)
        top = torch.topk(h, 3, dim=1).values
        p = picked.transpose(0, 1).index_put((torch.tensor([1, 3]),), h).transpose(0, 1)
        diagonal = picked[:, torch.tensor([0, 2]), torch.tensor([1, 5])]
        one = F.one_hot(index[:, 0], 5).to(h.dtype)
        reduced = torch.stack([
            h.amax(1), h.logsumexp(1), (h * h + 0.5).prod(1), torch.linalg.vector_norm(h, dim=1),
            p.amin((1, 2)), h.abs().sum(1), torch.remainder(h, 0.7).sum(1),
        ], dim=1)
        tiled = top.repeat(1, 2)[:, :1] + torch.atan(h[:, :1]) + torch.floor(h[:, 1:2])
        return self.head(torch.cat([e, s[:, :2] + g[:, :2], top, diagonal, one, reduced, tiled], dim=1))

    @staticmethod
    def example(rows):
        return {"x": torch.randn(rows, 6), "index": torch.randint(0, 5, (rows, 4))}


class Newest(nn.Module):
    """What has an operator of its own from operator sets 21 and 23 on, dropout and stochastic depth."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 8)
        self.norm = nn.RMSNorm(8, eps=1e-5)
        self.group = nn.GroupNorm(2, 8)
        self.last = nn.RMSNorm([8], eps=1e-3)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        h = self.norm(self.fc(x))
        h = F.selu(self.group(h)) + F.softsign(h) * F.hardtanh(h, -0.7, 0.9)
        more = F.dropout(torch.tanh(h), 0.3, self.training)
        if self.training:
            more = more * h.new_empty(h.size(0), 1).bernoulli_(0.6) / 0.6
        h = h + more
        return self.head(self.last(h))

    @staticmethod
    def example(rows):
        return {"x": torch.randn(rows, 6)}


MODELS = {"recurrent": (Recurrent, 20), "images": (Images, 20), "indexing": (Indexing, 20), "newest": (Newest, 23)}
