import {
  add,
  broadcastTo,
  type Concrete,
  div,
  expandDims,
  fromNumbers,
  gather,
  minimum,
  mul,
  type RandomKey,
  reshape,
  slice,
  splitKey,
  stack,
  sub,
  type Tensor,
  tanh,
} from "@tsformers/engine";
import type { Context, DepthOutput } from "../../kinds/index.ts";
import { type EmbeddingParams, embedding } from "../../nn/embedding.ts";
import { fanInUniform, normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { layerNorm, type NormParams } from "../../nn/norm.ts";
import { requireCounts } from "../../nn/sizes.ts";
import type { ActionSpace } from "../../rl/environment.ts";
import { present } from "../../schema/present.ts";
import type { TokenBody } from "../language-model.ts";
import { projectPart } from "../project-part.ts";

/** Part of an episode as a model reads it. */
export type DecisionInput = {
  /** Returns to go R̂: what is to be received from each step on, [B, T]. */
  readonly returns: Tensor;
  /** What was seen, [B, T, F]. */
  readonly states: Tensor;
  /** What was done: choices, int32 [B, T], or real actions, [B, T, A]. No prediction of an action reads that action or a later one. */
  readonly actions: Tensor;
  /** Which step of its episode each is, int32 [B, T]. */
  readonly timesteps: Tensor;
  /** 1 at steps, 0 at padding, [B, T]. Default: no padding. */
  readonly mask?: Tensor;
};

export type DecisionOutput = DepthOutput & {
  /** Logits of the choices, [B, T, count], or real actions, [B, T, A]. */
  readonly actions: Tensor;
  /** The next state, normalised as states are, [B, T, F]. */
  readonly states: Tensor;
  /** The next return to go, scaled as returns are, [B, T, 1]. */
  readonly returns: Tensor;
};

/** A model that says what to do next in an episode. */
export type DecisionModel<Params = unknown> = {
  readonly features: number;
  readonly actions: ActionSpace;
  /** The most steps of an episode. */
  readonly longest: number;
  init(key: RandomKey): Concrete<Params>;
  apply(params: Params, input: DecisionInput, context: Context): DecisionOutput;
  project?(params: Params): Params;
};

/** What a model knows of an environment. */
export type DecisionOptions = {
  /** F, real numbers of a state. */
  readonly features: number;
  readonly actions: ActionSpace;
  /** The most steps of an episode; each has a learned vector. */
  readonly longest: number;
  /** What states are normalised by, [F] each. Default: they are read as they are. */
  readonly states?: { readonly mean: readonly number[]; readonly deviation: readonly number[] } | undefined;
  /** Returns are divided by it. Default: 1. */
  readonly returnScale?: number | undefined;
};

/** A body's parameters, with those that read steps and tell actions beside them. */
export type DecisionParams<Params = unknown> = Params & {
  embed: {
    returns: LinearParams;
    states: LinearParams;
    /** Of real actions, or of choices. */
    actions: LinearParams | EmbeddingParams;
    timesteps: EmbeddingParams;
    norm: NormParams;
  };
  predict: { actions: LinearParams; states: LinearParams; returns: LinearParams };
};

/** As torch initialises linear layers. */
const byInputs = fanInUniform();

/**
 * Any causal body as a Decision Transformer: three tokens a step, `R̂_t, s_t, a_t`, each a linear map of its own plus the vector of the step, then a norm;
 * the body reads them in this order. From the output at s_t the action a_t is told, from that at a_t the next state and return.
 *
 * Real actions are `mid + half·tanh(…)` between their bounds, choices logits. The body needs no positions, since a step's vector says where it stands.
 *
 * @param name what reads the episodes, for errors
 * @shape returns [B, T], states [B, T, F], actions [B, T] or [B, T, A] → tokens [B, 3·T, C] → actions [B, T, count] or [B, T, A]
 * @throws TypeError for a body that is not causal; RangeError for sizes that do not fit
 * @source Chen et al. 2021, "Decision Transformer: Reinforcement Learning via Sequence Modeling", §3, arXiv:2106.01345
 * @differs choices, too, are read and told as here (the paper's Atari model has positions beside the vectors of steps, and no norm); biases begin as 0
 */
export function decisionModel<Params>(
  name: string,
  body: TokenBody<Params>,
  options: DecisionOptions,
): DecisionModel<DecisionParams<Params>> {
  const { features, actions, longest, states: normal, returnScale = 1 } = options;
  requireEnvironment(name, options);
  if (!body.causal)
    throw new TypeError(`${name}: expected a causal body, since an action must not be told from itself`);
  const isDiscrete = actions.kind === "discrete";
  const [inWidth, outWidth] = [body.embeddingWidth, body.width];
  const embed = {
    returns: linear(1, inWidth, { initial: byInputs }),
    states: linear(features, inWidth, { initial: byInputs }),
    actions: isDiscrete
      ? embedding(actions.count, inWidth, normalInitial(1))
      : linear(actions.width, inWidth, { initial: byInputs }),
    timesteps: embedding(longest, inWidth, normalInitial(1)),
    norm: layerNorm()(inWidth),
  };
  const predict = {
    actions: linear(outWidth, isDiscrete ? actions.count : actions.width, { initial: byInputs }),
    states: linear(outWidth, features, { initial: byInputs }),
    returns: linear(outWidth, 1, { initial: byInputs }),
  };
  const tokensOf = (params: DecisionParams["embed"], input: DecisionInput): Tensor => {
    const step = gather(params.timesteps.weight, minimum(input.timesteps, longest - 1));
    const tokens = [
      embed.returns.apply(params.returns, expandDims(div(input.returns, returnScale), -1)),
      embed.states.apply(params.states, normal === undefined ? input.states : normalised(input.states, normal)),
      embed.actions.apply(params.actions, input.actions),
    ];
    const placed = stack(
      tokens.map((token) => add(token, step)),
      2,
    ); // [B, T, 3, C]
    const [B, T] = input.timesteps.shape as [number, number];
    return embed.norm.apply(params.norm, reshape(placed, [B, 3 * T, inWidth]));
  };
  return {
    features,
    actions,
    longest,
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      const params = { ...(body.init(b!) as object), embed: initEach(embed, a!), predict: initEach(predict, c!) };
      return params as unknown as Concrete<DecisionParams<Params>>;
    },
    apply: (params, input, context) => {
      requireShapes(name, input, options);
      const [B, T] = input.timesteps.shape as [number, number];
      const mask = input.mask && reshape(broadcastTo(expandDims(input.mask, -1), [B, T, 3]), [B, 3 * T]);
      const out = body.apply(params, { vectors: tokensOf(params.embed, input), ...present({ mask }) }, context);
      const steps = reshape(out.x, [B, T, 3, outWidth]);
      const [atState, atAction] = [1, 2].map((k) => reshape(slice(steps, 2, k, k + 1), [B, T, outWidth]));
      const told = predict.actions.apply(params.predict.actions, atState!);
      return {
        ...out,
        actions: isDiscrete ? told : between(actions.low, actions.high, told),
        states: predict.states.apply(params.predict.states, atAction!),
        returns: predict.returns.apply(params.predict.returns, atAction!),
      };
    },
    ...projectPart<Params, DecisionParams<Params>>(body),
  };
}

/** `mid + half·tanh(x)`, between two bounds. */
function between(low: number, high: number, x: Tensor): Tensor {
  const bounded = tanh(x);
  return low === -1 && high === 1 ? bounded : add(mul(bounded, (high - low) / 2), (high + low) / 2);
}

/** `(x − mean)/(deviation + 1e-6)`, feature by feature, as the authors' code. */
function normalised(x: Tensor, { mean, deviation }: NonNullable<DecisionOptions["states"]>): Tensor {
  const row = (values: readonly number[]) => fromNumbers(values, [values.length]);
  return div(sub(x, row(mean)), row(deviation.map((value) => value + 1e-6)));
}

function initEach(layers: Readonly<Record<string, { init(key: RandomKey): unknown }>>, key: RandomKey): unknown {
  const keys = splitKey(key, Object.keys(layers).length);
  return Object.fromEntries(Object.entries(layers).map(([name, layer], i) => [name, layer.init(keys[i]!)]));
}

function requireEnvironment(
  name: string,
  { features, actions, longest, states, returnScale = 1 }: DecisionOptions,
): void {
  requireCounts(name, { features, longest });
  if (actions.kind === "discrete") requireCounts(name, { "actions.count": actions.count });
  else {
    requireCounts(name, { "actions.width": actions.width });
    if (!(actions.low < actions.high))
      throw new RangeError(`${name}: actions.low must be below actions.high, got ${actions.low} and ${actions.high}`);
  }
  if (!(returnScale > 0 && returnScale < Number.POSITIVE_INFINITY))
    throw new RangeError(`${name}: returnScale must be a number above 0, got ${returnScale}`);
  for (const [part, values] of Object.entries(states ?? {})) {
    if (values.length !== features || !values.every((value) => Number.isFinite(value)))
      throw new RangeError(`${name}: states.${part} must be ${features} numbers, got ${JSON.stringify(values)}`);
  }
  if (states?.deviation.some((value) => value < 0))
    throw new RangeError(`${name}: states.deviation must be at least 0, got ${JSON.stringify(states.deviation)}`);
}

/** @throws RangeError naming the part of the input that has another shape than expected */
function requireShapes(name: string, input: DecisionInput, { features, actions }: DecisionOptions): void {
  const [B, T] = input.timesteps.shape;
  const expected: readonly (readonly [keyof DecisionInput, readonly (number | undefined)[]])[] = [
    ["timesteps", [B, T]],
    ["returns", [B, T]],
    ["states", [B, T, features]],
    ["actions", actions.kind === "discrete" ? [B, T] : [B, T, actions.width]],
    ["mask", [B, T]],
  ];
  for (const [part, shape] of expected) {
    const given = input[part]?.shape;
    if (given === undefined || String(given) === String(shape)) continue;
    throw new RangeError(`${name}: expected ${part} [${shape.join(", ")}], got [${given.join(", ")}]`);
  }
}
