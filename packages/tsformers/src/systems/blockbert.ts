import { blockwiseEntry } from "../attention/patterns/blockwise.ts";
import { ofBert } from "./parameter-count.ts";
import { type SystemEntry, systemEntry } from "./system-entry.ts";

export const blockbertSystem: SystemEntry<"blockbert"> = /* @__PURE__ */ systemEntry(
  {
    ...blockwiseEntry,
    name: "blockbert",
    title: "BlockBERT",
    summary: "a BERT whose heads see one block of the text each: most their own, some another",
  },
  {
    category: "long inputs",
    causal: false,
    use: "pre-training on long documents, and questions about them, at a fraction of BERT's pairs",
    sees: "in most heads the block of the text that it stands in, in the others another block",
    differs: [
      "The counted head tells hidden tokens, as BERT's does. The paper names the sizes of BERT-base and prints no number of parameters: 110M is BERT-base's.",
      "Blocks are computed one by one; where their number does not divide the length, they differ by one position.",
      "The small preset tells positions by rotation instead of a table, with which so small a model does not learn in minutes to look at its neighbours.",
    ],
    presets: {
      small: {
        about:
          "two layers over characters, rows of 1,024 in two blocks; three heads see their own, one the other; give --data",
        run: {
          model: {
            kind: "bert",
            layers: 2,
            modelWidth: 64,
            heads: 4,
            ffnWidth: 128,
            initializerRange: 0.06,
            pattern: { kind: "blockwise", blocks: 2, shifted: 1 },
            position: { kind: "rotary" },
          },
          task: { kind: "text" },
          length: 1024,
          steps: 300,
          batchSize: 4,
          learningRate: 5e-3,
        },
        vocabularySize: 67,
      },
      paper: {
        about: "BERT-base, 1,024 positions in two blocks; ten heads see their own, two the other (§4)",
        run: {
          model: {
            kind: "bert",
            layers: 12,
            modelWidth: 768,
            heads: 12,
            ffnWidth: 3072,
            dropoutRate: 0.1,
            pattern: { kind: "blockwise", blocks: 2, shifted: 2 },
          },
          length: 1024,
        },
        vocabularySize: 30_522,
        published: "110M",
      },
    },
    parameters: ({ length, ...sizes }, { position }) =>
      ofBert({ ...sizes, positions: position === undefined ? length : 0 }),
    golden: ["blockwise", "bert"],
    source: "attention/patterns/blockwise.ts",
    example: "blockbert",
  },
);
