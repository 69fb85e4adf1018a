import { isNdArray, NDArray } from "../array/nd-array.ts";
import { shapesEqual, shapeText } from "../array/shape.ts";
import { toOnnx } from "../onnx/lower.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import { described } from "../trace/described.ts";
import { type Program, trace } from "../trace/program.ts";
import type { Tensor } from "../trace/tensor.ts";
import { flatten, mapTree, type Structure, structureText, unflatten } from "../tree/tree.ts";
import { type Device, type DeviceArray, type Executable, isDeviceArray } from "./device.ts";
import { type RowWrite, withRowWrites } from "./row-writes.ts";

/** `Tree` with every `Tensor` replaced by `Leaf`. */
export type Replace<Tree, Leaf> = Tree extends Tensor
  ? Leaf
  : Tree extends readonly unknown[] | Readonly<Record<string, unknown>>
    ? { [K in keyof Tree]: Replace<Tree[K], Leaf> }
    : Tree;

/** The concrete counterpart of a tree of tensors. */
export type Concrete<Tree> = Replace<Tree, NDArray>;

/** The counterpart of a tree of tensors with arrays on a device. */
export type OnDevice<Tree> = Replace<Tree, DeviceArray>;

/** Arguments of a compiled function: concrete arrays, or arrays on the device. */
export type Given<Tree> = Replace<Tree, NDArray | DeviceArray>;

export type CompileOptions = {
  readonly device: Device;
  /**
   * Arguments, by position, that the caller gives up: later calls may overwrite their memory. They and results of the same
   * shape and dtype alternate between two sets of buffers, so that a training loop allocates nothing. Of an array that a result replaces
   * some rows of (`scatterSet`), the rows are written at once, where the device can. Default: none.
   */
  readonly donate?: readonly number[];
};

export type Compiled<Args extends readonly unknown[], Result> = {
  (...args: Given<Args>): Promise<OnDevice<Result>>;
  /** Traces for the types of these arguments, without reading elements; a following `prepare` uses the result. */
  trace(...args: Given<Args>): Program;
  /** Traces, lowers and prepares for the types of these arguments, without running. */
  prepare(...args: Given<Args>): Promise<void>;
  /** Frees the prepared programs. */
  release(): Promise<void>;
};

type Prepared = {
  readonly executable: Executable;
  readonly structure: Structure;
  readonly outputs: readonly ArrayType[];
  readonly writes: readonly RowWrite[];
  readonly spare: (DeviceArray | undefined)[];
};

type Traced = { readonly program: Program; readonly structure: Structure };

/**
 * Compiles a function of trees of tensors: traced once per signature (structure, shapes, dtypes) of its arguments,
 * lowered to one ONNX graph, run on `device`. Results stay on the device; {@link readTree} copies them back.
 *
 * Values in the arguments that are not arrays (numbers, strings) are part of the signature.
 *
 * @throws TypeError when the function returns no tensor; Error when an argument was disposed of or is on another device
 */
export function compile<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
  { device, donate = [] }: CompileOptions,
): Compiled<Args, Result> {
  if (typeof device?.load !== "function") {
    throw new TypeError(`compile: expected an open device, got ${described(device)}`);
  }
  const prepared = new Map<string, Promise<Prepared>>();
  /** Programs that were traced but are not prepared yet. */
  const programs = new Map<string, Traced>();
  const traceOnce = (args: readonly unknown[]) => {
    const { leaves, structure } = flatten(args, isArray);
    const signature = `${structureText(structure)} ${leaves.map((leaf) => `${leaf.dtype}${shapeText(leaf.shape)}`).join(" ")}`;
    const traced = () => programs.get(signature) ?? trace(fn as (...args: never[]) => unknown, structure, leaves);
    return { leaves, signature, traced };
  };
  const prepare = (args: readonly unknown[]) => {
    const { leaves, signature, traced } = traceOnce(args);
    let entry = prepared.get(signature);
    if (entry === undefined) {
      entry = build(traced, device, donatedInputs(args, donate));
      prepared.set(signature, entry);
      programs.delete(signature);
      entry.catch(() => prepared.delete(signature));
    }
    return { leaves, entry };
  };
  const call = async (...args: readonly unknown[]): Promise<unknown> => {
    const { leaves, entry } = prepare(args);
    const { executable, structure, outputs, writes, spare } = await entry;
    const inputs = leaves.map((leaf) => (leaf instanceof NDArray ? device.put(leaf) : leaf));
    const donated = spare.splice(0, spare.length, ...outputs.map(() => undefined));
    // If a donated array is passed in once more, the result gets new memory.
    const into = donated.map((buffer) => (buffer !== undefined && inputs.includes(buffer) ? undefined : buffer));
    const results = await executable.run(inputs, into);
    const written = new Set(writes.map(({ input }) => inputs[input]!));
    keepDonated(args, inputs, donate, outputs, spare, written);
    return unflatten(structure, results);
  };
  const release = async (): Promise<void> => {
    const all = await Promise.allSettled(prepared.values());
    prepared.clear();
    for (const result of all) if (result.status === "fulfilled") await result.value.executable.release();
  };
  const preparing = async (...args: readonly unknown[]): Promise<void> => void (await prepare(args).entry);
  const tracing = (...args: readonly unknown[]): Program => {
    const { signature, traced } = traceOnce(args);
    const result = traced();
    if (!prepared.has(signature)) programs.set(signature, result);
    return result.program;
  };
  return Object.assign(call, { prepare: preparing, trace: tracing, release }) as unknown as Compiled<Args, Result>;
}

async function build(traced: () => Traced, device: Device, donated: ReadonlySet<number>): Promise<Prepared> {
  const { program: whole, structure } = traced();
  const { program, writes } = withRowWrites(whole, (input) => device.writesRows && donated.has(input));
  if (program.outputs.length === 0) {
    const got = structure.kind === "static" ? described(structure.value) : "a tree without any";
    throw new TypeError(`compile: expected the function to return a tensor or a tree of tensors, got ${got}`);
  }
  const executable = await device.load(toOnnx(program), writes);
  const outputs = whole.outputs.map(({ shape, dtype }) => ({ shape, dtype }));
  return { executable, structure, outputs, writes, spare: outputs.map(() => undefined) };
}

/** The numbers of the leaves that belong to donated arguments. */
function donatedInputs(args: readonly unknown[], donate: readonly number[]): ReadonlySet<number> {
  const owners = args.flatMap((arg, position) => flatten(arg, isArray).leaves.map(() => position));
  return new Set(owners.flatMap((position, input) => (donate.includes(position) ? [input] : [])));
}

/** Donated buffers that were not written to take the results of the next call, each the first output of its type that has no buffer yet. */
function keepDonated(
  args: readonly unknown[],
  inputs: readonly DeviceArray[],
  donate: readonly number[],
  outputs: readonly ArrayType[],
  spare: (DeviceArray | undefined)[],
  written: ReadonlySet<DeviceArray>,
): void {
  let next = 0;
  args.forEach((arg, position) => {
    for (const _ of flatten(arg, isArray).leaves) {
      const buffer = inputs[next++]!;
      if (!donate.includes(position) || spare.includes(buffer) || written.has(buffer)) continue;
      const slot = outputs.findIndex(
        (type, i) => spare[i] === undefined && type.dtype === buffer.dtype && shapesEqual(type.shape, buffer.shape),
      );
      if (slot >= 0) spare[slot] = buffer;
    }
  });
}

/** Compiles, runs once and reads the result; for scripts and tests. */
export async function evaluate<Args extends readonly unknown[], Result>(
  fn: (...args: Args) => Result,
  device: Device,
  ...args: Given<Args>
): Promise<Concrete<Result>> {
  const compiled = compile(fn, { device });
  try {
    return (await readTree(await compiled(...args))) as Concrete<Result>;
  } finally {
    await compiled.release();
  }
}

/** Puts every array of a tree on a device; for arrays used many times, which would otherwise be copied at each call. */
export function putTree<Tree>(tree: Tree, device: Device): OnDevice<Tree> {
  return mapTree(tree, isNdArray, (leaf) => device.put(leaf)) as OnDevice<Tree>;
}

/** Reads every device array of a tree. */
export async function readTree<Tree>(tree: Tree): Promise<ReadTree<Tree>> {
  const { leaves, structure } = flatten(tree, isDeviceArray);
  return unflatten(structure, await Promise.all(leaves.map((leaf) => leaf.read()))) as ReadTree<Tree>;
}

/** A tree of device arrays after reading. */
export type ReadTree<Tree> = Tree extends DeviceArray
  ? NDArray
  : Tree extends readonly unknown[] | Readonly<Record<string, unknown>>
    ? { [K in keyof Tree]: ReadTree<Tree[K]> }
    : Tree;

function isArray(value: unknown): value is NDArray | DeviceArray {
  return value instanceof NDArray || isDeviceArray(value);
}
