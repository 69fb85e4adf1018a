import { sizeOfShape } from "../array/shape.ts";
import { Program } from "../trace/program.ts";
import type { Equation, Tensor } from "../trace/tensor.ts";
import type { DeviceArray } from "./device.ts";

/** An output that is an input with some rows replaced: instead of it, a program gives out the rows and where they belong. */
export type RowWrite = {
  /** Which output it was; at its place stand the rows, [I..., ...]. */
  readonly output: number;
  readonly input: number;
  /** The output that holds their numbers, int32 [I...]. */
  readonly indices: number;
  /** How many rows the input has. */
  readonly rows: number;
};

/**
 * Finds outputs that are `scatterSet` of inputs that the caller gives up. Where arrays are in JavaScript's memory, {@link writeRows} changes
 * those inputs in place, so that nothing of a large state is copied but what is new.
 *
 * @param isDonated which inputs are given up
 */
export function withRowWrites(
  program: Program,
  isDonated: (input: number) => boolean,
): { readonly program: Program; readonly writes: readonly RowWrite[] } {
  const sources = new Map<Tensor, Equation>();
  for (const equation of program.equations) for (const output of equation.outputs) sources.set(output, equation);
  const unshaped = (tensor: Tensor): Tensor => {
    const source = sources.get(tensor);
    return source?.primitive.name === "reshape" ? unshaped(source.inputs[0]!) : tensor;
  };
  const outputs = [...program.outputs];
  const writes: RowWrite[] = [];
  program.outputs.forEach((tensor, output) => {
    const source = sources.get(unshaped(tensor));
    if (source?.primitive.name !== "scatterSet") return;
    const [into, indices, rows] = source.inputs as [Tensor, Tensor, Tensor];
    const input = program.inputs.indexOf(unshaped(into));
    if (!isDonated(input) || writes.some((write) => write.input === input)) return;
    writes.push({ output, input, indices: outputs.length, rows: into.shape[0]! });
    outputs[output] = rows;
    outputs.push(indices);
  });
  return { program: writes.length === 0 ? program : new Program(program.inputs, program.equations, outputs), writes };
}

/** Writes rows into the inputs that they belong to. @returns the outputs of the program as it was */
export async function writeRows(
  writes: readonly RowWrite[],
  inputs: readonly DeviceArray[],
  outputs: readonly DeviceArray[],
): Promise<DeviceArray[]> {
  const results = outputs.slice(0, outputs.length - writes.length);
  for (const { output, input, indices, rows } of writes) {
    const [into, numbers, given] = await Promise.all(
      [inputs[input]!, outputs[indices]!, outputs[output]!].map((array) => array.read()),
    );
    const width = sizeOfShape(into!.shape) / rows;
    const from = given!.data as Float32Array;
    numbers!.toNumbers().forEach((row, i) => {
      const at = row < 0 ? row + rows : row;
      (into!.data as Float32Array).set(from.subarray(i * width, (i + 1) * width), at * width);
    });
    results[output] = inputs[input]!;
  }
  return results;
}
