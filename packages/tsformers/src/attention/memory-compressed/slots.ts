import {
  broadcastTo,
  type Concrete,
  cast,
  concat,
  expandDims,
  full as fullArray,
  mul,
  ones,
  type RandomKey,
  reshape,
  slice,
  splitKey,
  type Tensor,
} from "@tsformers/engine";
import type { KeyValueCache } from "../../kinds/index.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { present } from "../../schema/present.ts";
import type { HeadProjectionOptions, HeadProjections } from "../core/head-projections.ts";
import { type AttentionParams, joinHeads, splitHeads } from "../softmax/attention.ts";
import { type BlockRule, blocksAsFeatures, type LastBlock, realBlocks } from "./compressed-blocks.ts";

export type SlotOptions = HeadProjectionOptions & {
  readonly causal: boolean;
  readonly factor: number;
  readonly compress: "inputs" | "keys and values";
  readonly rule: BlockRule;
  readonly last: LastBlock;
};

/** Convolutions, each a matrix over the concatenated positions of a block, [factor·C, C]. */
export type CompressionParams = { inputs: LinearParams } | { key: LinearParams; value: LinearParams };

export type SlotParams = Pick<AttentionParams, "key" | "value"> & {
  compress: CompressionParams;
  /** The learned slot 0, key and value [H, D] each. */
  first?: { key: Tensor; value: Tensor };
};

/** Keys and values of slots, [B, H, N, D] each, and which slots are real, [B, N]. */
export type Slots = KeyValueCache & { readonly filled?: Tensor | undefined };

/** Why positions cannot be told apart here. */
export const refusals = {
  scores: "each logit belongs to a block of positions",
  rotation: "each key combines a block of positions",
};

/** How positions become slots. */
export type SlotMaker = {
  init(key: RandomKey): Concrete<Pick<SlotParams, "compress" | "first">>;
  /** One slot for each block of x [B, S, C], of which `real` [B, S] are no padding. */
  blocks(params: SlotParams, x: Tensor, real?: Tensor): Slots;
  /** Slot 0, learned or from position 0 [B, 1, C]; undefined where the rule has none. */
  first(params: SlotParams, x: Tensor, real?: Tensor): Slots | undefined;
  /** Slot 0 and those of all blocks. Undefined when there is none. */
  all(params: SlotParams, x: Tensor, real?: Tensor): Slots | undefined;
};

export function slotMaker(options: SlotOptions, { headWidth, toHeads }: HeadProjections): SlotMaker {
  const { modelWidth, heads, causal, factor, compress, rule, last, bias = true, initial } = options;
  const width = compress === "inputs" ? modelWidth : heads * headWidth;
  const convolution = linear(factor * width, width, { bias, ...present({ initial }) });

  const blocks: SlotMaker["blocks"] = ({ compress: own, ...params }, x, real) => {
    const compressed = (own: LinearParams, x: Tensor) => {
      const masked = real === undefined ? x : mul(x, expandDims(cast(real, x.dtype), -1));
      return convolution.apply(own, blocksAsFeatures(masked, factor, last));
    };
    const filled = real && realBlocks(real, factor, last);
    if ("inputs" in own) {
      const slots = compressed(own.inputs, x);
      return { key: toHeads(params.key, slots), value: toHeads(params.value, slots), filled };
    }
    const ofPart = (part: "key" | "value") =>
      splitHeads(compressed(own[part], joinHeads(toHeads(params[part], x))), heads);
    return { key: ofPart("key"), value: ofPart("value"), filled };
  };

  const first: SlotMaker["first"] = (params, x, real) => {
    const batch = x.shape[0]!;
    if (params.first !== undefined) {
      const spread = (slot: Tensor) =>
        broadcastTo(reshape(slot, [1, heads, 1, headWidth]), [batch, heads, 1, headWidth]);
      return { key: spread(params.first.key), value: spread(params.first.value), filled: real && ones([batch, 1]) };
    }
    return causal ? { key: toHeads(params.key, x), value: toHeads(params.value, x), filled: real } : undefined;
  };

  return {
    init: (random) => {
      const [a, b] = splitKey(random, 2);
      const empty = fullArray([heads, headWidth], 0);
      return {
        compress:
          compress === "inputs"
            ? { inputs: convolution.init(a!) }
            : { key: convolution.init(a!), value: convolution.init(b!) },
        ...(rule.first === "learned" && { first: { key: empty, value: empty } }),
      };
    },
    blocks,
    first,
    all: (params, x, real) => {
      const ahead = first(params, slice(x, 1, 0, 1), real && slice(real, 1, 0, 1));
      const hasBlocks = last === "filled" || x.shape[1]! >= factor;
      return joined(ahead, hasBlocks ? blocks(params, x, real) : undefined);
    },
  };
}

function joined(ahead: Slots | undefined, blocks: Slots | undefined): Slots | undefined {
  if (ahead === undefined || blocks === undefined) return ahead ?? blocks;
  return {
    key: concat([ahead.key, blocks.key], 2),
    value: concat([ahead.value, blocks.value], 2),
    filled: ahead.filled && blocks.filled && concat([ahead.filled, blocks.filled], 1),
  };
}
