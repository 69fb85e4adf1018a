import { isFloat } from "../array/dtype.ts";
import { shapesEqual, shapeText } from "../array/shape.ts";
import { pullback } from "../grad/reverse.ts";
import type { GraphBuilder } from "../onnx/graph-builder.ts";
import type { OnnxGraph } from "../onnx/model.ts";
import { interpretReference } from "../trace/interpret.ts";
import { type ClosedProgram, type Program, traceBody } from "../trace/program.ts";
import { asTensor, bind, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { structureText, unflatten } from "../tree/tree.ts";
import { hoisting } from "./hoisting.ts";
import { fill } from "./iota.ts";
import type { Primitive } from "./primitive.ts";

/** A branch, and which inputs of the equation it reads. Input 0 is the predicate. */
type Branch = { readonly program: Program; readonly reads: readonly number[] };

type CondParams = {
  readonly whenTrue: Program;
  readonly whenFalse: Program;
  readonly trueReads: readonly number[];
  readonly falseReads: readonly number[];
};

function branches({ whenTrue, whenFalse, trueReads, falseReads }: CondParams): [Branch, Branch] {
  return [
    { program: whenTrue, reads: trueReads },
    { program: whenFalse, reads: falseReads },
  ];
}

export const condPrimitive: Primitive<CondParams> = {
  name: "cond",
  type: (_, { whenTrue, whenFalse }) =>
    whenTrue.outputs.map(({ shape, dtype }, i) => {
      const other = whenFalse.outputs[i]!;
      if (!shapesEqual(shape, other.shape) || dtype !== other.dtype) {
        throw new RangeError(`cond: result ${i} is ${whenTrue.outputs[i]} in one branch and ${other} in the other`);
      }
      return { shape, dtype };
    }),
  gradient: ({ inputs, params, cotangents, wanted }) => {
    const targets = inputs.map((_, i) => i).filter((i) => wanted[i] && isFloat(inputs[i]!.dtype));
    const gradients = cond(
      inputs[0]!,
      ...toPair((branch) => branchGradients(branch, inputs, cotangents, targets), params),
    );
    return inputs.map((_, i) => gradients[targets.indexOf(i)]);
  },
  lower: ({ graph, names, params, outputs }) => {
    const [yes, no] = branches(params).map((branch, i) => lowerBranch(graph, `branch${i}`, branch, names));
    const attributes = { then_branch: { graph: yes! }, else_branch: { graph: no! } };
    return graph.nodeWithOutputs("If", [names[0]!], outputs.length, { attributes });
  },
  evaluate: ([predicate, ...rest], params) => {
    const { program, reads } = branches(params)[predicate!.data[0] !== 0 ? 0 : 1];
    return interpretReference(
      program,
      reads.map((i) => rest[i - 1]!),
    ).map(({ data }) => data);
  },
};

function toPair(write: (branch: Branch) => Tensor[], params: CondParams): [() => Tensor[], () => Tensor[]] {
  const [yes, no] = branches(params);
  return [() => write(yes), () => write(no)];
}

/** d loss / d input for each target, zeros for those that the branch does not read. Used while tracing the branch. */
function branchGradients(
  { program, reads }: Branch,
  inputs: readonly Tensor[],
  cotangents: readonly (Tensor | undefined)[],
  targets: readonly number[],
): Tensor[] {
  const own = reads.map((i) => inputs[i]!);
  const wanted = reads.map((i) => targets.includes(i));
  const gradients = pullback(program, own, cotangents, wanted);
  return targets.map((i) => gradients[reads.indexOf(i)] ?? fill(inputs[i]!.shape, 0, inputs[i]!.dtype));
}

function lowerBranch(
  graph: GraphBuilder,
  name: string,
  { program, reads }: Branch,
  names: readonly string[],
): OnnxGraph {
  return graph.nested(name, [], (inner) => {
    const results = inner.inline(
      program,
      reads.map((i) => names[i]!),
    );
    // Each output of a nested graph must be a separate value made inside it.
    return program.outputs.map(({ shape, dtype }, i) => ({
      name: inner.node("Identity", [results[i]!]),
      shape,
      dtype,
    }));
  });
}

/**
 * One of two branches, chosen at run time; the other is not computed. Branches take no arguments: they read
 * tensors from outside. Both must return the same tree of the same types. What both compute alike is computed
 * once, before the choice.
 *
 * @shape predicate bool [] → the tree that both branches return
 * @throws RangeError when the branches return different trees, shapes or dtypes
 */
export function cond<Result>(predicate: TensorLike, whenTrue: () => Result, whenFalse: () => NoInfer<Result>): Result {
  const [yes, no] = [traceBody([], whenTrue), traceBody([], whenFalse)];
  if (structureText(yes.structure) !== structureText(no.structure)) {
    throw new RangeError(
      `cond: the branches return different trees, ${structureText(yes.structure)} and ${structureText(no.structure)}`,
    );
  }
  const chosen = asTensor(predicate, "bool");
  if (chosen.dtype !== "bool" || chosen.shape.length !== 0)
    throw new TypeError(`cond: the predicate must be bool[], got ${chosen.dtype}${shapeText(chosen.shape)}`);
  return unflatten(
    yes.structure,
    hoisting(yes, no, (a, b) => choose(chosen, a, b)),
  ) as Result;
}

/** The outputs of one of two branches without arguments. */
function choose(predicate: Tensor, yes: ClosedProgram, no: ClosedProgram): Tensor[] {
  const captured = [...new Set([...yes.captured, ...no.captured])];
  const reads = (branch: ClosedProgram) => branch.captured.map((tensor) => captured.indexOf(tensor) + 1);
  const params: CondParams = {
    whenTrue: yes.program,
    whenFalse: no.program,
    trueReads: reads(yes),
    falseReads: reads(no),
  };
  return bind(condPrimitive, [predicate, ...captured], params);
}
