import { runsOf } from "../attention/core/runs.ts";
import type { Pattern } from "../attention/patterns/pattern.ts";
import { sinkhornEntry } from "../attention/sinkhorn/sinkhorn.ts";
import type { Choice } from "../run/catalogue.ts";
import { ofBlock } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const sinkhornTransformerSystem: SystemEntry<"sinkhorn-transformer"> = /* @__PURE__ */ systemEntry(
  {
    ...sinkhornEntry,
    name: "sinkhorn-transformer",
    title: "Sinkhorn Transformer",
    summary: "a Transformer whose blocks attend to themselves and to one block that is mixed from others for them",
  },
  {
    category: "learned patterns",
    causal: true,
    use: "sequences in which each part needs something of all others: sorting, language, pictures; as an encoder with SortCut also classes",
    sees: "its own block, and as many keys that are mixed from all blocks before; how, a small network decides from the sums of blocks",
    picture: (length) => [
      { title: "own block of 8", pattern: ownBlock(8) },
      { title: "mixed from blocks before", pattern: blocksBefore(8) },
      { title: "SortCut of two blocks (encoder)", pattern: { name: "mixed from all", keys: () => [0, length] } },
    ],
    differs: [
      "Columns of the causal sort matrix are divided by sums over the rows so far, so that no later token has a say and it decodes; the published form is `columns: whole`.",
      "The paper sorts with an encoder and a decoder; here a decoder reads the symbols and then writes them in order.",
      "The blocks are GPT-2's, with learned positions. The small preset has no Gumbel noise in training.",
      "Optimised with AdamW and a cosine schedule in the small preset.",
      "The paper prints no number of parameters for its settings.",
    ],
    presets: {
      small: {
        about: "two layers that sort 16 of 32 symbols (§5.1), in blocks of 4",
        run: {
          model: {
            kind: "gpt",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            ffnWidth: 128,
            initializerRange: 0.08,
            mixer: { kind: "sinkhorn", block: 4, noise: 0 },
          },
          task: { kind: "sort", symbols: 32 },
          length: 32,
          steps: 500,
          batchSize: 32,
          learningRate: 5e-3,
        },
        vocabularySize: 33,
      },
      paper: {
        about: "language modelling on LM1B, subwords, at the base size of Tensor2Tensor, with blocks of 32",
        run: {
          model: {
            kind: "gpt",
            layers: 6,
            modelWidth: 512,
            heads: 8,
            ffnWidth: 2048,
            mixer: { kind: "sinkhorn", block: 32 },
          },
          length: 256,
        },
        vocabularySize: 32_000,
      },
    },
    // GPT-2's, and two matrices of the sorting network for each head.
    parameters: ({ vocabularySize, length, layers, modelWidth: C, ffnWidth }, { mixer }) => {
      const blocks = Math.ceil(length / Number((mixer as Choice).block));
      const sort = C * C + C * blocks;
      return (vocabularySize + length) * C + layers * (ofBlock(C, ffnWidth) + sort) + 2 * C;
    },
    golden: ["sinkhorn"],
    source: "attention/sinkhorn/sinkhorn.ts",
    example: "sinkhorn-transformer",
  },
);

function ownBlock(block: number): Pattern {
  return { name: `blocks of ${block}`, keys: (query) => [query - (query % block), query + 1] };
}

/** Keys of a mixed block: what stands at one place of it comes from that place of all blocks before. */
function blocksBefore(block: number): Pattern {
  return {
    name: "all blocks before",
    keys: (query) => runsOf(Array.from({ length: query - (query % block) }, (_, key) => key)),
  };
}
