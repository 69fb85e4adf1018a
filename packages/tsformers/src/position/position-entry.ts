import type * as z from "zod";
import type { PositionScheme } from "../kinds/index.ts";
import type { Initial } from "../nn/initial.ts";
import { type Direction, requireDirectionOf, requireSizes } from "../nn/sizes.ts";
import { type Agreement, checkedFunctions, type Entry, type EntryParts, type Published } from "../schema/entry.ts";

/** What a scheme must know of the model that it is built into. */
export type PositionContext = {
  readonly modelWidth: number;
  readonly heads: number;
  readonly layers: number;
  /** The longest row in training: what a table of learned positions covers. */
  readonly length: number;
  /** Of tables of vectors that are added to inputs. Default: {@link normalInitial}. */
  readonly initial?: Initial;
  /** Whether no position may look ahead. Default: true. */
  readonly causal?: boolean;
};

/**
 * How a scheme tells a model about positions: with vectors added to inputs, by rotating queries and keys, or by changing logits, which those
 * do, too, that do both.
 */
export type PositionKind = "inputs" | "rotation" | "scores";

type AboutPosition = Published & {
  readonly category: PositionKind | "nothing";
  readonly cost: string;
  /** What happens beyond the training length. */
  readonly beyond: string;
  /** In which directions it works. Default: both. */
  readonly directions?: readonly Direction[];
};

/** A position scheme as the catalogue knows it. */
export type PositionEntry<Name extends string = string, Settings = unknown> = AboutPosition &
  Entry<Name, Settings, [context: PositionContext], PositionScheme>;

type CompleteContext = PositionContext & { readonly causal: boolean };

type PositionParts<Name extends string, Schema extends z.ZodObject> = AboutPosition &
  EntryParts<Name, Schema, [context: CompleteContext], PositionScheme>;

/**
 * The entry of a position scheme.
 *
 * @throws RangeError from `make` when settings or sizes do not fit, or the scheme does not work in the wanted direction
 */
export function positionEntry<Name extends string, Settings, Schema extends z.ZodObject>(
  parts: PositionParts<Name, Schema> & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): PositionEntry<Name, Settings> {
  const own: PositionParts<Name, Schema> = parts;
  const { name, directions } = own;
  const { options, make } = checkedFunctions(own, (context) => {
    const { layers, length, causal } = context;
    requireSizes(name, context, { layers, length });
    requireDirectionOf(name, directions ?? ["causal", "bidirectional"], causal);
  });
  return { ...own, options, make: (settings, context) => make(settings, { causal: true, ...context }) };
}
