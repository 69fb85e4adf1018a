import { setTransformerEntry } from "../models/encoders/set-transformer.ts";
import { ofBlock, ofLinear } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const setTransformerSystem: SystemEntry<"set-transformer"> = /* @__PURE__ */ systemEntry(setTransformerEntry, {
  category: "sets",
  causal: false,
  use: "telling something of a set, such as its largest element, how many different ones it has, or the clusters of its points, whatever their order and number",
  sees: "every element of its set, in two steps: the inducing points see all elements, and all elements see the points",
  differs: [
    "The paper does not say how wide the networks inside blocks are: here they have a hidden layer of twice the model's width. `--form published` has the blocks of the authors' code.",
    "The counted parameters are those of the encoder over tokens. Pooling by seeds and its decoder stand beside the head of what is trained: one seed for a class, one for each component of a mixture.",
    "Characters to be counted are read at 28 × 28 pixels by three small convolutions, in the paper at 105 × 105; numbers of which the largest is told are read in hundreds.",
    "The paper prints no number of parameters.",
  ],
  presets: {
    small: {
      about: "two blocks with 16 inducing points, mixtures of four Gaussians, 32 to 64 points",
      run: {
        model: { kind: "set-transformer", layers: 2, modelWidth: 64, heads: 4, points: 16 },
        task: { kind: "mixture" },
        length: 64,
        steps: 1000,
        batchSize: 16,
        learningRate: 1e-3,
      },
      vocabularySize: 1,
    },
    paper: {
      about:
        "mixtures of four Gaussians (§5.3), with the settings of the authors' code: two blocks of 128 with 32 inducing points",
      run: {
        model: { kind: "set-transformer", layers: 2, modelWidth: 128, heads: 4, points: 32 },
        task: { kind: "mixture" },
        length: 600,
        steps: 50_000,
        batchSize: 10,
        learningRate: 1e-3,
      },
      vocabularySize: 1,
    },
  },
  // A block is two blocks of attention and network, and the inducing points; then the token's vector and a head with a bias.
  parameters: ({ vocabularySize, layers, modelWidth }, { points }) =>
    vocabularySize * modelWidth +
    layers * (Number(points) * modelWidth + 2 * ofBlock(modelWidth, 2 * modelWidth)) +
    ofLinear(modelWidth, vocabularySize),
  golden: ["set_transformer"],
  source: "models/encoders/set-transformer.ts",
  example: "set-transformer",
  moreExamples: ["set-transformer-counting", "set-transformer-max"],
});
