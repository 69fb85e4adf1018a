import {
  abs,
  add,
  cast,
  constant,
  cos,
  div,
  expandDims,
  iota,
  matmul,
  maximum,
  minimum,
  mul,
  ndarray,
  sin,
  stopGradient,
  sum,
  type Tensor,
} from "@tsformers/engine";
import * as z from "zod";
import {
  linearRecurrence,
  type RecurrenceInput,
  recurrenceWeights,
} from "../../attention/recurrent/linear-recurrence.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { halves, neighbours, rotary } from "../../position/rotary.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  causal: z.literal(true),
  scale: z.number(),
  gamma: z.array(z.number()),
  rotary: z.enum(["interleaved", "half"]).nullable(),
  start: z.int(),
  normaliser: z.enum(["none", "paper", "abs_sum"]),
  normaliser_stop_gradient: z.boolean(),
});

/** In chunks, so that a state is handed on in every case. */
const chunk = 8;

/** Retention: q, k [B, H, T, K], v [B, H, T, D], theta [K/2], initial_state [B, H, K, D]. Normalisers divide the weights, so they need all of them. */
export const retention: Mechanism = {
  run({ q, k, v, theta, initial_state: state }, given) {
    const { scale, gamma, rotary: pairs, start, ...own } = options.parse(given);
    const [, , length, keyWidth] = q!.shape as [number, number, number, number];
    const at = add(iota([length], 0, "int32"), start);
    const angles = () => (positions: Tensor) => {
      const angle = mul(expandDims(cast(positions, "float32"), -1), theta!);
      return { sin: sin(angle), cos: cos(angle) };
    };
    const turn =
      pairs === null
        ? undefined
        : rotary(keyWidth, { pairing: pairs === "half" ? halves : neighbours, angles }).prepare({ query: at, key: at });
    const input: RecurrenceInput = {
      q: mul(turn?.query(q!) ?? q!, scale),
      k: turn?.key(k!) ?? k!,
      v: v!,
      logDecay: constant(logDecays(gamma, length)),
    };
    if (own.normaliser === "none") {
      const { mixed, state: last } = linearRecurrence(input, { chunk, ...present({ state }) });
      return { out: mixed, final_state: last };
    }
    const rows = (x: Tensor) => sum(x, { axes: -1, keepDims: true });
    const weights = div(recurrenceWeights(input, chunk), constant(rootsOfSums(gamma, length)));
    const total = own.normaliser === "paper" ? abs(rows(weights)) : minimum(rows(abs(weights)), 5e4);
    const normaliser = maximum(total, 1);
    const by = own.normaliser_stop_gradient ? stopGradient(normaliser) : normaliser;
    return { out: matmul(div(weights, by), v!), row_normaliser: sum(normaliser, { axes: -1 }) };
  },
};

/** [1, H, T] */
const logDecays = (gamma: readonly number[], length: number) =>
  ndarray(Float32Array.from(gamma.flatMap((of) => new Array<number>(length).fill(Math.log(of)))), [
    1,
    gamma.length,
    length,
  ]);

/** `√(Σ_{s≤t} γ^{t−s})`, [1, H, T, 1]. */
const rootsOfSums = (gamma: readonly number[], length: number) =>
  ndarray(
    Float32Array.from(
      gamma.flatMap((of) => Array.from({ length }, (_, t) => Math.sqrt(powers(of, t + 1).reduce((a, b) => a + b)))),
    ),
    [1, gamma.length, length, 1],
  );

const powers = (of: number, count: number): number[] => Array.from({ length: count }, (_, exponent) => of ** exponent);
