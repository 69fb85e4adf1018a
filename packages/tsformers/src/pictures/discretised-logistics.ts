import {
  abs,
  add,
  and,
  type Concrete,
  cast,
  concat,
  equal,
  exp,
  expandDims,
  floor,
  foldKey,
  fromNumbers,
  greater,
  iota,
  less,
  log,
  logSoftmax,
  logSumExp,
  maximum,
  minimum,
  mul,
  neg,
  relu,
  slice,
  splitKey,
  sub,
  sum,
  type Tensor,
  tanh,
  uniform,
  where,
} from "@tsformers/engine";
import { type Initial, normalInitial } from "../nn/initial.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { drawClass, type Likelihood, openUniform } from "./likelihood.ts";

export type LogisticSizes = {
  /** K, values that are told together: the channels of a pixel. */
  readonly channels: number;
  /** L, how many levels a value has. */
  readonly levels: number;
  /** M, logistic distributions in the mixture. Default: 10. */
  readonly mixtures?: number;
};

/** Scales are at least e^−7, of a range of 2. */
const leastLogScale = -7;

/** Scales begin near e^−2, of a range of 2. */
const firstLogScale = -2;

/**
 * A mixture of discretised logistic distributions (DMOL): the channels of a pixel are told together, each from those before it.
 *
 * With values scaled to −1 … 1: `P(v) = Σ_m π_m Π_c [σ((v_c + δ/2 − μ)/s) − σ((v_c − δ/2 − μ)/s)]`, `δ = 2/(L − 1)`, and
 * `μ_c = m_c + Σ_{j<c} tanh(a_{c,j})·v_j`. The lowest level has all that is below it, the highest all that is above, so that probabilities sum to 1.
 *
 * @shape  x [..., C] → M·(1 + 2·K + K·(K − 1)/2) numbers: log π, m, log s, a
 * @source Salimans et al. 2017, "PixelCNN++", §2.1 and §2.2, arXiv:1701.05517
 * @differs computed exactly where the authors' code approximates small probabilities by the density; means begin spread out, so that components differ
 */
export function discretisedLogistics(
  width: number,
  sizes: LogisticSizes,
  initial: Initial = normalInitial(),
): Likelihood<LinearParams> {
  const { channels, levels, mixtures = 10 } = sizes;
  const pairs = (channels * (channels - 1)) / 2;
  const head = linear(width, mixtures * (1 + 2 * channels + pairs), { initial });
  const mixtureOf = (params: LinearParams, x: Tensor): Mixture => {
    const raw = cast(head.apply(params, x), "float32");
    const part = (at: number): Tensor => slice(raw, raw.shape.length - 1, at * mixtures, (at + 1) * mixtures);
    const each = (first: number, count: number) => Array.from({ length: count }, (_, i) => part(first + i));
    return {
      logWeights: part(0),
      means: each(1, channels),
      logScales: each(1 + channels, channels).map((scale) => maximum(scale, leastLogScale)),
      factors: each(1 + 2 * channels, pairs).map((factor) => tanh(factor)),
    };
  };
  return {
    values: channels,
    init: (key): Concrete<LinearParams> => {
      const [a, b] = splitKey(key, 2);
      const centres = uniform(b!, [mixtures], { low: -1, high: 1 }).toNumbers();
      const constant = (value: number): number[] => new Array<number>(mixtures).fill(value);
      const bias = [
        constant(0),
        ...new Array<number[]>(channels).fill(centres),
        ...new Array<number[]>(channels).fill(constant(firstLogScale)),
        ...new Array<number[]>(pairs).fill(constant(0)),
      ].flat();
      return { ...head.init(a!), bias: fromNumbers(bias, [bias.length]) };
    },
    nats: (params, x, values) => {
      const mixture = mixtureOf(params, x);
      const last = values.shape.length - 1;
      const known = Array.from({ length: channels }, (_, c) => slice(values, last, c, c + 1)); // [..., 1]
      const before = known.map((value) => scaled(value, levels));
      const logs = known.map((value, c) =>
        logProbability(value, meanOf(mixture, c, before), mixture.logScales[c]!, levels),
      );
      return neg(logSumExp(logs.reduce(add, logSoftmax(mixture.logWeights)), { axes: -1 }));
    },
    draw: (params, x, key, temperature) => {
      const mixture = mixtureOf(params, x);
      const chosen = drawClass(mixture.logWeights, foldKey(key, 0), temperature);
      const isChosen = cast(equal(expandDims(chosen, -1), iota(mixtures)), "float32");
      const pick = (numbers: Tensor): Tensor => sum(mul(numbers, isChosen), { axes: -1, keepDims: true });
      const drawn: Tensor[] = [];
      for (let c = 0; c < channels; c++) {
        const u = openUniform(foldKey(key, 1 + c), [x.shape[0]!, 1]);
        const scale = mul(exp(pick(mixture.logScales[c]!)), temperature);
        const before = drawn.map((value) => scaled(value, levels));
        const real = add(pick(meanOf(mixture, c, before)), mul(scale, sub(log(u), log(sub(1, u)))));
        const level = floor(add(mul(add(real, 1), (levels - 1) / 2), 0.5));
        drawn.push(cast(minimum(maximum(level, 0), levels - 1), "int32"));
      }
      return concat(drawn, -1);
    },
  };
}

/** Numbers of the M components, each [..., M]. */
type Mixture = {
  readonly logWeights: Tensor;
  /** Of each channel, before the channels before it are known. */
  readonly means: readonly Tensor[];
  readonly logScales: readonly Tensor[];
  /** How each mean depends on each channel before: a_{1,0}, a_{2,0}, a_{2,1}. */
  readonly factors: readonly Tensor[];
};

/** The mean of channel c, given the channels before it, each [..., 1]. */
function meanOf({ means, factors }: Mixture, c: number, before: readonly Tensor[]): Tensor {
  const first = (c * (c - 1)) / 2;
  return before.slice(0, c).reduce((sum, value, j) => add(sum, mul(factors[first + j]!, value)), means[c]!);
}

/** 0 … L − 1 → −1 … 1 */
function scaled(value: Tensor, levels: number): Tensor {
  return sub(mul(cast(value, "float32"), 2 / (levels - 1)), 1);
}

/**
 * log P of a level under discretised logistic distributions.
 *
 * With `a = (v + δ/2 − μ)/s` and `b = a − δ/s`: `σ(a) − σ(b) = σ(a)·σ(−b)·(1 − e^(−δ/s))`, which has no differences of near numbers. The lowest level lacks the
 * second factor, the highest the first, and both the third.
 *
 * @shape value int32 [..., 1]; mean, logScale [..., M] → [..., M]
 */
function logProbability(value: Tensor, mean: Tensor, logScale: Tensor, levels: number): Tensor {
  const perScale = exp(neg(logScale));
  const width = mul(perScale, 2 / (levels - 1));
  const upper = mul(sub(add(scaled(value, levels), 1 / (levels - 1)), mean), perScale);
  const [isLow, isHigh] = [less(value, 1), greater(value, levels - 2)];
  const below = where(isHigh, 0, logSigmoid(upper));
  const above = where(isLow, 0, logSigmoid(sub(width, upper)));
  const isInside = and(greater(value, 0), less(value, levels - 1));
  return add(add(below, above), where(isInside, logOneMinusExp(width), 0));
}

/** `log σ(x)`, for any x. */
function logSigmoid(x: Tensor): Tensor {
  return neg(add(relu(neg(x)), log(add(1, exp(neg(abs(x)))))));
}

/** `log(1 − e^−y)` for y > 0; for small y by its series, since 1 − e^−y loses digits there. */
function logOneMinusExp(y: Tensor): Tensor {
  const isSmall = less(y, 0.03);
  const series = sub(log(y), sub(mul(y, 0.5), mul(mul(y, y), 1 / 24)));
  return where(isSmall, series, log(sub(1, exp(neg(maximum(y, 0.03))))));
}
