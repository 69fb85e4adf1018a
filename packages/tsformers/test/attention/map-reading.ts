import type { NDArray } from "@tsformers/engine";
import { rowsOf } from "./mixer-cases.ts";

/** An attention map read back from a device. */
export type MapRead = {
  readonly weights: NDArray;
  readonly keys?: NDArray;
  readonly apart?: { readonly queries: readonly number[] | NDArray; readonly weights: NDArray };
};

export type Look = { readonly key: number; readonly weight: number };

/** What position t of row b looks at in head h, weights of exactly zero left out. */
export function looksOf({ weights, keys, apart }: MapRead): (b: number, h: number, t: number) => Look[] {
  const w = weights.toNumbers();
  const k = keys && spread(keys, weights.shape);
  const [, heads, length, width] = weights.shape as [number, number, number, number];
  const own = apart?.weights.toNumbers() ?? [];
  const all = apart?.weights.shape.at(-1) ?? 0;
  return (b, h, t) => {
    const queries = apart === undefined ? [] : queriesOf(apart.queries, b);
    const g = queries.indexOf(t);
    const row = b * heads + h;
    const first = g < 0 ? (row * length + t) * width : (row * queries.length + g) * all;
    const found = g < 0 ? w.slice(first, first + width) : own.slice(first, first + all);
    return found
      .map((weight, i) => ({ weight, key: g < 0 ? (k?.[first + i] ?? i) : i }))
      .filter(({ weight }) => weight !== 0);
  };
}

/** Of row b. */
function queriesOf(queries: readonly number[] | NDArray, b: number): readonly number[] {
  if (!("shape" in queries)) return queries;
  const count = queries.shape[1]!;
  return queries.toNumbers().slice(b * count, (b + 1) * count);
}

type Projection = { readonly weight: NDArray; readonly bias?: NDArray };

/** `out(Σ_look weight · value(x[b, key])[h])`: what a map says that y is. */
export function mixedBy(map: MapRead, x: NDArray, params: never): number[][][] {
  const { value, out } = params as { value: Projection; out: Projection };
  const [, heads, length] = map.weights.shape as [number, number, number];
  const looks = looksOf(map);
  return rowsOf(x).map((row, b) => {
    const values = row.map((at) => project(value, at));
    const depth = values[0]!.length / heads;
    return Array.from({ length }, (_, t) => {
      const mixed = new Array<number>(heads * depth).fill(0);
      for (let h = 0; h < heads; h++) {
        for (const { key, weight } of looks(b, h, t)) {
          for (let d = h * depth; d < (h + 1) * depth; d++) mixed[d]! += weight * values[key]![d]!;
        }
      }
      return project(out, mixed);
    });
  });
}

function project({ weight, bias }: Projection, x: readonly number[]): number[] {
  const [from, to] = weight.shape as [number, number];
  const w = weight.data as Float32Array;
  const y = bias?.toNumbers() ?? new Array<number>(to).fill(0);
  for (let i = 0; i < from; i++) for (let j = 0; j < to; j++) y[j]! += x[i]! * w[i * to + j]!;
  return y;
}

/** The elements of an array broadcast to a shape of the same rank. */
function spread(array: NDArray, shape: readonly number[]): number[] {
  const values = array.toNumbers();
  const size = shape.reduce((a, b) => a * b, 1);
  return Array.from({ length: size }, (_, flat) => {
    let [rest, stride, at] = [flat, 1, 0];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const index = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
      at += (array.shape[axis] === 1 ? 0 : index) * stride;
      stride *= array.shape[axis]!;
    }
    return values[at]!;
  });
}
