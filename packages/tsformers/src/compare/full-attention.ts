import { entryOf } from "../catalogue/catalogue-of.ts";
import { models } from "../catalogue/models.ts";
import { fullCost, type ModelEntry } from "../models/model-entry.ts";
import type { Catalogue, Choice } from "../run/catalogue.ts";
import { unusualParts } from "../run/parts.ts";
import type { Comparison } from "./results.ts";

const catalogue: Catalogue<ModelEntry> = models;

/** Whether every layer of a model is plain softmax attention over all positions; its position scheme may be any. */
export function isFullAttention(model: Choice): boolean {
  if (!Object.hasOwn(models, model.kind) || entryOf(catalogue, model.kind).cost !== fullCost) return false;
  return unusualParts(model).every((part) => part.startsWith("position "));
}

/**
 * The variants of a comparison that are full attention, in their order. Their configurations say it; of variants that were measured and not
 * trained, the settings in which they differ.
 */
export function fullAttentionOf({ variants, runs, cells }: Comparison): string[] {
  return variants.filter((variant) => {
    const known = cells.find((cell) => cell.variant === variant);
    if (known?.fullAttention !== undefined) return known.fullAttention;
    const run = runs.find((one) => one.variant === variant);
    if (run !== undefined) return isFullAttention(run.config.model);
    if (known === undefined) return false;
    const { model, mixer = "softmax", pattern = "full", depth = "stack" } = known.settings;
    const isPlain = mixer === "softmax" && pattern === "full" && depth === "stack";
    return isPlain && (model === undefined || isFullAttention({ kind: model }));
  });
}
