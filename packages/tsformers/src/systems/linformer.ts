import { type LinformerSettings, linformerEntry } from "../attention/linformer/linformer.ts";
import { fullPattern } from "../attention/patterns/pattern.ts";
import { ofBert } from "./parameter-count.ts";
import { type Sizes, type SystemEntry, systemEntry } from "./system-entry.ts";

export const linformerSystem: SystemEntry<"linformer"> = /* @__PURE__ */ systemEntry(
  {
    ...linformerEntry,
    summary: "an encoder whose layers look at a fixed number of slots, each a learned sum over all positions",
  },
  {
    category: "kernels and low rank",
    causal: false,
    use: "classifying long inputs of a known longest length, and filling in what is hidden in them, at a cost that grows with the length alone",
    sees: "k slots, each a learned sum over all positions",
    picture: () => [{ title: "everything, through k slots", pattern: fullPattern }],
    differs: [
      "Where heads share E, it is applied before keys and values are projected; biases are then summed by it, too, as in E·(x·W + b).",
      "Padding is left out of the sums, which the authors' code does not do.",
      "The counted head tells hidden tokens, as RoBERTa's does; the paper gives the sizes of RoBERTa-base, and no number of parameters.",
    ],
    presets: {
      small: {
        about:
          "two layers with 32 slots, one E for both; pictures of 784 pixels, read one by one; give --data, such as MNIST",
        run: {
          model: {
            kind: "bert",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            ffnWidth: 128,
            initializerRange: 0.06,
            mixer: { kind: "linformer", slots: 32, sharing: "layerwise" },
          },
          task: { kind: "pixels", size: 28, levels: 16 },
          length: 784,
          steps: 200,
          batchSize: 16,
          learningRate: 3e-3,
        },
        vocabularySize: 18,
      },
      paper: {
        about: "RoBERTa-base, 512 positions in 256 slots, one E for all layers (table 2)",
        run: {
          model: {
            kind: "bert",
            layers: 12,
            modelWidth: 768,
            heads: 12,
            ffnWidth: 3072,
            dropoutRate: 0.1,
            mixer: { kind: "linformer", slots: 256, sharing: "layerwise" },
          },
          length: 512,
        },
        vocabularySize: 50_265,
      },
    },
    parameters: (sizes, { mixer }) =>
      ofBert({ ...sizes, positions: sizes.length }) + ofProjections(sizes, mixer as LinformerSettings),
    golden: ["linformer"],
    source: "attention/linformer/linformer.ts",
    example: "linformer",
  },
);

/** Of the matrices E and F of all layers: length × k each, where a list has a k for each layer. */
function ofProjections({ length, layers, heads }: Sizes, { slots = 256, sharing }: LinformerSettings): number {
  const list = [slots].flat();
  const matrices = { none: 2 * heads, headwise: 2, "key-value": 1, layerwise: 1 }[sharing ?? "key-value"];
  const owners = sharing === "layerwise" ? 1 : layers;
  const widths = Array.from({ length: owners }, (_, layer) => list[Math.min(layer, list.length - 1)]!);
  return widths.reduce((sum, k) => sum + matrices * length * Math.min(k, length), 0);
}
