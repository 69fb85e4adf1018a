import type { MixerEntry } from "../attention/index.ts";
import { gatedDeltaNetEntry } from "../attention/recurrent/gated-delta-net.ts";
import { gatedLinearAttentionEntry } from "../attention/recurrent/gated-linear-attention.ts";
import { retentionEntry } from "../attention/recurrent/retention.ts";
import type { Choice } from "../run/catalogue.ts";
import { ofFfn, ofNorm } from "./parameter-count.ts";
import { type Preset, type Sizes, type SystemEntry, systemEntry } from "./system-entry.ts";

/** Heads of a mixer: features of keys and of values. */
type Heads = { readonly keyWidth: number; readonly valueWidth: number };

type OfRecurrence = {
  readonly use: string;
  readonly differs: readonly string[];
  readonly small: Pick<Preset, "about" | "vocabularySize"> & { readonly run: Omit<Preset["run"], "model"> };
  readonly published: Preset;
  /** The paper's, from modelWidth / heads. */
  readonly heads: (headWidth: number) => Heads;
  /** Of a layer, beside the matrices of queries, keys, values, gate and output. */
  readonly parameters: (sizes: Sizes, heads: Heads) => number;
  readonly golden: string;
  readonly source: string;
  readonly example: string;
};

/** A GPT whose mixers are one linear recurrence, without further positions. */
function recurrenceSystem<Name extends string>(
  entry: MixerEntry<Name, never>,
  { small, published, heads, parameters, golden, source, differs, ...own }: OfRecurrence,
): SystemEntry<Name> {
  return systemEntry(
    { ...entry, title: `${entry.title}: a language model` },
    {
      ...own,
      category: "linear recurrences",
      causal: true,
      sees: "every earlier position, through a memory whose size does not depend on how many there are",
      differs: [
        "The blocks are GPT-2's: layer norm, and a feed-forward network without a gate that has as many parameters as the paper's.",
        ...differs,
      ],
      presets: {
        small: {
          about: small.about,
          run: {
            model: {
              kind: "gpt",
              layers: 2,
              modelWidth: 64,
              heads: 2,
              ffnWidth: 224,
              initializerRange: 0.06,
              position: { kind: "none" },
              mixer: { kind: entry.name, keyWidth: 32, valueWidth: 32 },
            },
            ...small.run,
          },
          vocabularySize: small.vocabularySize,
        },
        paper: published,
      },
      parameters: (sizes, { mixer }) => {
        const { vocabularySize, layers, modelWidth, ffnWidth } = sizes;
        const widths = { ...heads(modelWidth / sizes.heads), ...(mixer as Partial<Heads>) };
        const matrices = modelWidth * sizes.heads * (2 * widths.keyWidth + 3 * widths.valueWidth);
        const block = matrices + parameters(sizes, widths) + ofFfn(modelWidth, ffnWidth) + 2 * ofNorm(modelWidth);
        return vocabularySize * modelWidth + layers * block + ofNorm(modelWidth);
      },
      golden: [golden],
      source: `attention/recurrent/${source}`,
    },
  );
}

/** The small preset of memories that fade. */
const onCharacters: OfRecurrence["small"] = {
  about: "two layers over characters, with a memory as large as linear attention's",
  run: { task: { kind: "text" }, length: 64, steps: 300, batchSize: 16, learningRate: 4e-3 },
  vocabularySize: 64,
};

/** What the three papers' models of 1.3 billion parameters have in common; each is trained on 100 billion tokens. */
const large = { kind: "gpt", modelWidth: 2048, ffnWidth: 8192, position: { kind: "none" } } satisfies Choice;

export const retentionSystem: SystemEntry<"retention"> = /* @__PURE__ */ recurrenceSystem(retentionEntry, {
  use: "language models that train in parallel and generate with a state that does not grow; what was read fades at a few fixed rates",
  differs: ["The paper does not say how large its vocabulary is: here it is GPT-2's, so no count is compared."],
  small: onCharacters,
  published: {
    about: "24 layers, the 1.3B model (table 2)",
    run: {
      model: { ...large, layers: 24, heads: 8, ffnWidth: 4096, mixer: { kind: "retention" } },
      length: 2048,
      batchSize: 2048,
      steps: 25_000,
      learningRate: 6e-4,
    },
    vocabularySize: 50_257,
  },
  heads: (headWidth) => ({ keyWidth: headWidth, valueWidth: 2 * headWidth }),
  parameters: () => 0,
  golden: "retention",
  source: "retention.ts",
  example: "fading-memories",
});

export const gatedLinearAttentionSystem: SystemEntry<"gated-linear-attention"> = /* @__PURE__ */ recurrenceSystem(
  gatedLinearAttentionEntry,
  {
    use: "language models whose text says what is worth keeping: each feature of the memory is forgotten when the input says so",
    differs: [],
    small: onCharacters,
    published: {
      about: "24 layers, the 1.3B model trained on SlimPajama",
      run: {
        model: { ...large, layers: 24, heads: 4, mixer: { kind: "gated-linear-attention" } },
        length: 2048,
        batchSize: 1024,
        steps: 50_000,
        learningRate: 3e-4,
      },
      vocabularySize: 32_000,
      published: "1.3B",
    },
    heads: (headWidth) => ({ keyWidth: headWidth / 2, valueWidth: headWidth }),
    parameters: ({ modelWidth, heads }, { keyWidth, valueWidth }) =>
      16 * (modelWidth + heads * keyWidth) + heads * keyWidth + valueWidth,
    golden: "gated_linear_attention",
    source: "gated-linear-attention.ts",
    example: "fading-memories",
  },
);

export const gatedDeltaNetSystem: SystemEntry<"gated-delta-net"> = /* @__PURE__ */ recurrenceSystem(
  gatedDeltaNetEntry,
  {
    use: "recall from a memory that does not grow: a key that comes again replaces its value, and what is no longer needed is forgotten",
    differs: [
      "The paper's preset has 8 heads with 192 features in their keys instead of 6 with 256, since heads divide the width here.",
    ],
    small: {
      about: "two layers that look up values by their keys, with a memory as large as linear attention's",
      run: {
        task: { kind: "recall", keys: 16, values: 16 },
        length: 32,
        steps: 500,
        batchSize: 32,
        learningRate: 0.01,
      },
      vocabularySize: 34,
    },
    published: {
      about: "21 layers, the 1.3B model trained on FineWeb-Edu",
      run: {
        model: {
          ...large,
          layers: 21,
          heads: 8,
          mixer: { kind: "gated-delta-net" },
        },
        length: 4096,
        batchSize: 128,
        steps: 190_000,
        learningRate: 4e-4,
      },
      vocabularySize: 32_000,
      published: "1.3B",
    },
    heads: (headWidth) => ({ keyWidth: Math.floor(0.75 * headWidth), valueWidth: 2 * Math.floor(0.75 * headWidth) }),
    parameters: ({ modelWidth, heads }, { keyWidth, valueWidth }) =>
      4 * heads * (2 * keyWidth + valueWidth) + 2 * (modelWidth + 1) * heads + valueWidth,
    golden: "gated_delta_rule",
    source: "gated-delta-net.ts",
    example: "linear-recurrences",
  },
);
