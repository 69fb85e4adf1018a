import { bigbird } from "../attention/patterns/bigbird.ts";
import { uniformBlocks } from "../attention/patterns/bigbird-plan.ts";
import type { Pattern } from "../kinds/index.ts";
import { bigbirdEntry } from "../models/encoders/bigbird.ts";
import { ofBlock, ofLinear, ofNorm } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const bigbirdSystem: SystemEntry<"bigbird"> = /* @__PURE__ */ systemEntry(bigbirdEntry, {
  category: "long inputs",
  causal: false,
  use: "questions about long documents and their classes, starting from a dense checkpoint of a shorter length",
  sees: "its own block, the two beside it, the first, the last and a few random ones; the first and the last block see everything",
  picture: () => [0, 1].map((layer) => ({ title: `layer ${layer}`, pattern: drawnIn(layer) })),
  differs: [
    "Rows are computed as they are, not padded to whole blocks; short ones see fewer blocks than in the released code, which sees all where there are few.",
    "Random blocks are drawn uniformly; with checkpoints they are those of the released code.",
    "It is the internal construction (ITC). With tokens of its own that see all, it is ETC, the system `etc`.",
    "The preset begins at random; `--from` makes it of a dense run or checkpoint, with positions tiled.",
    "The paper prints no number of parameters.",
  ],
  presets: {
    small: {
      about: "two layers with blocks of 16, questions about passages of 119 tokens",
      run: {
        model: { kind: "bigbird", layers: 2, modelWidth: 64, heads: 4, block: 16, random: 1 },
        task: { kind: "questions", words: 32, facts: 1 },
        length: 128,
        steps: 300,
        batchSize: 16,
        learningRate: 1e-3,
      },
      vocabularySize: 42,
    },
    paper: {
      about:
        "BigBird-base (ITC), continued from RoBERTa at 4,096 positions: blocks of 64, three of them random (appendix E)",
      run: {
        model: { kind: "bigbird", layers: 12, modelWidth: 768, heads: 12, block: 64, random: 3, dropoutRate: 0.1 },
        length: 4096,
        steps: 500_000,
        batchSize: 256,
        learningRate: 1e-4,
      },
      vocabularySize: 50_358,
    },
  },
  // Those of BERT: tokens, positions and two segments, blocks, and output layers whose matrix is that of the tokens.
  parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }) =>
    (vocabularySize + length + 2) * C +
    ofNorm(C) +
    layers * ofBlock(C, ffnWidth) +
    ofLinear(C, C) +
    ofNorm(C) +
    vocabularySize,
  golden: ["bigbird", "bigbird_full"],
  source: "models/encoders/bigbird.ts",
  example: "bigbird",
});

/** Blocks of 4, one of them random. */
function drawnIn(layer: number): Pattern {
  return bigbird({ block: 4, heads: 1, random: uniformBlocks({ random: 1, heads: 1, seed: layer }) });
}
