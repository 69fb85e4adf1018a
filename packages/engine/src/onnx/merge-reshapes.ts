import { shapesEqual } from "../array/shape.ts";
import { reshapePrimitive } from "../primitives/shape.ts";
import { Program } from "../trace/program.ts";
import type { Equation, Tensor } from "../trace/tensor.ts";

/**
 * The program with one reshape where several follow each other, and none where the last gives back the first shape. A transpose that moves only
 * axes of extent 1 is a reshape: such are those between heads and positions when one token is decoded.
 */
export function mergeReshapes(program: Program): Program {
  const replaced = new Map<Tensor, Tensor>();
  const resolve = (tensor: Tensor): Tensor => replaced.get(tensor) ?? tensor;
  /** What a tensor was before it was reshaped. */
  const sources = new Map<Tensor, Tensor>();
  const equations: Equation[] = [];
  for (const equation of program.equations) {
    const inputs = equation.inputs.map(resolve);
    if (!keepsOrder(equation)) {
      equations.push({ ...equation, inputs });
      continue;
    }
    const [output, source] = [equation.outputs[0]!, sources.get(inputs[0]!) ?? inputs[0]!];
    if (shapesEqual(source.shape, output.shape)) replaced.set(output, source);
    else {
      sources.set(output, source);
      const params = { shape: output.shape };
      equations.push({ primitive: reshapePrimitive, inputs: [source], outputs: [output], params } as Equation);
    }
  }
  return new Program(program.inputs, equations, program.outputs.map(resolve));
}

/** Whether the elements of the output are those of the input in the same order. */
function keepsOrder({ primitive, inputs, params }: Equation): boolean {
  if (primitive.name === "reshape") return true;
  if (primitive.name !== "transpose") return false;
  const { shape } = inputs[0]!;
  const moved = (params as { readonly permutation: readonly number[] }).permutation.filter((axis) => shape[axis] !== 1);
  return moved.every((axis, i) => i === 0 || moved[i - 1]! < axis);
}
