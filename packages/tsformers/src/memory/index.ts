// What a mixer sees beside its own input.

export {
  attentionReconstruction,
  autoEncoding,
  type Compressed,
  type CompressionLoss,
  type CompressionLossMaker,
  type CompressionLossName,
  compressionLosses,
} from "./compression-losses.ts";
export {
  type Compression,
  type CompressionMaker,
  type CompressionName,
  compressions,
  convolution,
  dilatedConvolution,
  type Evicted,
  maxPooling,
  meanPooling,
  mostUsed,
} from "./compressions.ts";
export {
  type CompressiveMemoryOptions,
  type CompressiveParams,
  type CompressiveState,
  compressiveMemory,
} from "./compressive-memory.ts";
export { type KnnMemoryOptions, type KnnMemoryParams, type KnnMemoryState, knnMemory } from "./knn-memory.ts";
export { type Nearest, type NearestOptions, nearestKeys } from "./nearest-keys.ts";
export { type SegmentMemoryOptions, type SegmentState, segmentMemory } from "./segment-memory.ts";
