import { isFloat } from "../array/dtype.ts";
import { shapesEqual, shapeText } from "../array/shape.ts";
import { asTensor, bind, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { add, div, mul, pow, square, sub } from "./arithmetic.ts";
import { sqrt } from "./exponential.ts";
import { matmul } from "./matmul.ts";
import type { ArrayType, Primitive } from "./primitive.ts";
import { mean, sumTo } from "./reduce.ts";
import { broadcastTo, reshape } from "./shape.ts";

type NormParams = { readonly epsilon: number };

function checkNorm(name: string, inputs: readonly ArrayType[]): void {
  const [x, ...weights] = inputs as [ArrayType, ...ArrayType[]];
  const width = x.shape.at(-1);
  if (!isFloat(x.dtype) || width === undefined)
    throw new TypeError(`${name}: expected a float array with one axis or more, got ${x.dtype}${shapeText(x.shape)}`);
  for (const weight of weights) {
    if (!shapesEqual(weight.shape, [width]) || weight.dtype !== x.dtype) {
      throw new RangeError(
        `${name}: ${x.dtype}${shapeText(x.shape)} needs weights ${x.dtype}[${width}], got ${weight.dtype}${shapeText(weight.shape)}`,
      );
    }
  }
}

/** x, scale, bias → y, mean, 1/deviation; the gradient needs the statistics again. */
export const layerNormPrimitive: Primitive<NormParams> = {
  name: "layerNorm",
  type: (inputs) => {
    checkNorm("layerNorm", inputs);
    const statistics = { shape: [...inputs[0]!.shape.slice(0, -1), 1], dtype: inputs[0]!.dtype };
    return [inputs[0]!, statistics, statistics];
  },
  gradient: ({ inputs: [x, scale], outputs: [, average, inverse], cotangents: [dy, dAverage, dInverse], wanted }) => {
    const width = x!.shape.at(-1)!;
    const [dx, dScale, dBias] = dy === undefined ? [] : throughOutput(dy, x!, scale!, average!, inverse!, wanted[0]!);
    // The statistics are outputs, too; only a second derivative uses their gradients.
    const throughStatistics = [
      dAverage && broadcastTo(mul(dAverage, 1 / width), x!.shape),
      dInverse && mul(sub(x!, average!), mul(mul(dInverse, pow(inverse!, 3)), -1 / width)),
    ];
    const parts = [dx, ...throughStatistics].filter((part) => part !== undefined);
    return [wanted[0] && parts.length > 0 ? parts.reduce(add) : undefined, dScale, dBias];
  },
  lower: ({ graph, names, inputs: [x], params }) => {
    // The statistics are float32 for every input dtype.
    const [y, ...statistics] = graph.nodeWithOutputs("LayerNormalization", names, 3, {
      attributes: {
        axis: { int: -1 },
        epsilon: { float: params.epsilon },
        stash_type: { int: 1 },
      },
    });
    return [y!, ...statistics.map((name) => (x!.dtype === "float32" ? name : graph.cast(name, x!.dtype)))];
  },
  evaluate: ([x, scale, bias], { epsilon }) => {
    const width = x!.shape.at(-1)!;
    const rows = x!.data.length / Math.max(width, 1);
    const [y, average, inverse] = [new Float64Array(x!.data.length), new Float64Array(rows), new Float64Array(rows)];
    for (let row = 0; row < rows; row++) {
      const values = x!.data.subarray(row * width, (row + 1) * width);
      const centre = values.reduce((a, b) => a + b, 0) / width;
      const spread = values.reduce((a, b) => a + (b - centre) ** 2, 0) / width;
      average[row] = centre;
      inverse[row] = 1 / Math.sqrt(spread + epsilon);
      values.forEach((value, i) => {
        y[row * width + i] = (value - centre) * inverse[row]! * scale!.data[i]! + bias!.data[i]!;
      });
    }
    return [y, average, inverse];
  },
};

/**
 * Gradients through y, with r = 1/deviation and m = mean of a row. Needs few passes over the rows: everything except
 * `dx = dy·r·scale − (x·a + b)` is a product with a vector, and a, b are one number per row.
 */
function throughOutput(
  dy: Tensor,
  x: Tensor,
  scale: Tensor,
  average: Tensor,
  inverse: Tensor,
  wantsX: boolean,
): [dx: Tensor | undefined, dScale: Tensor, dBias: Tensor] {
  const width = x.shape.at(-1)!;
  const flat = (tensor: Tensor) => reshape(tensor, [-1, tensor.shape.at(-1)!]);
  const alongRows = (tensor: Tensor) => mul(matmul(tensor, reshape(scale, [width, 1])), 1 / width);
  const scaledDy = mul(dy, inverse);
  const product = mul(scaledDy, x);
  const centring = matmul(flat(average), flat(scaledDy), { transposeA: true });
  const dScale = sub(sumTo(product, scale.shape), reshape(centring, [width]));
  const dx = () => {
    const meanDy = alongRows(scaledDy);
    const slope = mul(sub(alongRows(product), mul(average, meanDy)), square(inverse));
    return sub(mul(scaledDy, scale), add(mul(x, slope), sub(meanDy, mul(average, slope))));
  };
  return [wantsX ? dx() : undefined, dScale, sumTo(dy, scale.shape)];
}

/**
 * Layer normalisation over the last axis: `(x − mean) / √(variance + ε) · scale + bias`. Default: ε = 1e-5.
 *
 * @shape  x [..., C], scale [C], bias [C] → [..., C]
 * @source Ba, Kiros & Hinton 2016, "Layer Normalization", arXiv:1607.06450
 */
export function layerNormalization(x: TensorLike, scale: TensorLike, bias: TensorLike, epsilon = 1e-5): Tensor {
  return bind(layerNormPrimitive, [asTensor(x), asTensor(scale), asTensor(bias)], { epsilon })[0]!;
}

/** x, scale → y */
export const rmsNormPrimitive: Primitive<NormParams> = {
  name: "rmsNorm",
  type: (inputs) => {
    checkNorm("rmsNorm", inputs);
    return [inputs[0]!];
  },
  gradient: ({ inputs: [x, scale], cotangents: [dy], params: { epsilon }, wanted }) => {
    const inverse = inverseRoot(x!, epsilon);
    const normalised = mul(x!, inverse);
    const product = mul(dy!, normalised);
    const dx = () => {
      const along = mean(mul(product, scale!), { axes: -1, keepDims: true });
      return mul(sub(mul(dy!, scale!), mul(normalised, along)), inverse);
    };
    return [wanted[0] ? dx() : undefined, sumTo(product, scale!.shape)];
  },
  lower: ({ graph, names, inputs: [x], params }) => {
    const square = graph.node("Mul", [names[0]!, names[0]!]);
    const average = graph.node("ReduceMean", [square, graph.ints([-1])], { attributes: { keepdims: { int: 1 } } });
    const root = graph.node("Sqrt", [graph.node("Add", [average, graph.scalar(params.epsilon, x!.dtype)])]);
    return [graph.node("Mul", [graph.node("Div", [names[0]!, root]), names[1]!])];
  },
  evaluate: ([x, scale], { epsilon }) => {
    const width = x!.shape.at(-1)!;
    return [
      x!.data.map((value, i) => {
        const row = Math.floor(i / width) * width;
        const meanSquare = x!.data.subarray(row, row + width).reduce((a, b) => a + b * b, 0) / width;
        return (value / Math.sqrt(meanSquare + epsilon)) * scale!.data[i % width]!;
      }),
    ];
  },
};

/**
 * Root-mean-square normalisation over the last axis: `x / √(mean x² + ε) · scale`. Default: ε = 1e-6.
 *
 * @shape  x [..., C], scale [C] → [..., C]
 * @source Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", arXiv:1910.07467
 */
export function rmsNormalization(x: TensorLike, scale: TensorLike, epsilon = 1e-6): Tensor {
  return bindOne(rmsNormPrimitive, [asTensor(x), asTensor(scale)], { epsilon });
}

function inverseRoot(x: Tensor, epsilon: number): Tensor {
  return div(1, sqrt(add(mean(mul(x, x), { axes: -1, keepDims: true }), epsilon)));
}
