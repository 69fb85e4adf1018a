import { performerEntry } from "../attention/kernel/performer.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const performerSystem: SystemEntry<"performer"> = /* @__PURE__ */ systemEntry(
  { ...performerEntry, title: "Performer: encoders and decoders" },
  {
    category: "kernels and low rank",
    causal: false,
    use: "long sequences whose attention is dense, such as proteins, and softmax models that are to go on in linear time: their parameters fit as they are (`--from`)",
    sees: "all positions, through sums over random features whose number does not depend on the length",
    differs: [
      "Blocks, embeddings and heads are those of BERT (`--model bert`, norms behind), or of GPT-2 for decoders (`--model gpt --mixer performer`).",
      "Features are exact: no ε is added to them, and what keeps exponentials in range cancels. Rows are drawn again after 1,000 training passes.",
      "The paper's protein models read TrEMBL, with its own tokens for the ends of a sequence; the preset has the 22 tokens of `proteins`. The paper prints no number of parameters.",
    ],
    presets: {
      small: {
        about:
          "two layers with rotary positions that tell the structure of proteins; give --data, such as FLIP's splits.zip",
        run: {
          model: {
            kind: "bert",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            ffnWidth: 128,
            initializerRange: 0.06,
            position: { kind: "rotary" },
            mixer: { kind: "performer", features: 256 },
          },
          task: { kind: "proteins" },
          length: 128,
          steps: 800,
          batchSize: 8,
          learningRate: 5e-3,
        },
        vocabularySize: 22,
      },
      paper: {
        about: "proteins, 36 layers, with the ReLU kernel and 256 features; 8,192 residues (§4.4)",
        run: {
          model: {
            kind: "bert",
            layers: 36,
            modelWidth: 512,
            heads: 8,
            ffnWidth: 1024,
            mixer: { kind: "performer", kernel: "relu", features: 256 },
          },
          task: { kind: "proteins" },
          length: 8192,
          learningRate: 1e-3,
        },
        vocabularySize: 22,
      },
    },
    // Tokens, learned positions, two segments, a norm, blocks, and BERT's head: a layer, a norm, and a bias of each token.
    parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }, { position }) =>
      (vocabularySize + (position === undefined ? length : 0) + 2) * C +
      ofNorm(C) +
      layers * ofBlock(C, ffnWidth) +
      ofLinear(C, C) +
      ofNorm(C) +
      vocabularySize,
    golden: ["performer"],
    source: "attention/kernel/performer.ts",
    example: "performer",
  },
);
