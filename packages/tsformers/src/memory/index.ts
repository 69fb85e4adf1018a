// What a mixer sees beside its own input.

export { type KnnMemoryOptions, type KnnMemoryParams, type KnnMemoryState, knnMemory } from "./knn-memory.ts";
export { type Nearest, type NearestOptions, nearestKeys } from "./nearest-keys.ts";
export { type SegmentMemoryOptions, type SegmentState, segmentMemory } from "./segment-memory.ts";
