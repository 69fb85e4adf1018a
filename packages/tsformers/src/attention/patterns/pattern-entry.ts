import * as z from "zod";
import type { LayerPatterns } from "../../kinds/index.ts";
import { type Direction, requireCounts, requireDirectionOf } from "../../nn/sizes.ts";
import { type Agreement, checkedFunctions, type Entry, type EntryParts, type Published } from "../../schema/entry.ts";

/** What a pattern must know of the model that it is built into. */
export type PatternContext = {
  /** The longest sequence. Sizes that are not given follow from it. */
  readonly length: number;
  /** Whether no position may look ahead. */
  readonly causal: boolean;
  readonly heads: number;
  readonly layers: number;
};

type AboutPattern = Published & {
  /** Pairs that a sequence of n positions computes, with the default sizes. */
  readonly cost: string;
  /** The claimed exponent of n: 1 for linear, 1.5 for n√n, 2 for n²; sizes that follow from the length as the paper chooses them. */
  readonly exponent: number;
  /** In which directions it works; the first is that of the paper. */
  readonly directions: readonly Direction[];
};

/** A pattern of softmax attention as the catalogue knows it. */
export type PatternEntry<Name extends string = string, Settings = unknown> = AboutPattern &
  Entry<Name, Settings, [context: PatternContext], LayerPatterns>;

type PatternParts<Name extends string, Schema extends z.ZodObject> = AboutPattern &
  EntryParts<Name, Schema, [context: PatternContext], LayerPatterns>;

/**
 * The entry of a pattern.
 *
 * @throws RangeError from `make` when settings or sizes do not fit, or the pattern does not work in the wanted direction
 */
export function patternEntry<Name extends string, Settings, Schema extends z.ZodObject>(
  parts: PatternParts<Name, Schema> & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): PatternEntry<Name, Settings> {
  const own: PatternParts<Name, Schema> = parts;
  const { name, directions } = own;
  const functions = checkedFunctions(own, ({ causal, length, heads, layers }) => {
    requireCounts(name, { length, heads, layers });
    requireDirectionOf(name, directions, causal);
  });
  return { ...own, ...functions };
}

/** Where the two halves of a pattern go. */
export type HalvesUse = "merged" | "heads" | "layers";

/** The setting for {@link HalvesUse}. */
export function halvesOption(standard: HalvesUse): z.ZodDefault<z.ZodEnum<{ readonly [Use in HalvesUse]: Use }>> {
  return z
    .enum(["merged", "heads", "layers"])
    .default(standard)
    .describe("where its two halves go: both into every head, into heads in turn, or into layers in turn");
}
