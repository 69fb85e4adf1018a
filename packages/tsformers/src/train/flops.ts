import { Program, sizeOfShape } from "@tsformers/engine";

/**
 * Floating point operations of a program, counted from shapes: a multiplication that is added to a sum counts two, other arithmetic one for
 * each element, what only moves or chooses data nothing. Bodies of loops count as often as they run; of two branches the longer one counts.
 */
export function programFlops({ equations }: Program): number {
  let total = 0;
  for (const { primitive, inputs, outputs, params } of equations) {
    total += flopsOf(primitive.name, { inputs: inputs.map(sizes), outputs: outputs.map(sizes), params });
  }
  return total;
}

type Sizes = { readonly shape: readonly number[]; readonly size: number };

function sizes({ shape }: { readonly shape: readonly number[] }): Sizes {
  return { shape, size: sizeOfShape(shape) };
}

type Call = { readonly inputs: readonly Sizes[]; readonly outputs: readonly Sizes[]; readonly params: unknown };

function flopsOf(name: string, { inputs, outputs, params }: Call): number {
  const [input, second] = inputs;
  const made = outputs.reduce((sum, { size }) => sum + size, 0);
  switch (name) {
    case "matmul": {
      const { transposeA } = params as { transposeA: boolean };
      return 2 * made * input!.shape.at(transposeA ? -2 : -1)!;
    }
    case "conv1d":
      // The kernel is [width, in / groups, out].
      return (2 * made * second!.size) / second!.shape[2]!;
    case "scan": {
      const { body, length } = params as { body: Program; length: number };
      return length * programFlops(body);
    }
    case "cond":
      return Math.max(...programsIn(params).map(programFlops));
    case "softmax":
    case "logSoftmax":
    case "layerNorm":
    case "rmsNorm":
      // Two sums over each line, and about three operations for each element.
      return 5 * input!.size;
    case "sum":
    case "max":
    case "min":
    case "cumsum":
    case "argmax":
    case "argmin":
    case "topK":
      return input!.size;
    default:
      if (elementwise.has(name)) return made;
      return programsIn(params).reduce((sum, program) => sum + programFlops(program), 0);
  }
}

const elementwise: ReadonlySet<string> = new Set(
  "abs add cos div erf exp floor gelu log maximum minimum mod mul neg pow sigmoid sign sin sqrt sub tanh scatterAdd".split(
    " ",
  ),
);

function programsIn(params: unknown): Program[] {
  return Object.values(params ?? {}).filter((value) => value instanceof Program);
}
