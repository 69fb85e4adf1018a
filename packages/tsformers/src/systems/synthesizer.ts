import {
  type SynthesizerSettings,
  type SyntheticLogits,
  synthesizerEntry,
} from "../attention/synthesizer/synthesizer.ts";
import { factorisedRank } from "../attention/synthesizer/synthetic-logits.ts";
import { ofAttention, ofBert, ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type Preset, type Sizes, type SystemEntry, systemEntry } from "./system-entry.ts";

type OfLogits = {
  readonly title: string;
  readonly summary: string;
  readonly formula: string;
  /** Default: as the mechanism says, of a table. */
  readonly cost?: string;
  readonly use: string;
  readonly sees: string;
  readonly differs?: readonly string[];
  readonly mixer: SynthesizerSettings;
};

/** What all members have in common. */
const ofAll = {
  category: "synthetic attention",
  golden: ["synthesizer"],
  source: "attention/synthesizer/synthesizer.ts",
  example: "synthesizer",
} as const;

const noSizes =
  "The paper's preset has the widths of its base models; the paper does not print all sizes from which its numbers of parameters follow.";

const denseCost = "O(n²·d) time, memory of a block of queries; n·(d + H) parameters for the rows of all heads";

/** A GPT whose logits are synthetic. */
function synthesizerDecoder<Name extends string>(
  name: Name,
  { title, summary, formula, cost = synthesizerEntry.cost, mixer, differs = [], ...own }: OfLogits,
): SystemEntry<Name> {
  const model = { kind: "gpt", mixer: { kind: "synthesizer", ...mixer } };
  return systemEntry(
    { ...synthesizerEntry, name, title: `${title}: a language model`, summary, formula, cost },
    {
      ...ofAll,
      ...own,
      causal: true,
      differs: [
        "GPT-2's blocks, with learned positions, in place of those of the authors' library.",
        noSizes,
        ...differs,
      ],
      presets: {
        small: {
          about: "two layers over characters; give --data, such as plays",
          run: {
            model: { ...model, layers: 2, modelWidth: 64, heads: 4, ffnWidth: 256, initializerRange: 0.06 },
            task: { kind: "text" },
            length: 64,
            steps: 300,
            batchSize: 16,
            learningRate: 8e-3,
          },
          vocabularySize: 64,
        },
        paper: {
          about: "a decoder of base size over subwords (LM1B)",
          run: { model: { ...model, layers: 6, modelWidth: 512, heads: 8, dropoutRate: 0.1 }, length: 256 },
          vocabularySize: 32_000,
        },
      },
      parameters: (sizes, { mixer }) => {
        const { vocabularySize, length, layers, modelWidth: C, ffnWidth } = sizes;
        const block = ofBlock(C, ffnWidth) - ofAttention(C) + ofMixer(sizes, mixer as SynthesizerSettings);
        return (vocabularySize + length) * C + layers * block + ofNorm(C);
      },
    },
  );
}

export const denseSynthesizerSystem: SystemEntry<"dense-synthesizer"> = /* @__PURE__ */ synthesizerDecoder(
  "dense-synthesizer",
  {
    title: "Dense Synthesizer",
    summary: "attention without queries and keys: each position writes its own row of weights",
    formula: "softmax(relu(x·W₁ + b₁)·W₂ + b₂)·V",
    cost: denseCost,
    use: "text of a known longest length, where what a token is says where it has to look",
    sees: "every earlier position of its row, at weights that it writes itself",
    mixer: { logits: ["dense"] },
  },
);

export const randomSynthesizerSystem: SystemEntry<"random-synthesizer"> = /* @__PURE__ */ synthesizerDecoder(
  "random-synthesizer",
  {
    title: "Random Synthesizer",
    summary: "attention whose weights are a trained table, the same for all inputs",
    formula: "softmax(R)·V, R [H, n, n]",
    use: "work in which each place has to look at the same places in all rows, and text, at the cost of the values alone",
    sees: "every earlier position of its row, at weights that belong to its place",
    mixer: { logits: ["table"] },
  },
);

export const mixedSynthesizerSystem: SystemEntry<"mixed-synthesizer"> = /* @__PURE__ */ synthesizerDecoder(
  "mixed-synthesizer",
  {
    title: "Mixture of Synthesizers",
    summary: "softmax attention whose logits are mixed with those that each position writes itself, by learned shares",
    formula: "softmax(α₁·(relu(x·W₁ + b₁)·W₂ + b₂) + α₂·q·kᵀ / √d)·V, Σα = 1",
    cost: denseCost,
    use: "language models: what a position writes by itself tells early where to look, queries and keys learn what to look for",
    sees: "every earlier position of its row, at weights of its own writing and of what it looks for",
    differs: [
      'The mixture that the paper prefers in translation has a table in place of what positions write: `logits: ["table", "dot product"]`.',
    ],
    mixer: { logits: ["dense", "dot product"], mixture: "softmax" },
  },
);

export const factorisedSynthesizerSystem: SystemEntry<"factorised-synthesizer"> = /* @__PURE__ */ systemEntry(
  {
    ...synthesizerEntry,
    name: "factorised-synthesizer",
    title: "Factorised Synthesizer: an encoder",
    summary: "an encoder whose weights are a trained table of rank k, the same for all inputs",
    formula: "softmax(R₁·R₂ᵀ)·V, R₁ and R₂ [H, n, k]",
    cost: "O(n²·d) time, memory of a block of queries; 2·n·k parameters for each head",
  },
  {
    ...ofAll,
    causal: false,
    use: "encoders of a known longest length with few parameters: in the paper it classifies texts better than a Linformer",
    sees: "every position of its row, at weights that belong to its place",
    differs: ["BERT's blocks, with learned positions, in place of those of the authors' library.", noSizes],
    presets: {
      small: encoderPreset("two layers over pictures of 16 × 16, pixel by pixel; give --data, such as MNIST", {
        model: { layers: 2, modelWidth: 64, heads: 4, ffnWidth: 192, initializerRange: 0.06 },
        run: {
          task: { kind: "pixels", size: 16, levels: 16 },
          length: 256,
          steps: 200,
          batchSize: 16,
          learningRate: 3e-3,
        },
        vocabularySize: 18,
      }),
      paper: encoderPreset("an encoder of base size over subwords, 512 positions", {
        model: { layers: 12, modelWidth: 768, heads: 12, dropoutRate: 0.1 },
        run: { length: 512 },
        vocabularySize: 32_000,
      }),
    },
    parameters: (sizes, { mixer }) => {
      const { length: positions, layers, modelWidth } = sizes;
      const others = ofMixer(sizes, mixer as SynthesizerSettings) - ofAttention(modelWidth);
      return ofBert({ ...sizes, positions }) + layers * others;
    },
  },
);

function encoderPreset(
  about: string,
  given: { readonly model: object; readonly run: object; readonly vocabularySize: number },
): Preset {
  const mixer = { kind: "synthesizer", logits: ["factorised table"] };
  return {
    about,
    run: { model: { kind: "bert", ...given.model, mixer }, ...given.run },
    vocabularySize: given.vocabularySize,
  };
}

/** Of a layer: values and output, the sources of logits, and how they are mixed. */
function ofMixer(
  { length: n, modelWidth: C, heads: H }: Sizes,
  { logits = ["dense"], mixture, rank = factorisedRank }: SynthesizerSettings,
): number {
  const minor = Math.ceil(Math.sqrt(n));
  const of: Record<SyntheticLogits, number> = {
    dense: ofLinear(C, C) + n * C + n * H,
    table: H * n * n,
    "fixed table": 0,
    "factorised table": 2 * H * n * rank,
    "factorised dense": C * H * (minor + Math.ceil(n / minor)),
    "dot product": 2 * ofLinear(C, C),
  };
  const shares = mixture === "softmax" ? logits.length : mixture === "by head" ? H : 0;
  return 2 * ofLinear(C, C) + logits.reduce((sum, source) => sum + of[source], shares);
}
