import fc from "fast-check";
import * as ort from "onnxruntime-node";
import { describe, expect, it } from "vitest";
import { fromNumbers, NDArray, ndarray } from "../../src/array/nd-array.ts";
import { decodeModel } from "../../src/onnx/decode.ts";
import { encodeModel } from "../../src/onnx/encode.ts";
import { onnx } from "../../src/onnx/generated/onnx.js";
import type { OnnxAttribute, OnnxGraph, OnnxModel, OnnxNode } from "../../src/onnx/model.ts";

const dtypes = ["float32", "float16", "float64", "int32", "int64", "uint8", "bool"] as const;

function node(op: string, inputs: string[], outputs: string[], attributes: OnnxNode["attributes"] = {}): OnnxNode {
  return { op, domain: "", inputs, outputs, attributes };
}

function modelOf(graph: Partial<OnnxGraph>): OnnxModel {
  return {
    irVersion: 10,
    opsets: { "": 20, "com.microsoft": 1 },
    producer: "codec.test",
    graph: { name: "main", nodes: [], initializers: [], inputs: [], outputs: [], ...graph },
  };
}

/** `y = x · w + b` with x [N, 2]. */
function affine(): OnnxModel {
  return modelOf({
    nodes: [node("MatMul", ["x", "w"], ["xw"]), node("Add", ["xw", "b"], ["y"])],
    initializers: [
      {
        name: "w",
        value: ndarray([
          [1, 2, 3],
          [4, 5, 6],
        ]),
      },
      { name: "b", value: ndarray([0.5, -0.5, 0]) },
    ],
    inputs: [{ name: "x", dtype: "float32", shape: ["N", 2] }],
    outputs: [{ name: "y", dtype: "float32", shape: ["N", 3] }],
  });
}

/** Every kind of attribute, every dtype, a graph two levels deep. */
function everything(): OnnxModel {
  const branch = (inner: Record<string, OnnxAttribute>): OnnxGraph => ({
    name: "branch",
    nodes: [node("If", ["", "outer"], ["", "z"], inner)],
    initializers: [{ name: "k", value: ndarray([7]) }],
    inputs: [],
    outputs: [{ name: "z", dtype: "uint32", shape: [] }],
  });
  const model = modelOf({
    nodes: [
      node("Everything", ["a", "", "b"], ["c"], {
        int: { int: -(2 ** 53) + 1 },
        zero: { int: 0 },
        ints: { ints: [-1, 0, 2 ** 40] },
        empty: { ints: [] },
        float: { float: 0.1875 },
        infinite: { float: Number.NEGATIVE_INFINITY },
        floats: { floats: [0.5, -2] },
        string: { string: "naïve ∑ 🙂" },
        tensor: { tensor: ndarray([[1, 2]]) },
        graph: { graph: branch({ inner: { graph: branch({}) }, ["__proto__"]: { int: 1 } }) },
      }),
    ],
    initializers: dtypes.map((dtype) => ({ name: dtype, value: fromNumbers([0, 1, 1, 0, 1, 0], [2, 3], dtype) })),
    inputs: [
      { name: "a", dtype: "uint32", shape: ["batch", 4] },
      { name: "s", dtype: "string", shape: [] },
    ],
    outputs: [{ name: "c", dtype: "float16", shape: [""] }],
  });
  return { ...model, metadata: { source: "here", "": "empty key" } };
}

describe("encodeModel and decodeModel", () => {
  it("gives back every attribute kind, dtype and nested graph", () => {
    expect(decodeModel(encodeModel(everything()))).toEqual(everything());
  });

  it("gives back any tensor, also a view into a larger buffer and an empty one", () => {
    const buffer = Float32Array.from([9, 1, 2, 9]);
    const values = [
      new NDArray([2], "float32", buffer.subarray(1, 3)),
      new NDArray([0, 3], "int64", new BigInt64Array()),
      new NDArray([], "int64", BigInt64Array.of(-(2n ** 63n))),
    ];
    const initializers = values.map((value, i) => ({ name: `w${i}`, value }));
    const decoded = decodeModel(encodeModel(modelOf({ initializers }))).graph.initializers;
    expect(decoded.map(({ value }) => [value.shape, [...value.data]])).toEqual([
      [[2], [1, 2]],
      [[0, 3], []],
      [[], [-(2n ** 63n)]],
    ]);
  });

  it("returns bytes that own their buffer, so that a worker can take them", () => {
    const bytes = encodeModel(affine());
    expect(bytes.byteOffset).toBe(0);
    expect(bytes.buffer.byteLength).toBe(bytes.byteLength);
  });

  it("runs in ONNX Runtime", async () => {
    const session = await ort.InferenceSession.create(encodeModel(affine()));
    const x = new ort.Tensor("float32", Float32Array.of(1, 0, 1, 1), [2, 2]);
    const { y } = await session.run({ x });
    expect(y!.dims).toEqual([2, 3]);
    expect(Array.from(y!.data as Float32Array)).toEqual([1.5, 1.5, 3, 5.5, 6.5, 9]);
    await session.release();
  });

  it("runs a nested graph in ONNX Runtime", async () => {
    const branch = (op: string): OnnxGraph => ({
      name: op,
      nodes: [node(op, ["x", "x"], ["r"])],
      initializers: [],
      inputs: [],
      outputs: [{ name: "r", dtype: "float32", shape: [1] }],
    });
    const model = modelOf({
      nodes: [
        node("If", ["c"], ["y"], { then_branch: { graph: branch("Mul") }, else_branch: { graph: branch("Sub") } }),
      ],
      inputs: [
        { name: "c", dtype: "bool", shape: [] },
        { name: "x", dtype: "float32", shape: [1] },
      ],
      outputs: [{ name: "y", dtype: "float32", shape: [1] }],
    });
    const session = await ort.InferenceSession.create(encodeModel(decodeModel(encodeModel(model))));
    const x = new ort.Tensor("float32", Float32Array.of(3), [1]);
    for (const [condition, expected] of [[true, 9] as const, [false, 0] as const]) {
      const { y } = await session.run({ x, c: new ort.Tensor("bool", [condition], []) });
      expect(y!.data[0]).toBe(expected);
    }
    await session.release();
  });
});

describe("encodeModel refuses", () => {
  it("integers that are not exact, naming the attribute", () => {
    const model = modelOf({ nodes: [node("Gather", ["x"], ["y"], { axis: { int: 0.5 } })] });
    expect(() => encodeModel(model)).toThrow('attribute "axis" of Gather: expected an exact integer, found 0.5');
  });

  it("more than protobuf can hold, before it allocates anything", () => {
    const value = new NDArray([2 ** 28], "float32", new Float32Array(2 ** 28));
    const initializers = [1, 2, 3].map((i) => ({ name: `w${i}`, value }));
    expect(() => encodeModel(modelOf({ initializers }))).toThrow("take 3221225472 bytes");
  });
});

type Tensor = onnx.TensorProto.$Properties;

/** A file with one initializer, as a foreign writer might write it. */
function foreign(tensor: Tensor, model: onnx.ModelProto.$Properties = {}): Uint8Array {
  const graph = { name: "g", initializer: [{ name: "w", ...tensor }] };
  return onnx.ModelProto.encode({ irVersion: 8, opsetImport: [{ version: 13 }], graph, ...model }).finish();
}

function decodedValue(tensor: Tensor): unknown[] {
  const { value } = decodeModel(foreign(tensor)).graph.initializers[0]!;
  return [value.dtype, ...value.data];
}

describe("decodeModel reads typed data fields", () => {
  it.each<[string, Tensor, unknown[]]>([
    ["float_data", { dataType: 1, dims: [2], floatData: [0.5, -1] }, ["float32", 0.5, -1]],
    ["double_data", { dataType: 11, dims: [1], doubleData: [0.1] }, ["float64", 0.1]],
    ["int32_data", { dataType: 6, dims: [2], int32Data: [-1, 2] }, ["int32", -1, 2]],
    ["int64_data", { dataType: 7, dims: [2], int64Data: [-1, 2 ** 40] }, ["int64", -1n, 2n ** 40n]],
    ["float16 bits in int32_data", { dataType: 10, dims: [1], int32Data: [0x3c00] }, ["float16", 0x3c00]],
    ["uint8 in int32_data", { dataType: 2, dims: [1], int32Data: [255] }, ["uint8", 255]],
    ["bool in int32_data", { dataType: 9, dims: [2], int32Data: [1, 0] }, ["bool", 1, 0]],
    ["a scalar", { dataType: 1, floatData: [3] }, ["float32", 3]],
    ["no values", { dataType: 1, dims: [0] }, ["float32"]],
  ])("%s", (_, tensor, expected) => {
    expect(decodedValue(tensor)).toEqual(expected);
  });
});

describe("decodeModel refuses", () => {
  it.each<[string, Tensor, string]>([
    [
      "raw_data of another length",
      { dataType: 1, dims: [2, 3], rawData: new Uint8Array(20) },
      'graph "g": initializer "w": expected 24 bytes of raw_data for float32 [2, 3], found 20',
    ],
    ["dims without data", { dataType: 1, dims: [2 ** 40] }, "expected 1099511627776 values in float_data"],
    ["huge dims", { dataType: 1, dims: [2 ** 50, 2 ** 50] }, "is too large"],
    ["negative dims", { dataType: 1, dims: [-1] }, "expected a non-negative extent of axis 0, found -1"],
    ["two data fields", { dataType: 1, dims: [1], rawData: new Uint8Array(4), floatData: [1] }, "one data field"],
    ["values out of range", { dataType: 2, dims: [1], int32Data: [256] }, "expected uint8 values of 0 to 255"],
    ["external data", { dataType: 1, dims: [1], dataLocation: 1 }, "its values are in an external file"],
    ["segments", { dataType: 1, segment: { begin: 0, end: 1 } }, "found a segment"],
    ["strings", { dataType: 8, dims: [1], stringData: [new Uint8Array(1)] }, "found string"],
    ["unknown element types", { dataType: 16, dims: [1] }, "found number 16"],
  ])("%s", (_, tensor, message) => {
    expect(() => decodeModel(foreign(tensor), "weights.onnx")).toThrow(message);
    expect(() => decodeModel(foreign(tensor), "weights.onnx")).toThrow(/^weights\.onnx: /);
  });

  it("what the model type cannot say", () => {
    const cases: [onnx.ModelProto.$Properties, string][] = [
      [{ graph: null }, "expected a graph, found none"],
      [{ opsetImport: [] }, "expected operator set versions, found none"],
      [{ opsetImport: [{ version: 1 }, { domain: "ai.onnx", version: 2 }] }, "expected once, found twice"],
      [{ functions: [{ name: "f" }] }, "expected no model functions, found 1"],
      [{ graph: { node: [{}] } }, "expected an operator name"],
      [{ graph: { node: [{ opType: "A", attribute: [{ name: "v", type: 8 }] }] } }, 'attribute "v": expected type'],
      [{ graph: { node: [{ opType: "A", attribute: [{ name: "v", type: 4 }] }] } }, "expected a tensor, found none"],
      [
        { graph: { node: [{ opType: "A", attribute: [{ name: "v", type: 3, s: Uint8Array.of(0xff) }] }] } },
        "expected UTF-8 text",
      ],
      [{ graph: { input: [{ name: "x", type: { sequenceType: {} } }] } }, "expected a tensor type, found sequenceType"],
      [{ graph: { input: [{ name: "x", type: { tensorType: { elemType: 1 } } }] } }, "expected a shape, found none"],
    ];
    for (const [model, message] of cases) expect(() => decodeModel(foreign({}, model))).toThrow(message);
  });

  it("integers that a number cannot hold", () => {
    const int64Max = Uint8Array.of(0x18, ...new Array<number>(8).fill(0xff), 0x7f); // field 3 of the attribute
    const tag = onnx.AttributeProto.encode({ name: "end", type: 2 }).finish();
    const attribute = Uint8Array.of(...tag, ...int64Max);
    const graph = { node: [{ opType: "Slice", attribute: [onnx.AttributeProto.decode(attribute)] }] };
    expect(() => decodeModel(foreign({}, { graph }))).toThrow("found 9223372036854775807");
  });

  it("graphs nested without end", () => {
    let graph: Uint8Array = new Uint8Array();
    for (let depth = 0; depth < 3000; depth++) graph = field(1, field(5, field(6, graph))); // node, attribute, g
    expect(() => decodeModel(field(7, graph), "deep")).toThrow("deep: expected an ONNX protobuf");
  });

  it("every truncation, or reads less, but always with its own error", () => {
    const bytes = encodeModel(everything());
    for (let length = 0; length < bytes.length; length++) expectModelOrNamedError(bytes.subarray(0, length));
    expect(() => decodeModel(bytes.subarray(0, bytes.length - 1), "cut")).toThrow(/^cut: /);
    expect(() => decodeModel(new Uint8Array(), "cut")).toThrow("cut: expected a graph, found none in 0 bytes");
  });

  it("mutated and random bytes with its own error, never another", () => {
    const bytes = encodeModel(everything());
    const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), (changes) => {
        const mutated = bytes.slice();
        for (const [position, byte] of changes) mutated[position] = byte;
        expectModelOrNamedError(mutated);
      }),
      { numRuns: 2000 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), expectModelOrNamedError), { numRuns: 1000 });
  });
});

/** The bytes of one length-delimited protobuf field. */
function field(number: number, content: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let rest = content.length; length.length === 0 || rest > 0; rest >>>= 7) {
    length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
  }
  const bytes = new Uint8Array(1 + length.length + content.length);
  bytes.set([(number << 3) | 2, ...length]);
  bytes.set(content, 1 + length.length);
  return bytes;
}

/** Either a model that encodes again, or an error that begins with the source. */
function expectModelOrNamedError(bytes: Uint8Array): void {
  let model: OnnxModel;
  try {
    model = decodeModel(bytes, "fuzz");
  } catch (error) {
    expect((error as Error).message).toMatch(/^fuzz: /);
    return;
  }
  expect(decodeModel(encodeModel(model), "again")).toEqual(model);
}
