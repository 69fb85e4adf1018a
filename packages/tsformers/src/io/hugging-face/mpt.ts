import { z } from "zod";
import { makeFillingView } from "../../attention/core/view.ts";
import { decoder } from "../../models/decoder.ts";
import { mptParts } from "../../models/decoders/mpt.ts";
import { linearHead } from "../../nn/head.ts";
import { present } from "../../schema/present.ts";
import { count, endTokens, epsilon, layerCount, only, parseConfig, standard } from "./config.ts";
import { languageModelProbe } from "./decoder-probe.ts";
import { type Format, tiedHeadNames } from "./format.ts";
import { arrayName, fusedLinearNames, layerNames, linearNames, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: standard(count, 50_368),
  d_model: standard(count, 2048),
  n_layers: standard(layerCount, 24),
  n_heads: standard(count, 16),
  max_seq_len: standard(count, 2048),
  layer_norm_epsilon: standard(epsilon, 1e-5),
  tie_word_embeddings: standard(z.boolean(), true),
  eos_token_id: endTokens(null),
  attn_config: z
    .looseObject({
      softmax_scale: z.number().positive().nullish(),
      clip_qkv: z.number().positive().nullish(),
      attn_type: only("multihead_attention"),
      qk_ln: only(false),
      prefix_lm: only(false),
    })
    .nullish(),
});

const aliases = { num_attention_heads: "n_heads", hidden_size: "d_model", num_hidden_layers: "n_layers" };

/**
 * MPT checkpoints as transformers reads them: always ALiBi with slopes down to 2^−8, 4 × d_model hidden features and no biases,
 * whatever `alibi`, `alibi_bias_max`, `expansion_ratio` and `no_bias` say. Arrays of biases are rejected as unknown.
 */
export const mpt: Format = {
  modelType: "mpt",
  architectures: ["MptForCausalLM", "MPTForCausalLM"],
  prefix: "transformer.",
  shared: [tiedHeadNames("transformer.wte.weight")],
  build: (json, { makeView, ownHead }) => {
    const c = parseConfig(config, json, aliases);
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
    const tie = c.tie_word_embeddings && !ownHead;
    const model = decoder({
      ...parts,
      ...(!tie && { head: linearHead(width, vocabulary) }),
      ...(makeView !== undefined && { makeView: makeFillingView }),
    });
    return {
      model,
      category: "decoder",
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
      length: c.max_seq_len,
      endTokens: c.eos_token_id,
      probe: languageModelProbe(model),
    };
  },
};
