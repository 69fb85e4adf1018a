import {
  type Concrete,
  compile,
  constant,
  type Device,
  flatten,
  foldIn,
  isNdArray,
  mapTree,
  mul,
  type NDArray,
  normal,
  randomKey,
  readTree,
  sum,
  type Tensor,
  valueAndGradWithExtra,
} from "@tsformers/engine";
import { expect } from "vitest";

/** A pass over x [B, T, C]. */
export type Pass<P> = (params: P, x: Tensor) => Tensor;

/** The same tree with other numbers everywhere: initial zeros and small weights would hide mistakes. */
export function noisy<P>(params: Concrete<P>, deviation = 0.4): Concrete<P> {
  let count = 0;
  return mapTree(params, isNdArray, ({ shape }) =>
    normal(foldIn(randomKey(3), count++), shape, { deviation }),
  ) as Concrete<P>;
}

/** Runs a pass: what it gives, and the gradients of `sum(y · R)`, R fixed and random, by path. */
export async function outputsAndGradients<P>(
  pass: Pass<P>,
  params: Concrete<P>,
  x: NDArray,
  device: Device,
): Promise<Record<string, number[]>> {
  const both = valueAndGradWithExtra((of: { params: P; x: Tensor }) => {
    const y = pass(of.params, of.x);
    return [sum(mul(y, constant(normal(randomKey(99), y.shape)))), y] as const;
  });
  const compiled = compile((params: P, x: Tensor) => both({ params, x }), { device });
  const found = await readTree(await compiled(params as never, x as never));
  const { gradient, extra } = found as unknown as { gradient: unknown; extra: NDArray };
  await compiled.release();
  const { leaves, paths } = flatten(gradient, isNdArray);
  return { y: extra.toNumbers(), ...Object.fromEntries(paths.map((path, i) => [path, leaves[i]!.toNumbers()])) };
}

/** Two passes have the same outputs and gradients but for rounding. */
export async function expectSame<P>(
  fast: Pass<P>,
  slow: Pass<P>,
  params: Concrete<P>,
  x: NDArray,
  device: Device,
  tolerance = 2e-5,
): Promise<void> {
  const [a, b] = [
    await outputsAndGradients(fast, params, x, device),
    await outputsAndGradients(slow, params, x, device),
  ];
  expect(Object.keys(a)).toEqual(Object.keys(b));
  for (const [name, values] of Object.entries(a)) {
    expect(values.length, name).toBe(b[name]!.length);
    const most = b[name]!.reduce((most, value) => Math.max(most, Math.abs(value)), 1);
    const worst = values.reduce((worst, value, i) => {
      const off = Math.abs(value - b[name]![i]!);
      return off <= worst ? worst : off;
    }, 0);
    expect(worst / most, name).toBeLessThan(tolerance);
  }
}
