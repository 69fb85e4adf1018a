import { alibiEntry } from "../position/alibi.ts";
import { distanceAwareEntry } from "../position/distance-aware.ts";
import { learnedEntry } from "../position/learned.ts";
import type { PositionEntry } from "../position/position-entry.ts";
import { rotaryEntry } from "../position/rotary.ts";
import { shawEntry } from "../position/shaw.ts";
import { sinusoidalEntry } from "../position/sinusoidal.ts";
import { t5Entry } from "../position/t5-bias.ts";
import { ofBlock, ofNorm } from "./parameter-count.ts";
import { type Preset, type Sizes, type SystemEntry, systemEntry } from "./system-entry.ts";

type OfScheme = {
  readonly use: string;
  readonly differs?: readonly string[];
  /** Settings of the scheme in the paper's preset. */
  readonly published: Preset;
  /** Of the scheme itself. */
  readonly parameters?: (sizes: Sizes) => number;
  readonly golden: readonly string[];
  readonly source: string;
};

/** Press et al.'s model for WikiText-103, in which the schemes were compared; our input is one table. */
const wikitext: Preset["run"]["model"] = { kind: "gpt", layers: 16, modelWidth: 1024, heads: 8, ffnWidth: 4096 };

const oneTable =
  "The paper's preset has the sizes in which Press et al. 2022 compare schemes on WikiText-103; they have an adaptive input, here it is one table.";

/** A GPT whose only knowledge of positions is one scheme. */
function positionSystem<Name extends string>(
  entry: PositionEntry<Name, never>,
  { published, parameters = () => 0, differs = [oneTable], ...own }: OfScheme,
): SystemEntry<Name> {
  return systemEntry(
    { ...entry, title: `${entry.title}: a language model` },
    {
      ...own,
      category: "positions",
      causal: true,
      sees: "every earlier position of its row",
      differs,
      presets: {
        small: {
          about: "two layers over characters, trained at length 64 and measured up to 1,024",
          run: {
            model: { kind: "gpt", layers: 2, modelWidth: 64, heads: 4, position: { kind: entry.name } },
            task: { kind: "text" },
            length: 64,
            steps: 400,
            batchSize: 16,
            learningRate: 4e-3,
          },
          vocabularySize: 64,
        },
        paper: published,
      },
      parameters: (sizes) => {
        const { vocabularySize, layers, modelWidth, ffnWidth } = sizes;
        const body = layers * ofBlock(modelWidth, ffnWidth) + ofNorm(modelWidth);
        return vocabularySize * modelWidth + body + parameters(sizes);
      },
      example: "positions",
    },
  );
}

/** The paper's preset with a scheme, trained at length 512. */
function onWikitext(name: string): Preset {
  return {
    about: "16 layers on WikiText-103, trained at length 512 (Press et al. 2022, §3)",
    run: { model: { ...wikitext, position: { kind: name } }, length: 512, batchSize: 18, clip: 0.1 },
    vocabularySize: 267_744,
  };
}

const headWidth = ({ modelWidth, heads }: Sizes): number => modelWidth / heads;

export const sinusoidalSystem: SystemEntry<"sinusoidal"> = /* @__PURE__ */ positionSystem(sinusoidalEntry, {
  use: "rows no longer than those of training; nothing to learn",
  published: onWikitext("sinusoidal"),
  golden: ["sinusoidal", "ctrl"],
  source: "position/sinusoidal.ts",
});

export const learnedSystem: SystemEntry<"learned"> = /* @__PURE__ */ positionSystem(learnedEntry, {
  use: "rows no longer than the table",
  differs: [],
  published: {
    about: "GPT-2 small",
    run: {
      model: { kind: "gpt", layers: 12, modelWidth: 768, heads: 12, position: { kind: "learned" }, dropoutRate: 0.1 },
      length: 1024,
      batchSize: 512,
      learningRate: 2.5e-4,
    },
    vocabularySize: 50_257,
    published: "124M",
  },
  parameters: ({ length, modelWidth }) => length * modelWidth,
  golden: ["gpt2"],
  source: "position/learned.ts",
});

export const rotarySystem: SystemEntry<"rotary"> = /* @__PURE__ */ positionSystem(rotaryEntry, {
  use: "the usual choice of today's decoders: distances enter through a rotation of queries and keys, with no parameters",
  published: onWikitext("rotary"),
  golden: ["gptj", "gpt_neox", "roformer"],
  source: "position/rotary.ts",
});

export const t5System: SystemEntry<"t5"> = /* @__PURE__ */ positionSystem(t5Entry, {
  use: "rows somewhat longer than those of training: far distances share a bias",
  published: onWikitext("t5"),
  parameters: ({ heads }) => 32 * heads,
  golden: ["t5_buckets", "t5"],
  source: "position/t5-bias.ts",
});

export const alibiSystem: SystemEntry<"alibi"> = /* @__PURE__ */ positionSystem(alibiEntry, {
  use: "rows many times longer than those of training",
  published: onWikitext("alibi"),
  golden: ["alibi", "bloom", "mpt"],
  source: "position/alibi.ts",
});

export const shawSystem: SystemEntry<"shaw"> = /* @__PURE__ */ positionSystem(shawEntry, {
  use: "work in which near distances have a meaning of their own, in keys and values",
  published: onWikitext("shaw"),
  parameters: (sizes) => sizes.layers * 2 * (2 * 16 + 1) * headWidth(sizes),
  golden: ["shaw_relative"],
  source: "position/shaw.ts",
});

export const distanceAwareSystem: SystemEntry<"distance-aware"> = /* @__PURE__ */ positionSystem(distanceAwareEntry, {
  use: "classification of texts, where some heads look near and others far",
  published: onWikitext("distance-aware"),
  differs: [oneTable, "The paper's model is an encoder; here it is a decoder."],
  parameters: ({ layers, heads }) => layers * 2 * heads,
  golden: ["da_transformer"],
  source: "position/distance-aware.ts",
});
