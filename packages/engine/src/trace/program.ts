import type { NDArray } from "../array/nd-array.ts";
import { shapeText } from "../array/shape.ts";
import type { ArrayType } from "../primitives/primitive.ts";
import { flatten, type Structure, unflatten } from "../tree/tree.ts";
import { type Equation, Tensor, withScope } from "./tensor.ts";

/**
 * A traced function: a flat list of equations from inputs to outputs. It refers to nothing outside itself,
 * so it can be printed, differentiated, lowered and evaluated on its own.
 */
export class Program {
  readonly inputs: readonly Tensor[];
  readonly equations: readonly Equation[];
  readonly outputs: readonly Tensor[];

  constructor(inputs: readonly Tensor[], equations: readonly Equation[], outputs: readonly Tensor[]) {
    this.inputs = inputs;
    this.equations = equations;
    this.outputs = outputs;
  }

  /** One line per equation, `c: float32[2, 3] = matmul a b {transposeB: true}`. */
  toString(): string {
    return printProgram(this, "");
  }
}

/** A program, and the tensors of the surrounding scope that it reads, which are its last inputs, in this order. */
export type ClosedProgram = {
  readonly program: Program;
  readonly captured: readonly Tensor[];
  readonly structure: Structure;
};

/** Traces `body` over new inputs of the given types. Tensors of outer scopes that it uses become further inputs. */
export function traceBody(types: readonly ArrayType[], body: (inputs: Tensor[]) => unknown): ClosedProgram {
  return withScope((scope) => {
    const inputs = types.map((type) => new Tensor(type, scope));
    const { leaves, structure } = flatten(body(inputs), isTensor);
    const outputs = leaves.map((leaf) => scope.resolve(leaf));
    const captured = [...scope.captures.keys()];
    return {
      program: new Program([...inputs, ...scope.captures.values()], scope.equations, outputs),
      captured,
      structure,
    };
  });
}

/**
 * Traces a function of trees of tensors, called with arguments of the given types.
 * @returns the program and the structure of its outputs
 */
export function trace(
  fn: (...args: never[]) => unknown,
  args: Structure,
  types: readonly ArrayType[],
): { program: Program; structure: Structure } {
  const { program, structure } = traceBody(types, (inputs) => fn(...(unflatten(args, inputs) as never[])));
  return { program, structure };
}

/** Writes the equations of `program` into the current scope, with `inputs` in place of its inputs. */
export function inline(program: Program, inputs: readonly Tensor[], emit: EquationWriter): Tensor[] {
  const known = new Map<Tensor, Tensor>();
  program.inputs.forEach((input, i) => {
    known.set(input, inputs[i]!);
  });
  for (const equation of program.equations) {
    const outputs = emit(
      equation,
      equation.inputs.map((input) => known.get(input)!),
    );
    equation.outputs.forEach((output, i) => {
      known.set(output, outputs[i]!);
    });
  }
  return program.outputs.map((output) => known.get(output)!);
}

export type EquationWriter = (equation: Equation, inputs: Tensor[]) => readonly Tensor[];

export function isTensor(value: unknown): value is Tensor {
  return value instanceof Tensor;
}

function printProgram(program: Program, indent: string): string {
  const names = new Map<Tensor, string>();
  const nameOf = (tensor: Tensor): string => {
    let name = names.get(tensor);
    if (name === undefined) {
      name = letters(names.size);
      names.set(tensor, name);
    }
    return name;
  };
  const declare = (tensor: Tensor) => `${nameOf(tensor)}: ${tensor}`;
  const lines = [`(${program.inputs.map(declare).join(", ")}) {`];
  for (const { primitive, inputs, outputs, params } of program.equations) {
    const right = [primitive.name, ...inputs.map(nameOf)].join(" ");
    lines.push(`  ${outputs.map(declare).join(", ")} = ${right}${printParams(params, `${indent}  `)}`);
  }
  lines.push(`  return ${program.outputs.map(nameOf).join(", ")}`, "}");
  return lines.join(`\n${indent}`);
}

function printParams(params: unknown, indent: string): string {
  const entries = Object.entries(params as Record<string, unknown>).filter(([, value]) => value !== undefined);
  if (entries.length === 0) return "";
  return ` {${entries.map(([name, value]) => `${name}: ${printValue(value, indent)}`).join(", ")}}`;
}

function printValue(value: unknown, indent: string): string {
  if (value instanceof Program) return printProgram(value, indent);
  if (Array.isArray(value)) return `[${value.map((item) => printValue(item, indent)).join(", ")}]`;
  if (typeof value === "function") return "ƒ";
  if (isArrayLike(value)) return value.size <= 4 ? shownNumbers(value) : `${value.dtype}${shapeText(value.shape)}`;
  return String(value);
}

function isArrayLike(value: unknown): value is NDArray {
  return typeof value === "object" && value !== null && "data" in value && "toNumbers" in value;
}

function shownNumbers(array: NDArray): string {
  const numbers = array.toNumbers().map((x) => String(Number(x.toPrecision(6))));
  return array.shape.length === 0 ? numbers[0]! : `[${numbers.join(", ")}]`;
}

/** a, b, …, z, aa, ab, … */
function letters(index: number): string {
  const rest = Math.floor(index / 26);
  return (rest > 0 ? letters(rest - 1) : "") + String.fromCharCode(97 + (index % 26));
}
