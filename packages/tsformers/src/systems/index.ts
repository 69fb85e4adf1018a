// Published systems as a whole: presets, what they are for, how they differ from their papers, what proves them.

export { adaptiveSpanTransformerSystem } from "./adaptive-span-transformer.ts";
export { alRfouSystem } from "./al-rfou.ts";
export { axialTransformerSystem } from "./axial-transformer.ts";
export { bertSystem } from "./bert.ts";
export { bigbirdSystem } from "./bigbird.ts";
export { blockbertSystem } from "./blockbert.ts";
export { calmSystem } from "./calm.ts";
export { compressiveTransformerSystem } from "./compressive-transformer.ts";
export { decisionTransformerSystem } from "./decision-transformer.ts";
export { depthAdaptiveTransformerSystem } from "./depth-adaptive-transformer.ts";
export { etcSystem } from "./etc.ts";
export { gtrxlSystem } from "./gtrxl.ts";
export { imageTransformerSystem } from "./image-transformer.ts";
export { knnLmSystem } from "./knn-lm.ts";
export { ledSystem } from "./led.ts";
export { gatedDeltaNetSystem, gatedLinearAttentionSystem, retentionSystem } from "./linear-recurrences.ts";
export { linearTransformerSystem } from "./linear-transformer.ts";
export { linformerSystem } from "./linformer.ts";
export { longformerSystem } from "./longformer.ts";
export { longT5System } from "./longt5.ts";
export { memorizingTransformerSystem } from "./memorizing-transformer.ts";
export { performerSystem } from "./performer.ts";
export {
  alibiSystem,
  distanceAwareSystem,
  learnedSystem,
  rotarySystem,
  shawSystem,
  sinusoidalSystem,
  t5System,
} from "./position-language-models.ts";
export { reformerSystem } from "./reformer.ts";
export { rfaSystem } from "./rfa.ts";
export { routingTransformerSystem } from "./routing-transformer.ts";
export { setTransformerSystem } from "./set-transformer.ts";
export { sinkhornTransformerSystem } from "./sinkhorn-transformer.ts";
export { spalmSystem } from "./spalm.ts";
export { sparseTransformerSystem } from "./sparse-transformer.ts";
export {
  denseSynthesizerSystem,
  factorisedSynthesizerSystem,
  mixedSynthesizerSystem,
  randomSynthesizerSystem,
} from "./synthesizer.ts";
export {
  type Preset,
  type Sizes,
  type SystemCategory,
  type SystemEntry,
  systemCategories,
  systemEntry,
} from "./system-entry.ts";
export { tDmcaSystem } from "./t-dmca.ts";
export { transformerSystem } from "./transformer.ts";
export { transformerXlSystem } from "./transformer-xl.ts";
export { universalTransformerSystem } from "./universal-transformer.ts";
export { xlnetSystem } from "./xlnet.ts";
