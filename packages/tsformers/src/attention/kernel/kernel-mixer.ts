import {
  type Concrete,
  cast,
  constant,
  full,
  type RandomKey,
  randomKey,
  splitKey,
  type Tensor,
  transpose,
} from "@tsformers/engine";
import * as z from "zod";
import type { Mixer, Recurrent, Rotation, View } from "../../kinds/index.ts";
import { evaluation } from "../../kinds/layer.ts";
import { normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { present } from "../../schema/present.ts";
import { type HeadProjectionOptions, headProjections, oneSequence } from "../core/head-projections.ts";
import { maskAt } from "../core/mask-at.ts";
import { type Refusals, requireSupport } from "../core/require-support.ts";
import type { AttentionParams } from "../softmax/attention.ts";
import type { Denominator } from "./denominator.ts";
import type { Drawn, Draws } from "./drawn-features.ts";
import { type FeatureMap, mapped } from "./feature-map.ts";
import { noHeight } from "./heights.ts";
import {
  type Features,
  type KernelOptions,
  type KernelState,
  kernelAttention,
  kernelStep,
  kernelWeights,
} from "./kernel-attention.ts";

export type KernelMixerOptions = HeadProjectionOptions & {
  readonly causal: boolean;
  readonly denominator?: Denominator;
  /**
   * Lets each head forget: with `g_t = σ(w·x_t + b)` the running sums are multiplied by g, and the new key and value by 1 − g.
   * Causal only. Default: no gate.
   */
  readonly gated?: true;
  /** Positions in a chunk of the causal form. Default: see {@link chunkedSums}. */
  readonly chunk?: number;
};

/** Projections, those of the gate if there is one, and the kernel's own parameters. */
export type KernelMixerParams<Own> = AttentionParams & { gate?: LinearParams; own?: Own };

/** What distinguishes one kernel mixer from another. */
export type Kernel<Own> = {
  readonly name: string;
  /** M, number of features. */
  readonly features: number;
  /** The random matrices, for random features. */
  readonly draws?: Draws;
  /** Parameters of its own, if any. */
  readonly init?: (key: RandomKey) => Concrete<Own>;
  readonly map: (own: Own | undefined, directions: Tensor | undefined) => FeatureMap;
  readonly denominator: Denominator;
  /** Whether rotary positions rotate queries and keys before the map, or their features after it; or why neither works. */
  readonly turns: "vectors" | "features" | { readonly never: string };
  /** Whether its features have heights. */
  readonly raised?: true;
};

/** Decode state: the running sums, and the random matrix. */
export type KernelMixerState = KernelState & { directions?: Tensor };

/**
 * A mixer of {@link kernelAttention}: queries, keys and values projected by head, mapped to features, mixed, projected back.
 *
 * The random matrix is training state; without it every pass uses the matrix first drawn from the key of seed 0. So does
 * decoding, unless `start` is given the training state.
 *
 * @shape  x [B, T, C] → y [B, T, C]
 * @cost   O(B·T·C²) time for the projections, plus that of {@link kernelAttention}; `map()` computes T × T weights when called
 */
export function kernelMixer<Own>(kernel: Kernel<Own>, options: KernelMixerOptions): Mixer<KernelMixerParams<Own>> {
  const { modelWidth, heads, causal, initial = normalInitial() } = options;
  const { name, draws, features, turns } = kernel;
  if (options.gated && !causal)
    throw new RangeError(`${name}: a gate decays sums over earlier positions, so it needs causal: true`);
  const { headWidth, initHeads, initOut, toHeads, fromHeads } = headProjections(name, options);
  const toGate = linear(modelWidth, heads, { initial });
  let first: Concrete<Drawn> | undefined;
  const firstDrawn = () => {
    first ??= draws?.start(randomKey(0));
    return first;
  };
  type Params = KernelMixerParams<Own>;

  /** Inputs of {@link kernelAttention} and {@link kernelStep} for positions x, of which `keyMask` [B, T] are real. */
  const look = (params: Params, x: Tensor, view: View, directions?: Tensor, keyMask?: Tensor): Looked => {
    requireSupport(name, view, {
      ...kernelRefusals,
      ...(typeof turns === "object" && { rotation: turns.never }),
    });
    const [q, k, v] = [params.query, params.key, params.value].map((own) => toHeads(own, x)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const map = kernel.map(params.own, directions);
    const { query: turnQuery, key: turnKey, value: turnValue } = view.rotate ?? unturned;
    const before = turns === "vectors";
    const features = mapped(map, float(before ? turnQuery(q) : q), float(before ? turnKey(k) : k));
    const turned =
      view.rotate === undefined || before
        ? {}
        : { turned: { query: turnQuery(features.query), key: turnKey(features.key) } };
    const gateLogits = params.gate && transpose(float(toGate.apply(params.gate, x)), [0, 2, 1]);
    return {
      features: { ...features, ...turned },
      values: turnValue?.(v) ?? v,
      mixing: {
        causal,
        denominator: options.denominator ?? kernel.denominator,
        ...present({ keyMask, gateLogits, chunk: options.chunk }),
      },
    };
  };

  const recurrent: Recurrent<Params, KernelMixerState> = {
    start: (batch, _capacity, training?: unknown) => {
      const drawn = (training as Concrete<Drawn> | undefined) ?? firstDrawn();
      return {
        values: full([batch, heads, features, headWidth], 0),
        weights: full([batch, heads, features, 1], 0),
        ...(kernel.raised && { height: full([batch, heads, 1, 1], noHeight) }),
        ...(drawn !== undefined && { directions: drawn.fixed ?? drawn.matrix }),
      };
    },
    step: (params, x, { directions, ...sums }, { position, view }) => {
      const { features, values, mixing } = look(params, x, view, directions, maskAt(view.keyMask, position));
      const { mixed, state } = kernelStep(sums, features, values, mixing);
      return { y: fromHeads(params.out, mixed, evaluation), state: { ...state, ...present({ directions }) } };
    },
  };

  return {
    name,
    sees: causal ? "earlier" : "all",
    init: (key): Concrete<Params> => {
      const [q, k, v, o, g, own] = splitKey(key, 6);
      return {
        query: initHeads(q!),
        key: initHeads(k!),
        value: initHeads(v!),
        out: initOut(o!),
        ...(options.gated && { gate: toGate.init(g!) }),
        ...(kernel.init !== undefined && { own: kernel.init(own!) }),
      } as Concrete<Params>;
    },
    apply: (params, input, context) => {
      oneSequence(name, input);
      const { x, view, state } = input;
      const drawn = (state?.training as Drawn | undefined) ?? constants(firstDrawn());
      const pass = drawn && draws?.pass(drawn, context);
      const { features, values, mixing } = look(params, x, view, pass?.matrix, view.keyMask);
      const { mixed } = kernelAttention(features, values, mixing);
      return {
        y: fromHeads(params.out, mixed, context),
        map: () => ({ weights: kernelWeights(features, mixing) }),
        ...(state !== undefined && {
          state: { ...state, ...(state.training !== undefined && pass && { training: pass.next }) },
        }),
      };
    },
    ...(draws !== undefined && { initTrainingState: draws.start }),
    ...(causal && { recurrent: recurrent as unknown as Recurrent<Params, never> }),
  };
}

/** Why kernel mixers do not take scores. */
export const kernelRefusals: Refusals = { scores: "it computes no logits" };

/** The setting for {@link KernelMixerOptions.gated}. */
export function gatedOption(): z.ZodDefault<z.ZodBoolean> {
  return z.boolean().default(false).describe("lets each head forget (causal only)");
}

type Looked = { readonly features: Features; readonly values: Tensor; readonly mixing: KernelOptions };

const unturned: Rotation = { query: (q) => q, key: (k) => k };

/** Casts to float32, since sums run over whole sequences. */
function float(x: Tensor): Tensor {
  return cast(x, "float32");
}

function constants(drawn: Concrete<Drawn> | undefined): Drawn | undefined {
  return drawn && (Object.fromEntries(Object.entries(drawn).map(([name, array]) => [name, constant(array)])) as Drawn);
}
