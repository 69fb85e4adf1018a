import { isFloat } from "../array/dtype.ts";
import { broadcastShapes, type Shape, shapeText, sizeOfShape } from "../array/shape.ts";
import { contrib } from "../onnx/graph-builder.ts";
import { asTensors, bindOne, type Tensor, type TensorLike } from "../trace/tensor.ts";
import { broadcastOffsets } from "./elementwise.ts";
import type { ArrayType, Primitive, ReferenceArray } from "./primitive.ts";
import { sumTo } from "./reduce.ts";
import { reshape } from "./shape.ts";

export type MatmulParams = { readonly transposeA: boolean; readonly transposeB: boolean; readonly scale: number };

/** Rows, columns and batch axes of one operand after an optional transpose. */
function sides(x: ArrayType, transposed: boolean): { batch: Shape; rows: number; columns: number } {
  const [m, n] = x.shape.slice(-2) as [number, number];
  return { batch: x.shape.slice(0, -2), rows: transposed ? n : m, columns: transposed ? m : n };
}

export const matmulPrimitive: Primitive<MatmulParams> = {
  name: "matmul",
  type: ([a, b], { transposeA, transposeB }) => {
    const text = `${describe(a!, transposeA)} × ${describe(b!, transposeB)}`;
    if (a!.shape.length < 2 || b!.shape.length < 2)
      throw new RangeError(`matmul: both sides need two axes or more, ${text}`);
    if (a!.dtype !== b!.dtype || !isFloat(a!.dtype))
      throw new TypeError(`matmul: dtypes must be one float type, ${a!.dtype} × ${b!.dtype}`);
    const left = sides(a!, transposeA);
    const right = sides(b!, transposeB);
    if (left.columns !== right.rows) throw new RangeError(`matmul: contracting axes differ, ${text}`);
    return [
      { shape: [...broadcastShapes("matmul", left.batch, right.batch), left.rows, right.columns], dtype: a!.dtype },
    ];
  },
  gradient: ({ inputs: [a, b], cotangents: [dy], params: { transposeA, transposeB, scale }, wanted }) => {
    // C = s·op(A)·op(B). d op(A) = s·dC·op(B)ᵀ and d op(B) = s·op(A)ᵀ·dC; a transposed operand takes the transposed product.
    const da = () =>
      transposeA
        ? matmul(b!, dy!, { transposeA: transposeB, transposeB: true, scale })
        : matmul(dy!, b!, { transposeB: !transposeB, scale });
    if (wanted[1] && b!.shape.length === 2 && a!.shape.length > 2 && !transposeA) {
      // A matrix shared by a batch: its gradient is one long product over all rows.
      const rows = reshape(a!, [-1, a!.shape.at(-1)!]);
      const grads = reshape(dy!, [-1, dy!.shape.at(-1)!]);
      const db = transposeB
        ? matmul(grads, rows, { transposeA: true, scale })
        : matmul(rows, grads, { transposeA: true, scale });
      return [wanted[0] ? sumTo(da(), a!.shape) : undefined, db];
    }
    const db = () =>
      transposeB
        ? matmul(dy!, a!, { transposeA: true, transposeB: transposeA, scale })
        : matmul(a!, dy!, { transposeA: !transposeA, scale });
    return [wanted[0] ? sumTo(da(), a!.shape) : undefined, wanted[1] ? sumTo(db(), b!.shape) : undefined];
  },
  lower: ({ graph, names, inputs, params: { transposeA, transposeB, scale } }) => {
    const isPlain = !transposeA && !transposeB && scale === 1;
    if (isPlain) return [graph.node("MatMul", names)];
    if (!graph.options.portable) {
      // ONNX Runtime multiplies a single row without rearranging the other side, unless there is a factor.
      const apart = scale !== 1 && !transposeA && inputs[0]!.shape.at(-2) === 1;
      const left = apart ? graph.node("Mul", [names[0]!, graph.scalar(scale, inputs[0]!.dtype)]) : names[0]!;
      const flags = {
        transA: { int: transposeA ? 1 : 0 },
        transB: { int: transposeB ? 1 : 0 },
        alpha: { float: apart ? 1 : scale },
      };
      return [graph.node("FusedMatMul", [left, names[1]!], { domain: contrib, attributes: flags })];
    }
    const [a, b] = names.map((name, i) => {
      if (!(i === 0 ? transposeA : transposeB)) return name;
      const axes = inputs[i]!.shape.map((_, axis) => axis);
      return graph.node("Transpose", [name], {
        attributes: { perm: { ints: [...axes.slice(0, -2), axes.at(-1)!, axes.at(-2)!] } },
      });
    });
    const product = graph.node("MatMul", [a!, b!]);
    return [scale === 1 ? product : graph.node("Mul", [product, graph.scalar(scale, inputs[0]!.dtype)])];
  },
  evaluate: ([a, b], params, [output]) => [multiply(a!, b!, params, output!.shape)],
};

function multiply(a: ReferenceArray, b: ReferenceArray, params: MatmulParams, shape: Shape): Float64Array {
  const left = sides(a, params.transposeA);
  const right = sides(b, params.transposeB);
  const batch = shape.slice(0, -2);
  const [m, n, k] = [left.rows, right.columns, left.columns];
  const offsetA = broadcastOffsets(left.batch, batch);
  const offsetB = broadcastOffsets(right.batch, batch);
  const result = new Float64Array(sizeOfShape(shape));
  for (let which = 0; which < sizeOfShape(batch); which++) {
    const [fromA, fromB] = [offsetA(which) * m * k, offsetB(which) * k * n];
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let l = 0; l < k; l++) {
          sum +=
            a.data[fromA + (params.transposeA ? l * m + i : i * k + l)]! *
            b.data[fromB + (params.transposeB ? j * k + l : l * n + j)]!;
        }
        result[(which * m + i) * n + j] = params.scale * sum;
      }
    }
  }
  return result;
}

function describe(x: ArrayType, transposed: boolean): string {
  return `${shapeText(x.shape)}${transposed ? "ᵀ" : ""}`;
}

export type MatmulOptions = { readonly transposeA?: boolean; readonly transposeB?: boolean; readonly scale?: number };

/**
 * Matrix product over the last two axes; the axes before them broadcast: `scale · op(A) · op(B)`.
 *
 * Transposes and the scale cost nothing: they are folded into the product.
 *
 * @shape a [..., m, k] (or [..., k, m] with `transposeA`), b [..., k, n] → [..., m, n]
 * @throws RangeError `matmul: contracting axes differ, [2, 64] × [48, 3]`
 */
export function matmul(a: TensorLike, b: TensorLike, options: MatmulOptions = {}): Tensor {
  const { transposeA = false, transposeB = false, scale = 1 } = options;
  return bindOne(matmulPrimitive, asTensors(a, b), { transposeA, transposeB, scale });
}
