import { gtrxlEntry } from "../models/decoders/gtrxl.ts";
import { ofAttention, ofFfn, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const gtrxlSystem: SystemEntry<"gtrxl"> = /* @__PURE__ */ systemEntry(gtrxlEntry, {
  category: "reinforcement learning",
  causal: true,
  use: "agents that learn by acting and must remember what they saw; in the paper 12 layers learn where those of a Transformer-XL did not",
  sees: "the last memoryLength positions of its own episode or document, in this segment or remembered; through N layers N times as far",
  differs: [
    "The paper does not say how matrices are initialised: here by Glorot and Bengio's rule.",
    "Agents learn by PPO in place of V-MPO, and observations are vectors in place of pictures; trainOnLine has no other networks beside the body.",
    "At the size of the example the place of its norms is enough: TrXL-I, which has no gates, learns as well. Gates show at higher rates and with more layers (docs/agents.md).",
    "Heads have modelWidth / heads features. The paper's counts of parameters include networks for pictures, so none is compared.",
  ],
  presets: {
    small: {
      about: "eight layers that remember 8 positions each: the agent of the example, here on characters",
      run: {
        model: { kind: "gtrxl", layers: 8, modelWidth: 32, heads: 2, memoryLength: 8 },
        task: { kind: "text" },
        length: 16,
        steps: 600,
        batchSize: 32,
        learningRate: 3e-3,
      },
      vocabularySize: 64,
    },
    paper: {
      about: "12 layers with a memory of 512 (DMLab-30)",
      run: {
        model: { kind: "gtrxl", layers: 12, modelWidth: 256, heads: 8, memoryLength: 512 },
        length: 96,
        steps: 100_000,
        batchSize: 128,
        learningRate: 3e-4,
      },
      vocabularySize: 256,
    },
  },
  // As a Transformer-XL's, with a linear output that is not tied, and two gates a layer of six matrices and a bias.
  parameters: ({ vocabularySize, layers, modelWidth, ffnWidth }) =>
    vocabularySize * modelWidth +
    ofLinear(modelWidth, vocabularySize) +
    2 * modelWidth +
    layers *
      (ofAttention(modelWidth, { bias: false }) +
        modelWidth ** 2 +
        ofFfn(modelWidth, ffnWidth) +
        2 * ofNorm(modelWidth) +
        2 * (6 * modelWidth ** 2 + modelWidth)),
  golden: ["gtrxl_gate"],
  source: "models/decoders/gtrxl.ts",
  example: "gtrxl",
});
