import { z } from "zod";
import { decoder } from "../../models/decoder.ts";
import { gptJParts } from "../../models/decoders/gptj.ts";
import { tiedHeadWithBias } from "../../nn/head.ts";
import { roundedAngles } from "../../position/angles.ts";
import { present } from "../../schema/present.ts";
import { activationName, count, endTokens, epsilon, gptAliases, layerCount, parseConfig, standard } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: standard(count, 50_400),
  n_positions: standard(count, 2048),
  n_embd: standard(count, 4096),
  n_layer: standard(layerCount, 28),
  n_head: standard(count, 16),
  rotary_dim: standard(count, 64),
  n_inner: count.nullish(),
  activation_function: standard(activationName, "gelu_new"),
  layer_norm_epsilon: standard(epsilon, 1e-5),
  tie_word_embeddings: standard(z.boolean(), false),
  eos_token_id: endTokens(50_256),
});

/** GPT-J checkpoints. */
export const gptJ: Format = {
  modelType: "gptj",
  architectures: ["GPTJForCausalLM"],
  prefix: "transformer.",
  ignored: /\.attn\.(bias|masked_bias|embed_positions)$/,
  shared: [tiedHeadNames("transformer.wte.weight")],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json, gptAliases);
    const [width, ffnWidth, vocabulary] = [c.n_embd, c.n_inner ?? 4 * c.n_embd, c.vocab_size];
    const parts = gptJParts({
      vocabularySize: vocabulary,
      layers: c.n_layer,
      modelWidth: width,
      heads: c.n_head,
      rotated: c.rotary_dim,
      ffnWidth,
      activation: c.activation_function,
      epsilon: c.layer_norm_epsilon,
      angles: roundedAngles,
    });
    const tie = c.tie_word_embeddings && !ownHead;
    const model = decoder({
      ...parts,
      ...(tie && { head: tiedHeadWithBias(vocabulary) }),
      ...present({ makeView }),
    });
    return {
      model,
      category: "decoder",
      names: [
        arrayName("transformer.wte.weight", "tokens.weight", [vocabulary, width]),
        ...layerNames(c.n_layer, (i) => {
          const [theirs, ours] = [`transformer.h.${i}`, `blocks.${i}`];
          return [
            ...normNames(`${theirs}.ln_1`, `${ours}.mixerNorm`, width),
            ...linearNames(`${theirs}.attn.q_proj`, `${ours}.mixer.query`, width, width, false),
            ...linearNames(`${theirs}.attn.k_proj`, `${ours}.mixer.key`, width, width, false),
            ...linearNames(`${theirs}.attn.v_proj`, `${ours}.mixer.value`, width, width, false),
            ...linearNames(`${theirs}.attn.out_proj`, `${ours}.mixer.out`, width, width, false),
            ...linearNames(`${theirs}.mlp.fc_in`, `${ours}.ffn.in`, width, ffnWidth),
            ...linearNames(`${theirs}.mlp.fc_out`, `${ours}.ffn.out`, ffnWidth, width),
          ];
        }),
        ...normNames("transformer.ln_f", "finalNorm", width),
        ...(tie
          ? [arrayName("lm_head.bias", "head.bias", [vocabulary])]
          : linearNames("lm_head", "head", width, vocabulary)),
      ],
      length: c.n_positions,
      endTokens: c.eos_token_id,
      probe: languageModelProbe(model),
    };
  },
};
