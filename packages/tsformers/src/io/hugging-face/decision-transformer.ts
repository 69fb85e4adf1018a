import { cast, div, expandDims, mul, reshape, slice, square, sub, sum, type Tensor } from "@tsformers/engine";
import { z } from "zod";
import type { PositionEmbedding } from "../../kinds/index.ts";
import { type DecisionModel, decisionModel } from "../../models/agents/decision-model.ts";
import { gptParts } from "../../models/decoders/gpt.ts";
import { tokenBody } from "../../models/token-body.ts";
import { normalInitial } from "../../nn/initial.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, epsilon, layerCount, only, parseConfig, standard } from "./config.ts";
import { numbered, weightsOf } from "./decoder-probe.ts";
import { type Format, floatInput, maskInput, type Probe, tokenInput } from "./format.ts";
import { gpt2BlockNames } from "./gpt2.ts";
import { arrayName, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  state_dim: standard(count, 17),
  act_dim: standard(count, 4),
  hidden_size: standard(count, 128),
  max_ep_len: standard(count, 4096),
  action_tanh: only(true),
  vocab_size: standard(count, 1),
  n_positions: standard(count, 1024),
  n_layer: standard(layerCount, 3),
  n_head: standard(count, 1),
  n_inner: count.nullish(),
  activation_function: standard(activationName, "relu"),
  layer_norm_epsilon: standard(epsilon, 1e-5),
  scale_attn_weights: standard(z.boolean(), true),
  scale_attn_by_inverse_layer_idx: standard(z.boolean(), false),
  add_cross_attention: only(false),
});

/**
 * Decision Transformers for real actions between −1 and 1; states and returns are read as they are given. Their GPT-2 has a table of positions, but every
 * token is told position 0, so that row 0 is added to all.
 */
export const decisionTransformerFormat: Format = {
  modelType: "decision_transformer",
  architectures: ["DecisionTransformerModel"],
  ignored: /\.attn\.(bias|masked_bias)$/,
  build: (json, { makeView }) => {
    const c = parseConfig(config, json);
    const [width, ffnWidth] = [c.hidden_size, c.n_inner ?? 4 * c.hidden_size];
    const parts = gptParts({
      vocabularySize: c.vocab_size,
      layers: c.n_layer,
      modelWidth: width,
      heads: c.n_head,
      length: c.n_positions,
      ffnWidth,
      activation: c.activation_function,
      epsilon: c.layer_norm_epsilon,
      scale: (layer) =>
        (c.scale_attn_weights ? (width / c.n_head) ** -0.5 : 1) / (c.scale_attn_by_inverse_layer_idx ? layer + 1 : 1),
      scheme: { positions: firstOf(c.n_positions, width) },
    });
    const model = decisionModel(
      "decision_transformer",
      tokenBody({ ...parts, causal: true, ...present({ makeView }) }),
      {
        features: c.state_dim,
        actions: { kind: "continuous", width: c.act_dim, low: -1, high: 1 },
        longest: c.max_ep_len,
      },
    );
    return {
      model,
      category: "decisions",
      names: [
        arrayName("embed_timestep.weight", "embed.timesteps.weight", [c.max_ep_len, width]),
        ...linearNames("embed_return", "embed.returns", 1, width),
        ...linearNames("embed_state", "embed.states", c.state_dim, width),
        ...linearNames("embed_action", "embed.actions", c.act_dim, width),
        ...normNames("embed_ln", "embed.norm", width),
        arrayName("encoder.wte.weight", "tokens.weight", [c.vocab_size, width]),
        arrayName("encoder.wpe.weight", "positions.weight", [c.n_positions, width]),
        ...layerNames(c.n_layer, (i) => gpt2BlockNames(`encoder.h.${i}`, `blocks.${i}`, width, ffnWidth)),
        ...normNames("encoder.ln_f", "finalNorm", width),
        ...linearNames("predict_action.0", "predict.actions", width, c.act_dim),
        ...linearNames("predict_state", "predict.states", width, c.state_dim),
        ...linearNames("predict_return", "predict.returns", width, 1),
      ],
      probe: decisionProbe(model, c.max_ep_len),
    };
  },
};

/** A table of positions of which all take the first row. */
function firstOf(length: number, width: number): PositionEmbedding<{ weight: Tensor }> {
  return {
    init: (key) => ({ weight: normalInitial()(key, [length, width]) }),
    apply: ({ weight }) => slice(weight, 0, 0, 1),
  };
}

/** A forward pass with transformers' names; the loss is the mean squared error of actions at steps that are no padding. */
function decisionProbe<Params>(model: DecisionModel<Params>, longest: number): Probe {
  return {
    inputs: {
      states: floatInput,
      actions: floatInput,
      rewards: floatInput,
      returns_to_go: floatInput,
      timesteps: tokenInput(longest),
      attention_mask: maskInput,
      target_actions: floatInput,
    },
    run: (params, inputs, context) => {
      const { states, actions, returns_to_go: returns, timesteps, attention_mask: mask, target_actions } = inputs;
      if (states === undefined || actions === undefined || returns === undefined || timesteps === undefined)
        throw new Error("expected states [B, T, F], actions [B, T, A], returns_to_go [B, T, 1] and timesteps [B, T]");
      const told = { states, actions, returns: reshape(returns, timesteps.shape), timesteps, ...present({ mask }) };
      const out = model.apply(params as Params, told, context);
      return {
        action_preds: out.actions,
        state_preds: out.states,
        return_preds: out.returns,
        ...numbered("hidden_", out.hidden),
        hidden_last: out.hidden.at(-1)!,
        ...numbered("attn", weightsOf(out.maps)),
        ...(target_actions !== undefined && { loss: squaredError(out.actions, target_actions, mask) }),
      };
    },
  };
}

/** The mean over steps that count, and over the numbers of an action. */
function squaredError(told: Tensor, wanted: Tensor, mask: Tensor | undefined): Tensor {
  const errors = square(sub(told, wanted));
  const [B, T, A] = errors.shape as [number, number, number];
  if (mask === undefined) return div(sum(errors), B * T * A);
  const counts = cast(mask, "float32");
  return div(sum(mul(errors, expandDims(counts, -1))), mul(sum(counts), A));
}
