import { calmEntry } from "../models/encoder-decoders/calm.ts";
import { ofAttention, ofLinear } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const calmSystem: SystemEntry<"calm"> = /* @__PURE__ */ systemEntry(calmEntry, {
  category: "adaptive depth",
  causal: true,
  use: "faster writing from a source, where a bound on what may change is wanted",
  sees: "of the target, every earlier position, in each layer as far as that position went; and the whole source",
  differs: [
    "Losses of exits are divided by the weight of the last instead of their sum.",
    "The classifier learns while the model does, with no gradients into it; the paper trains it afterwards.",
    "The paper starts from T5 1.1, with a gated feed-forward network and an output matrix of its own; here it is the first T5, trained anew.",
    "The paper prints no number of parameters for its own model.",
  ],
  presets: {
    small: {
      about: "a decoder of eight layers that follows pointers",
      run: {
        model: { kind: "calm", layers: 1, decoderLayers: 8, modelWidth: 192, heads: 4, ffnWidth: 512 },
        task: { kind: "pointer-chasing" },
        length: 12,
        steps: 700,
        batchSize: 48,
        learningRate: 1e-3,
      },
      vocabularySize: 55,
    },
    paper: {
      about: "the sizes of T5 small with 8 layers, with a threshold that falls along the target",
      run: {
        model: {
          kind: "calm",
          layers: 8,
          modelWidth: 512,
          heads: 8,
          ffnWidth: 1024,
          temperature: 4,
          dropoutRate: 0.1,
        },
        length: 512,
        batchSize: 128,
        steps: 500_000,
      },
      vocabularySize: 32_128,
    },
  },
  parameters: ({ vocabularySize, layers, modelWidth, heads, ffnWidth }, model) => {
    const { decoderLayers = layers, confidence } = model as {
      readonly decoderLayers?: number;
      readonly confidence?: string;
    };
    const attention = ofAttention(modelWidth, { bias: false });
    const ffn = 2 * ofLinear(modelWidth, ffnWidth, { bias: false });
    const encoder = layers * (attention + ffn + 2 * modelWidth) + modelWidth;
    const decoder = decoderLayers * (2 * attention + ffn + 3 * modelWidth) + modelWidth;
    const biases = 2 * 32 * heads;
    return (
      vocabularySize * modelWidth + encoder + decoder + biases + (confidence === "classifier" ? modelWidth + 1 : 0)
    );
  },
  golden: ["calm"],
  source: "models/encoder-decoders/calm.ts",
  example: "calm",
});
