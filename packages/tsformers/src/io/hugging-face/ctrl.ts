import { z } from "zod";
import { decoder } from "../../models/decoder.ts";
import { ctrlParts } from "../../models/decoders/ctrl.ts";
import { linearHead } from "../../nn/head.ts";
import { roundedAngles } from "../../position/angles.ts";
import { present } from "../../schema/present.ts";
import { count, endTokens, epsilon, gptAliases, layerCount, parseConfig, standard } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: standard(count, 246_534),
  n_positions: standard(count, 256),
  n_embd: standard(
    count.refine((width) => width % 2 === 0, "expected an even number"),
    1280,
  ),
  n_layer: standard(layerCount, 48),
  n_head: standard(count, 16),
  dff: standard(count, 8192),
  layer_norm_epsilon: standard(epsilon, 1e-6),
  tie_word_embeddings: standard(z.boolean(), true),
  eos_token_id: endTokens(null),
});

/** CTRL checkpoints. */
export const ctrl: Format = {
  modelType: "ctrl",
  architectures: ["CTRLLMHeadModel"],
  prefix: "transformer.",
  ignored: /pos_encoding$/,
  shared: [tiedHeadNames("transformer.w.weight")],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json, gptAliases);
    const [width, vocabulary] = [c.n_embd, c.vocab_size];
    const parts = ctrlParts({
      vocabularySize: vocabulary,
      layers: c.n_layer,
      modelWidth: width,
      heads: c.n_head,
      ffnWidth: c.dff,
      epsilon: c.layer_norm_epsilon,
      angles: roundedAngles,
    });
    const tie = c.tie_word_embeddings && !ownHead;
    const head = tie ? {} : { head: linearHead(width, vocabulary, { bias: true }) };
    const model = decoder({ ...parts, ...head, ...present({ makeView }) });
    return {
      model,
      category: "decoder",
      names: [
        arrayName("transformer.w.weight", "tokens.weight", [vocabulary, width]),
        ...layerNames(c.n_layer, (i) => {
          const [theirs, ours] = [`transformer.h.${i}`, `blocks.${i}`];
          return [
            ...normNames(`${theirs}.layernorm1`, `${ours}.mixerNorm`, width),
            ...linearNames(`${theirs}.multi_head_attention.Wq`, `${ours}.mixer.query`, width, width),
            ...linearNames(`${theirs}.multi_head_attention.Wk`, `${ours}.mixer.key`, width, width),
            ...linearNames(`${theirs}.multi_head_attention.Wv`, `${ours}.mixer.value`, width, width),
            ...linearNames(`${theirs}.multi_head_attention.dense`, `${ours}.mixer.out`, width, width),
            ...normNames(`${theirs}.layernorm2`, `${ours}.ffnNorm`, width),
            ...linearNames(`${theirs}.ffn.0`, `${ours}.ffn.in`, width, c.dff),
            ...linearNames(`${theirs}.ffn.2`, `${ours}.ffn.out`, c.dff, width),
          ];
        }),
        ...normNames("transformer.layernorm", "finalNorm", width),
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
