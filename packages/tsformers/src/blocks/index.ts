// A mixer and a feed-forward network on the residual stream.

export {
  type BlockParams,
  type BlockParts,
  blockAround,
  type Mix,
  normedResidualBlock,
  parallelBlock,
  postNormBlock,
  preNormBlock,
  sharedNormBlock,
} from "./block.ts";
export {
  type CrossBlock,
  type CrossBlockParams,
  type CrossBlockParts,
  type CrossInput,
  type CrossOutput,
  postNormCrossBlock,
  preNormCrossBlock,
} from "./cross-block.ts";
export { type GatedBlockParams, type GatedBlockParts, gatedBlock } from "./gated-block.ts";
export { type SandwichBlockParams, sandwichBlock } from "./sandwich-block.ts";
