import type { Tensor } from "@tsformers/engine";
import * as t from "@tsformers/engine";
import { present } from "../../schema/present.ts";
import { seen } from "../kernel/kernel-sums.ts";

/** What each position writes into a memory of values by keys, and what it asks of it. */
export type RecurrenceInput = {
  /** [B, H, T, K] */
  readonly q: Tensor;
  /** [B, H, T, K] */
  readonly k: Tensor;
  /** [B, H, T, D] */
  readonly v: Tensor;
  /** log α, at most 0: α is what is left of the memory when a position comes, of all of it [B, H, T] or of each key feature [B, H, T, K]. Default: 0. */
  readonly logDecay?: Tensor;
  /** β, the share of its error that a position corrects, [B, H, T]. Absent: a position adds its value as it is. */
  readonly beta?: Tensor;
};

export type RecurrenceOptions = {
  /** The memory before the first position, [B, H, K, D]. Default: zeros. */
  readonly state?: Tensor;
  /** W, positions that are computed at once, rounded up to a power of two. Default: 32. */
  readonly chunk?: number;
};

/** What was mixed, [B, H, T, D], and the memory after the last position, [B, H, K, D]. */
export type Recurred = { readonly mixed: Tensor; readonly state: Tensor };

/**
 * `y_t = q_t·S_t`, `S_t = diag(α_t)·S_{t−1} + k_t ⊗ u_t`, where `u_t = v_t`, or with β `u_t = β_t (v_t − k_t·diag(α_t)·S_{t−1})`.
 *
 * W positions at once: with γ_t the decay from the beginning of a chunk to t, and `P(x)_ts = Σ_d x_td k_sd γ_td/γ_sd` for s ≤ t,
 *
 * - `U = V`, or with β `U = M·(V − (γK)·S)`, `M = (I + A)⁻¹ diag(β)`, where A is what is below the diagonal of `diag(β)·P(K)`;
 * - `Y = (γQ)·S + P(Q)·U`, and `S ← γ_W S + (γ_W/γ K)ᵀ·U`.
 *
 * Quotients of decays are exponentials of what lies between two positions, never above 1, so none overflows. One position is a chunk of one.
 *
 * @cost   O(B·H·T·(W·(K + D) + K·D)) time, with decays of each feature O(B·H·T·K·log W) exponentials; O(B·H·T·(W + K·D/W)) memory
 * @source Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence Length", §3, arXiv:2406.06484; with
 *   decays: Yang et al. 2024, "Gated Delta Networks", §3.3, arXiv:2412.06464; of each feature: Yang et al. 2023, "Gated Linear Attention
 *   Transformers with Hardware-Efficient Training", §4, arXiv:2312.06635
 */
export function linearRecurrence(
  { q, k, v, logDecay, beta }: RecurrenceInput,
  { state, chunk = 32 }: RecurrenceOptions = {},
): Recurred {
  const [batch, heads, length, keyWidth] = q.shape as [number, number, number, number];
  const width = 2 ** Math.ceil(Math.log2(Math.min(chunk, length)));
  const inChunks = (x: Tensor): Tensor => intoChunks(x, width);
  const [queries, keys, values] = [inChunks(q), inChunks(k), inChunks(v)];
  const decays = logDecay && inChunks(logDecay.shape.length === 3 ? t.expandDims(logDecay, -1) : logDecay);
  const correct = beta && corrections(keys, inChunks(t.expandDims(beta, -1)), decays);
  const chunks: Chunks = {
    writing: decayed(keys, decays, untilEnd),
    values: correct === undefined ? values : t.matmul(correct, values),
    ...present({
      erasing: correct && t.matmul(correct, decayed(keys, decays, soFar)),
      left: decays && t.expandDims(t.exp(t.sum(decays, { axes: -2 })), -1),
    }),
  };
  const step = (before: Tensor, { writing, values, erasing, left }: Chunks) => {
    const written = erasing === undefined ? values : t.sub(values, t.matmul(erasing, before));
    const kept = left === undefined ? before : t.mul(before, left);
    return [t.add(kept, t.matmul(writing, written, { transposeA: true })), { before, written }] as const;
  };
  const start = state ?? t.zeros([batch, heads, keyWidth, v.shape[3]!]);
  const [last, { before, written }] = t.scan(step, start, chunks);
  const [far, near] = [decayed(queries, decays, soFar), pairsWithin(queries, keys, decays)];
  const mixed = t.add(t.matmul(far, before), t.matmul(near, written));
  return { mixed: outOfChunks(mixed, length), state: last };
}

/** How much of each value is in each position's result, [B, H, T, T]: what comes out where value s is the s-th unit vector. */
export function recurrenceWeights(input: RecurrenceInput, chunk?: number): Tensor {
  const [batch, heads, length] = input.q.shape as [number, number, number];
  const unit = t.cast(t.equal(t.iota([length, length], 0), t.iota([length, length], 1)), "float32");
  return linearRecurrence({ ...input, v: t.broadcastTo(unit, [batch, heads, length, length]) }, present({ chunk }))
    .mixed;
}

/** Of all chunks, N in front: [N, B, H, W or K, ·]. */
type Chunks = {
  readonly writing: Tensor;
  readonly values: Tensor;
  readonly erasing?: Tensor;
  readonly left?: Tensor;
};

/** Logarithms of decays [..., W, K] up to and with each position, and from behind it to the end of the chunk. */
const soFar = (decays: Tensor): Tensor => t.cumsum(decays, -2);
const untilEnd = (decays: Tensor): Tensor => t.cumsum(decays, -2, { exclusive: true, reverse: true });

function decayed(x: Tensor, decays: Tensor | undefined, span: (decays: Tensor) => Tensor): Tensor {
  return decays === undefined ? x : t.mul(x, t.exp(span(decays)));
}

/** `Σ_d q_td k_sd γ_td/γ_sd` for s ≤ t, 0 for s > t: [..., W, W]. */
function pairsWithin(q: Tensor, k: Tensor, decays?: Tensor): Tensor {
  const width = q.shape.at(-2)!;
  if (decays === undefined || decays.shape.at(-1) === 1) {
    const remaining = seen(width, decays && t.reshape(decays, decays.shape.slice(0, -1)));
    return t.mul(t.matmul(q, k, { transposeB: true }), remaining);
  }
  const flat = [q, k, decays].map((x) => t.reshape(x, [-1, width, x.shape.at(-1)!])) as [Tensor, Tensor, Tensor];
  return t.reshape(pairsByFeature(...flat), [...q.shape.slice(0, -2), width, width]);
}

/** {@link pairsWithin} of [M, W, K], by halves: queries of the second meet keys of the first with the decays on both sides of the middle. */
function pairsByFeature(q: Tensor, k: Tensor, decays: Tensor): Tensor {
  const [count, width, features] = q.shape as [number, number, number];
  if (width === 1) return t.sum(t.mul(q, k), { axes: -1, keepDims: true });
  const halves = [q, k, decays].map((x) => t.reshape(x, [2 * count, width / 2, features])) as [Tensor, Tensor, Tensor];
  const half = (x: Tensor, which: 0 | 1): Tensor =>
    t.reshape(t.slice(t.reshape(x, [count, 2, width / 2, features]), 1, which, which + 1), [
      count,
      width / 2,
      features,
    ]);
  const between = t.matmul(
    decayed(half(q, 1), half(decays, 1), soFar),
    decayed(half(k, 0), half(decays, 0), untilEnd),
    {
      transposeB: true,
    },
  );
  return joined(pairsByFeature(...halves), between);
}

/** `(I + A)⁻¹ diag(β)`, [..., W, W], A being what is below the diagonal of `diag(β)·P(K)`; beta [..., W, 1]. */
function corrections(k: Tensor, beta: Tensor, decays?: Tensor): Tensor {
  const width = k.shape.at(-2)!;
  const below = t.reshape(pairsWithin(t.mul(k, beta), k, decays), [-1, width, width]);
  const inverse = t.reshape(inverseOfUnit(below), [...k.shape.slice(0, -2), width, width]);
  return t.mul(inverse, t.reshape(beta, [...beta.shape.slice(0, -2), 1, width]));
}

/** `(I + A)⁻¹` of what is below the diagonals of A [M, W, W], by halves: with inverses I₁ and I₂ of its corners, `−I₂·A₂₁·I₁` between them. */
function inverseOfUnit(below: Tensor): Tensor {
  const [count, width] = below.shape as [number, number];
  if (width === 1) return t.ones(below.shape);
  const half = width / 2;
  const corner = (row: 0 | 1, column: 0 | 1): Tensor =>
    t.slice(t.slice(below, 1, row * half, (row + 1) * half), 2, column * half, (column + 1) * half);
  const corners = inverseOfUnit(t.reshape(t.stack([corner(0, 0), corner(1, 1)], 1), [2 * count, half, half]));
  const [first, second] = [0, 1].map((which) =>
    t.reshape(t.slice(t.reshape(corners, [count, 2, half, half]), 1, which, which + 1), [count, half, half]),
  ) as [Tensor, Tensor];
  return joined(corners, t.neg(t.matmul(t.matmul(second, corner(1, 0)), first)));
}

/** Blocks on the diagonal [2·M, W, W] and those between each two of them [M, W, W] → [M, 2·W, 2·W], 0 above. */
function joined(corners: Tensor, between: Tensor): Tensor {
  const [count, width] = between.shape as [number, number];
  const two = t.reshape(corners, [count, 2 * width, width]);
  const [first, second] = [t.slice(two, 1, 0, width), t.slice(two, 1, width)];
  const none = [0, 0] as const;
  return t.concat([t.pad(first, [none, none, [0, width]]), t.concat([between, second], 2)], 1);
}

/** [B, H, T, ·] → [N, B, H, W, ·], filled up with zeros, which write nothing and let nothing decay. */
function intoChunks(x: Tensor, width: number): Tensor {
  const [batch, heads, length, features] = x.shape as [number, number, number, number];
  const missing = Math.ceil(length / width) * width - length;
  const none = [0, 0] as const;
  const filled = missing === 0 ? x : t.pad(x, [none, none, [0, missing], none]);
  return t.transpose(t.reshape(filled, [batch, heads, -1, width, features]), [2, 0, 1, 3, 4]);
}

/** The inverse of {@link intoChunks}. */
function outOfChunks(x: Tensor, length: number): Tensor {
  const [, batch, heads, , features] = x.shape as [number, number, number, number, number];
  return t.slice(t.reshape(t.transpose(x, [1, 2, 0, 3, 4]), [batch, heads, -1, features]), 2, 0, length);
}
