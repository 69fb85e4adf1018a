import type { DType } from "../array/dtype.ts";
import { fromNumbers, type NDArray } from "../array/nd-array.ts";
import type { Program } from "../trace/program.ts";
import type { OnnxAttribute, OnnxDType, OnnxGraph, OnnxNode } from "./model.ts";

/** Which operators may be used. */
export type LoweringOptions = {
  /** Only operators of the standard opset; otherwise ONNX Runtime's contrib operators may be used. */
  readonly portable: boolean;
};

export type NodeOptions = { readonly domain?: string; readonly attributes?: Readonly<Record<string, OnnxAttribute>> };

/** Contrib operators of ONNX Runtime. */
export const contrib = "com.microsoft";

/** Collects the nodes of one ONNX graph. Names are unique over the graph and its nested graphs. */
export class GraphBuilder {
  readonly options: LoweringOptions;
  readonly nodes: OnnxNode[] = [];
  readonly initializers: { name: string; value: NDArray }[];
  readonly #constants: Map<string | NDArray, string>;
  readonly #names: { next: number };
  readonly #made = new Map<string, string>();
  readonly #outer: GraphBuilder | undefined;
  readonly #lowerNested: (program: Program, names: readonly string[], builder: GraphBuilder) => string[];

  constructor(
    options: LoweringOptions,
    lowerNested: (program: Program, names: readonly string[], builder: GraphBuilder) => string[],
    outer?: GraphBuilder,
  ) {
    this.options = options;
    this.#lowerNested = lowerNested;
    this.#outer = outer;
    this.initializers = outer?.initializers ?? [];
    this.#constants = outer === undefined ? new Map() : outer.#constants;
    this.#names = outer === undefined ? { next: 0 } : outer.#names;
  }

  /** A fresh value name. */
  fresh(prefix = "v"): string {
    return `${prefix}${this.#names.next++}`;
  }

  /** Appends a node with one output and returns the output's name. */
  node(op: string, inputs: readonly string[], options: NodeOptions = {}): string {
    return this.nodeWithOutputs(op, inputs, 1, options)[0]!;
  }

  /** Appends a node with several outputs. */
  nodeWithOutputs(op: string, inputs: readonly string[], count: number, options: NodeOptions = {}): string[] {
    const outputs = Array.from({ length: count }, () => this.fresh());
    this.nodes.push({ op, domain: options.domain ?? "", inputs, outputs, attributes: options.attributes ?? {} });
    return outputs;
  }

  /** A value that several primitives make alike, under a key that says all that it depends on: made once in this graph or one around it. */
  once(key: string, make: () => string): string {
    const known = this.#find(key);
    if (known !== undefined) return known;
    const name = make();
    this.#made.set(key, name);
    return name;
  }

  #find(key: string): string | undefined {
    const own = this.#made.get(key);
    return own !== undefined || this.#outer === undefined ? own : this.#outer.#find(key);
  }

  /** A constant. Equal small ones are shared, and so is an array used again. The outermost graph holds it; nested graphs see it by name. */
  constant(value: NDArray): string {
    const key = value.size <= 16 ? `${value.dtype}|${value.shape.join()}|${value.data.join()}` : value;
    const known = this.#constants.get(key);
    if (known !== undefined) return known;
    const name = this.fresh("c");
    this.initializers.push({ name, value });
    this.#constants.set(key, name);
    return name;
  }

  scalar(value: number, dtype: DType): string {
    return this.constant(fromNumbers([value], [], dtype));
  }

  /** A one-dimensional int64 constant, the form in which operators take shapes, axes and bounds. */
  ints(values: readonly number[]): string {
    return this.constant(fromNumbers(values, [values.length], "int64"));
  }

  cast(name: string, dtype: OnnxDType): string {
    return this.node("Cast", [name], { attributes: { to: { int: onnxTypeCode[dtype] } } });
  }

  /** Writes the equations of `program` here, with the values `names` as its inputs. */
  inline(program: Program, names: readonly string[]): string[] {
    return this.#lowerNested(program, names, this);
  }

  /** A nested graph whose last inputs are the outer values `captured`; the first ones are declared as its own. */
  nested(name: string, inputs: OnnxGraph["inputs"], write: (builder: GraphBuilder) => OnnxGraph["outputs"]): OnnxGraph {
    const builder = new GraphBuilder(this.options, this.#lowerNested, this);
    const outputs = write(builder);
    return { name, nodes: builder.nodes, initializers: [], inputs, outputs };
  }
}

/** TensorProto.DataType codes. */
export const onnxTypeCode: Readonly<Record<OnnxDType, number>> = {
  float32: 1,
  uint8: 2,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
};
