// What positions see: one line for each pattern, then what patterns are combined and read with.

export {
  type AxialPatternSettings,
  axialColumn,
  axialCross,
  axialEntry,
  axialHeads,
  axialLayers,
  axialRow,
  type GridOptions,
} from "./axial.ts";
export {
  type BigBirdOptions,
  type BigBirdSettings,
  bigbird,
  bigbirdEntry,
  bigbirdExtended,
} from "./bigbird.ts";
export { givenBlocks, type RandomBlocks, uniformBlocks } from "./bigbird-plan.ts";
export { releasedBlocks } from "./bigbird-released-plan.ts";
export {
  type BlockwiseSettings,
  blockwise,
  blockwiseEntry,
  blockwiseHeads,
  shiftedBlocks,
  shiftingHeads,
} from "./blockwise.ts";
export { except, intersection, perHead, union } from "./combine.ts";
export { attentionFlops, countPattern, type PatternCount, type ReceptiveField, receptiveFields } from "./count.ts";
export { type DilatedOptions, type DilatedSettings, dilatedEntry, dilatedHeads, dilatedWindow } from "./dilated.ts";
export {
  type DrawOptions,
  drawPanels,
  type Panel,
  type Picture,
  patternSvg,
  pictureOf,
} from "./draw.ts";
export { type EtcOptions, type EtcSettings, etc, etcEntry } from "./etc.ts";
export { type FixedOptions, type FixedSettings, fixed, fixedEntry, fixedHeads, fixedLayers } from "./fixed.ts";
export { type GlobalOptions, type GlobalTokensSettings, globalEntry, globalTokens } from "./global.ts";
export { type Local1dSettings, local1d, local1dEntry } from "./local-1d.ts";
export { type Local2dOptions, type Local2dSettings, local2d, local2dEntry, local2dGenerated } from "./local-2d.ts";
export {
  type LongformerLayersOptions,
  type LongformerOptions,
  type LongformerSettings,
  longformer,
  longformerEntry,
  longformerLayers,
} from "./longformer.ts";
export { panelsOf } from "./panels.ts";
export { causal, denseMask, fullEntry, fullPattern } from "./pattern.ts";
export type { HalvesUse, PatternContext, PatternEntry } from "./pattern-entry.ts";
export { always, eachLayer, perLayer } from "./per-layer.ts";
export { type Reach, reachOf } from "./reach.ts";
export { type SinksOptions, type SinksSettings, sinksEntry, windowWithSinks } from "./sinks.ts";
export {
  type StridedOptions,
  type StridedSettings,
  strided,
  stridedEntry,
  stridedHeads,
  stridedLayers,
} from "./strided.ts";
export { slidingWindow, type WindowOptions, type WindowSettings, windowEntry } from "./window.ts";
