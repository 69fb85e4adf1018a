import type * as z from "zod";
import type { Mechanism, Mixer } from "../kinds/index.ts";
import type { Initial } from "../nn/initial.ts";
import { type Direction, requireDirectionOf, requireSizes } from "../nn/sizes.ts";
import { type Agreement, checkedFunctions, type Entry, type EntryParts, type Published } from "../schema/entry.ts";
import type { Refusals } from "./core/require-support.ts";

/** What a mixer must know of the model that it is built into. */
export type MixerContext = {
  readonly modelWidth: number;
  readonly heads: number;
  /** The longest sequence. */
  readonly length: number;
  /** Whether no position may look ahead. */
  readonly causal: boolean;
  readonly dropoutRate?: number;
  /** Of matrices that have no initial values of their own. Default: {@link normalInitial}. */
  readonly initial?: Initial;
  /** Which layer of the stack it is for, from 0. Default: 0. */
  readonly layer?: number;
};

type AboutMixer = Published & {
  /** Time and memory for a sequence of n positions. */
  readonly cost: string;
  /** The claimed exponent of n in time: 1 for linear, 1.5 for n√n, 2 for n². */
  readonly exponent: number;
  /** In which directions it works. */
  readonly directions: readonly Direction[];
  /** Which position schemes it does not work with, and why. Vectors added to inputs work with every mixer. Default: it works with all. */
  readonly refuses?: Refusals;
  /** False where outputs are no averages of values: the weights of its map may have any sign and sum. */
  readonly averages?: false;
  /** How it computes what a recorded fixture of that name holds; `verify` finds it here. */
  readonly proof?: Mechanism & { readonly fixture: string };
  /** How large the decode state is: whether it grows with the position. Absent: it does not decode. */
  readonly decodeState?: "grows" | "stays the same";
};

/** A mixer as the catalogue knows it. */
export type MixerEntry<Name extends string = string, Settings = unknown> = AboutMixer &
  Entry<Name, Settings, [context: MixerContext], Mixer>;

type MixerParts<Name extends string, Schema extends z.ZodObject, Params> = AboutMixer &
  EntryParts<Name, Schema, [context: MixerContext], Mixer<Params>>;

/**
 * The entry of a mixer.
 *
 * @throws RangeError from `make` when settings or sizes do not fit, or the mixer does not work in the wanted direction
 */
export function mixerEntry<Name extends string, Settings, Schema extends z.ZodObject, Params>(
  parts: MixerParts<Name, Schema, Params> & Agreement<NoInfer<Settings>, NoInfer<Schema>>,
): MixerEntry<Name, Settings> {
  const own: MixerParts<Name, Schema, Params> = parts;
  const { name, directions } = own;
  const functions = checkedFunctions(own, (context) => {
    requireSizes(name, context, { length: context.length });
    requireDirectionOf(name, directions, context.causal);
  });
  return { ...own, ...functions };
}
