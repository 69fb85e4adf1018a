"""Attention as a kernel of features, for the attention bench: q, k, v [B, H, T, D] → [B, H, T, D].

Both forms are products of matrices: sums over all positions, or, causal, chunks of 128 with the sums of those before.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHUNK = 128


def mix(query: Tensor, key: Tensor, v: Tensor, causal: bool, epsilon: float) -> Tensor:
    """`φ(q)·Σ φ(k) ⊗ v / (φ(q)·Σ φ(k) + ε)` for features [B, H, T, M]."""
    with_ones = F.pad(v, (0, 1), value=1.0)  # sums of weights beside those of values
    mixed = (chunked if causal else whole)(query, key, with_ones)
    return mixed[..., :-1] / (mixed[..., -1:] + epsilon)


def whole(query: Tensor, key: Tensor, v: Tensor) -> Tensor:
    return query @ (key.mT @ v)


def chunked(query: Tensor, key: Tensor, v: Tensor) -> Tensor:
    q, k, v = (x.unflatten(2, (-1, min(CHUNK, x.shape[2]))) for x in (query, key, v))  # [B, H, N, c, ·]
    sums = (k.mT @ v).cumsum(2)
    before = F.pad(sums, (0, 0, 0, 0, 1, 0))[:, :, :-1]
    return (q @ before + (q @ k.mT).tril() @ v).flatten(2, 3)


def linear(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    return mix(F.elu(q) + 1, F.elu(k) + 1, v, causal, 1e-6)


class Performer(nn.Module):
    """Positive orthogonal random features, drawn once."""

    def __init__(self, width: int, features: int, causal: bool) -> None:
        super().__init__()
        blocks = [torch.linalg.qr(torch.randn(width, width))[0].T for _ in range(-(-features // width))]
        directions = torch.cat(blocks)[:features] * torch.randn(features, width).norm(dim=1, keepdim=True)
        self.register_buffer("directions", directions)
        self.causal = causal

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scale = q.shape[-1] ** -0.25
        query, key = self.features(q * scale, (-1,)), self.features(k * scale, (-1, -2))
        return mix(query, key, v, self.causal, 0.0)

    def features(self, x: Tensor, stabilised: tuple[int, ...]) -> Tensor:
        along = x @ self.directions.T
        raised = along - (x.square().sum(-1, keepdim=True) / 2)
        top = along.amax(stabilised, keepdim=True).detach()
        return (raised - top).exp() + 1e-4


class Rfa(nn.Module):
    """Sines and cosines of unit queries and keys, with learned lengths of the drawn directions; causal with a gate."""

    def __init__(self, width: int, heads: int, features: int, causal: bool) -> None:
        super().__init__()
        self.register_buffer("directions", torch.randn(heads, features, width))
        self.lengths = nn.Parameter(torch.ones(heads, 1, width))
        self.causal = causal

    def forward(self, q: Tensor, k: Tensor, v: Tensor, gate_logits: Tensor | None = None) -> Tensor:
        query, key = self.features(q), self.features(k)
        if gate_logits is None:
            return mix(query, key, v, self.causal, 1e-6)
        return gated(query, key, F.pad(v, (0, 1), value=1.0), gate_logits)

    def features(self, x: Tensor) -> Tensor:
        angles = F.normalize(x, dim=-1) @ (self.directions * self.lengths).mT
        return torch.cat([angles.sin(), angles.cos()], -1) * self.directions.shape[1] ** -0.5


def gated(query: Tensor, key: Tensor, v: Tensor, gate_logits: Tensor) -> Tensor:
    """`S_t = g_t·S_{t−1} + (1 − g_t)·k_t ⊗ v_t` in chunks; gate_logits [B, H, T]."""
    size = min(CHUNK, query.shape[2])
    q, k, v = (x.unflatten(2, (-1, size)) for x in (query, key, v))
    logits = gate_logits.unflatten(2, (-1, size))
    decay = F.logsigmoid(logits).cumsum(-1)  # [B, H, N, c]
    k = k * torch.sigmoid(-logits)[..., None]
    between = (decay[..., :, None] - decay[..., None, :]).tril().exp().tril()
    inside = ((q @ k.mT) * between) @ v
    added = (k * (decay[..., -1:] - decay).exp()[..., None]).mT @ v
    state, before = torch.zeros_like(added[:, :, 0]), []
    for chunk in range(q.shape[2]):
        before.append(state)
        state = state * decay[:, :, chunk, -1].exp()[..., None, None] + added[:, :, chunk]
    mixed = (inside + (q * decay.exp()[..., None]) @ torch.stack(before, 2)).flatten(2, 3)
    return mixed[..., :-1] / (mixed[..., -1:] + 1e-6)
