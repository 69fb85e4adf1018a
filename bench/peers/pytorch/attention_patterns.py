"""Softmax attention over patterns, for the attention bench: q, k, v [B, H, T, D] → [B, H, T, D].

Written for speed in eager PyTorch: blocks of positions as further heads of `scaled_dot_product_attention`, whose CPU
kernel keeps no weights, wherever a pattern is blocks that see the same number of keys; one softmax over two sets of
logits where it is a union. Masks are built once for a length and kept.
"""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def full(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=causal)


def blocks_of(x: Tensor, size: int) -> Tensor:
    """[B, H, T, D] → [B, H, N, size, D]"""
    batch, heads, length, width = x.shape
    return x.reshape(batch, heads, length // size, size, width)


def attend_blocks(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """q [B, H, N, c, D], k and v [B, H, N, w, D], mask [N or 1, c, w] → [B, H, N·c, D]"""
    batch, heads, count, size, width = q.shape
    wide = None if mask is None else mask.expand(count, -1, -1).repeat(heads, 1, 1)
    out = F.scaled_dot_product_attention(q.flatten(1, 2), k.flatten(1, 2), v.flatten(1, 2), attn_mask=wide)
    return out.view(batch, heads, count * size, width)


def with_previous(x: Tensor) -> Tensor:
    """Blocks [B, H, N, c, D] with the block before each, zeros before the first: [B, H, N, 2c, D]"""
    return torch.cat([F.pad(x, (0, 0, 0, 0, 1, 0))[:, :, :-1], x], 3)


@cache
def previous_mask(count: int, size: int, before: int) -> Tensor:
    """What a block sees of itself and the block before it: `before` positions back. bool [N, c, 2c]"""
    distance = size + torch.arange(size)[:, None] - torch.arange(2 * size)
    mask = ((distance >= 0) & (distance <= before)).expand(count, -1, -1).clone()
    mask[0, :, :size] = False
    return mask


def window(q: Tensor, k: Tensor, v: Tensor, before: int) -> Tensor:
    """A causal window: blocks of before + 1 positions see themselves and the block before."""
    size = min(before + 1, q.shape[2])
    keys, values = with_previous(blocks_of(k, size)), with_previous(blocks_of(v, size))
    return attend_blocks(blocks_of(q, size), keys, values, previous_mask(q.shape[2] // size, size, before))


def dilated(q: Tensor, k: Tensor, v: Tensor, before: int, dilation: int) -> Tensor:
    """A causal window among the positions of the same residue."""
    batch, heads, length, width = q.shape

    def residues(x: Tensor) -> Tensor:
        return x.view(batch, heads, length // dilation, dilation, width).transpose(2, 3).flatten(1, 2)

    out = window(residues(q), residues(k), residues(v), before)
    return out.view(batch, heads, dilation, length // dilation, width).transpose(2, 3).reshape(q.shape)


def local_1d(q: Tensor, k: Tensor, v: Tensor, block: int) -> Tensor:
    """The query's own block up to itself, and the one before."""
    size = min(block, q.shape[2])
    keys, values = with_previous(blocks_of(k, size)), with_previous(blocks_of(v, size))
    return attend_blocks(blocks_of(q, size), keys, values, previous_mask(q.shape[2] // size, size, 2 * size))


@cache
def strictly_lower(size: int) -> Tensor:
    return torch.ones(size, size, dtype=torch.bool).tril(-1)


def strided(q: Tensor, k: Tensor, v: Tensor, stride: int) -> Tensor:
    """The last `stride` positions, and every stride-th before: two sets of logits under one softmax."""
    scale = q.shape[-1] ** -0.5
    rows, key_rows, value_rows = (blocks_of(x, stride) for x in (q * scale, k, v))  # [B, H, N, l, D]
    count = rows.shape[2]
    near_keys, near_values = with_previous(key_rows), with_previous(value_rows)
    near = (rows @ near_keys.mT).masked_fill(~previous_mask(count, stride, stride - 1), -torch.inf)
    columns, key_columns, value_columns = (x.transpose(2, 3) for x in (rows, key_rows, value_rows))  # [B, H, l, N, D]
    far = (columns @ key_columns.mT).masked_fill(~strictly_lower(count), -torch.inf)
    weights = torch.cat([near, far.transpose(2, 3)], -1).softmax(-1)
    near_weights, far_weights = weights.split([2 * stride, count], -1)
    out = near_weights @ near_values + (far_weights.transpose(2, 3) @ value_columns).transpose(2, 3)
    return out.reshape(q.shape)


def fixed(q: Tensor, k: Tensor, v: Tensor, stride: int, summary: int) -> Tensor:
    """The query's own block up to itself, and the last `summary` positions of the blocks before, under one softmax."""
    batch, heads, length, width = q.shape
    scale = width**-0.5
    rows, key_rows, value_rows = (blocks_of(x, stride) for x in (q * scale, k, v))
    count = rows.shape[2]
    own = (rows @ key_rows.mT).masked_fill(strictly_lower(stride).mT, -torch.inf)
    keys = key_rows[:, :, :, -summary:].reshape(batch, heads, -1, width)  # [B, H, N·c, D]
    values = value_rows[:, :, :, -summary:].reshape(batch, heads, -1, width)
    before = strictly_lower(count).repeat_interleave(summary, 1)[:, None]  # [N, 1, N·c]
    far = (rows.flatten(2, 3) @ keys.mT).view(batch, heads, count, stride, -1).masked_fill(~before, -torch.inf)
    own_weights, far_weights = torch.cat([own, far], -1).softmax(-1).split([stride, keys.shape[2]], -1)
    return (own_weights @ value_rows).reshape(q.shape) + far_weights.flatten(2, 3) @ values


def blockwise(q: Tensor, k: Tensor, v: Tensor, blocks: int, shifted: int) -> Tensor:
    """Each block sees one block: its own, or in the last `shifted` heads the next one."""
    size, own = q.shape[2] // blocks, q.shape[1] - shifted

    def seen(x: Tensor) -> Tensor:
        x = blocks_of(x, size)
        return torch.cat([x[:, :own], x[:, own:].roll(-1, 2)], 1)

    return attend_blocks(blocks_of(q, size), seen(k), seen(v), None)


def local_2d(q: Tensor, k: Tensor, v: Tensor, columns: int, block: int, flange: int) -> Tensor:
    """Blocks of pixels in the order of generation see themselves up to each pixel, and `flange` above and aside."""
    batch, heads, length, width = q.shape
    down, across = length // columns // block, columns // block
    high, wide = block + flange, block + 2 * flange

    def memory(x: Tensor) -> Tensor:
        image = x.view(batch, heads, down, across, block, block, width).transpose(3, 4)
        image = image.reshape(batch, heads, down * block, across * block, width)
        image = F.pad(image, (0, 0, flange, flange, flange, 0))
        seen = image.unfold(2, high, block).unfold(3, wide, block)  # [B, H, down, across, D, high, wide]
        return seen.permute(0, 1, 2, 3, 5, 6, 4).reshape(batch, heads, down * across, high * wide, width)

    mask = local_2d_mask(down, across, block, flange)
    return attend_blocks(q.view(batch, heads, -1, block * block, width), memory(k), memory(v), mask)


@cache
def local_2d_mask(down: int, across: int, block: int, flange: int) -> Tensor:
    """bool [blocks, block², (block + flange)·(block + 2·flange)]"""
    row, column = torch.arange(block + flange) - flange, torch.arange(block + 2 * flange) - flange
    query = torch.arange(block * block)[:, None, None]
    query_row, query_column = query // block, query % block
    above, left = (row < 0)[:, None], (column < 0)[None]
    own = (row[:, None] >= 0) & (column[None] >= 0) & (column[None] < block)
    before = (row[:, None] < query_row) | ((row[:, None] == query_row) & (column[None] <= query_column))
    seen = above | left | (own & before)  # [block², high, wide]
    rows_inside = (torch.arange(down)[:, None] * block + row >= 0)[:, None, :, None]
    at = torch.arange(across)[:, None] * block + column
    inside = rows_inside & ((at >= 0) & (at < across * block))[None, :, None, :]  # [down, across, high, wide]
    return (inside.reshape(down * across, 1, -1) & seen.flatten(1)).contiguous()


def axial(q: Tensor, k: Tensor, v: Tensor, columns: int) -> Tensor:
    """Even heads see their row of the grid, odd heads their column."""
    batch, heads, length, width = q.shape

    def grid(x: Tensor, first: int) -> Tensor:
        return x[:, first::2].view(batch, heads // 2, length // columns, columns, width)

    rows = attend_blocks(grid(q, 0), grid(k, 0), grid(v, 0), None).view(batch, heads // 2, length, width)
    turned = attend_blocks(*(grid(x, 1).transpose(2, 3) for x in (q, k, v)), None)
    down = turned.view(batch, heads // 2, columns, length // columns, width).transpose(2, 3).reshape(rows.shape)
    return torch.stack([rows, down], 2).flatten(1, 2)


class Etc(nn.Module):
    """Global positions in front see all; blocks of the others see the global ones and three blocks, cut to the radius.

    Logits get `(q·P[id] + b[id]) / √D`: labels by distance within a side, one across. Labels of a query are products
    with the few vectors that there are, spread over the keys.
    """

    def __init__(self, width: int, heads: int, global_count: int, radius: int, furthest: int) -> None:
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(heads, 2 * furthest + 4, width) * 0.02)
        self.biases = nn.Parameter(torch.zeros(heads, 2 * furthest + 4))
        self.global_count, self.radius, self.furthest = global_count, radius, furthest

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        size, count = self.global_count, q.shape[2]
        scale = q.shape[-1] ** -0.5
        labels = (q @ self.vectors.mT + self.biases[:, None]) * scale  # [B, H, T, ids]
        in_front = spread(labels[:, :, :size], etc_global_labels(size, count, self.furthest))
        to_global = F.scaled_dot_product_attention(q[:, :, :size], k, v, attn_mask=in_front)
        long_q, long_k, long_v, long_labels = (blocks_of(x[:, :, size:], 128) for x in (q, k, v, labels))

        def seen(x: Tensor, own: Tensor) -> Tensor:
            padded = F.pad(own, (0, 0, 0, 0, 1, 1))
            front = x[:, :, None, :size].expand(-1, -1, own.shape[2], -1, -1)
            return torch.cat([front, padded[:, :, :-2], own, padded[:, :, 2:]], 3)

        added = spread(long_labels, etc_long_labels(128, size, self.furthest))  # [B, H, N, c, g + 3c]
        added = added.masked_fill(~etc_mask(long_q.shape[2], 128, size, self.radius), -torch.inf)
        out = F.scaled_dot_product_attention(
            long_q.flatten(1, 2), seen(k, long_k).flatten(1, 2), seen(v, long_v).flatten(1, 2), added.flatten(1, 2)
        )
        return torch.cat([to_global, out.view(*q.shape[:2], -1, q.shape[-1])], 2)


def spread(labels: Tensor, ids: Tensor) -> Tensor:
    """What each query adds for each key: labels [..., c, ids], ids [c, w] → [..., c, w]"""
    return labels.gather(-1, ids.expand(*labels.shape[:-2], -1, -1))


def label(distance: Tensor, furthest: int) -> Tensor:
    near = distance.clamp(-furthest, furthest)
    return torch.where(near < 0, furthest - near, near)


@cache
def etc_global_labels(size: int, count: int, furthest: int) -> Tensor:
    within = label(torch.arange(size) - torch.arange(size)[:, None], furthest)
    return torch.cat([within, torch.full((size, count - size), 2 * furthest + 1)], 1)


@cache
def etc_long_labels(block: int, size: int, furthest: int) -> Tensor:
    within = label(torch.arange(3 * block) - block - torch.arange(block)[:, None], furthest)
    return torch.cat([torch.full((block, size), 2 * furthest + 1), within], 1)


@cache
def etc_mask(count: int, size: int, global_count: int, radius: int) -> Tensor:
    """bool [N, c, g + 3c]"""
    key = torch.arange(3 * size) - size
    near = (torch.arange(size)[:, None] - key).abs() <= radius
    at = torch.arange(count)[:, None, None] * size + key
    inside = (at >= 0) & (at < count * size)
    return F.pad(near & inside, (global_count, 0), value=True)
