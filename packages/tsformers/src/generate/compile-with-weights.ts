import { type Compiled, compile, constant, type Device, flatten, isNdArray, mapTree, sizeOf } from "@tsformers/engine";

/** Weights of at most so many bytes are part of a program. */
const largestInside = 2 ** 26;

/**
 * {@link compile} for a function whose first argument are weights that stay the same.
 *
 * Those of a small model become constants: no run hands them over, and ONNX Runtime packs them once; a step of a model of four million parameters
 * takes half the time. Each signature then has a copy of its own, so weights of more than 64 MiB stay arguments.
 *
 * @param donate arguments that are given up, not counting the weights
 */
export function compileWithWeights<Weights, Args extends readonly unknown[], Result>(
  fn: (weights: Weights, ...args: Args) => Result,
  weights: unknown,
  { device, donate = [] }: { readonly device: Device; readonly donate?: readonly number[] },
): Pick<Compiled<Args, Result>, "release"> & ((...args: readonly unknown[]) => Promise<unknown>) {
  const bytes = flatten(weights, isNdArray).leaves.reduce((sum, { size, dtype }) => sum + size * sizeOf(dtype), 0);
  if (bytes <= largestInside) {
    const inside = () => mapTree(weights, isNdArray, (array) => constant(array)) as Weights;
    return compile((...args: Args) => fn(inside(), ...args), { device, donate }) as never;
  }
  const held = mapTree(weights, isNdArray, (array) => device.put(array));
  const whole = compile(fn, { device, donate: donate.map((argument) => argument + 1) });
  const call = whole as unknown as (...args: readonly unknown[]) => Promise<unknown>;
  return Object.assign((...args: readonly unknown[]) => call(held, ...args), { release: whole.release });
}
