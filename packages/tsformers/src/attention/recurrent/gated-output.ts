import { type Concrete, mul, ones, rmsNormalization, splitKey, type Tensor } from "@tsformers/engine";
import type { Context, Layer } from "../../kinds/layer.ts";
import { dropout } from "../../nn/dropout.ts";
import { silu } from "../../nn/feed-forward.ts";
import { type Initial, onesInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { joinHeads, splitHeads } from "../softmax/attention.ts";
import type { RecurrentSizes } from "./recurrent-mixer.ts";

/** Gain [D], where there is one. */
export type GatedOutputParams = { gate: LinearParams; gain?: Tensor; out: LinearParams };

export type GatedOutputOptions = RecurrentSizes & {
  readonly modelWidth: number;
  /** Whether the norm has a gain, shared by the heads. */
  readonly gain: boolean;
  /** Of the norm. Default: 1e-5. */
  readonly epsilon?: number | undefined;
  readonly dropoutRate: number | undefined;
  readonly gateInitial: Initial;
  readonly outInitial: Initial;
};

/**
 * What becomes of the heads of a recurrence: each is normalised, since its size changes with what was read, and gated by the input;
 * `y = (silu(x·W_g) ⊙ rms(heads))·W_o`.
 *
 * @shape  mixed [B, H, T, D], x [B, T, C] → y [B, T, C]
 */
export function gatedOutput({
  modelWidth,
  heads,
  valueWidth,
  gain,
  epsilon = 1e-5,
  dropoutRate = 0,
  gateInitial,
  outInitial,
}: GatedOutputOptions): Layer<GatedOutputParams, [mixed: Tensor, x: Tensor, context: Context]> {
  const toGate = linear(modelWidth, heads * valueWidth, { bias: false, initial: gateInitial });
  const toOut = linear(heads * valueWidth, modelWidth, { bias: false, initial: outInitial });
  return {
    init: (key): Concrete<GatedOutputParams> => {
      const [gateKey, outKey] = splitKey(key, 2);
      return {
        gate: toGate.init(gateKey!),
        ...(gain && { gain: onesInitial(key, [valueWidth]) }),
        out: toOut.init(outKey!),
      };
    },
    apply: (params, mixed, x, context) => {
      const normed = rmsNormalization(mixed, params.gain ?? ones([valueWidth], mixed.dtype), epsilon);
      const gated = mul(silu(splitHeads(toGate.apply(params.gate, x), heads)), normed);
      return dropout(toOut.apply(params.out, joinHeads(gated)), dropoutRate, context, "out");
    },
  };
}
