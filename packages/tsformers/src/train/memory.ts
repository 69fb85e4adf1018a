import { flatten, isNdArray, Program, sizeOf, sizeOfShape, type Tensor } from "@tsformers/engine";
import type { ArrayType } from "./optimisers/optimiser.ts";

/** Estimate of the memory of a training run. */
export type MemoryEstimate = {
  readonly parameters: number;
  /** Parameters, optimiser state, moving average: everything kept from step to step. */
  readonly stateBytes: number;
  /** Activations, gradients and the next state at the peak of a step. */
  readonly stepBytes: number;
  readonly totalBytes: number;
};

/**
 * Estimates memory from shapes; array contents are not read.
 *
 * @param params and `state`: trees of concrete arrays
 * @param step the training step. Default: the lower bound of any step, the next state
 * @param copied whether checkpoints copy the state because it is not in host memory
 */
export function estimateMemory(params: unknown, state: unknown, step?: Program, copied = false): MemoryEstimate {
  const parameters = flatten(params, isNdArray).leaves.reduce((total, { size }) => total + size, 0);
  const stateBytes = bytesIn(state);
  const stepBytes =
    step === undefined ? stateBytes : keptByRuntime * peakBytes(step) + bytesPerEquation * step.equations.length;
  const totalBytes = runtimeBytes + (copied ? 2 : 1) * stateBytes + stepBytes;
  return { parameters, stateBytes, stepBytes, totalBytes };
}

/** Total bytes of the arrays of a tree. */
function bytesIn(tree: unknown): number {
  return flatten(tree, isNdArray).leaves.reduce((total, leaf) => total + bytesOf(leaf), 0);
}

/**
 * Measured for training steps of GPTs of 3 and 19 million parameters, in 1 and 4 micro-batches, on ONNX Runtime 1.30, CPU: its own order of
 * execution takes 1.4 to 1.7 times the memory of the program's order, and the runtime itself needs about `runtimeBytes`.
 */
const keptByRuntime = 1.5;
const runtimeBytes = 100e6;

/** Size of the graph here and in the runtime, measured with 100 layers of width 16: 45,886 equations and 295 MB. */
const bytesPerEquation = 6.4e3;

/**
 * Peak memory of a program's own arrays, when its equations run in order and every array is freed
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

/** Primitives whose result shares memory with their first input. */
const views: ReadonlySet<string> = new Set(["alias", "reshape", "stopGradient", "after"]);

/** `3.2M parameters · 38.9 MB from step to step · about 420 MB in a step` */
export function memoryText({ parameters, stateBytes, totalBytes }: MemoryEstimate): string {
  return `${shortCount(parameters)} parameters · ${megabytes(stateBytes)} from step to step · about ${megabytes(totalBytes)} in a step`;
}

/**
 * Memory that this process may still take, if known. Takes into account limits of its container and, on Linux, of its shell (`ulimit -v`,
 * `ulimit -d`).
 */
export function availableBytes(): number | undefined {
  if (typeof process === "undefined" || process.availableMemory === undefined) return undefined;
  return Math.min(process.availableMemory(), limitedBytes());
}

/** Address space and data that the process's own limits leave; infinite without limits. */
function limitedBytes(): number {
  const { existsSync, readFileSync } = process.getBuiltinModule("node:fs");
  if (!existsSync("/proc/self/limits")) return Number.POSITIVE_INFINITY;
  const limits = readFileSync("/proc/self/limits", "utf8");
  const used = readFileSync("/proc/self/status", "utf8");
  const left = (limit: string, use: string) => {
    const most = new RegExp(`^${limit} +(\\d+)`, "m").exec(limits);
    const now = new RegExp(`^${use}:\\s+(\\d+) kB`, "m").exec(used);
    return most === null || now === null ? Number.POSITIVE_INFINITY : Number(most[1]) - 1024 * Number(now[1]);
  };
  return Math.max(0, Math.min(left("Max address space", "VmSize"), left("Max data size", "VmData")));
}

/** The run needs more memory than is free. */
export class MemoryError extends Error {
  override readonly name = "MemoryError";
  /** The message with other names of the settings. */
  readonly text: (nameOf: (setting: string) => string) => string;

  constructor(estimate: MemoryEstimate, free: number) {
    // If the model alone is too large, a smaller batch does not help.
    const batch = runtimeBytes + 2 * estimate.stateBytes > free ? [] : ["batchSize", "length"];
    const text = (nameOf: (setting: string) => string) => {
      const lower = [...batch, "modelWidth", "layers"].map(nameOf).join(", ");
      const raise = batch.length === 0 ? "" : `, or raise ${nameOf("microBatches")}`;
      return `this takes more memory than is free, ${megabytes(free)}: ${memoryText(estimate)}; lower ${lower}${raise}`;
    };
    super(text((setting) => setting));
    this.text = text;
  }
}

/** @throws MemoryError when a run needs more memory than is free */
export function requireMemory(estimate: MemoryEstimate, free: number): void {
  if (estimate.totalBytes > free) throw new MemoryError(estimate, free);
}

function bytesOf({ shape, dtype }: ArrayType): number {
  return sizeOfShape(shape) * sizeOf(dtype);
}

function megabytes(bytes: number): string {
  if (bytes < 1e9) return `${(bytes / 1e6).toPrecision(3)} MB`;
  return bytes < 1e12 ? `${(bytes / 1e9).toPrecision(3)} GB` : `${(bytes / 1e12).toFixed(1)} TB`;
}

function shortCount(count: number): string {
  if (count < 1000) return String(count);
  if (count < 1e6) return `${(count / 1e3).toFixed(1)}k`;
  return count < 1e9 ? `${(count / 1e6).toFixed(1)}M` : `${(count / 1e9).toFixed(1)}G`;
}
