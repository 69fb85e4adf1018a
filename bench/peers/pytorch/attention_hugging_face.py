"""Hugging Face's own layers, for the attention bench: x [B, T, C] → [B, T, C], with an output projection behind."""

import torch
from torch import Tensor, nn
from transformers import BigBirdConfig, LongformerConfig, ReformerConfig
from transformers.models.big_bird.modeling_big_bird import BigBirdBlockSparseAttention, BigBirdModel
from transformers.models.longformer.modeling_longformer import LongformerSelfAttention
from transformers.models.reformer.modeling_reformer import LSHSelfAttention


class Longformer(nn.Module):
    def __init__(self, width: int, heads: int, length: int, window: int, globals: list[int]) -> None:
        super().__init__()
        config = LongformerConfig(
            hidden_size=width, num_attention_heads=heads, attention_window=[window], attention_probs_dropout_prob=0.0
        )
        self.attention = LongformerSelfAttention(config, layer_id=0)
        self.out = nn.Linear(width, width)
        mask = torch.zeros(1, length)
        mask[:, globals] = 10_000.0
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        mixed = self.attention(
            x,
            attention_mask=self.mask,
            is_index_masked=self.mask < 0,
            is_index_global_attn=self.mask > 0,
            is_global_attn=True,
        )[0]
        return self.out(mixed)


class BigBird(nn.Module):
    def __init__(self, width: int, heads: int, length: int, block: int, random: int) -> None:
        super().__init__()
        config = BigBirdConfig(
            hidden_size=width,
            num_attention_heads=heads,
            block_size=block,
            num_random_blocks=random,
            max_position_embeddings=max(4096, length),
            attention_probs_dropout_prob=0.0,
        )
        self.attention = BigBirdBlockSparseAttention(config, seed=0)
        self.out = nn.Linear(width, width)
        self.masks = BigBirdModel.create_masks_for_block_sparse_attn(torch.ones(1, length), block)

    def forward(self, x: Tensor) -> Tensor:
        blocked, band, from_mask, to_mask = self.masks
        mixed = self.attention(
            x,
            band_mask=band,
            from_mask=from_mask,
            to_mask=to_mask,
            from_blocked_mask=blocked,
            to_blocked_mask=blocked,
        )[0]
        return self.out(mixed)


class Reformer(nn.Module):
    def __init__(self, width: int, heads: int, length: int, causal: bool, rounds: int, chunk: int) -> None:
        super().__init__()
        config = ReformerConfig(
            hidden_size=width,
            num_attention_heads=heads,
            attention_head_size=width // heads,
            lsh_attn_chunk_length=chunk,
            num_hashes=rounds,
            num_buckets=None,  # about two for each chunk
            is_decoder=causal,
            max_position_embeddings=length,
            lsh_attention_probs_dropout_prob=0.0,
            attn_layers=["lsh"],
        )
        self.attention = LSHSelfAttention(config)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.attention(x).hidden_states)
