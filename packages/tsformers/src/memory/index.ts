// What a mixer sees beside its own input.

export { type SegmentMemoryOptions, type SegmentState, segmentMemory } from "./segment-memory.ts";
