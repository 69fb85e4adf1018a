import { constantPrimitive } from "../trace/tensor.ts";
import {
  absPrimitive,
  addPrimitive,
  divPrimitive,
  floorPrimitive,
  maximumPrimitive,
  minimumPrimitive,
  modPrimitive,
  mulPrimitive,
  negPrimitive,
  powPrimitive,
  signPrimitive,
  subPrimitive,
} from "./arithmetic.ts";
import { callPrimitive } from "./call.ts";
import { castPrimitive } from "./cast.ts";
import {
  andPrimitive,
  equalPrimitive,
  lessEqualPrimitive,
  lessPrimitive,
  notPrimitive,
  orPrimitive,
} from "./comparison.ts";
import { concatPrimitive, splitPrimitive } from "./concat.ts";
import { condPrimitive } from "./cond.ts";
import { conv1dPrimitive } from "./conv1d.ts";
import { cumsumPrimitive } from "./cumulative.ts";
import {
  cosPrimitive,
  erfPrimitive,
  expPrimitive,
  logPrimitive,
  sigmoidPrimitive,
  sinPrimitive,
  sqrtPrimitive,
  tanhPrimitive,
} from "./exponential.ts";
import {
  gatherPrimitive,
  scatterAddPrimitive,
  scatterAlongAxisPrimitive,
  scatterSetPrimitive,
  takeAlongAxisPrimitive,
} from "./gather.ts";
import { geluPrimitive } from "./gelu.ts";
import { afterPrimitive, aliasPrimitive, keptPrimitive, stopGradientPrimitive } from "./identity.ts";
import { iotaPrimitive } from "./iota.ts";
import { matmulPrimitive } from "./matmul.ts";
import { layerNormPrimitive, rmsNormPrimitive } from "./norm.ts";
import { argmaxPrimitive, argminPrimitive, topKPrimitive } from "./order.ts";
import type { Primitive } from "./primitive.ts";
import { bitFieldPrimitive, threefryPrimitive } from "./random-bits.ts";
import { maxPrimitive, minPrimitive, sumPrimitive } from "./reduce.ts";
import { scanPrimitive } from "./scan.ts";
import { broadcastToPrimitive, reshapePrimitive, transposePrimitive } from "./shape.ts";
import { padPrimitive, slicePrimitive } from "./slice.ts";
import { logSoftmaxPrimitive, softmaxPrimitive } from "./softmax.ts";
import { wherePrimitive } from "./where.ts";

/** Every operation that a program can contain. */
export type PrimitiveName =
  | "abs"
  | "add"
  | "after"
  | "alias"
  | "and"
  | "argmax"
  | "argmin"
  | "bitField"
  | "broadcastTo"
  | "call"
  | "cast"
  | "concat"
  | "cond"
  | "constant"
  | "conv1d"
  | "cos"
  | "cumsum"
  | "div"
  | "equal"
  | "erf"
  | "exp"
  | "floor"
  | "gather"
  | "gelu"
  | "iota"
  | "kept"
  | "layerNorm"
  | "less"
  | "lessEqual"
  | "log"
  | "logSoftmax"
  | "matmul"
  | "max"
  | "maximum"
  | "min"
  | "minimum"
  | "mod"
  | "mul"
  | "neg"
  | "not"
  | "or"
  | "pad"
  | "pow"
  | "reshape"
  | "rmsNorm"
  | "scan"
  | "scatterAdd"
  | "scatterAlongAxis"
  | "scatterSet"
  | "sigmoid"
  | "sign"
  | "sin"
  | "slice"
  | "softmax"
  | "split"
  | "sqrt"
  | "stopGradient"
  | "sub"
  | "sum"
  | "takeAlongAxis"
  | "tanh"
  | "threefry"
  | "topK"
  | "transpose"
  | "where";

/**
 * The closed union of primitives that programs consist of, with all their rules. A name without a record, and a
 * record without a name, are compile errors; so is a primitive without cases in the conformance tests.
 */
export const primitives: Readonly<Record<PrimitiveName, Primitive>> = {
  abs: absPrimitive,
  add: addPrimitive,
  after: afterPrimitive,
  alias: aliasPrimitive,
  and: andPrimitive,
  argmax: argmaxPrimitive,
  argmin: argminPrimitive,
  bitField: bitFieldPrimitive,
  broadcastTo: broadcastToPrimitive,
  call: callPrimitive,
  cast: castPrimitive,
  concat: concatPrimitive,
  cond: condPrimitive,
  constant: constantPrimitive,
  conv1d: conv1dPrimitive,
  cos: cosPrimitive,
  cumsum: cumsumPrimitive,
  div: divPrimitive,
  equal: equalPrimitive,
  erf: erfPrimitive,
  exp: expPrimitive,
  floor: floorPrimitive,
  gather: gatherPrimitive,
  gelu: geluPrimitive,
  iota: iotaPrimitive,
  kept: keptPrimitive,
  layerNorm: layerNormPrimitive,
  less: lessPrimitive,
  lessEqual: lessEqualPrimitive,
  log: logPrimitive,
  logSoftmax: logSoftmaxPrimitive,
  matmul: matmulPrimitive,
  max: maxPrimitive,
  maximum: maximumPrimitive,
  min: minPrimitive,
  minimum: minimumPrimitive,
  mod: modPrimitive,
  mul: mulPrimitive,
  neg: negPrimitive,
  not: notPrimitive,
  or: orPrimitive,
  pad: padPrimitive,
  pow: powPrimitive,
  reshape: reshapePrimitive,
  rmsNorm: rmsNormPrimitive,
  scan: scanPrimitive,
  scatterAdd: scatterAddPrimitive,
  scatterAlongAxis: scatterAlongAxisPrimitive,
  scatterSet: scatterSetPrimitive,
  sigmoid: sigmoidPrimitive,
  sign: signPrimitive,
  sin: sinPrimitive,
  slice: slicePrimitive,
  softmax: softmaxPrimitive,
  split: splitPrimitive,
  sqrt: sqrtPrimitive,
  stopGradient: stopGradientPrimitive,
  sub: subPrimitive,
  sum: sumPrimitive,
  takeAlongAxis: takeAlongAxisPrimitive,
  tanh: tanhPrimitive,
  threefry: threefryPrimitive,
  topK: topKPrimitive,
  transpose: transposePrimitive,
  where: wherePrimitive,
};
