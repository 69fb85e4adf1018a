import type { DType } from "../array/dtype.ts";
import { fromNumbers, NDArray } from "../array/nd-array.ts";
import { type Shape, shapeText } from "../array/shape.ts";
import type { ArrayType, Primitive } from "../primitives/primitive.ts";
import { described } from "./described.ts";

/**
 * A symbolic array inside a traced function: static shape and dtype, no data. Immutable; operations on it append
 * equations to the scope being traced.
 */
export class Tensor implements ArrayType {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly scope: Scope;

  constructor(type: ArrayType, scope: Scope) {
    this.shape = type.shape;
    this.dtype = type.dtype;
    this.scope = scope;
  }

  toString(): string {
    return `${this.dtype}${shapeText(this.shape)}`;
  }

  /** @throws TypeError when a JavaScript operator is applied: `x * 2` would be NaN */
  [Symbol.toPrimitive](hint: string): string {
    if (hint === "string") return this.toString();
    throw new TypeError(`JavaScript operators do not work on tensors, here ${this}; use add, mul, less and the like`);
  }
}

/** One line of a program: `outputs = primitive(inputs; params)`. */
export type Equation = {
  readonly primitive: Primitive;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly params: unknown;
};

/** Where equations are being written. Scopes nest: the body of a `scan` is traced inside the scope of its caller. */
export class Scope {
  readonly parent: Scope | undefined;
  readonly equations: Equation[] = [];
  /** Tensors of the parent that this scope reads, with the corresponding input of this scope. */
  readonly captures: Map<Tensor, Tensor> = new Map();

  constructor(parent: Scope | undefined) {
    this.parent = parent;
  }

  /** This scope's tensor for `tensor`, which may belong to an outer scope. */
  resolve(tensor: Tensor): Tensor {
    if (tensor.scope === this) return tensor;
    if (this.parent === undefined) {
      throw new Error(`a tensor ${tensor} of another traced function was used here; return it from there instead`);
    }
    const outer = this.parent.resolve(tensor);
    let inner = this.captures.get(outer);
    if (inner === undefined) {
      inner = new Tensor(outer, this);
      this.captures.set(outer, inner);
    }
    return inner;
  }
}

let current: Scope | undefined;

/** The scope being traced. @throws Error outside traced functions */
export function currentScope(): Scope {
  if (current === undefined) {
    throw new Error(
      "array functions work inside traced functions only: wrap the code in compile(fn) or evaluate(fn, …)",
    );
  }
  return current;
}

/** Runs `body` with a new innermost scope. */
export function withScope<T>(body: (scope: Scope) => T): T {
  const outer = current;
  const scope = new Scope(outer);
  current = scope;
  try {
    return body(scope);
  } finally {
    current = outer;
  }
}

/** Appends one equation to the current scope and returns its outputs. */
export function bind<Params>(primitive: Primitive<Params>, inputs: readonly Tensor[], params: Params): Tensor[] {
  const scope = currentScope();
  const resolved = inputs.map((input) => scope.resolve(input));
  const outputs = primitive.type(resolved, params).map((type) => new Tensor(type, scope));
  scope.equations.push({ primitive: primitive as Primitive, inputs: resolved, outputs, params });
  return outputs;
}

/** {@link bind} for primitives with one output. */
export function bindOne<Params>(primitive: Primitive<Params>, inputs: readonly Tensor[], params: Params): Tensor {
  return bind(primitive, inputs, params)[0]!;
}

/** What array functions accept: numbers and concrete arrays become constants of the program. */
export type TensorLike = Tensor | NDArray | number;

/** The primitive of constants. It is defined here because every function that accepts a number needs it. */
export const constantPrimitive: Primitive<{ readonly value: NDArray }> = {
  name: "constant",
  type: (_, { value }) => [{ shape: value.shape, dtype: value.dtype }],
  gradient: () => [],
  lower: ({ graph, params }) => [graph.constant(params.value)],
  evaluate: (_, { value }) => [Float64Array.from(value.toNumbers())],
};

/**
 * A constant of the program. A number becomes a scalar of `dtype`. Default: float32.
 * @throws TypeError when `value` is neither an array nor a number
 */
export function constant(value: NDArray | number, dtype?: DType): Tensor {
  if (typeof value !== "number" && !(value instanceof NDArray)) {
    throw new TypeError(`expected a tensor, an array or a number, got ${described(value)}`);
  }
  const array = typeof value === "number" ? fromNumbers([value], [], dtype ?? "float32") : value;
  return bindOne(constantPrimitive, [], { value: array });
}

/** Converts an argument to a tensor; numbers become scalars of `dtype`. */
export function asTensor(value: TensorLike, dtype?: DType): Tensor {
  return value instanceof Tensor ? value : constant(value, dtype);
}

/** Converts the operands of a binary function; numbers take the dtype of the other operand. */
export function asTensors(a: TensorLike, b: TensorLike): [Tensor, Tensor] {
  if (a instanceof Tensor) return [a, asTensor(b, a.dtype)];
  const right = asTensor(b, a instanceof NDArray ? a.dtype : undefined);
  return [asTensor(a, right.dtype), right];
}
