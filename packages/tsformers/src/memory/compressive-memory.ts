import { type Concrete, splitKey } from "@tsformers/engine";
import type { Mixer, SoftmaxMixer } from "../kinds/index.ts";
import { requireCounts } from "../nn/sizes.ts";
import { CombinationError } from "../schema/combination-error.ts";
import { present } from "../schema/present.ts";
import { attentionReconstruction, type CompressionLoss } from "./compression-losses.ts";
import { type Compression, convolution } from "./compressions.ts";
import { compressiveDecoding } from "./compressive-decoding.ts";
import {
  type CompressiveMemoryOptions,
  type CompressiveParams,
  type CompressiveState,
  lookBack,
  moveOn,
  usageOf,
} from "./compressive-segment.ts";
import { emptySegment, seenOf } from "./segment-memory.ts";

export type { CompressiveMemoryOptions, CompressiveParams, CompressiveState } from "./compressive-segment.ts";

/**
 * Attention that also looks at the layer's inputs of earlier segments, those of long ago compressed:
 * `k, v = W·[compressed, memory, x]`, queries from x alone. Afterwards the T oldest of `[memory, x]` leave the memory, each c of them as
 * one vector that is appended to the compressed memory, whose oldest vectors are forgotten.
 *
 * Neither memory has gradients: a learned compression learns from a loss of its own, which reaches nothing else. T positions that are no
 * multiple of c are filled up in front. Padding is not seen, and has no say in what it is compressed with.
 *
 * Decoding reads in segments of `memoryLength` positions: within one every position sees what came before, and at its end both memories move on.
 *
 * @shape  x [B, T, C], memories [B, n_cm, C] and [B, n_m, C] → y [B, T, C]
 * @cost   O(B·H·T·(n_cm + n_m + T)·D) time; a path through N layers reaches back N·(n_m + c·n_cm) positions
 * @source Rae et al. 2020, "Compressive Transformers for Long-Range Sequence Modelling", §3, arXiv:1911.05507
 * @differs in a pre-norm block the normed input is remembered, not the stream: it is compressed as attention reads it
 * @throws RangeError for sizes that are no whole numbers, and a memory that is no multiple of the rate; CombinationError for a loss of a
 *   compression without parameters
 */
export function compressiveMemory<Params>(
  mixer: SoftmaxMixer<Params>,
  options: CompressiveMemoryOptions,
): Mixer<CompressiveParams<Params>> {
  const { modelWidth, memoryLength, compressedLength, compressionRate: rate } = options;
  requireCounts("compressive memory", { modelWidth, memoryLength, compressedLength, compressionRate: rate });
  if (memoryLength % rate !== 0)
    throw new RangeError(
      `compressive memory: memoryLength must be a multiple of compressionRate, got memoryLength ${memoryLength} and compressionRate ${rate}`,
    );
  const compression = (options.compression ?? convolution)({ modelWidth, rate });
  const loss = lossOf(compression, options);
  const parts = { mixer, options, compression };
  return {
    name: mixer.name,
    sees: mixer.sees,
    segment: {
      length: compressedLength + memoryLength,
      init: (batch) => ({
        memory: emptySegment(batch, memoryLength, modelWidth),
        compressed: emptySegment(batch, compressedLength, modelWidth),
      }),
    },
    recurrent: compressiveDecoding(parts),
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      const learned = present({ compression: compression.init?.(b!), loss: loss?.init?.(c!) });
      return { attention: mixer.init(a!), ...learned } as Concrete<CompressiveParams<Params>>;
    },
    apply: (params, input, context) => {
      const past = input.state?.segment as CompressiveState | undefined;
      if (past === undefined) return mixer.apply(params.attention, input, context);
      const read = { vectors: input.x, seen: seenOf(input.view.keyMask, input.x) };
      const out = lookBack(parts, params, { past, read, input }, context);
      const usage = compression.readsUsage && usageOf(out.map!(), read.seen);
      const { old, compressed, next } = moveOn(parts, params, past, { ...read, ...present({ usage }) });
      const given = { mixer: mixer as SoftmaxMixer<unknown>, params: params.attention, read, old, compressed };
      return {
        ...out,
        state: { ...input.state, segment: next },
        ...(loss !== undefined && { losses: { [loss.name]: loss.apply(params.loss, given) } }),
      };
    },
  };
}

function lossOf(
  { name, init }: Compression,
  { modelWidth, compressionRate: rate, compressionLoss: make }: CompressiveMemoryOptions,
): CompressionLoss | undefined {
  if (init !== undefined) return (make ?? attentionReconstruction)({ modelWidth, rate });
  if (make === undefined) return undefined;
  throw new CombinationError(
    `compressive memory: ${name} has no parameters that a loss could train; leave compressionLoss away`,
  );
}
