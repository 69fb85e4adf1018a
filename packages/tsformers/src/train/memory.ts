import { flatten, isFloat, type Program, sizeOf, sizeOfShape } from "@tsformers/engine";
import { type ArrayType, isNdArray } from "./optimiser.ts";

/** About how much memory a training run takes. */
export type MemoryEstimate = {
  readonly parameters: number;
  /** Parameters, optimiser, average: everything that goes from step to step. */
  readonly stateBytes: number;
  readonly gradientBytes: number;
  /** An upper bound: every float that the forward pass of one micro-batch makes. */
  readonly activationBytes: number;
  /** State twice (before and after a step), gradients and activations. */
  readonly totalBytes: number;
};

/**
 * @param params and `state`, trees of concrete arrays
 * @param forward the loss of one micro-batch
 */
export function estimateMemory(params: unknown, state: unknown, forward: Program): MemoryEstimate {
  const leaves = flatten(params, isNdArray).leaves;
  const parameters = leaves.reduce((total, { size }) => total + size, 0);
  const gradientBytes = bytesOf(leaves);
  const stateBytes = bytesOf(flatten(state, isNdArray).leaves);
  const made = forward.equations
    .filter(({ primitive }) => !views.has(primitive.name))
    .flatMap(({ outputs }) => outputs)
    .filter(({ dtype }) => isFloat(dtype));
  const activationBytes = bytesOf(made);
  return {
    parameters,
    stateBytes,
    gradientBytes,
    activationBytes,
    totalBytes: 2 * stateBytes + gradientBytes + activationBytes,
  };
}

/** Primitives that make nothing of their own. */
const views: ReadonlySet<string> = new Set(["alias", "reshape", "stopGradient", "constant", "broadcastTo"]);

function bytesOf(arrays: readonly ArrayType[]): number {
  return arrays.reduce((total, { shape, dtype }) => total + sizeOfShape(shape) * sizeOf(dtype), 0);
}

/** `3.2M parameters · state 38.4 MB · gradients 12.8 MB · activations ≤ 310 MB · about 400 MB in all` */
export function memoryText({
  parameters,
  stateBytes,
  gradientBytes,
  activationBytes,
  totalBytes,
}: MemoryEstimate): string {
  return [
    `${shortCount(parameters)} parameters`,
    `state ${megabytes(stateBytes)}`,
    `gradients ${megabytes(gradientBytes)}`,
    `activations at most ${megabytes(activationBytes)}`,
    `about ${megabytes(totalBytes)} in all`,
  ].join(" · ");
}

/** Memory that this process may still take, where it can tell; limits of its container count. */
export function availableBytes(): number | undefined {
  return typeof process === "undefined" ? undefined : process.availableMemory?.();
}

export function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toPrecision(3)} MB` : `${(bytes / 1e9).toPrecision(3)} GB`;
}

function shortCount(count: number): string {
  if (count < 1000) return String(count);
  return count < 1e6 ? `${(count / 1e3).toFixed(1)}k` : `${(count / 1e6).toFixed(1)}M`;
}
