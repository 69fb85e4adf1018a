import { flatten, isNdArray, Program, sizeOf, sizeOfShape, type Tensor } from "@tsformers/engine";
import type { ArrayType } from "./optimiser.ts";

/** About how much memory a training run takes. */
export type MemoryEstimate = {
  readonly parameters: number;
  /** Parameters, optimiser, average: everything that goes from step to step. */
  readonly stateBytes: number;
  /** Activations, gradients and the next state at the worst moment of a step. */
  readonly stepBytes: number;
  readonly totalBytes: number;
};

/**
 * @param params and `state`, trees of concrete arrays
 * @param step the training step
 */
export function estimateMemory(params: unknown, state: unknown, step: Program): MemoryEstimate {
  const parameters = flatten(params, isNdArray).leaves.reduce((total, { size }) => total + size, 0);
  const stateBytes = flatten(state, isNdArray).leaves.reduce((total, leaf) => total + bytesOf(leaf), 0);
  const stepBytes = keptByRuntime * peakBytes(step);
  return { parameters, stateBytes, stepBytes, totalBytes: runtimeBytes + stateBytes + stepBytes };
}

/**
 * Measured for training steps of GPTs of 3 and 19 million parameters, in 1 and 4 micro-batches, on ONNX Runtime 1.30, CPU: it takes 1.4 to
 * 1.7 times what the program's own order would, for its order is another, and about this much for itself.
 */
const keptByRuntime = 1.5;
const runtimeBytes = 100e6;

/**
 * The most bytes that a program's own arrays take at once when its equations run in their order and every array is freed
 * after its last use. Inputs and constants are not counted, outputs are.
 */
export function peakBytes({ equations, outputs }: Program): number {
  const holders = new Map<Tensor, Tensor>();
  const holderOf = (tensor: Tensor): Tensor => holders.get(tensor) ?? tensor;
  for (const { primitive, inputs, outputs } of equations) {
    if (views.has(primitive.name) && inputs[0] !== undefined) holders.set(outputs[0]!, holderOf(inputs[0]));
  }
  const lastUse = new Map<Tensor, number>();
  equations.forEach(({ inputs }, i) => {
    for (const input of inputs) lastUse.set(holderOf(input), i);
  });
  for (const output of outputs) lastUse.set(holderOf(output), equations.length);

  const living = new Map<Tensor, number>();
  let now = 0;
  let peak = 0;
  equations.forEach(({ primitive, inputs, outputs, params }, i) => {
    if (primitive.name === "constant") return;
    for (const output of outputs) {
      if (holders.has(output) || !lastUse.has(output)) continue;
      living.set(output, bytesOf(output));
      now += bytesOf(output);
    }
    const inside = Object.values(params as object).filter((value) => value instanceof Program);
    peak = Math.max(peak, now + Math.max(0, ...inside.map(peakBytes)));
    for (const tensor of [...inputs, ...outputs].map(holderOf)) {
      if (lastUse.get(tensor) !== i) continue;
      now -= living.get(tensor) ?? 0;
      living.delete(tensor);
    }
  });
  return peak;
}

/** Primitives whose result is their first input under another name. */
const views: ReadonlySet<string> = new Set(["alias", "reshape", "stopGradient", "after"]);

/** `3.2M parameters · 38.9 MB from step to step · about 420 MB in a step` */
export function memoryText({ parameters, stateBytes, totalBytes }: MemoryEstimate): string {
  return `${shortCount(parameters)} parameters · ${megabytes(stateBytes)} from step to step · about ${megabytes(totalBytes)} in a step`;
}

/** Memory that this process may still take, where it can tell; limits of its container count. */
export function availableBytes(): number | undefined {
  return typeof process === "undefined" ? undefined : process.availableMemory?.();
}

/** @throws Error when a run takes more than is free */
export function requireMemory(estimate: MemoryEstimate, free: number): void {
  if (estimate.totalBytes <= free) return;
  throw new Error(
    `train: this takes more memory than is free, ${megabytes(free)}: ${memoryText(estimate)}; make model or batch smaller, use more micro-batches, or force it`,
  );
}

function bytesOf({ shape, dtype }: ArrayType): number {
  return sizeOfShape(shape) * sizeOf(dtype);
}

function megabytes(bytes: number): string {
  return bytes < 1e9 ? `${(bytes / 1e6).toPrecision(3)} MB` : `${(bytes / 1e9).toPrecision(3)} GB`;
}

function shortCount(count: number): string {
  if (count < 1000) return String(count);
  return count < 1e6 ? `${(count / 1e3).toFixed(1)}k` : `${(count / 1e6).toFixed(1)}M`;
}
