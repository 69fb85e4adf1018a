import { shapesEqual } from "../array/shape.ts";
import { add } from "../primitives/arithmetic.ts";
import { concat, split } from "../primitives/concat.ts";
import { type MatmulOptions, matmul } from "../primitives/matmul.ts";
import { reshape } from "../primitives/shape.ts";
import { inline, type Program, traceBody } from "../trace/program.ts";
import { bind, type Equation, type Tensor } from "../trace/tensor.ts";

/** With more rows, a product costs more than joining what it is multiplied by. */
const mostRows = 8;

/**
 * The program in which a few rows are multiplied by the parts of a concatenation instead of by a copy that joins them: the products stand
 * side by side, or are added where the joined axis is summed over. So a decoding step copies no cached keys and values.
 *
 * `A·[B₁, B₂] = [A·B₁, A·B₂]`, `[A₁, A₂]·[B₁; B₂] = A₁·B₁ + A₂·B₂`
 */
export function splitProducts(program: Program): Program {
  if (!program.equations.some(({ primitive }) => primitive.name === "concat")) return program;
  /** Parts of concatenations along the axis before the last. */
  const joined = new Map<Tensor, readonly Tensor[]>();
  const parts = (tensor: Tensor): readonly Tensor[] => joined.get(tensor) ?? [tensor];
  let changed = false;
  const { program: rewritten } = traceBody(program.inputs, (inputs) =>
    inline(program, inputs, (equation, given) => {
      const found = replaced(equation, given, joined);
      if (found !== undefined) {
        changed = true;
        return [found];
      }
      const outputs = bind(equation.primitive, given, equation.params);
      const [output] = outputs as [Tensor];
      if (isJoin(equation)) joined.set(output, given.flatMap(parts));
      else if (equation.primitive.name === "reshape" && joined.has(given[0]!) && keepsMatrices(given[0]!, output)) {
        const leading = output.shape.slice(0, -2);
        joined.set(
          output,
          parts(given[0]!).map((part) => reshape(part, [...leading, ...part.shape.slice(-2)])),
        );
      }
      return outputs;
    }),
  );
  return changed ? rewritten : program;
}

function isJoin({ primitive, params, outputs }: Equation): boolean {
  return primitive.name === "concat" && (params as { axis: number }).axis === outputs[0]!.shape.length - 2;
}

function keepsMatrices(before: Tensor, after: Tensor): boolean {
  return after.shape.length > 1 && shapesEqual(before.shape.slice(-2), after.shape.slice(-2));
}

/** What the equation computes, from parts of what it reads; undefined where that is no concatenation. */
function replaced(
  { primitive, params }: Equation,
  [a, b]: readonly Tensor[],
  joined: ReadonlyMap<Tensor, readonly Tensor[]>,
): Tensor | undefined {
  if (primitive.name === "matmul") {
    const [options, parts] = [params as Required<MatmulOptions>, joined.get(b!)];
    if (parts === undefined || options.transposeA || a!.shape.at(-2)! > mostRows) return undefined;
    if (options.transposeB)
      return concat(
        parts.map((part) => matmul(a!, part, options)),
        -1,
      );
    const sizes = parts.map(({ shape }) => shape.at(-2)!);
    return split(a!, sizes, -1)
      .map((rows, i) => matmul(rows, parts[i]!, options))
      .reduce((x, y) => add(x, y));
  }
  return primitive.name === "slice" ? partOf(a!, params as SliceParams, joined.get(a!)) : undefined;
}

type SliceParams = {
  readonly starts: readonly number[];
  readonly sizes: readonly number[];
  readonly steps: readonly number[];
};

/** The part that a slice cuts out again. */
function partOf(x: Tensor, { starts, sizes, steps }: SliceParams, parts: readonly Tensor[] = []): Tensor | undefined {
  const axis = x.shape.length - 2;
  let from = 0;
  return parts.find((part) => {
    const isThere = from === starts[axis] && shapesEqual(part.shape, sizes) && steps.every((step) => step === 1);
    from += part.shape[axis]!;
    return isThere;
  });
}
