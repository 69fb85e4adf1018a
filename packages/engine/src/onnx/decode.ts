import { decodeTensor, exactInteger } from "./decode-tensor.ts";
import { dtypeOfElementType } from "./element-type.ts";
import { onnx } from "./generated/onnx.js";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode, OnnxValueInfo } from "./model.ts";

const { AttributeType } = onnx.AttributeProto;
const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Decodes an ONNX file from any source: malformed or truncated input, or anything that {@link OnnxModel} cannot represent, is an
 * error, never guessed at. Work and memory are proportional to the number of bytes.
 *
 * Names of nodes, documentation and shapes of intermediate values are dropped. The domain `ai.onnx` is the
 * standard one and becomes `""`.
 *
 * @param source name of the bytes in messages, such as a file name
 * @throws Error naming the source, the part, what was expected and what was found
 */
export function decodeModel(bytes: Uint8Array, source = "ONNX model"): OnnxModel {
  const message = parse(bytes, source);
  refuse(message.functions, "model functions", source);
  refuse(message.trainingInfo, "training information", source);
  if (!message.graph) throw new Error(`${source}: expected a graph, found none in ${bytes.length} bytes`);
  if (!message.opsetImport?.length) throw new Error(`${source}: expected operator set versions, found none`);
  const metadata = (message.metadataProps ?? []).map(({ key, value }) => [key ?? "", value ?? ""] as const);
  return {
    irVersion: exactInteger(message.irVersion ?? 0, `${source}: ir_version`),
    opsets: record(
      message.opsetImport.map(({ domain, version }) => [
        standardDomain(domain),
        exactInteger(version ?? 0, `${source}: opset version of domain "${domain}"`),
      ]),
      `${source}: operator set of domain`,
    ),
    producer: message.producerName ?? "",
    graph: decodeGraph(message.graph, source),
    ...(metadata.length > 0 && { metadata: record(metadata, `${source}: metadata`) }),
  };
}

function parse(bytes: Uint8Array, source: string): onnx.ModelProto.$Properties {
  try {
    return onnx.ModelProto.decode(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(`${source}: expected an ONNX protobuf of ${bytes.length} bytes, it does not parse: ${reason}`, {
      cause,
    });
  }
}

function decodeGraph(message: onnx.GraphProto.$Properties, source: string): OnnxGraph {
  const where = `${source}: graph "${message.name ?? ""}"`;
  refuse(message.sparseInitializer, "sparse initializers", where);
  return {
    name: message.name ?? "",
    nodes: (message.node ?? []).map((node, index) => decodeNode(node, `${where}: node ${index} (${node.opType})`)),
    initializers: (message.initializer ?? []).map((tensor) => {
      const name = tensor.name ?? "";
      if (name === "") throw new Error(`${where}: expected every initializer to have a name, found one without`);
      return { name, value: decodeTensor(tensor, `${where}: initializer "${name}"`) };
    }),
    inputs: (message.input ?? []).map((info) => decodeValueInfo(info, `${where}: input "${info.name}"`)),
    outputs: (message.output ?? []).map((info) => decodeValueInfo(info, `${where}: output "${info.name}"`)),
  };
}

function decodeNode(message: onnx.NodeProto.$Properties, where: string): OnnxNode {
  if (!message.opType) throw new Error(`${where}: expected an operator name, found none`);
  if (message.overload) throw new Error(`${where}: expected no function overload, found "${message.overload}"`);
  return {
    op: message.opType,
    domain: standardDomain(message.domain),
    inputs: message.input ?? [],
    outputs: message.output ?? [],
    attributes: record(
      (message.attribute ?? []).map((attribute) => [
        attribute.name ?? "",
        decodeAttribute(attribute, `${where}: attribute "${attribute.name}"`),
      ]),
      `${where}: attribute`,
    ),
  };
}

function decodeAttribute(message: onnx.AttributeProto.$Properties, where: string): OnnxAttribute {
  if (message.refAttrName) {
    throw new Error(`${where}: expected a value, found a reference to the function attribute "${message.refAttrName}"`);
  }
  switch (message.type) {
    case AttributeType.INT:
      return { int: exactInteger(message.i ?? 0, where) };
    case AttributeType.INTS:
      return { ints: (message.ints ?? []).map((value) => exactInteger(value, where)) };
    case AttributeType.FLOAT:
      return { float: message.f ?? 0 };
    case AttributeType.FLOATS:
      return { floats: message.floats ?? [] };
    case AttributeType.STRING:
      return { string: decodeText(message.s ?? new Uint8Array(), where) };
    case AttributeType.TENSOR:
      if (!message.t) throw new Error(`${where}: expected a tensor, found none`);
      return { tensor: decodeTensor(message.t, where) };
    case AttributeType.GRAPH:
      if (!message.g) throw new Error(`${where}: expected a graph, found none`);
      return { graph: decodeGraph(message.g, where) };
    default: {
      const found = AttributeType[message.type ?? AttributeType.UNDEFINED] ?? `number ${message.type}`;
      throw new Error(`${where}: expected type INT, INTS, FLOAT, FLOATS, STRING, TENSOR or GRAPH, found ${found}`);
    }
  }
}

function decodeValueInfo(message: onnx.ValueInfoProto.$Properties, where: string): OnnxValueInfo {
  const tensor = message.type?.tensorType;
  if (!tensor) throw new Error(`${where}: expected a tensor type, found ${message.type?.value ?? "none"}`);
  const dtype = dtypeOfElementType(tensor.elemType ?? 0);
  if (dtype === undefined) throw new Error(`${where}: expected a known element type, found number ${tensor.elemType}`);
  if (!tensor.shape) throw new Error(`${where}: expected a shape, found none`);
  const shape = (tensor.shape.dim ?? []).map(({ dimValue, dimParam }, axis) => {
    if (dimValue === undefined || dimValue === null) return dimParam ?? "";
    const extent = exactInteger(dimValue, `${where}: extent of axis ${axis}`);
    if (extent < 0) throw new Error(`${where}: expected a non-negative extent of axis ${axis}, found ${extent}`);
    return extent;
  });
  return { name: message.name ?? "", dtype, shape };
}

function decodeText(bytes: Uint8Array, where: string): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new Error(`${where}: expected UTF-8 text, found ${bytes.length} other bytes`, { cause });
  }
}

function record<Value>(entries: readonly (readonly [string, Value])[], where: string): Record<string, Value> {
  const names = new Set<string>();
  for (const [name] of entries) {
    if (names.has(name)) throw new Error(`${where} "${name}": expected once, found twice`);
    names.add(name);
  }
  return Object.fromEntries(entries);
}

function standardDomain(domain: string | null | undefined): string {
  return !domain || domain === "ai.onnx" ? "" : domain;
}

function refuse(found: readonly unknown[] | null | undefined, what: string, where: string): void {
  if (found?.length) throw new Error(`${where}: expected no ${what}, found ${found.length}`);
}
