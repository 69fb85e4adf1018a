import {
  abs,
  add,
  cast,
  concat,
  customGradient,
  div,
  exp,
  expandDims,
  log,
  matmul,
  minimum,
  mul,
  neg,
  ones,
  reshape,
  sigmoid,
  slice,
  sub,
  type Tensor,
} from "@tsformers/engine";
import { present } from "../../schema/present.ts";
import type { Denominator } from "./denominator.ts";
import { relativeHeights } from "./heights.ts";
import { chunkedSums, parallelSums, seen, stepSums, wholeSums } from "./kernel-sums.ts";

/** Features of queries and keys. */
export type Features = {
  /** [B, H, T, M] */
  readonly query: Tensor;
  /** [B, H, S, M] */
  readonly key: Tensor;
  /** Heights of the keys, [B, H, S, 1]: what is meant are the features times e^height. Default: 0. */
  readonly height?: Tensor;
  /** Rotated features, used for the weighted sum of values but not for the normaliser. */
  readonly turned?: { readonly query: Tensor; readonly key: Tensor };
};

export type KernelOptions = {
  /** Whether a query sees only keys up to its own position. */
  readonly causal: boolean;
  readonly denominator: Denominator;
  /** 1 for real keys, 0 for padding, [B, S]. */
  readonly keyMask?: Tensor;
  /**
   * Causal only, [B, H, T]: step t multiplies the sums so far by σ(gateLogits), and adds its own key and value with the factor
   * 1 − σ(gateLogits).
   */
  readonly gateLogits?: Tensor;
  /** Positions in a chunk of the causal form. Default: see {@link chunkedSums}. */
  readonly chunk?: number;
  /** Compute all pairs at once, as in the definition. */
  readonly parallel?: true;
};

/** The outputs [B, H, T, D], and the normaliser before it is passed to the denominator, [B, H, T, 1]. */
export type KernelMixed = { readonly mixed: Tensor; readonly weights: Tensor };

/**
 * Kernel attention, whose weights are products of features: `y_t = Σ_s (φ(q_t)·φ(k_s)) v_s / Σ_s φ(q_t)·φ(k_s)`.
 *
 * Keys are measured by the highest one that is seen: with `h*_t = max_{s≤t} h_s` the sums decay by `exp(h*_{t−1} − h*_t)`, and a
 * key comes with the factor `exp(h_t − h*_t)`. The factor `exp(h*_t)` that is missing cancels. The normaliser is that of the
 * measured keys.
 *
 * Computed in float32 whatever the model's dtype, since sums run over whole sequences.
 *
 * @shape  v [B, H, S, D] → mixed [B, H, T, D]
 * @cost   O(B·H·(T + S)·M·D) time; causal: see {@link chunkedSums}
 * @source Katharopoulos et al. 2020, "Transformers are RNNs", §3.2, arXiv:2006.16236; gate: Peng et al. 2021, "Random Feature
 *   Attention", §3.2, arXiv:2103.02143
 */
export function kernelAttention(features: Features, v: Tensor, options: KernelOptions): KernelMixed {
  const width = v.shape.at(-1)!;
  const values = cast(v, "float32");
  const { query, key, turned, logDecay } = measured(features, options);
  const sums = (q: Tensor, k: Tensor, v: Tensor): Tensor => {
    if (!options.causal) return wholeSums(q, k, v);
    return options.parallel ? parallelSums(q, k, v, logDecay) : chunkedSums(q, k, v, logDecay, options.chunk);
  };
  const one = ones([...v.shape.slice(0, -1), 1]);
  if (turned !== undefined) {
    return divided(sums(turned.query, turned.key, values), sums(query, key, one), options.denominator, v);
  }
  const both = sums(query, key, concat([values, one], -1));
  return divided(slice(both, -1, 0, width), slice(both, -1, width), options.denominator, v);
}

/** Decode state: running sums of `φ(k) ⊗ v` [B, H, M, D] and of `φ(k)` [B, H, M, 1], and where keys have heights the highest [B, H, 1, 1]. */
export type KernelState = { values: Tensor; weights: Tensor; height?: Tensor };

/**
 * One step of causal {@link kernelAttention}.
 *
 * @shape  v [B, H, 1, D], keyMask [B, 1], gateLogits [B, H, 1] → mixed [B, H, 1, D]
 * @cost   O(B·H·M·D) time and memory, independent of the position
 */
export function kernelStep(
  state: KernelState,
  features: Features,
  v: Tensor,
  options: Omit<KernelOptions, "causal" | "chunk" | "parallel">,
): KernelMixed & { readonly state: KernelState } {
  const { query, key, turned, logDecay, highest } = measured(features, { ...options, causal: true }, state.height);
  const values = stepSums(state.values, turned?.query ?? query, turned?.key ?? key, cast(v, "float32"), logDecay);
  const weights = stepSums(state.weights, query, key, ones([...v.shape.slice(0, -1), 1]), logDecay);
  const next = { values: values.state, weights: weights.state, ...present({ height: highest }) };
  return { ...divided(values.sums, weights.sums, options.denominator, v), state: next };
}

/** The full matrix of weights [B, H, T, S], which {@link kernelAttention} itself never computes. */
export function kernelWeights(features: Features, options: KernelOptions): Tensor {
  const { query, key, turned, logDecay } = measured(features, options);
  const products = (q: Tensor, k: Tensor): Tensor => {
    const all = matmul(q, k, { transposeB: true });
    return options.causal ? mul(all, seen(q.shape.at(-2)!, logDecay)) : all;
  };
  const plain = products(query, key);
  const total = options.denominator(matmul(plain, ones([key.shape.at(-2)!, 1])));
  return div(turned === undefined ? plain : products(turned.query, turned.key), total);
}

function divided(sums: Tensor, weights: Tensor, denominator: Denominator, { dtype }: Tensor): KernelMixed {
  return { mixed: cast(mul(sums, reciprocal(denominator(weights))), dtype), weights };
}

/** `1 / x`. A product with it takes fewer passes than a quotient; its gradient `−(dy/x)/x` never divides by x², which may be 0 in float32. */
function reciprocal(x: Tensor): Tensor {
  const [y] = customGradient({
    forward: (x) => [div(1, x!)],
    backward: ({ outputs: [y], cotangents: [dy] }) => [neg(mul(mul(dy!, y!), y!))],
  })(x);
  return y!;
}

type Measured = Omit<Features, "height"> & {
  /** By which each position multiplies the sums before it, [B, H, T]. */
  readonly logDecay?: Tensor;
  /** The highest key so far, at the last position, [B, H, 1, 1]. */
  readonly highest?: Tensor;
};

/** Applies mask, gate and heights to the keys: masked keys become 0, gated ones are scaled by 1 − g. Padding leaves sums as they are. */
function measured(
  { query, key, height, turned }: Features,
  { causal, keyMask, gateLogits }: Pick<KernelOptions, "causal" | "keyMask" | "gateLogits">,
  before?: Tensor,
): Measured {
  const mask = keyMask === undefined ? undefined : reshape(cast(keyMask, "float32"), [keyMask.shape[0]!, 1, -1, 1]);
  const share = gateLogits === undefined ? undefined : expandDims(sigmoid(neg(gateLogits)), -1);
  const heights = height && relativeHeights(height, { causal, ...present({ mask, before }) });
  const factor = product(mask, share, heights?.factor);
  const scaled = (k: Tensor): Tensor => (factor === undefined ? k : mul(k, factor));
  const forgetting = gateLogits && expandDims(logSigmoid(gateLogits), -1);
  const decays = sumOf(forgetting && product(forgetting, mask), heights?.logDecay);
  return {
    query,
    key: scaled(key),
    ...(turned !== undefined && { turned: { query: turned.query, key: scaled(turned.key) } }),
    ...(decays !== undefined && { logDecay: reshape(decays, decays.shape.slice(0, -1)) }),
    ...present({ highest: heights?.highest }),
  };
}

const product = (...factors: readonly (Tensor | undefined)[]): Tensor | undefined => combined(mul, factors);
const sumOf = (...terms: readonly (Tensor | undefined)[]): Tensor | undefined => combined(add, terms);

function combined(by: typeof mul, parts: readonly (Tensor | undefined)[]): Tensor | undefined {
  const there = parts.filter((part) => part !== undefined);
  return there.length === 0 ? undefined : there.reduce((all, part) => by(all, part));
}

/** `log σ(x) = min(x, 0) − log(1 + e^−|x|)`: finite for every x. */
export function logSigmoid(x: Tensor): Tensor {
  return sub(minimum(x, 0), log(add(exp(neg(abs(x))), 1)));
}
