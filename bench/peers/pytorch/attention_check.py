"""What the peers compute in blocks is what the definition, masked, gives; and chunks of kernels are sums over all.

Run by `python attention.py check`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

import attention_kernels as kernels
import attention_patterns as patterns


def masked(q: Tensor, k: Tensor, v: Tensor, sees: Callable[[int, int, int], bool]) -> Tensor:
    """Dense attention: head h, query i sees key j where `sees(h, i, j)`."""
    heads, length = q.shape[1], q.shape[2]
    mask = torch.tensor([[[sees(h, i, j) for j in range(length)] for i in range(length)] for h in range(heads)])
    logits = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~mask, -torch.inf)
    return logits.softmax(-1) @ v


def labelled(q: Tensor, k: Tensor, v: Tensor, etc: patterns.Etc) -> Tensor:
    """ETC by its definition: ids of pairs looked up one by one."""
    side, length = etc.global_count, q.shape[2]
    query, key = torch.arange(length)[:, None], torch.arange(length)
    distance = (key - query).clamp(-etc.furthest, etc.furthest)
    ids = torch.where(distance < 0, etc.furthest - distance, distance)
    ids[(query < side) != (key < side)] = 2 * etc.furthest + 1
    visible = (query < side) | (key < side) | ((key - query).abs() <= etc.radius)
    added = torch.einsum("bhid,hijd->bhij", q, etc.vectors[:, ids]) + etc.biases[:, ids]
    logits = ((q @ k.mT + added) * q.shape[-1] ** -0.5).masked_fill(~visible, -torch.inf)
    return logits.softmax(-1) @ v


def generated_raster(length: int, columns: int, block: int) -> list[tuple[int, int]]:
    rows = length // columns
    return [
        (top + i, left + j)
        for top in range(0, rows, block)
        for left in range(0, columns, block)
        for i in range(block)
        for j in range(block)
    ]


def check() -> None:
    torch.manual_seed(0)
    pixels = generated_raster(512, 32, 4)

    def sees_pixel(_: int, i: int, j: int) -> bool:
        (row, column), (key_row, key_column) = pixels[i], pixels[j]
        top, left = row - row % 4, column - column % 4
        if not (top - 2 <= key_row < top + 4 and left - 2 <= key_column < left + 6):
            return False
        if key_row < top or key_column < left:
            return True
        return key_column < left + 4 and j <= i

    cases: list[tuple[str, Callable[..., Tensor], Callable[[int, int, int], bool]]] = [
        ("window", lambda q, k, v: patterns.window(q, k, v, 31), lambda _, i, j: 0 <= i - j <= 31),
        (
            "dilated",
            lambda q, k, v: patterns.dilated(q, k, v, 15, 2),
            lambda _, i, j: 0 <= i - j <= 30 and (i - j) % 2 == 0,
        ),
        ("local_1d", lambda q, k, v: patterns.local_1d(q, k, v, 64), lambda _, i, j: j <= i and j // 64 >= i // 64 - 1),
        (
            "strided",
            lambda q, k, v: patterns.strided(q, k, v, 16),
            lambda _, i, j: j <= i and (i - j < 16 or (i - j) % 16 == 0),
        ),
        (
            "fixed",
            lambda q, k, v: patterns.fixed(q, k, v, 16, 4),
            lambda _, i, j: j <= i and (i // 16 == j // 16 or j % 16 >= 12),
        ),
        (
            "blockwise",
            lambda q, k, v: patterns.blockwise(q, k, v, 4, 1),
            lambda h, i, j: j // 128 == (i // 128 + (h == 3)) % 4,
        ),
        ("local_2d", lambda q, k, v: patterns.local_2d(q, k, v, 32, 4, 2), sees_pixel),
        (
            "axial",
            lambda q, k, v: patterns.axial(q, k, v, 32),
            lambda h, i, j: i // 32 == j // 32 if h % 2 == 0 else i % 32 == j % 32,
        ),
    ]
    q, k, v = (torch.randn(1, 4, 512, 8, dtype=torch.float64) for _ in range(3))
    for name, fast, sees in cases:
        report(name, fast(q, k, v), masked(q, k, v, sees))
    etc = patterns.Etc(8, 4, 128, 84, 5).double()
    nn.init.normal_(etc.biases)
    report("etc", etc(q, k, v), labelled(q, k, v, etc))
    positive = [x.abs() for x in (q, k)]
    weights = (positive[0] @ positive[1].mT).tril()
    report("causal kernel", kernels.mix(*positive, v, True, 0.0), weights @ v / weights.sum(-1, keepdim=True))
    logits = torch.randn(1, 4, 512, dtype=torch.float64)
    with_ones = nn.functional.pad(v, (0, 1), value=1.0)
    report("gated kernel", kernels.gated(*positive, with_ones, logits), step(*positive, v, logits))


def step(q: Tensor, k: Tensor, v: Tensor, logits: Tensor) -> Tensor:
    values, sums, rows = torch.zeros(1, 4, 8, 8, dtype=v.dtype), torch.zeros(1, 4, 8, dtype=v.dtype), []
    for t in range(q.shape[2]):
        keep = torch.sigmoid(logits[:, :, t])
        values = keep[..., None, None] * values + (1 - keep)[..., None, None] * k[:, :, t, :, None] * v[:, :, t, None]
        sums = keep[..., None] * sums + (1 - keep)[..., None] * k[:, :, t]
        rows.append((q[:, :, t, None] @ values)[:, :, 0] / ((q[:, :, t] * sums).sum(-1, keepdim=True) + 1e-6))
    return torch.stack(rows, 2)


def report(name: str, found: Tensor, expected: Tensor) -> None:
    error = (found - expected).abs().max().item()
    print(f"{name:<16}{error:.1e}")
    if not error < 1e-9:
        raise SystemExit(f"{name}: differs from its definition by {error}")
