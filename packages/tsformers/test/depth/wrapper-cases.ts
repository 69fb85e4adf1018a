import { concat, constant, fromNumbers, mul, normal, randomKey, type Tensor } from "@tsformers/engine";
import { headsBeside } from "../../src/attention/core/side-by-side.ts";
import { makeView } from "../../src/attention/core/view.ts";
import type { MixerEntry } from "../../src/attention/index.ts";
import { causal, fullPattern } from "../../src/attention/patterns/pattern.ts";
import { attention } from "../../src/attention/softmax/attention.ts";
import {
  type BlockParts,
  normedResidualBlock,
  parallelBlock,
  postNormBlock,
  preNormBlock,
  sharedNormBlock,
} from "../../src/blocks/block.ts";
import {
  type CrossBlock,
  type CrossBlockParts,
  postNormCrossBlock,
  preNormCrossBlock,
} from "../../src/blocks/cross-block.ts";
import { gatedBlock } from "../../src/blocks/gated-block.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { earlyExit } from "../../src/depth/early-exit.ts";
import { recomputed } from "../../src/depth/recomputed.ts";
import { type ReversibleBlock, reversible, reversibleBlock, sumOfStreams } from "../../src/depth/reversible.ts";
import { shared } from "../../src/depth/shared.ts";
import { blockStack } from "../../src/depth/stack.ts";
import { universal } from "../../src/depth/universal.ts";
import type { Block, Depth, Mixer, Pattern } from "../../src/kinds/index.ts";
import { compressiveMemory } from "../../src/memory/compressive-memory.ts";
import { knnMemory } from "../../src/memory/knn-memory.ts";
import { segmentMemory } from "../../src/memory/segment-memory.ts";
import { geluTanh, mlp } from "../../src/nn/feed-forward.ts";
import { gruGate } from "../../src/nn/gate.ts";
import type { Norm } from "../../src/nn/norm.ts";
import { dynamicSpan } from "../../src/position/dynamic-span.ts";

export const batch = 2;
export const length = 24;
export const modelWidth = 16;
export const heads = 2;
const sizes = { modelWidth, heads, length };

/** Of every layer, what its mixer learns under `mixer`. */
export type DepthParams = { blocks: readonly { mixer: unknown }[] };

/** What wraps a mixer: as parameters start, what the mixer of the first layer gets is x itself, to the last bit. */
export type Wrapper = {
  readonly name: string;
  depth(mixer: Mixer): Depth<DepthParams>;
  /** From x to what goes into the depth. Default: x. */
  readonly enter?: (x: Tensor) => Tensor;
  /** The mixer's name where several are one. */
  readonly part?: string;
  /** Losses that it has itself. */
  readonly losses?: readonly string[];
};

/** A gain that starts at 1, and nothing else. */
const gain: Norm = (width) => ({
  init: () => ({ weight: fromNumbers(new Array<number>(width).fill(1), [width]) }),
  apply: ({ weight }, x) => mul(x, weight),
});
const ffn = mlp({ modelWidth, ffnWidth: 8, activation: geluTanh });
const softmax = attention(sizes);
const remembering = segmentMemory(softmax, { length: 8, modelWidth });

type Parts = BlockParts<unknown, unknown>;
const partsOf = (mixer: Mixer): Parts => ({ modelWidth, norm: gain, mixer, ffn }) as Parts;

function one(name: string, block: (parts: Parts) => Block, more: Partial<Wrapper> = {}): Wrapper {
  return { name, depth: (mixer) => blockStack([block(partsOf(mixer))]) as Depth<never>, ...more };
}

/** Two layers, of which the first gets x. */
function two(name: string, block: (parts: Parts) => Block, depth: (blocks: [Block, Block]) => Depth<never>): Wrapper {
  return {
    name,
    depth: (mixer) => {
      const made = block(partsOf(mixer));
      return depth([made, made]);
    },
  };
}

const source = normal(randomKey(20), [batch, 5, modelWidth]);

/** A cross block whose other sequence is always the same. */
function besideSource(make: (parts: CrossBlockParts<unknown, unknown, unknown>) => CrossBlock) {
  return (parts: Parts): Block => {
    const block = make({ ...parts, cross: softmax } as CrossBlockParts<unknown, unknown, unknown>);
    return {
      ...block,
      apply: (params, input, context) => {
        const entries = block.crossKeysAndValues(params, constant(source), {});
        const view = makeView({ pattern: fullPattern, queries: input.x.shape[1]!, keys: source.shape[1]! });
        return block.apply(params, { ...input, source: { entries, view } }, context);
      },
    };
  };
}

export const preNormed = (mixer: Mixer): Block => preNormBlock(partsOf(mixer)) as Block;

export const wrappers: readonly Wrapper[] = [
  one("pre-norm block", (parts) => preNormBlock(parts) as Block),
  one("post-norm block", (parts) => postNormBlock(parts) as Block),
  one("block with a normed residual", (parts) => normedResidualBlock(parts) as Block),
  one("parallel block", (parts) => parallelBlock(parts) as Block),
  one("parallel block with one norm", (parts) => sharedNormBlock(parts) as Block),
  one("gated block", (parts) => gatedBlock({ ...parts, gate: gruGate({ modelWidth }) }) as Block),
  one(
    "cross block",
    besideSource((parts) => preNormCrossBlock(parts) as CrossBlock),
  ),
  one(
    "post-norm cross block",
    besideSource((parts) => postNormCrossBlock(parts) as CrossBlock),
  ),
  one("recomputed block", (parts) => recomputed(preNormBlock(parts)) as Block),
  one("reversible block as it stands", (parts) => reversibleBlock(parts) as Block, {
    enter: (x) => concat([x, x], -1),
  }),
  two(
    "reversible depth",
    (parts) => reversibleBlock(parts) as Block,
    (blocks) => reversible(blocks as unknown as ReversibleBlock[], { merge: sumOfStreams }) as Depth<never>,
  ),
  two(
    "shared depth",
    (parts) => preNormBlock(parts) as Block,
    (blocks) => shared(blocks) as Depth<never>,
  ),
  two(
    "early exit",
    (parts) => preNormBlock(parts) as Block,
    (blocks) => earlyExit(blocks, { threshold: 0.9 }) as Depth<never>,
  ),
  {
    ...two(
      "universal depth",
      (parts) => preNormBlock(parts) as Block,
      ([block]) => universal(block, { maxSteps: 2, modelWidth, startBias: -1 }) as Depth<never>,
    ),
    losses: ["ponder"],
  },
  one(
    "heads beside each other",
    ({ mixer, ...parts }) => preNormBlock({ ...parts, mixer: headsBeside({ first: mixer, second: mixer }) }) as Block,
    { part: "first" },
  ),
];

export type WrappedMixer = {
  readonly name: string;
  readonly pattern: Pattern;
  /** How many positions decoding sees as one pass does; from there on it sees a memory. Default: all. */
  readonly decodedAlike?: number;
  load(): Promise<Mixer>;
};

/** Sizes that fit short sequences; the others as they come. */
const small: Readonly<Record<string, object>> = {
  performer: { features: 4 },
  rfa: { features: 8, pool: 3 },
  etc: { globals: 2, radius: 4, furthestLabel: 2 },
  longformer: { window: 6 },
  lsh: { chunk: 8 },
  local: { chunk: 8 },
  routing: { centroids: 3, window: 8 },
  sinkhorn: { block: 4 },
  linformer: { slots: 6 },
  "induced-set": { points: 4 },
  axial: { columns: 6 },
};

/** Every mechanism of the catalogue, causal where it can be; softmax attention, and what can be around it. */
export const wrapped: readonly WrappedMixer[] = [
  { name: "softmax", pattern: causal, load: async () => softmax as Mixer },
  {
    name: "softmax with a memory",
    pattern: causal,
    load: async () => remembering as Mixer,
  },
  {
    name: "softmax with a compressive memory",
    pattern: causal,
    decodedAlike: 8,
    load: async () =>
      compressiveMemory(softmax, { modelWidth, memoryLength: 8, compressedLength: 4, compressionRate: 2 }) as Mixer,
  },
  {
    name: "a memory of keys and values",
    pattern: causal,
    load: async () => knnMemory({ ...sizes, memoryLength: length, entries: 28, neighbours: 3 }) as Mixer,
  },
  {
    name: "softmax with a memory and spans of each position",
    pattern: causal,
    load: async () => dynamicSpan(remembering, { ...sizes, maxSpan: 12, ramp: 4, startBias: 0 }) as Mixer,
  },
  ...Object.entries<MixerEntry>(mixers).map(([name, entry]): WrappedMixer => {
    const isCausal = entry.directions.includes("causal");
    const load = async () => entry.make(small[name] ?? {}, { ...sizes, causal: isCausal });
    return { name, pattern: isCausal ? causal : fullPattern, load };
  }),
];
