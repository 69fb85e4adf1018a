import { entryOf } from "../../catalogue/catalogue-of.ts";
import { models } from "../../catalogue/models.ts";
import { fullCost, type ModelEntry } from "../../models/model-entry.ts";
import type { Catalogue, Choice } from "../../run/catalogue.ts";
import { unusualParts } from "../../run/parts.ts";
import type { Comparison } from "../results.ts";
import type { VariantSummary } from "./summaries.ts";

const catalogue: Catalogue<ModelEntry> = models;

/** Whether every layer of a model is plain softmax attention over all positions; its position scheme may be any. */
export function isFullAttention(model: Choice): boolean {
  if (!Object.hasOwn(models, model.kind) || entryOf(catalogue, model.kind).cost !== fullCost) return false;
  return unusualParts(model).every((part) => part.startsWith("position "));
}

/**
 * The variants of a comparison that are full attention, in their order. Their configurations say it; where there are none, the settings in which
 * they differ.
 */
export function fullAttentionOf({ variants, runs, cells }: Comparison): string[] {
  return variants.filter((variant) => {
    const cell = cells.find((one) => one.variant === variant);
    const config = cell?.config ?? runs.find((one) => one.variant === variant)?.config;
    if (config !== undefined) return isFullAttention(config.model);
    if (cell === undefined) return false;
    const { model, mixer = "softmax", pattern = "full", depth = "stack" } = cell.settings;
    const isPlain = mixer === "softmax" && pattern === "full" && depth === "stack";
    return isPlain && (model === undefined || isFullAttention({ kind: model }));
  });
}

/** Where nothing was trained, the first full attention whose steps were measured. */
export function measuredReference(comparison: Comparison, summaries: readonly VariantSummary[]): string | undefined {
  return fullAttentionOf(comparison).find((variant) => summaries.some((one) => one.variant === variant && one.steps));
}
