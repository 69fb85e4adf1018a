import type * as z from "zod";
import { type Agreement, checkedFunctions, type Entry, type EntryFunctions, type Published } from "../schema/entry.ts";
import type { DepthMaker } from "./makers.ts";

type AboutDepth = Published & {
  readonly title: string;
  readonly summary: string;
  /** Time, memory and parameters beside those of N blocks. */
  readonly cost: string;
};

/** A depth as the catalogue knows it: how the blocks of a model follow one another. */
export type DepthEntry<Name extends string = string, Settings = unknown> = AboutDepth &
  Entry<Name, Settings, [], DepthMaker>;

/** The entry of a depth. @throws RangeError from `make` when settings do not fit */
export function depthEntry<Name extends string, Settings, Schema extends z.ZodObject>(
  parts: AboutDepth &
    EntryFunctions<Schema, [], DepthMaker> & { readonly name: Name } & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): DepthEntry<Name, Settings> {
  const own: AboutDepth & EntryFunctions<Schema, [], DepthMaker> & { readonly name: Name } = parts;
  return { ...own, ...checkedFunctions<Schema, [], DepthMaker>(own) };
}
