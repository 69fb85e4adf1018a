import * as z from "zod";
import { fixed, fixedBlock, fixedHeads, fixedSummary } from "../../attention/patterns/fixed.ts";
import type { Pattern } from "../../attention/patterns/pattern.ts";
import { strided, stridedColumn, stridedHeads, stridedLocal } from "../../attention/patterns/strided.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { maskedAttention } from "./masked-attention.ts";

const size = z.int().positive();
const strides = [
  "strided_local",
  "strided_local_paper",
  "strided_stride",
  "strided_merged",
  "strided_per_head",
] as const;
const summaries = ["fixed_summary", "fixed_merged", "fixed_distinct_heads"] as const;
const options = z.discriminatedUnion("pattern", [
  z.strictObject({ pattern: z.enum([...strides, "fixed_block"]), l: size }),
  z.strictObject({ pattern: z.enum(summaries), l: size, c: size }),
]);

/** The pattern that a case of the fixture names; all of them are causal. */
export function sparseTransformerPattern(given: Readonly<Record<string, unknown>>): Pattern {
  const chosen = options.parse(given);
  const causal = { stride: chosen.l, causal: true };
  switch (chosen.pattern) {
    case "strided_local":
      return stridedLocal(causal);
    case "strided_local_paper":
      return stridedLocal({ ...causal, reach: chosen.l });
    case "strided_stride":
      return stridedColumn(causal);
    case "strided_merged":
      return strided(causal);
    case "strided_per_head":
      return stridedHeads(causal);
    case "fixed_block":
      return fixedBlock(causal);
    case "fixed_summary":
      return fixedSummary({ ...causal, summary: chosen.c });
    case "fixed_merged":
      return fixed({ ...causal, summary: chosen.c });
    case "fixed_distinct_heads":
      return fixedHeads({ ...causal, summary: chosen.c });
  }
}

/** Sparse Transformer: q, k, v [B, H, T, D], each pattern through the executor. */
export const sparseTransformer: Mechanism = {
  run: (inputs, given) => maskedAttention(inputs, sparseTransformerPattern(given)),
};
