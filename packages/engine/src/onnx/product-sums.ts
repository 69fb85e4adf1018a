import { shapesEqual } from "../array/shape.ts";
import type { MatmulParams } from "../primitives/matmul.ts";
import type { Program } from "../trace/program.ts";
import type { Equation, Tensor } from "../trace/tensor.ts";
import type { GraphBuilder } from "./graph-builder.ts";

/** A matrix product that is read once, by an addition of a matrix of its shape: `scale · op(A) · op(B) + C`. */
export type ProductSum = {
  readonly a: Tensor;
  readonly b: Tensor;
  readonly added: Tensor;
  readonly params: MatmulParams;
};

export type ProductSums = {
  /** By the equation of the addition. */
  readonly sums: ReadonlyMap<Equation, ProductSum>;
  /** Equations of the products, which need no node of their own. */
  readonly products: ReadonlySet<Equation>;
};

/**
 * Products whose result is only added to a matrix. As one `Gemm` they save a pass over both: so the gradients of weights are
 * added up from one part of a batch to the next.
 */
export function productSums(program: Program): ProductSums {
  const makers = new Map<Tensor, Equation>();
  const uses = new Map<Tensor, number>();
  const count = (tensor: Tensor) => uses.set(tensor, (uses.get(tensor) ?? 0) + 1);
  for (const equation of program.equations) {
    for (const input of equation.inputs) count(input);
    for (const output of equation.outputs) makers.set(output, equation);
  }
  for (const output of program.outputs) count(output);

  const sums = new Map<Equation, ProductSum>();
  const products = new Set<Equation>();
  for (const equation of program.equations) {
    if (equation.primitive.name !== "add") continue;
    const [left, right] = equation.inputs as [Tensor, Tensor];
    const isSum = shapesEqual(left.shape, right.shape);
    const product = [right, left].find((x) => isSum && uses.get(x) === 1 && isPlainProduct(makers.get(x)));
    if (product === undefined) continue;
    const maker = makers.get(product)!;
    const [a, b] = maker.inputs as [Tensor, Tensor];
    const added = product === left ? right : left;
    sums.set(equation, { a, b, added, params: maker.params as MatmulParams });
    products.add(maker);
  }
  return { sums, products };
}

/** Of two matrices in float32, which all runtimes multiply and add in one node. */
function isPlainProduct(equation: Equation | undefined): boolean {
  return (
    equation?.primitive.name === "matmul" &&
    equation.inputs.every(({ shape, dtype }) => shape.length === 2 && dtype === "float32")
  );
}

/** @returns the name of the sum */
export function lowerProductSum(
  graph: GraphBuilder,
  { params: { transposeA, transposeB, scale } }: ProductSum,
  names: readonly [a: string, b: string, added: string],
): string {
  return graph.node("Gemm", names, {
    attributes: {
      transA: { int: transposeA ? 1 : 0 },
      transB: { int: transposeB ? 1 : 0 },
      alpha: { float: scale },
    },
  });
}
