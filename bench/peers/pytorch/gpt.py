"""A GPT-2 style model in eager PyTorch: the peer that the training-step and decoding benches compare with.

Pre-norm blocks, learned positions, tanh-GELU with a hidden width of 4C, biases everywhere, output head tied to the
token embedding. Shapes use the project's legend: B batch, T positions, S cached positions, H heads, D head width,
C model width, V vocabulary, N layers.
"""

import json
import sys
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Workload:
    """What the harness asks for; the field names are those of the JSON it passes as the first argument."""

    width: int
    layers: int
    heads: int
    batch: int
    length: int
    vocabulary: int
    steps: int
    warmup: int
    threads: int


def read_workload() -> Workload:
    asked = json.loads(sys.argv[1])
    return Workload(**{name: asked[name] for name in Workload.__dataclass_fields__})


def memory_bytes(field: str) -> int:
    """`VmRSS` (resident now) or `VmHWM` (most ever resident) of this process, in bytes."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no line {field}")


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def split(self, x: Tensor) -> list[Tensor]:
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        return [part.transpose(1, 2) for part in qkv.unbind(2)]  # three times [B, H, T, D]

    def merge(self, mixed: Tensor) -> Tensor:
        return self.output(mixed.transpose(1, 2).flatten(2))  # [B, H, T, D] → [B, T, C]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.split(x)
        return self.merge(F.scaled_dot_product_attention(q, k, v, is_causal=True))

    def decode(self, x: Tensor, cache: tuple[Tensor, Tensor], position: int) -> Tensor:
        """One new position; `cache` holds keys and values [B, H, S, D] and is written in place."""
        q, k, v = self.split(x)
        keys, values = cache
        keys[:, :, position : position + 1] = k
        values[:, :, position : position + 1] = v
        seen = position + 1
        return self.merge(F.scaled_dot_product_attention(q, keys[:, :, :seen], values[:, :, :seen]))


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.ffn_norm = nn.LayerNorm(width)
        self.ffn = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.ffn(self.ffn_norm(x))

    def decode(self, x: Tensor, cache: tuple[Tensor, Tensor], position: int) -> Tensor:
        x = x + self.attention.decode(self.attention_norm(x), cache, position)
        return x + self.ffn(self.ffn_norm(x))


class Gpt(nn.Module):
    def __init__(self, workload: Workload) -> None:
        super().__init__()
        self.heads = workload.heads
        self.token = nn.Embedding(workload.vocabulary, workload.width)
        self.position = nn.Embedding(workload.length, workload.width)
        self.blocks = nn.ModuleList(Block(workload.width, workload.heads) for _ in range(workload.layers))
        self.final_norm = nn.LayerNorm(workload.width)
        self.apply(initialise)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy of `targets` [B, T] given `tokens` [B, T]."""
        positions = torch.arange(tokens.shape[1])
        x = self.token(tokens) + self.position(positions)  # [B, T, C]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.final_norm(x), self.token.weight)  # [B, T, V]
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def new_cache(self, batch: int) -> list[tuple[Tensor, Tensor]]:
        length, width = self.position.weight.shape
        shape = (batch, self.heads, length, width // self.heads)
        return [(torch.zeros(shape), torch.zeros(shape)) for _ in self.blocks]

    def decode(self, token: Tensor, cache: list[tuple[Tensor, Tensor]], position: int) -> Tensor:
        """Logits [B, V] after one more token [B, 1] at `position`."""
        x = self.token(token) + self.position.weight[position]
        for block, kept in zip(self.blocks, cache):
            x = block.decode(x, kept, position)
        return F.linear(self.final_norm(x[:, -1]), self.token.weight)


def initialise(module: nn.Module) -> None:
    if isinstance(module, (nn.Linear, nn.Embedding)):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)


def synthetic_tokens(workload: Workload) -> Tensor:
    """The batch every side trains on, [B, T+1]: `(7b + 3t + t² mod 11) mod V`, easy to learn and the same anywhere."""
    b = torch.arange(workload.batch).unsqueeze(1)
    t = torch.arange(workload.length + 1).unsqueeze(0)
    return (7 * b + 3 * t + t * t % 11) % workload.vocabulary
