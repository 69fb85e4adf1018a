import {
  add,
  cast,
  concat,
  constant,
  cumsum,
  div,
  einsum,
  equal,
  expandDims,
  fromNumbers,
  greater,
  less,
  matmul,
  maximum,
  mean,
  mul,
  oneHot,
  relu,
  reshape,
  slice,
  softmax,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import type { CompressiveTransformerOptions } from "../../src/models/decoders/compressive-transformer.ts";
import { layerNorm } from "../../src/nn/norm.ts";

export const V = 11;
export const C = 12;
export const H = 3;
export const D = 5;
export const layers = 2;
export const batch = 2;

type Matrix = { weight: Tensor; bias: Tensor };

export type Tree = {
  tokens: { weight: Tensor };
  scores: { biases: { content: Tensor; distance: Tensor }[]; distances: Tensor[] };
  blocks: {
    mixer: {
      attention: Record<"query" | "key" | "value" | "out", { weight: Tensor }>;
      compression?: Matrix & { strided: Matrix; dilated: Matrix[] };
      loss?: Matrix;
    };
    mixerNorm: Matrix;
    ffn: Record<"in" | "out", Matrix>;
    ffnNorm: Matrix;
  }[];
  head: { bias: Tensor };
};

/** The compression and its loss by name; `none` for compressions that learn nothing. */
export type Kind = {
  readonly compression: "convolution" | "dilated" | "mean" | "max" | "most-used";
  readonly loss: "attention-reconstruction" | "auto-encoding" | "none";
};

/** Vectors of positions one behind the other, each [B, 1, C]. */
type Row = readonly Tensor[];

export type PlainRead = {
  readonly logits: Tensor;
  readonly losses: Tensor;
  readonly memories: { mem: Row; cm: Row }[];
};

/** The definition with memories that are lists: they begin empty, and hold no more than was read. */
export function plain(
  options: CompressiveTransformerOptions,
  { compression, loss }: Kind,
  params: Tree,
  tokens: Tensor,
  segments: readonly number[],
): PlainRead {
  const { memoryLength, compressedLength, compressionRate: c } = options;
  const norm = layerNorm({ epsilon: 1e-5 })(C);
  const memories = params.blocks.map(() => ({ mem: [] as Row, cm: [] as Row }));
  const logits: Tensor[] = [];
  const losses: Tensor[] = [constant(fromNumbers([0], []))];
  let start = 0;
  for (const T of segments) {
    let x = mul(oneTable(slice(tokens, 1, start, start + T), params.tokens.weight), Math.sqrt(C));
    start += T;
    params.blocks.forEach(({ mixer, mixerNorm, ffn, ffnNorm }, layer) => {
      const { attention } = mixer;
      const { mem, cm } = memories[layer]!;
      const past = cm.length + mem.length;
      const seen = concat([...cm, ...mem, x], 1);
      const weights = softmax(logitsOf(params, layer, x, seen, past));
      const mixed = joinHeads(matmul(weights, heads(seen, attention.value.weight)));
      const all = [...mem, ...positionsOf(stopGradient(x))];
      const leaving = all.slice(0, Math.max(all.length - memoryLength, 0));
      const use = slice(mean(weights, { axes: [1, 2] }), 1, cm.length, cm.length + leaving.length);
      const made = leaving.length === 0 ? [] : compress(compression, mixer.compression, leaving, { c, T, use });
      if (leaving.length > 0) losses.push(lossOf(loss, { mixer, x, leaving, made, c, T }));
      memories[layer] = {
        mem: all.slice(leaving.length),
        cm: [...cm, ...made].slice(-compressedLength).map(stopGradient),
      };
      const normed = norm.apply(mixerNorm, add(x, matmul(mixed, attention.out.weight)));
      x = norm.apply(ffnNorm, add(normed, linear(ffn.out, relu(linear(ffn.in, normed)))));
    });
    logits.push(add(einsum("btc,vc->btv", x, params.tokens.weight), params.head.bias));
  }
  return { logits: concat(logits, 1), losses: losses.reduce((a, b) => add(a, b)), memories };
}

const oneTable = (tokens: Tensor, table: Tensor) => einsum("btv,vc->btc", oneHot(tokens, V), table);
const linear = ({ weight, bias }: Matrix, x: Tensor) => add(matmul(x, weight), bias);
const heads = (x: Tensor, weight: Tensor) =>
  transpose(reshape(matmul(x, weight), [batch, x.shape[1]!, H, D]), [0, 2, 1, 3]);
const joinHeads = (x: Tensor) => reshape(transpose(x, [0, 2, 1, 3]), [batch, x.shape[2]!, H * D]);
const positionsOf = (x: Tensor) => Array.from({ length: x.shape[1]! }, (_, t) => slice(x, 1, t, t + 1));

/** By content and by distance in `[cm, mem, x]`, hidden where a key comes after the query. */
function logitsOf({ blocks, scores }: Tree, layer: number, x: Tensor, seen: Tensor, past: number): Tensor {
  const [T, S] = [x.shape[1]!, seen.shape[1]!];
  const pairs = Array.from({ length: T * S }, (_, i) => past + Math.floor(i / S) - (i % S));
  const waves = pairs.flatMap((distance) => {
    const angles = Array.from({ length: C / 2 }, (_, i) => Math.max(distance, 0) * 10_000 ** ((-2 * i) / C));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  });
  const { attention } = blocks[layer]!.mixer;
  const { content, distance } = scores.biases[0]!;
  const q = heads(x, attention.query.weight);
  const withBias = (bias: Tensor) => add(q, reshape(bias, [1, H, 1, D]));
  const known = einsum("bhtd,bhsd->bhts", withBias(content), heads(seen, attention.key.weight));
  const keys = einsum("tsc,hcd->htsd", constant(fromNumbers(waves, [T, S, C])), scores.distances[layer]!);
  const placed = einsum("bhtd,htsd->bhts", withBias(distance), keys);
  const hidden = constant(
    fromNumbers(
      pairs.map((distance) => (distance < 0 ? -1e30 : 0)),
      [T, S],
    ),
  );
  return add(mul(add(known, placed), 1 / Math.sqrt(D)), hidden);
}

/** Each c positions, counted from the newest, so that the first block may have fewer. */
function blocksOf(row: Row, c: number): Row[] {
  const first = row.length % c;
  const cuts = [
    ...(first === 0 ? [] : [0]),
    ...Array.from({ length: Math.floor(row.length / c) }, (_, i) => first + c * i),
  ];
  return cuts.map((from, i) => row.slice(from, cuts[i + 1]));
}

function compress(
  kind: Kind["compression"],
  params: Tree["blocks"][number]["mixer"]["compression"],
  leaving: Row,
  { c, T, use }: { c: number; T: number; use: Tensor },
): Row {
  const convolved = (row: Row, { weight, bias }: Matrix) =>
    blocksOf(row, c).map((block) =>
      block
        .map((x, i) => matmul(x, slice(weight, 0, (c - block.length + i) * C, (c - block.length + i + 1) * C)))
        .reduce((a, b) => add(a, b), bias),
    );
  if (kind === "convolution") return convolved(leaving, params!);
  if (kind === "mean")
    return blocksOf(leaving, c).map((block) =>
      div(
        block.reduce((a, b) => add(a, b)),
        block.length,
      ),
    );
  if (kind === "max") return blocksOf(leaving, c).map((block) => block.reduce((a, b) => maximum(a, b)));
  if (kind === "dilated") {
    const nothing = mul(leaving[0]!, 0);
    const wide = params!.dilated.reduce(
      (row: Row, layer, i) =>
        row.map((x, t) => {
          const [before, after] = [row[t - (i + 1)] ?? nothing, row[t + (i + 1)] ?? nothing];
          return add(x, relu(linear(layer, concat([before, x, after], -1))));
        }),
      leaving,
    );
    return convolved(wide, params!.strided);
  }
  // A position is kept if fewer than `count` others were used more; its slot is how many of those before it are kept.
  const count = Math.min(Math.ceil(T / c), leaving.length);
  const more = cast(greater(expandDims(use, 1), expandDims(use, 2)), "float32");
  const kept = cast(less(sum(more, { axes: 2 }), count), "float32");
  const slots = sub(cumsum(kept, 1), 1);
  return Array.from({ length: count }, (_, slot) => {
    const chosen = mul(cast(equal(slots, slot), "float32"), kept);
    return einsum("bs,bsc->bc", chosen, concat(leaving, 1));
  }).map((x) => expandDims(x, 1));
}

function lossOf(
  kind: Kind["loss"],
  at: { mixer: Tree["blocks"][number]["mixer"]; x: Tensor; leaving: Row; made: Row; c: number; T: number },
): Tensor {
  const { mixer, x, leaving, made, c, T } = at;
  const [old, compressed] = [concat(leaving, 1), concat(made, 1)];
  if (kind === "none") return constant(fromNumbers([0], []));
  if (kind === "auto-encoding") {
    const decoded = reshape(linear(mixer.loss!, compressed), [batch, made.length * c, C]);
    const own = slice(decoded, 1, made.length * c - leaving.length);
    return div(sum(square(sub(old, own))), batch * C * c * Math.ceil(T / c));
  }
  const [query, key, value] = (["query", "key", "value"] as const).map((name) =>
    stopGradient(mixer.attention[name].weight),
  ) as [Tensor, Tensor, Tensor];
  const read = (from: Tensor) => {
    const logits = einsum("bhtd,bhsd->bhts", heads(stopGradient(x), query), heads(from, key));
    return matmul(softmax(mul(logits, 1 / Math.sqrt(D))), heads(from, value));
  };
  return mean(square(sub(read(old), read(compressed))));
}
