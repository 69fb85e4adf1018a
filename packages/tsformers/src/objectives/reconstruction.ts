import { add, type Concrete, cast, expandDims, gelu, iota, splitKey, type Tensor } from "@tsformers/engine";
import type { Layer } from "../kinds/layer.ts";
import type { LanguageModel, TokenBody } from "../models/language-model.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { layerNorm, type NormParams } from "../nn/norm.ts";
import { frequencies } from "../position/angles.ts";
import { sinusoidal } from "../position/sinusoidal.ts";
import type { Batch } from "../tasks/task.ts";
import { type Headed, headed } from "./headed.ts";
import type { Objective } from "./objective.ts";
import { lastPosition } from "./pooling.ts";
import { type TokenObjectiveOptions, tokenObjective } from "./tokens.ts";

type DecoderParams = {
  norms: readonly NormParams[];
  hidden: readonly LinearParams[];
  out: LinearParams;
};

export type ReconstructionParams<Params> = Headed<Params, "reconstruction">;

/**
 * A model that gives a row back from one state: a body whose vector at the last position that is no padding is all that a decoder sees.
 *
 * Logits at position t: `out(norm(h₂))` of `h₀ = x[last] + PE[t]`, `hᵢ = gelu(norm(hᵢ₋₁)·Wᵢ + bᵢ)`, with sinusoidal positions PE and hidden
 * layers as wide as the model. Positions see nothing of each other, nor of the tokens.
 *
 * @shape tokens [B, T] → logits [B, T, V]
 * @source Poli et al. 2024, "Mechanistic Design and Scaling of Hybrid Architectures", §3, arXiv:2403.17844, and the autoencoder of its
 *   published code
 * @differs the body ends with its own last norm, and may see both sides; the published one is causal and ends without a norm. Sines and
 *   cosines of PE are interleaved
 */
export function reconstructor<Params>(body: TokenBody<Params>): LanguageModel<ReconstructionParams<Params>> {
  const decoder = rowDecoder(body.width, body.vocabularySize);
  return headed(body, {
    name: "reconstruction",
    init: decoder.init,
    logits: (params, { x }, { mask }) => decoder.apply(params as DecoderParams, lastPosition(x, mask), x.shape[1]!),
  });
}

/** One state to the logits of `length` positions: [B, C] → [B, length, V]. */
function rowDecoder(width: number, vocabularySize: number): Layer<DecoderParams, [state: Tensor, length: number]> {
  const positions = sinusoidal(width, { frequencies: frequencies(width).slice(0, Math.floor(width / 2)) });
  const norm = layerNorm()(width);
  const hidden = linear(width, width);
  const out = linear(width, vocabularySize);
  return {
    init: (key): Concrete<DecoderParams> => {
      const [a, b, c, d, e, f] = splitKey(key, 6);
      return {
        norms: [norm.init(a!), norm.init(b!), norm.init(c!)],
        hidden: [hidden.init(d!), hidden.init(e!)],
        out: out.init(f!),
      };
    },
    apply: (params, state, length) => {
      const waves = cast(positions.apply({}, iota(length)), state.dtype);
      const [first, second, last] = params.norms as [NormParams, NormParams, NormParams];
      let h = add(expandDims(state, 1), expandDims(waves, 0));
      h = gelu(hidden.apply(params.hidden[0]!, norm.apply(first, h)));
      h = gelu(hidden.apply(params.hidden[1]!, norm.apply(second, h)));
      return out.apply(params.out, norm.apply(last, h));
    },
  };
}

/** Trains any body of the family to put all of a row into the state at its last position: see {@link reconstructor}. */
export function reconstruction<Params>(
  body: TokenBody<Params>,
  options: Pick<TokenObjectiveOptions, "smoothing"> = {},
): Objective<ReconstructionParams<Params>, Batch> {
  return tokenObjective(reconstructor(body), options);
}
