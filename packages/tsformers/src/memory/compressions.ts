import {
  add,
  broadcastTo,
  type Concrete,
  cast,
  concat,
  div,
  expandDims,
  max,
  maximum,
  mul,
  pad,
  type RandomKey,
  relu,
  reshape,
  slice,
  sort,
  splitKey,
  sub,
  sum,
  type Tensor,
  takeAlongAxis,
  topK,
  where,
} from "@tsformers/engine";
import { normalInitial } from "../nn/initial.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import type { SegmentState } from "./segment-memory.ts";

/** What leaves the memory: n·c positions, the oldest first. */
export type Evicted = SegmentState & {
  /** How much attention each position got, [B, n·c]; present for a compression that reads it. */
  readonly usage?: Tensor;
};

/** How each c positions that leave the memory become one vector: n·c positions in, n out. Positions that were not seen have no say. */
export type Compression<Params = unknown> = {
  readonly name: string;
  /** Whether it reads `usage`. Default: no. */
  readonly readsUsage?: true;
  /** Its parameters. No gradient of the model's loss reaches them, so they need a loss of their own. Absent: it has none. */
  init?(key: RandomKey): Concrete<Params>;
  /** vectors [B, n·c, C] → [B, n, C] */
  apply(params: Params, old: Evicted): SegmentState;
};

/** Makes a compression of each `rate` (c) positions of `modelWidth` (C) features. */
export type CompressionMaker = (sizes: { readonly modelWidth: number; readonly rate: number }) => Compression;

/** `y_j = mean of x_{cj}, …, x_{cj + c − 1}`. */
export const meanPooling: CompressionMaker = ({ rate }) => ({
  name: "mean pooling",
  apply: (_, old) => {
    const { x, seen, any } = inBlocks(old, rate);
    const count = maximum(sum(seen, { axes: 2 }), 1);
    return { vectors: div(sum(mul(x, seen), { axes: 2 }), count), seen: any };
  },
});

/** `y_j = max of x_{cj}, …, x_{cj + c − 1}`, feature by feature. */
export const maxPooling: CompressionMaker = ({ rate }) => ({
  name: "max pooling",
  apply: (_, old) => {
    const { x, seen, any } = inBlocks(old, rate);
    const largest = max(add(x, mul(sub(1, seen), lowest)), { axes: 2 });
    return { vectors: mul(largest, expandDims(cast(any, x.dtype), -1)), seen: any };
  },
});

/** `y_j = Σ_{i<c} x_{cj + i}·W_i + b`: a convolution whose kernel and stride are the rate. */
export const convolution: CompressionMaker = (sizes) => {
  const strided = stridedConvolution(sizes);
  return {
    name: "convolution",
    init: strided.init,
    apply: (params: LinearParams, old) => strided.apply(params, known(old), old),
  };
};

/** How far apart the three positions are that each of the dilated convolutions looks at. */
const dilations = [1, 2];

/**
 * Convolutions of three positions that are 1, then 2 apart, `x ← x + relu(conv(x))`, before the one whose stride is the rate: each
 * vector is also made of the neighbours of its c positions, those that leave the memory at the same time.
 */
export const dilatedConvolution: CompressionMaker = (sizes) => {
  const { modelWidth } = sizes;
  const strided = stridedConvolution(sizes);
  const wide = dilations.map(() => linear(3 * modelWidth, modelWidth, { initial: fanIn(3 * modelWidth) }));
  return {
    name: "dilated convolutions",
    init: (key) => {
      const [own, ...keys] = splitKey(key, 1 + wide.length);
      return { strided: strided.init(own!), dilated: wide.map((layer, i) => layer.init(keys[i]!)) };
    },
    apply: ({ strided: last, dilated }: { strided: LinearParams; dilated: readonly LinearParams[] }, old) => {
      const x = wide.reduce((x, layer, i) => {
        const near = concat([shifted(x, dilations[i]!), x, shifted(x, -dilations[i]!)], -1);
        return known({ ...old, vectors: add(x, relu(layer.apply(dilated[i]!, near))) });
      }, known(old));
      return strided.apply(last, x, old);
    },
  };
};

/** Of the n·c positions those n that got the most attention, in the order in which they were read. */
export const mostUsed: CompressionMaker = ({ rate }) => ({
  name: "most used",
  readsUsage: true,
  apply: (_, { vectors, seen, usage }) => {
    const [batch, count, width] = vectors.shape as [number, number, number];
    const kept = count / rate;
    const rank = where(cast(seen, "bool"), usage!, -1);
    const indices = sort(topK(rank, kept, 1).indices, 1);
    const rows = broadcastTo(expandDims(indices, -1), [batch, kept, width]);
    return { vectors: takeAlongAxis(vectors, rows, 1), seen: takeAlongAxis(seen, indices, 1) };
  },
});

export type CompressionName = "convolution" | "dilated" | "mean" | "max" | "most-used";

/** All compressions by name. */
export const compressions: Readonly<Record<CompressionName, CompressionMaker>> = {
  convolution,
  dilated: dilatedConvolution,
  mean: meanPooling,
  max: maxPooling,
  "most-used": mostUsed,
};

/** Far below any feature. */
const lowest = -1e30;

/** [B, n·c, C] → [B, n, c, C]; `any` tells which blocks have a position that was seen. */
function inBlocks({ vectors, seen }: Evicted, rate: number): { x: Tensor; seen: Tensor; any: Tensor } {
  const [batch, count, width] = vectors.shape as [number, number, number];
  const blocks = count / rate;
  const flags = reshape(seen, [batch, blocks, rate]);
  return {
    x: reshape(vectors, [batch, blocks, rate, width]),
    seen: expandDims(cast(flags, vectors.dtype), -1),
    any: max(flags, { axes: 2 }),
  };
}

/** The vectors, zeros where nothing was seen. */
function known({ vectors, seen }: Evicted): Tensor {
  return mul(vectors, expandDims(cast(seen, vectors.dtype), -1));
}

/** x [B, n·c, C] moved by so many positions, zeros moving in. */
function shifted(x: Tensor, by: number): Tensor {
  const length = x.shape[1]!;
  const away = Math.min(Math.abs(by), length);
  const room: [number, number] = by > 0 ? [away, 0] : [0, away];
  const rest = by > 0 ? slice(x, 1, 0, length - away) : slice(x, 1, away);
  return pad(rest, [[0, 0], room, [0, 0]]);
}

function stridedConvolution({ modelWidth, rate }: { readonly modelWidth: number; readonly rate: number }) {
  const layer = linear(rate * modelWidth, modelWidth, { initial: fanIn(rate * modelWidth) });
  return {
    init: layer.init,
    apply: (params: LinearParams, x: Tensor, old: Evicted): SegmentState => {
      const [batch, count] = x.shape as [number, number];
      const blocks = reshape(x, [batch, count / rate, rate * modelWidth]);
      return { vectors: layer.apply(params, blocks), seen: inBlocks(old, rate).any };
    },
  };
}

/** Outputs begin as large as inputs. */
function fanIn(width: number) {
  return normalInitial(width ** -0.5);
}
