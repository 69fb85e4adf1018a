import { type DType, flatten, full, NDArray, type OnnxModel, toOnnx, trace } from "@tsformers/engine";
import { present } from "../schema/present.ts";

/**
 * Exports a forward pass as an ONNX model that any runtime loads. Parameters become initializers named by their paths; inputs are
 * those of the function.
 *
 * @param forward maps parameters and inputs to one tensor
 * @param inputs shape of each input, by name
 * @param options.dtype of all inputs, or of those that it names. Default: int32
 * @param metadata stored in the file
 */
export function exportOnnx(
  forward: (params: never, inputs: never) => unknown,
  params: unknown,
  inputs: Readonly<Record<string, readonly number[]>>,
  options: {
    readonly output?: string;
    readonly dtype?: DType | Readonly<Record<string, DType>>;
    readonly metadata?: Readonly<Record<string, string>>;
  } = {},
): OnnxModel {
  const { dtype = "int32" } = options;
  const dtypeOf = (name: string): DType => (typeof dtype === "string" ? dtype : (dtype[name] ?? "int32"));
  const examples = Object.fromEntries(
    Object.entries(inputs).map(([name, shape]) => [name, full(shape, 0, dtypeOf(name))]),
  );
  const { leaves, structure } = flatten([params, examples], (leaf) => leaf instanceof NDArray);
  const weights = flatten(params, (leaf) => leaf instanceof NDArray);
  const names = [...weights.paths, ...Object.keys(examples)];
  const { program } = trace(forward as never, structure, leaves);
  const model = toOnnx(program, { portable: true, inputs: names, outputs: [options.output ?? "logits"] });
  const values = new Map(weights.paths.map((path, i) => [path, weights.leaves[i]!]));
  const { graph } = model;
  return {
    ...model,
    ...present({ metadata: options.metadata }),
    graph: {
      ...graph,
      inputs: graph.inputs.filter(({ name }) => !values.has(name)),
      initializers: [...graph.initializers, ...[...values].map(([name, value]) => ({ name, value }))],
    },
  };
}
