"""Learned selections, projections along the length and synthetic weights, for the attention bench.

Those that look at the inputs themselves take x [B, T, C] beside q, k, v [B, H, T, D]. Eager PyTorch, written for speed.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from attention_patterns import blocks_of


class Linformer(nn.Module):
    """Keys and values summed into slots by one matrix [T, slots], then attention over the slots."""

    def __init__(self, length: int, slots: int) -> None:
        super().__init__()
        self.slots = nn.Parameter(torch.randn(length, slots) * length**-0.5)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(q, self.slots.T @ k, self.slots.T @ v)


class DenseSynthesizer(nn.Module):
    """Each position writes its row of logits: `softmax(relu(x·W₁)·W₂)·v`."""

    def __init__(self, width: int, heads: int, length: int, causal: bool) -> None:
        super().__init__()
        depth = width // heads
        self.first = nn.Linear(width, width)
        self.second = nn.Parameter(torch.randn(heads, depth, length) * 0.02)
        self.bias = nn.Parameter(torch.zeros(heads, 1, length))
        self.causal = causal

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        heads, depth, length = self.second.shape
        hidden = self.first(x).relu().view(x.shape[0], length, heads, depth).transpose(1, 2)
        return mixed_by(hidden @ self.second + self.bias, v, self.causal)


class FactorisedTable(nn.Module):
    """One table of logits for all inputs, the product of two thin ones."""

    def __init__(self, heads: int, length: int, rank: int, causal: bool) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(heads, length, rank) * 0.02)
        self.second = nn.Parameter(torch.randn(heads, length, rank) * 0.02)
        self.causal = causal

    def forward(self, x: Tensor, v: Tensor) -> Tensor:
        return mixed_by((self.first @ self.second.mT)[None], v, self.causal)


def mixed_by(logits: Tensor, v: Tensor, causal: bool) -> Tensor:
    return (logits.masked_fill(upper(logits.shape[-1]), -torch.inf) if causal else logits).softmax(-1) @ v


@cache
def upper(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).triu(1)


class MemoryCompressed(nn.Module):
    """A strided convolution makes a slot of `factor` positions; causal: position 0, then blocks before the query's."""

    def __init__(self, width: int, heads: int, factor: int, causal: bool) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.compress = nn.Conv1d(width, width, factor, stride=factor)
        self.heads, self.factor, self.causal = heads, factor, causal

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        inputs = x if self.causal else F.pad(x, (0, 0, 0, -length % self.factor))
        slots = self.compress(inputs.mT).mT
        slots = torch.cat([x[:, :1], slots], 1) if self.causal else slots
        q, k, v = (
            project(of).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, of in ((self.query, x), (self.key, slots), (self.value, slots))
        )
        mask = slots_seen(length, slots.shape[1], self.factor) if self.causal else None
        return self.out(F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2))


@cache
def slots_seen(length: int, slots: int, factor: int) -> Tensor:
    return torch.arange(slots) <= (torch.arange(length) // factor)[:, None]


class MultiheadBlock(nn.Module):
    """MAB: `LN(h + rFF(h))`, `h = LN(x + Multihead(x, y, y))`."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.ffn = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.heads = heads

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        q, k, v = (
            project(of).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project, of in ((self.query, x), (self.key, y), (self.value, y))
        )
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        h = self.norms[0](x + self.out(mixed))
        return self.norms[1](h + self.ffn(h))


class InducedSet(nn.Module):
    """ISAB: learned points look at all positions, and all positions look at them."""

    def __init__(self, width: int, heads: int, points: int) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.randn(1, points, width) * 0.02)
        self.gather, self.spread = MultiheadBlock(width, heads), MultiheadBlock(width, heads)

    def forward(self, x: Tensor) -> Tensor:
        return self.spread(x, self.gather(self.points.expand(x.shape[0], -1, -1), x))


class Routing(nn.Module):
    """Each centroid takes the `window` positions nearest to it; what one gets from several clusters is averaged."""

    def __init__(self, width: int, heads: int, centroids: int, window: int, causal: bool) -> None:
        super().__init__()
        self.register_buffer("centroids", F.normalize(torch.randn(heads, centroids, width), dim=-1))
        self.window, self.causal = window, causal

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Causal: k is q."""
        batch, heads, length, width = q.shape
        q = F.layer_norm(q, (width,)) * width**-0.5
        k = q if self.causal else F.layer_norm(k, (width,)) * width**-0.5
        query_members = self.members(q)
        key_members = query_members if self.causal else self.members(k)
        queries, keys, values = take(q, query_members), take(k, key_members), take(v, key_members)
        mask = None
        if self.causal:
            mask = (key_members[..., None, :] <= query_members[..., :, None]).flatten(1, 2)
        out = F.scaled_dot_product_attention(
            queries.flatten(1, 2), keys.flatten(1, 2), values.flatten(1, 2), attn_mask=mask, scale=1.0
        )
        rows = query_members.flatten(2)[..., None]
        sums = torch.zeros_like(v).scatter_add(2, rows.expand(-1, -1, -1, width), out.reshape(batch, heads, -1, width))
        counts = torch.zeros(batch, heads, length, 1).scatter_add(2, rows, torch.ones(rows.shape))
        return sums / counts.clamp(min=1)

    @torch.no_grad()
    def members(self, x: Tensor) -> Tensor:
        """[B, H, k, W], in the order of positions"""
        nearness = self.centroids @ x.mT
        return nearness.topk(min(self.window, x.shape[2]), dim=-1).indices.sort(-1).values


def take(x: Tensor, members: Tensor) -> Tensor:
    """[B, H, T, D] → [B, H, k, W, D]"""
    rows = members.flatten(2)[..., None].expand(-1, -1, -1, x.shape[-1])
    return x.gather(2, rows).view(*members.shape, x.shape[-1])


class Sinkhorn(nn.Module):
    """Keys in blocks sorted by a balanced matrix that a network makes of sums over blocks, and the own block's keys."""

    def __init__(self, width: int, heads: int, length: int, block: int, iterations: int, causal: bool) -> None:
        super().__init__()
        depth = width // heads
        self.first = nn.Parameter(torch.randn(heads, width, depth) * 0.02)
        self.second = nn.Parameter(torch.randn(heads, depth, length // block) * 0.02)
        self.block, self.iterations, self.causal = block, iterations, causal

    def forward(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        batch, heads, length, width = q.shape
        sums = x.cumsum(1)[:, :: self.block] if self.causal else x.view(batch, -1, self.block, x.shape[-1]).sum(2)
        order = self.balanced((sums[:, None] @ self.first).relu() @ self.second / 0.75)
        queries, keys, values = (blocks_of(x, self.block) for x in (q, k, v))
        count = queries.shape[2]

        def with_sorted(own: Tensor) -> Tensor:
            moved = (order @ own.flatten(3)).view(own.shape)
            return torch.cat([moved, own], 3).flatten(1, 2)

        mask = sorted_mask(count, self.block).repeat(heads, 1, 1) if self.causal else None
        out = F.scaled_dot_product_attention(
            queries.flatten(1, 2), with_sorted(keys), with_sorted(values), attn_mask=mask
        )
        return out.reshape(batch, heads, length, width)

    def balanced(self, logits: Tensor) -> Tensor:
        past = upper(logits.shape[-1]).T if self.causal else None
        masked = logits if past is None else logits.masked_fill(~past, -1e9)
        for _ in range(self.iterations):
            masked = masked - masked.logsumexp(-1, keepdim=True)
            masked = masked - masked.logsumexp(-2, keepdim=True)
        return masked.exp() if past is None else masked.exp() * past


@cache
def sorted_mask(count: int, block: int) -> Tensor:
    """bool [N, c, 2c]: no block comes before the first; the own block as far as the query."""
    before = (torch.arange(count) > 0)[:, None, None].expand(-1, block, block)
    return torch.cat([before, (~upper(block)).expand(count, -1, -1)], -1)
