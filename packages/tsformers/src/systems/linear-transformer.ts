import { linearEntry } from "../attention/kernel/linear-attention.ts";
import { ofBlock, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const linearTransformerSystem: SystemEntry<"linear-transformer"> = /* @__PURE__ */ systemEntry(
  { ...linearEntry, name: "linear-transformer", title: "Linear Transformer" },
  {
    category: "kernels and low rank",
    causal: true,
    use: "sequences that are written value by value, such as pictures: a step costs the same whatever came before, and so does its memory",
    sees: "every earlier position, through sums whose size does not depend on how many there are",
    differs: [
      "Blocks are GPT-2's, with norms in front; encoders are `--model bert --mixer linear`.",
      "Pixels are told as classes; the paper tells them by ten discretised logistics. It prints no number of parameters.",
      "Optimised with AdamW and a cosine schedule; the paper has RAdam.",
    ],
    presets: {
      small: {
        about: "two layers that draw grey pictures of 28 × 28, 784 pixels; give --data, such as MNIST's files",
        run: {
          model: {
            kind: "gpt",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            ffnWidth: 128,
            initializerRange: 0.06,
            mixer: { kind: "linear" },
          },
          task: { kind: "pictures", size: 28, grey: true },
          length: 784,
          steps: 200,
          batchSize: 4,
          learningRate: 4e-3,
        },
        vocabularySize: 256,
      },
      paper: {
        about: "MNIST, eight layers: 0.644 bits per dimension, 142.8 pictures a second, 317 times as many as softmax",
        run: {
          model: { kind: "gpt", layers: 8, modelWidth: 256, heads: 8, mixer: { kind: "linear" } },
          task: { kind: "pictures", size: 28, grey: true },
          length: 784,
          batchSize: 10,
          learningRate: 1e-4,
        },
        vocabularySize: 256,
      },
    },
    // Tokens, positions, blocks and a norm; the tokens tell what comes next, too.
    parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }) =>
      (vocabularySize + length) * C + layers * ofBlock(C, ffnWidth) + ofNorm(C),
    golden: ["linear_attention"],
    source: "attention/kernel/linear-attention.ts",
    example: "linear-transformer",
  },
);
