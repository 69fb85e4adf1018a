import {
  type Concrete,
  flatten,
  foldIn,
  interpret,
  isNdArray,
  mapTree,
  NDArray,
  normal,
  randomKey,
  type Tensor,
  trace,
  valueAndGrad,
} from "@tsformers/engine";
import { expect } from "vitest";

/** All numbers of a tree of arrays, in the order of its paths. */
export function numbersOf(tree: unknown): number[] {
  return flatten(tree, isNdArray).leaves.flatMap((array) => array.toNumbers());
}

/** Numbers of a tree by path. */
export function numbersByPath(tree: unknown): Record<string, number[]> {
  const { leaves, paths } = flatten(tree, isNdArray);
  return Object.fromEntries(paths.map((path, i) => [path, leaves[i]!.toNumbers()]));
}

/** Trees of one form have the same numbers but for rounding, in proportion to the largest of each array. */
export function expectSameTrees(found: unknown, expected: unknown, tolerance = 2e-5): void {
  const [a, b] = [numbersByPath(found), numbersByPath(expected)];
  expect(Object.keys(a)).toEqual(Object.keys(b));
  for (const [path, values] of Object.entries(a)) {
    const others = b[path]!;
    expect(values.length, path).toBe(others.length);
    const most = others.reduce((most, x) => Math.max(most, Math.abs(x)), 1);
    // Written so that NaN is the worst.
    const worst = values.reduce((worst, x, i) => {
      const off = Math.abs(x - others[i]!);
      return off <= worst ? worst : off;
    }, 0);
    expect(worst / most, path).toBeLessThan(tolerance);
  }
}

/** Weights in place of a model's initial ones, so large that positions differ. */
export function loud<Params>(params: Params): Params {
  let seed = 0;
  return mapTree(params, isNdArray, (array, path) => {
    const noise = normal(randomKey(100 + seed++), array.shape, { deviation: 0.35 });
    if (!path.endsWith("orm.weight")) return noise;
    return new NDArray(
      array.shape,
      "float32",
      Float32Array.from(noise.toNumbers(), (x) => 1 + x),
    );
  }) as Params;
}

/** How many numbers a tree holds. */
export function sizeOf(tree: unknown): number {
  return flatten(tree, isNdArray).leaves.reduce(
    (total, { shape }) => total + shape.reduce((size, extent) => size * extent, 1),
    0,
  );
}

/** The slope of a loss along a random direction, in float64: by its gradient and by a central difference. */
export function slopes<P>(
  loss: (params: P) => Tensor,
  params: Concrete<P>,
): { readonly byGradient: number; readonly byDifference: number } {
  const { leaves, structure } = flatten([params], isNdArray);
  const types = leaves.map(({ shape, dtype }) => ({ shape, dtype }));
  const direction = leaves.map(({ shape }, i) => normal(foldIn(randomKey(77), i), shape).toNumbers());
  const moved = (by: number): NDArray[] =>
    leaves.map((leaf, i) => {
      const values = leaf.toNumbers().map((x, j) => x + by * direction[i]![j]!);
      return new NDArray(leaf.shape, "float64", Float64Array.from(values));
    });
  const run = (fn: (params: P) => unknown, by: number) =>
    interpret(trace(fn as (...args: never[]) => unknown, structure, types).program, moved(by));
  const at = (by: number): number => run(loss, by)[0]!.item();
  const gradients = run((params) => valueAndGrad(loss)(params).gradient, 0);
  const byGradient = gradients.reduce(
    (total, of, i) => of.toNumbers().reduce((sum, slope, j) => sum + slope * direction[i]![j]!, total),
    0,
  );
  return { byGradient, byDifference: (at(1e-5) - at(-1e-5)) / 2e-5 };
}
