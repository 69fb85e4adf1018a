import type { NDArray } from "../array/nd-array.ts";
import { sizeOfShape } from "../array/shape.ts";
import { Program } from "../trace/program.ts";
import type { Equation, Tensor } from "../trace/tensor.ts";

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
 * Finds outputs that are `scatterSet` of inputs that the caller gives up. A device that `writesRows` changes those inputs in place, so that
 * nothing of a large state is copied but what is new.
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
    if (input < 0 || !isDonated(input) || writes.some((write) => write.input === input)) return;
    writes.push({ output, input, indices: outputs.length, rows: into.shape[0]! });
    outputs[output] = rows;
    outputs.push(indices);
  });
  return { program: writes.length === 0 ? program : new Program(program.inputs, program.equations, outputs), writes };
}

/** Writes rows into an array. Negative numbers count from the end. */
export function writeRows(into: NDArray, rows: number, { numbers, given }: { numbers: NDArray; given: NDArray }): void {
  const width = sizeOfShape(into.shape) / rows;
  const [to, from] = [into.data, given.data] as [Float32Array, Float32Array];
  numbers.toNumbers().forEach((row, i) => {
    to.set(from.subarray(i * width, (i + 1) * width), (row < 0 ? row + rows : row) * width);
  });
}
