import type * as z from "zod";
import type { BlockParts } from "../blocks/block.ts";
import type { Block, Depth, Layer } from "../kinds/index.ts";
import type { NormParams } from "../nn/norm.ts";
import { type Agreement, checkedFunctions, type Entry, type EntryParts, type Published } from "../schema/entry.ts";
import type { StackParams } from "./layers.ts";

/** How the blocks of a model follow one another, for models that leave the choice open. */
export type DepthMaker = {
  /** The block that it needs. Default: the model's own. */
  arrange?<Mix, Ffn>(parts: BlockParts<Mix, Ffn>): Block;
  make(
    blocks: readonly Block[],
    options: { readonly finalNorm?: Layer<NormParams>; readonly modelWidth: number },
  ): Depth<StackParams>;
};

type AboutDepth = Published & {
  /** Time, memory and parameters beside those of N blocks. */
  readonly cost: string;
};

/** A depth as the catalogue knows it: how the blocks of a model follow one another. */
export type DepthEntry<Name extends string = string, Settings = unknown> = AboutDepth &
  Entry<Name, Settings, [], DepthMaker>;

type DepthParts<Name extends string, Schema extends z.ZodObject> = AboutDepth &
  EntryParts<Name, Schema, [], DepthMaker>;

/** The entry of a depth. @throws RangeError from `make` when settings do not fit */
export function depthEntry<Name extends string, Settings, Schema extends z.ZodObject>(
  parts: DepthParts<Name, Schema> & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): DepthEntry<Name, Settings> {
  const own: DepthParts<Name, Schema> = parts;
  return { ...own, ...checkedFunctions(own) };
}
