import { z } from "zod";
import { lookFilling } from "../../attention/view.ts";
import { decoder } from "../../models/decoder.ts";
import { mptParts } from "../../models/mpt.ts";
import { linearHead } from "../../nn/head.ts";
import { present } from "../../nn/present.ts";
import { count, epsilon, layerCount, only, parseConfig } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import type { Format } from "./format.ts";
import { arrayName, fusedLinearNames, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: count,
  d_model: count,
  n_layers: layerCount,
  n_heads: count,
  layer_norm_epsilon: epsilon.default(1e-5),
  tie_word_embeddings: z.boolean().default(true),
  attn_config: z
    .looseObject({
      softmax_scale: z.number().positive().nullish(),
      clip_qkv: z.number().positive().nullish(),
      attn_type: only("multihead_attention"),
      qk_ln: only(false),
      prefix_lm: only(false),
    })
    .optional(),
});

/**
 * MPT checkpoints as transformers reads them: always ALiBi down to slopes of 2^−8, always 4 × d_model hidden features and
 * never biases, whatever `alibi`, `alibi_bias_max`, `expansion_ratio` and `no_bias` say. A checkpoint that needs them has arrays that are refused as unknown.
 */
export const mpt: Format = {
  modelType: "mpt",
  architectures: ["MptForCausalLM", "MPTForCausalLM"],
  build: (json, { look }) => {
    const c = parseConfig(config, json);
    const [width, vocabulary] = [c.d_model, c.vocab_size];
    const { softmax_scale: scale, clip_qkv: clip } = c.attn_config ?? {};
    const parts = mptParts({
      vocabularySize: vocabulary,
      layers: c.n_layers,
      modelWidth: width,
      heads: c.n_heads,
      epsilon: c.layer_norm_epsilon,
      ...present({ scale: scale ?? undefined, clip: clip ?? undefined }),
    });
    const tie = c.tie_word_embeddings;
    const model = decoder({
      ...parts,
      ...(tie ? {} : { head: linearHead(width, vocabulary) }),
      ...(look === undefined ? {} : { look: lookFilling }),
    });
    return {
      model,
      names: [
        arrayName("transformer.wte.weight", "tokens.weight", [vocabulary, width]),
        ...layerNames(c.n_layers, (i) => {
          const [theirs, ours] = [`transformer.blocks.${i}`, `blocks.${i}`];
          const qkv = ["query", "key", "value"].map((part) => `${ours}.mixer.${part}`);
          return [
            ...normNames(`${theirs}.norm_1`, `${ours}.mixerNorm`, width, false),
            ...fusedLinearNames([`${theirs}.attn.Wqkv.weight`], qkv, width, width),
            ...linearNames(`${theirs}.attn.out_proj`, `${ours}.mixer.out`, width, width, false),
            ...normNames(`${theirs}.norm_2`, `${ours}.ffnNorm`, width, false),
            ...linearNames(`${theirs}.ffn.up_proj`, `${ours}.ffn.in`, width, 4 * width, false),
            ...linearNames(`${theirs}.ffn.down_proj`, `${ours}.ffn.out`, 4 * width, width, false),
          ];
        }),
        ...normNames("transformer.norm_f", "finalNorm", width, false),
        ...(tie ? [] : linearNames("lm_head", "head", width, vocabulary, false)),
      ],
      prefix: "transformer.",
      tied: tie ? { "lm_head.weight": "transformer.wte.weight" } : {},
      probe: languageModelProbe(model),
    };
  },
};
