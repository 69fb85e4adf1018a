import { z } from "zod";
import { ctrlParts } from "../../models/ctrl.ts";
import { decoder } from "../../models/decoder.ts";
import { linearHead } from "../../nn/head.ts";
import { present } from "../../nn/present.ts";
import { roundedAngles } from "../../position/angles.ts";
import { count, epsilon, layerCount, parseConfig } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import type { Format } from "./format.ts";
import { arrayName, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: count,
  n_embd: count.refine((width) => width % 2 === 0, "expected an even number"),
  n_layer: layerCount,
  n_head: count,
  dff: count,
  layer_norm_epsilon: epsilon.default(1e-6),
  tie_word_embeddings: z.boolean().default(true),
});

/** CTRL checkpoints. */
export const ctrl: Format = {
  modelType: "ctrl",
  architectures: ["CTRLLMHeadModel"],
  build: (json, { look }) => {
    const c = parseConfig(config, json);
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
    const tie = c.tie_word_embeddings;
    const head = tie ? {} : { head: linearHead(width, vocabulary, { bias: true }) };
    const model = decoder({ ...parts, ...head, ...present({ look }) });
    return {
      model,
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
      prefix: "transformer.",
      ignored: /pos_encoding$/,
      tied: tie ? { "lm_head.weight": "transformer.w.weight" } : {},
      probe: languageModelProbe(model),
    };
  },
};
