import type { NDArray } from "../array/nd-array.ts";
import { elementTypeNumber } from "./element-type.ts";
import { onnx } from "./generated/onnx.js";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxValueInfo } from "./model.ts";

const { AttributeType } = onnx.AttributeProto;
const utf8 = new TextEncoder();

/** Protobuf counts lengths in signed 32-bit integers: no reader takes a longer message. */
const largestMessageBytes = 2 ** 31 - 1;

/**
 * The bytes of an ONNX file for a model, in the protobuf format that every ONNX runtime reads.
 *
 * Tensors are written as little-endian `raw_data`. Default of `nameOf`: a node is named after its first output, so that a
 * runtime's messages can be traced back to the program.
 *
 * @throws RangeError when an integer is not exact as a JavaScript number, or the file would exceed protobuf's limit of 2 GiB
 * @throws Error when graphs are nested more than about 30 deep, which no reader of protobuf accepts
 */
export function encodeModel(model: OnnxModel, nameOf: NameOf = firstOutput): Uint8Array<ArrayBuffer> {
  checkSize(tensorBytes(model.graph), "initializers");
  const writer = onnx.ModelProto.encode({
    irVersion: exact(model.irVersion, "irVersion"),
    producerName: model.producer,
    opsetImport: Object.entries(model.opsets).map(([domain, version]) => ({
      domain,
      version: exact(version, `opset version of domain "${domain}"`),
    })),
    metadataProps: Object.entries(model.metadata ?? {}).map(([key, value]) => ({ key, value })),
    graph: graphMessage(model.graph, nameOf),
  });
  checkSize(writer.pos, "model");
  return writer.finishInto(new Uint8Array(writer.pos)) as Uint8Array<ArrayBuffer>;
}

type NameOf = (node: OnnxNode) => string;

function firstOutput({ outputs }: OnnxNode): string {
  return outputs.find((output) => output !== "") ?? "";
}

function graphMessage(graph: OnnxGraph, nameOf: NameOf): onnx.GraphProto.$Properties {
  return {
    name: graph.name,
    node: graph.nodes.map((node) => nodeMessage(node, nameOf)),
    initializer: graph.initializers.map(({ name, value }) => tensorMessage(value, name)),
    input: graph.inputs.map(valueInfoMessage),
    output: graph.outputs.map(valueInfoMessage),
  };
}

function nodeMessage(node: OnnxNode, nameOf: NameOf): onnx.NodeProto.$Properties {
  return {
    name: nameOf(node),
    opType: node.op,
    domain: node.domain,
    input: node.inputs as string[],
    output: node.outputs as string[],
    attribute: Object.entries(node.attributes).map(([name, value]) => ({
      name,
      ...attributeFields(value, `attribute "${name}" of ${node.op}`, nameOf),
    })),
  };
}

function attributeFields(attribute: OnnxAttribute, where: string, nameOf: NameOf): onnx.AttributeProto.$Properties {
  if ("int" in attribute) return { type: AttributeType.INT, i: exact(attribute.int, where) };
  if ("ints" in attribute) return { type: AttributeType.INTS, ints: attribute.ints.map((n) => exact(n, where)) };
  if ("float" in attribute) return { type: AttributeType.FLOAT, f: attribute.float };
  if ("floats" in attribute) return { type: AttributeType.FLOATS, floats: attribute.floats as number[] };
  if ("string" in attribute) return { type: AttributeType.STRING, s: utf8.encode(attribute.string) };
  if ("tensor" in attribute) return { type: AttributeType.TENSOR, t: tensorMessage(attribute.tensor, "") };
  return { type: AttributeType.GRAPH, g: graphMessage(attribute.graph, nameOf) };
}

function tensorMessage({ shape, dtype, data }: NDArray, name: string): onnx.TensorProto.$Properties {
  return {
    name,
    dims: shape as number[],
    dataType: elementTypeNumber(dtype),
    rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}

function valueInfoMessage({ name, dtype, shape }: OnnxValueInfo): onnx.ValueInfoProto.$Properties {
  const dim = shape.map((extent) => (typeof extent === "number" ? { dimValue: extent } : { dimParam: extent }));
  return { name, type: { tensorType: { elemType: elementTypeNumber(dtype), shape: { dim } } } };
}

function exact(value: number, where: string): number {
  if (Number.isSafeInteger(value)) return value;
  throw new RangeError(`encodeModel: ${where}: expected an exact integer, found ${value}`);
}

function checkSize(bytes: number, what: string): void {
  if (bytes <= largestMessageBytes) return;
  throw new RangeError(
    `encodeModel: the ${what} take ${bytes} bytes, an ONNX file holds at most ${largestMessageBytes}; pass large arrays as inputs instead`,
  );
}

function tensorBytes(graph: OnnxGraph): number {
  return graph.initializers.reduce((sum, { value }) => sum + value.data.byteLength, 0);
}
