import { type Concrete, reshape, splitKey, type Tensor } from "@tsformers/engine";
import { startSegments } from "../../depth/states.ts";
import type { Context, Losses } from "../../kinds/index.ts";
import type { TokenBody } from "../../models/language-model.ts";
import { vectorFront, type WithFront } from "../../models/vector-front.ts";
import { glorotUniform, normalInitial } from "../../nn/initial.ts";
import { type LinearParams, linear } from "../../nn/linear.ts";
import { requireCounts } from "../../nn/sizes.ts";
import { present } from "../../schema/present.ts";
import type { Environment } from "../environment.ts";

export type ActorCriticParams<Params> = WithFront<Params> & { policy: LinearParams; value: LinearParams };

export type ActorCriticInput = {
  /** [B, T, features] */
  readonly observations: Tensor;
  /** 1 where an episode begins, [B, T]. */
  readonly fresh: Tensor;
  /** What each row remembers, layer by layer. */
  readonly memories: readonly unknown[];
};

export type ActorCriticOutput = {
  /** Of the actions, [B, T, A]. */
  readonly logits: Tensor;
  /** What is expected of the rest of the episode, [B, T]. */
  readonly values: Tensor;
  readonly memories: readonly unknown[];
  readonly losses: Losses;
};

/** A policy over A choices, and the value of where it stands. */
export type ActorCritic<Params = unknown> = {
  readonly features: number;
  readonly choices: number;
  init(key: Parameters<TokenBody["init"]>[0]): Concrete<Params>;
  /** Empty memories of `batch` rows. */
  startMemories(batch: number): readonly unknown[];
  apply(params: Params, input: ActorCriticInput, context: Context): ActorCriticOutput;
  /** Parameters put back where they may be, after each update. Absent: they may be anything. */
  project?(params: Params): Params;
};

/**
 * An agent out of a body that remembers: observations go through a linear map into the body, and two more read a policy and a value from
 * each of its states.
 *
 * A body whose queries see as far within a segment as its memory reaches, as `gtrxl` and, with `sameLength`, `transformerXl`, computes the
 * same in acting, one observation at a time, as in learning from whole roll-outs.
 *
 * @shape observations [B, T, features] → logits [B, T, A], values [B, T]
 * @throws TypeError for a body that remembers nothing or cannot tell episodes apart, and for an environment whose actions are no choices
 * @source Parisotto et al. 2020, "Stabilizing Transformers for Reinforcement Learning", §4, arXiv:1910.06764
 */
export function actorCritic<Params>(
  body: TokenBody<Params>,
  { features, actions }: Pick<Environment, "features" | "actions">,
): ActorCritic<ActorCriticParams<Params>> {
  type All = ActorCriticParams<Params>;
  requireCounts("actorCritic", { features });
  if (actions.kind !== "discrete")
    throw new TypeError(`actorCritic: expected an environment with discrete actions, got ${actions.kind} ones`);
  if (!body.causal || body.layers.some(({ segment }) => !segment?.forgets))
    throw new TypeError(
      "actorCritic: expected a body whose layers all remember and tell episodes apart, such as gtrxl({ … }).body",
    );
  const { count: choices } = actions;
  // Observations enter as large as they are: a body that is nearly the identity at first, as GTrXL's, passes them on.
  const front = vectorFront(
    "actorCritic",
    body,
    features,
    linear(features, body.embeddingWidth, { initial: normalInitial(features ** -0.5) }),
  );
  // A first policy that prefers nothing.
  const policy = linear(body.width, choices, { initial: normalInitial(0.01) });
  const value = linear(body.width, 1, { initial: glorotUniform() });
  return {
    features,
    choices,
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      return { ...front.init(a!), policy: policy.init(b!), value: value.init(c!) } as Concrete<All>;
    },
    startMemories: (batch) => startSegments(body.layers, batch)!,
    apply: (params, { observations, fresh, memories }, context) => {
      const out = front.apply(params, { vectors: observations, segment: { layers: memories, fresh } }, context);
      return {
        logits: policy.apply(params.policy, out.x),
        values: reshape(value.apply(params.value, out.x), fresh.shape),
        memories: out.state.segment!,
        losses: out.losses,
      };
    },
    ...present({ project: front.project as ((params: All) => All) | undefined }),
  };
}
