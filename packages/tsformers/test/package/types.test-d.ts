// Members compose without casts: what compiles here is the test (`npm run check`). Nothing of it runs.
import { type Concrete, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { adamw, constantRate, gpt, type TrainOptions, tokenObjective } from "tsformers";
import { gatedBlock, parallelBlock, postNormBlock, preNormBlock } from "tsformers/blocks";
import {
  blockStack,
  earlyExit,
  exiting,
  type ReversibleBlock,
  recomputed,
  recomputing,
  repeating,
  reversible,
  reversibleBlock,
  reversing,
  shared,
  sharing,
  stacked,
  universal,
} from "tsformers/depth";
import type { Block, Depth, Mixer, PositionScheme } from "tsformers/kinds";
import { segmentMemory } from "tsformers/memory";
import * as m from "tsformers/mixers";
import { gatedMlp, gruGate, layerNorm, type MlpParams, mlp, rmsNorm, silu } from "tsformers/nn";
import { globalTokens, perHead, perLayer, slidingWindow, union } from "tsformers/patterns";
import { alibi, rotary, shaw, sinusoidal } from "tsformers/positions";
import { trainStep } from "tsformers/train";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only where both types are the same. */
declare function same<A, B>(is: Equal<A, B>): void;

const width = { modelWidth: 64, heads: 4 } as const;
const causal = { ...width, causal: true } as const;
const sizes = { ...width, vocabularySize: 100, layers: 2, length: 128 } as const;

/** Every mixer, as its own file makes it. */
const mixers = {
  attention: m.attention(width),
  linear: m.linearAttention(causal),
  performer: m.performer(causal),
  rfa: m.rfa({ ...causal, features: 32 }),
  convolution: m.shortConvolution({ modelWidth: 64 }),
  delta: m.deltaNet(causal),
  gatedDelta: m.gatedDeltaNet(width),
  gatedLinear: m.gatedLinearAttention(width),
  retention: m.retention(width),
  lsh: m.lshAttention({ ...causal, buckets: 8 }),
  local: m.localAttention(causal),
  remembering: segmentMemory(m.attention(width), { length: 64, modelWidth: 64 }),
};

// Each of them is a model's mixer.
gpt({ ...sizes, mixer: () => mixers.attention });
gpt({ ...sizes, mixer: () => mixers.linear });
gpt({ ...sizes, mixer: () => mixers.lsh });
gpt({ ...sizes, mixer: () => mixers.remembering });

/** What every maker of mixers in the room returns, by the maker's name. */
type Made = {
  [Name in keyof typeof m as (typeof m)[Name] extends (options: never) => Mixer ? Name : never]: ReturnType<
    Extract<(typeof m)[Name], (options: never) => unknown>
  >;
};
declare const made: Made;
for (const mixer of Object.values<Mixer>(made)) gpt({ ...sizes, mixer: () => mixer });

/** Whatever a mixer's parameters are, they are the model's. */
export function around<Params>(mixer: Mixer<Params>): Concrete<Params> {
  return gpt({ ...sizes, mixer: () => mixer }).init(randomKey(0)).blocks[0]!.mixer;
}

// So are several, by layer, and one of a person's own.
gpt({ ...sizes, mixer: (layer) => (layer % 2 === 0 ? mixers.attention : mixers.linear) });
declare const own: Mixer<{ weight: Tensor }>;
gpt({ ...sizes, mixer: () => own });

// Mixers of any parameters go where a mixer is wanted.
const anyMixers: readonly Mixer[] = [...Object.values(mixers), own];
gpt({ ...sizes, mixer: (layer) => anyMixers[layer]! });

// Parameters have their names, for all layers.
const model = gpt(sizes);
const params = model.init(randomKey(0));
const block = params.blocks[0]!;
same<typeof block.ffn, Concrete<MlpParams>>(true);
same<typeof block.mixer, Concrete<m.AttentionParams>>(true);
const weight: NDArray = block.ffn.in.weight;
const sparse = gpt({ ...sizes, mixer: () => own }).init(randomKey(0));
const ownWeight: NDArray = sparse.blocks[0]!.mixer.weight;

// Positions and patterns of every sort.
const schemes: readonly PositionScheme[] = [
  {},
  { scores: alibi(4) },
  { rotation: rotary(16) },
  { positions: sinusoidal(64) },
  { scores: shaw({ headWidth: 16, maxDistance: 8 }) },
];
for (const scheme of schemes) gpt({ ...sizes, scheme });
const near = union(slidingWindow({ before: 8, after: 0 }), globalTokens({ positions: [0], causal: true }));
gpt({ ...sizes, pattern: near });
gpt({ ...sizes, pattern: perLayer([near, perHead([near, slidingWindow({ before: 1, after: 0 })])]) });

// Blocks of any mixer, feed-forward network and norm.
const norm = layerNorm();
const ffn = mlp({ modelWidth: 64, ffnWidth: 128, activation: silu });
const blocks = [
  preNormBlock({ modelWidth: 64, norm, mixer: mixers.attention, ffn }),
  postNormBlock({ modelWidth: 64, norm: rmsNorm(), mixer: mixers.linear, ffn }),
  parallelBlock({
    modelWidth: 64,
    norm,
    mixer: own,
    ffn: gatedMlp({ modelWidth: 64, ffnWidth: 128, activation: silu }),
  }),
  gatedBlock({ modelWidth: 64, norm, mixer: mixers.rfa, ffn, gate: gruGate({ modelWidth: 64 }) }),
] as const;
const mixed: readonly Block[] = blocks;

// Depths of any blocks.
const undoable: readonly ReversibleBlock[] = [
  reversibleBlock({ modelWidth: 64, norm, mixer: mixers.lsh, ffn }),
  reversibleBlock({ modelWidth: 64, norm, mixer: mixers.attention, ffn }),
];
const depths: readonly Depth[] = [
  blockStack(mixed, { finalNorm: norm(64) }),
  blockStack([blocks[0], recomputed(blocks[0])]),
  shared(mixed),
  earlyExit(mixed, { threshold: 0.9 }),
  universal(blocks[1], { maxSteps: 3, modelWidth: 64 }),
  reversible(undoable),
];
for (const depth of [stacked, sharing(), reversing, recomputing, repeating(), exiting({ threshold: 0.9 })]) {
  gpt({ ...sizes, depth });
  gpt({ ...sizes, depth, mixer: () => mixers.linear });
}

// Any of it is trained.
const optimiser = adamw();
trainStep({ loss: tokenObjective(model).loss, optimiser });
trainStep({ loss: tokenObjective(gpt({ ...sizes, mixer: () => mixers.linear })).loss, optimiser });
const schedule: TrainOptions<unknown, never>["schedule"] = constantRate(1e-3);

export { depths, ownWeight, schedule, weight };
