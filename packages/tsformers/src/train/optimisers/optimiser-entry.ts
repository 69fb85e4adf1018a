import * as z from "zod";
import { type Agreement, checkedFunctions, type Entry, type EntryParts, type Published } from "../../schema/entry.ts";
import type { Optimiser } from "./optimiser.ts";

type AboutOptimiser = Published & {
  /** Memory beside the parameters and their gradients. */
  readonly cost: string;
};

/** An optimiser as the catalogue knows it. */
export type OptimiserEntry<Name extends string = string, Settings = unknown> = AboutOptimiser &
  Entry<Name, Settings, [], Optimiser>;

type OptimiserParts<Name extends string, Schema extends z.ZodObject> = AboutOptimiser &
  EntryParts<Name, Schema, [], Optimiser>;

/** The entry of an optimiser. */
export function optimiserEntry<Name extends string, Settings, Schema extends z.ZodObject>(
  parts: OptimiserParts<Name, Schema> & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): OptimiserEntry<Name, Settings> {
  const own: OptimiserParts<Name, Schema> = parts;
  return { ...own, ...checkedFunctions(own) };
}

/** The setting for a weight of the past, from 0 to less than 1. */
export function memoryOption(standard: number, of: string): z.ZodDefault<z.ZodNumber> {
  return z.number().min(0).lt(1).default(standard).describe(`memory of ${of}`);
}

/** The setting for the weight decay. */
export function weightDecayOption(standard: number): z.ZodDefault<z.ZodNumber> {
  return z
    .number()
    .nonnegative()
    .default(standard)
    .describe("share of a matrix's weights lost per update, times the rate");
}
