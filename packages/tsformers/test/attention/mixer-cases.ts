import {
  add,
  compile,
  type Device,
  type DeviceArray,
  flatten,
  foldIn,
  interpret,
  isNdArray,
  keyToArray,
  mapTree,
  mul,
  NDArray,
  normal,
  randomKey,
  readTree,
  sum,
  type Tensor,
  trace,
  valueAndGrad,
} from "@tsformers/engine";
import { makeView, type ViewOptions } from "../../src/attention/core/view.ts";
import type { MixerContext, MixerEntry } from "../../src/attention/index.ts";
import { causal, fullPattern } from "../../src/attention/patterns/pattern.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import type { Mixer, MixerInput, MixerOutput } from "../../src/kinds/index.ts";
import type { Context } from "../../src/kinds/layer.ts";
import type { MapRead } from "./map-reading.ts";

/** Three heads: not a power of two. */
export const sizes = { modelWidth: 24, heads: 3, length: 128 };

type Direction = "causal" | "bidirectional";

/** A member of the catalogue as one of its options makes it, in one direction. */
export type MixerCase<Law extends string = string> = {
  readonly member: string;
  readonly title: string;
  readonly direction: Direction;
  readonly exponent: number;
  /** Whether outputs are averages of values. */
  readonly averages?: boolean;
  readonly heads: number;
  /** Laws that do not hold by its definition, each with the reason. */
  readonly exempt: Partial<Record<Law, string>>;
  load(context?: Partial<MixerContext>): Promise<Mixer>;
};

/** A form of a member: its options, the one direction it is for, and why some laws do not hold for it. */
type Variant<Law extends string> = {
  readonly options: object;
  readonly only?: Direction;
  /** Default: those of {@link sizes}. */
  readonly heads?: number;
  readonly exempt?: Partial<Record<Law, string>>;
};

/**
 * Every member in each direction it works in.
 *
 * @param variants by member; those that are absent are taken without options
 */
export function mixerCases<Law extends string>(
  variants: Readonly<Record<string, readonly Variant<Law>[]>>,
): MixerCase<Law>[] {
  const unknown = Object.keys(variants).filter((name) => !Object.hasOwn(mixers, name));
  if (unknown.length > 0) throw new Error(`no mixer is called ${unknown.join(", ")}`);
  return Object.entries<MixerEntry>(mixers).flatMap(([member, entry]) =>
    (variants[member] ?? [{ options: {} }]).flatMap(({ options, only, heads = sizes.heads, exempt = {} }) =>
      entry.directions
        .filter((direction) => only === undefined || direction === only)
        .map((direction): MixerCase<Law> => {
          const chosen = Object.entries(options).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
          const load = async (context = {}) =>
            entry.make(options, { ...sizes, heads, causal: direction === "causal", ...context });
          const title = `${[member, ...chosen].join(" ")}, ${direction}`;
          const { exponent, averages = true } = entry;
          return { member, title, direction, exponent, averages, heads, exempt, load };
        }),
    ),
  );
}

export type Given = {
  readonly mask?: readonly (readonly number[])[];
  /** Key of dropout. */
  readonly key?: number;
  /** Training state that goes in. */
  readonly training?: unknown;
  readonly view?: Partial<ViewOptions>;
};

export type Outcome = { readonly y: NDArray; readonly map?: MapRead; readonly training?: unknown };

export type AttentionMapRead = {
  readonly weights: NDArray;
  readonly keys?: NDArray;
  readonly apart?: { readonly queries: readonly number[]; readonly weights: NDArray };
};

/** A member with parameters, ready to run. */
export type Prepared = {
  readonly mixer: Mixer;
  readonly params: never;
  run(x: NDArray, given?: Given): Promise<Outcome>;
  /** Position by position, as decoding does. */
  decode(x: NDArray, mask?: Given["mask"]): Promise<NDArray>;
  /** Of `sum(y · weights) + loss`, by the path of each parameter, and of x. */
  gradients(x: NDArray, weights: NDArray, given?: Given): Promise<{ paths: string[]; of: NDArray[]; ofX: NDArray }>;
  /** {@link gradients}'s function, and its derivative along a direction of x and all parameters, in float64. */
  slope(x: NDArray, weights: NDArray): { byGradient: number; byDifference: number };
  release(): Promise<void>;
};

export async function prepareMixer(
  { load, direction }: MixerCase,
  device: Device,
  context: Partial<MixerContext> = {},
): Promise<Prepared> {
  const mixer = await load(context);
  // Initial weights of 0.02 would let everything look alike.
  const params = mapTree(mixer.init(randomKey(5)), isNdArray, (array, path) => louder(array, path)) as never;

  const apply = (params: never, x: Tensor, mask?: Tensor, key?: Tensor, given: Omit<Given, "mask" | "key"> = {}) => {
    const length = x.shape[1]!;
    const view = makeView({
      pattern: direction === "causal" ? causal : fullPattern,
      queries: length,
      keys: length,
      ...(mask === undefined ? {} : { keyMask: mask }),
      ...given.view,
    });
    const input: MixerInput = {
      x,
      view,
      ...(given.training === undefined ? {} : { state: { training: given.training } }),
    };
    const context: Context = key === undefined ? {} : { key };
    return mixer.apply(params, input, context) as MixerOutput;
  };

  const programs = new Map<unknown, { release(): Promise<void> }>();
  const once = <T extends { release(): Promise<void> }>(key: unknown, make: () => T): T => {
    if (!programs.has(key)) programs.set(key, make());
    return programs.get(key) as T;
  };
  const pass = (view: Given["view"]) =>
    once(view, () =>
      compile(
        (params: never, x: Tensor, mask?: Tensor, key?: Tensor, training?: unknown) => {
          const { y, map, state } = apply(params, x, mask, key, { training, ...(view ? { view } : {}) });
          const seen = map?.();
          return {
            y,
            ...(seen === undefined ? {} : { map: seen }),
            ...(state?.training === undefined ? {} : { training: state.training }),
          };
        },
        { device },
      ),
    ) as unknown as (...args: unknown[]) => Promise<unknown>;

  const loss = (params: never, x: Tensor, weights: Tensor, mask?: Tensor): Tensor => {
    const { y, losses = {} } = apply(params, x, mask);
    return Object.values(losses).reduce((total, loss) => add(total, loss), sum(mul(y, weights)));
  };

  return {
    mixer,
    params,
    run: async (x, { mask, key, training, view } = {}) => {
      const keyArray = key === undefined ? undefined : keyToArray(randomKey(key));
      return (await readTree(await pass(view)(params, x, mask && maskArray(mask), keyArray, training))) as Outcome;
    },
    decode: async (x, mask) => {
      const { recurrent } = mixer;
      if (recurrent === undefined) throw new Error("this mixer has no recurrent form");
      const [batch, length] = x.shape as [number, number, number];
      const step = once("step", () =>
        compile(
          (params: never, x: Tensor, state: never, position: Tensor, mask?: Tensor) => {
            const keyMask = mask === undefined ? {} : { keyMask: mask };
            const view = makeView({ pattern: causal, queries: 1, keys: sizes.length, offset: position, ...keyMask });
            return recurrent.step(params, x, state, { position, view });
          },
          { device },
        ),
      ) as unknown as (...args: unknown[]) => Promise<{ y: DeviceArray; state: unknown }>;
      const padded = mask?.map((row) => [...row, ...new Array<number>(sizes.length - row.length).fill(0)]);
      let state: unknown = recurrent.start(batch, sizes.length);
      const rows: number[][][] = Array.from({ length: batch }, () => []);
      for (let t = 0; t < length; t++) {
        const at = new NDArray([], "int32", Int32Array.of(t));
        const found = await step(params, positionOf(x, t), state, at, padded && maskArray(padded));
        state = found.state;
        for (const [b, row] of rowsOf(await found.y.read()).entries()) rows[b]!.push(row[0]!);
      }
      return arrayOf(rows);
    },
    gradients: async (x, weights, { mask } = {}) => {
      const program = once("gradients", () =>
        compile(
          (params: never, x: Tensor, weights: Tensor, mask?: Tensor) => {
            const own = valueAndGrad((of: { params: never; x: Tensor }) => loss(of.params, of.x, weights, mask));
            return own({ params, x }).gradient;
          },
          { device },
        ),
      ) as unknown as (...args: unknown[]) => Promise<unknown>;
      const found = await readTree(await program(params, x, weights, mask && maskArray(mask)));
      const { params: of, x: ofX } = found as { params: unknown; x: NDArray };
      const { leaves, paths } = flatten(of, isNdArray);
      return { paths, of: leaves, ofX };
    },
    slope: (x, weights) => {
      const { leaves, structure } = flatten([{ params, x }, weights], isNdArray);
      const value = (of: { params: never; x: Tensor }, weights: Tensor) => loss(of.params, of.x, weights);
      const both = (of: { params: never; x: Tensor }, weights: Tensor) => valueAndGrad(value)(of, weights).gradient;
      const types = leaves.map(({ shape, dtype }) => ({ shape, dtype }));
      const direction = leaves.slice(0, -1).map((leaf, i) => normal(foldIn(randomKey(77), i), leaf.shape).toNumbers());
      const moved = (by: number) =>
        leaves.map(
          (leaf, i) =>
            new NDArray(
              leaf.shape,
              "float64",
              Float64Array.from(leaf.toNumbers(), (x, j) => x + by * (direction[i]?.[j] ?? 0)),
            ),
        );
      const { program } = trace(value as (...args: never[]) => unknown, structure, types);
      const at = (by: number) => interpret(program, moved(by))[0]!.item();
      const gradient = interpret(trace(both as (...args: never[]) => unknown, structure, types).program, moved(0));
      const byGradient = gradient.reduce((total, of, i) => total + dot(of.toNumbers(), direction[i]!), 0);
      return { byGradient, byDifference: (at(1e-5) - at(-1e-5)) / 2e-5 };
    },
    release: async () => {
      for (const program of programs.values()) await program.release();
    },
  };
}

/** Weights eight times as large, biases that are not 0; what starts at some size of its own, as scales do, stays near it. */
export function louder(array: NDArray, path: string): NDArray {
  const noise = normal(foldIn(randomKey(6), hash(path)), array.shape, { deviation: 0.1 }).data as Float32Array;
  const values = array.data as Float32Array;
  const small = values.every((x) => Math.abs(x) < 0.2);
  const factor = small && array.shape.length >= 2 ? 8 : 1;
  const moved = Float32Array.from(values, (x, i) => factor * x + (factor === 1 ? noise[i]! : 0));
  return new NDArray(array.shape, "float32", moved);
}

function hash(text: string): number {
  return [...text].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 65_536, 7);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}

/** [rows of T positions of C features] */
export type Rows = readonly (readonly (readonly number[])[])[];

export function arrayOf(rows: Rows): NDArray {
  const shape = [rows.length, rows[0]!.length, rows[0]![0]!.length];
  return new NDArray(shape, "float32", Float32Array.from(rows.flat(2)));
}

export function rowsOf(array: NDArray): number[][][] {
  const [batch, length, width] = array.shape as [number, number, number];
  const values = array.toNumbers();
  const row = (b: number, t: number) => values.slice((b * length + t) * width, (b * length + t + 1) * width);
  return Array.from({ length: batch }, (_, b) => Array.from({ length }, (_, t) => row(b, t)));
}

/** Inputs as they come out of a norm: of deviation 1. */
export function inputs(length: number, seed = 1, batch = 1): NDArray {
  return normal(foldIn(randomKey(seed), length), [batch, length, sizes.modelWidth]);
}

function positionOf(x: NDArray, t: number): NDArray {
  return arrayOf(rowsOf(x).map((row) => [row[t]!]));
}

function maskArray(mask: readonly (readonly number[])[]): NDArray {
  return new NDArray([mask.length, mask[0]!.length], "int32", Int32Array.from(mask.flat()));
}
