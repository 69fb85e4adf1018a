import { add, concat, constant, div, isNdArray, mapTree, mean, slice, type Tensor } from "@tsformers/engine";
import { z } from "zod";
import { startSegments } from "../../depth/states.ts";
import type { DecoderParams } from "../../models/decoder.ts";
import { type TransformerXlOptions, transformerXl } from "../../models/decoders/transformer-xl.ts";
import type { LanguageModel } from "../../models/language-model.ts";
import { crossEntropies } from "../../nn/cross-entropy.ts";
import { count, layerCount, only, parseConfig, standard } from "./config.ts";
import { numbered } from "./decoder-probe.ts";
import { type CaseAbout, type Format, type InputRule, type NamedTensors, type Probe, tokenInput } from "./format.ts";
import { byHeads } from "./layout.ts";
import { arrayName, fusedLinearNames, layerNames, linearNames, type NameRule, normNames } from "./names.ts";

const config = z.looseObject({
  vocab_size: standard(count, 267_735),
  d_model: standard(count, 1024),
  d_embed: standard(count, 1024),
  n_head: standard(count, 16),
  d_head: standard(count, 64),
  d_inner: standard(count, 4096),
  n_layer: standard(layerCount, 18),
  div_val: standard(count, 4),
  cutoffs: standard(z.array(count), [20_000, 40_000, 200_000]),
  tie_projs: standard(z.array(z.boolean()), [false, true, true, true]),
  pre_lnorm: standard(z.boolean(), false),
  mem_len: standard(count, 1600),
  clamp_len: standard(z.int(), 1000),
  same_length: standard(z.boolean(), true),
  untie_r: standard(z.boolean(), true),
  tie_weight: only(true),
  attn_type: only(0),
  ext_len: only(0),
});

type Config = z.output<typeof config>;

/** Transformer-XL checkpoints under the names of the authors' PyTorch code. */
export const transfoXl: Format = {
  modelType: "transfo-xl",
  architectures: [],
  ignored: /pos_emb\.inv_freq$/,
  build: (json) => {
    const c = parseConfig(config, json);
    if (c.d_embed !== c.d_model) throw new Error(`"d_embed": only that of "d_model" is supported, got ${c.d_embed}`);
    const options = optionsOf(c);
    return {
      model: transformerXl(options),
      category: "decoder",
      names: namesOf(c),
      length: c.mem_len,
      probe: probe(options),
    };
  },
};

function optionsOf(c: Config): TransformerXlOptions {
  return {
    vocabularySize: c.vocab_size,
    layers: c.n_layer,
    modelWidth: c.d_model,
    heads: c.n_head,
    headWidth: c.d_head,
    ffnWidth: c.d_inner,
    memoryLength: c.mem_len,
    ...(c.clamp_len > 0 && { maxDistance: c.clamp_len }),
    ...(c.same_length && { sameLength: true }),
    ...(c.untie_r && { untied: true }),
    ...(c.pre_lnorm && { preNorm: true }),
    ...(c.cutoffs.length > 0 && {
      clusters: { cutoffs: c.cutoffs, divisor: c.div_val, ...(c.tie_projs[0] !== true && { ownProjection: true }) },
    }),
  };
}

function namesOf(c: Config): NameRule[] {
  const [width, inner] = [c.d_model, c.n_head * c.d_head];
  const biases = (theirs: string, i: number): NameRule[] => [
    arrayName(`${theirs}r_w_bias`, `scores.biases.${i}.content`, [c.n_head, c.d_head]),
    arrayName(`${theirs}r_r_bias`, `scores.biases.${i}.distance`, [c.n_head, c.d_head]),
  ];
  return [
    ...vocabularyNames(c),
    ...(c.untie_r ? [] : biases("", 0)),
    ...layerNames(c.n_layer, (i) => {
      const [theirs, ours] = [`layers.${i}`, `blocks.${i}`];
      const projections = ["query", "key", "value"].map((name) => `${ours}.mixer.${name}`);
      return [
        ...fusedLinearNames([`${theirs}.dec_attn.qkv_net.weight`], projections, width, inner),
        ...linearNames(`${theirs}.dec_attn.o_net`, `${ours}.mixer.out`, inner, width, false),
        {
          theirs: `${theirs}.dec_attn.r_net.weight`,
          shape: [inner, width],
          ours: [`scores.distances.${i}`],
          layout: byHeads(c.n_head),
        },
        ...(c.untie_r ? biases(`${theirs}.dec_attn.`, i) : []),
        ...normNames(`${theirs}.dec_attn.layer_norm`, `${ours}.mixerNorm`, width),
        ...linearNames(`${theirs}.pos_ff.CoreNet.0`, `${ours}.ffn.in`, width, c.d_inner),
        ...linearNames(`${theirs}.pos_ff.CoreNet.3`, `${ours}.ffn.out`, c.d_inner, width),
        ...normNames(`${theirs}.pos_ff.layer_norm`, `${ours}.ffnNorm`, width),
      ];
    }),
  ];
}

function vocabularyNames(c: Config): NameRule[] {
  const width = c.d_model;
  const table = "word_emb.emb_layers.0.weight";
  if (c.cutoffs.length === 0) {
    return [
      arrayName(table, "tokens.weight", [c.vocab_size, width]),
      arrayName("crit.out_layers.0.bias", "head.bias", [c.vocab_size]),
    ];
  }
  const ends = [...c.cutoffs, c.vocab_size];
  const clusters = ends.map((end, i) => ({
    size: end - (ends[i - 1] ?? 0),
    width: Math.floor(width / c.div_val ** i),
  }));
  const tails = clusters.length - 1;
  return [
    ...clusters.flatMap(({ size, width: own }, i): NameRule[] => {
      const [tokens, head] = i === 0 ? ["tokens", "head"] : [`tokens.tails.${i - 1}`, `head.tails.${i - 1}`];
      return [
        arrayName(`word_emb.emb_layers.${i}.weight`, `${tokens}.weight`, [size, own]),
        arrayName(`word_emb.emb_projs.${i}`, `${tokens}.project`, [width, own]),
        arrayName(`crit.out_layers.${i}.bias`, `${head}.bias`, [size]),
      ];
    }),
    arrayName("crit.cluster_weight", "head.clusters.weight", [tails, width]),
    arrayName("crit.cluster_bias", "head.clusters.bias", [tails]),
    ...(c.tie_projs[0] === true ? [] : [arrayName("crit.out_projs.0", "head.project", [width, width])]),
  ];
}

const segmentInput = /^seg(\d+)\.(input|target)_ids$/;

/** Reads segments one after the other, with the memory of earlier ones; the loss is the mean over segments. */
function probe(options: TransformerXlOptions): Probe {
  const token: InputRule = tokenInput(options.vocabularySize);
  return {
    inputs: {},
    inputOf: (name) => (segmentInput.test(name) ? token : undefined),
    run: (params, inputs, context, about) => {
      const own = optionsOfCase(options, about);
      const model: LanguageModel<DecoderParams> = transformerXl(own);
      const first = inputs["seg0.input_ids"];
      if (first === undefined) throw new Error("expected seg0.input_ids [B, T]");
      let memory = mapTree(startSegments(model.layers, first.shape[0]!)!, isNdArray, (leaf) =>
        constant(leaf),
      ) as readonly unknown[];
      let last: Tensor | undefined;
      const results: Record<string, Tensor> = {};
      const losses: Tensor[] = [];
      for (let i = 0; inputs[`seg${i}.input_ids`] !== undefined; i++) {
        const tokens = inputs[`seg${i}.input_ids`]!;
        const segment = { layers: memory };
        const out = model.apply(params as DecoderParams, { tokens, segment }, context);
        memory = out.state.segment!;
        last = last === undefined ? out.x : concat([last, out.x], 1);
        const targets = inputs[`seg${i}.target_ids`];
        const seen = Math.min((i + 1) * tokens.shape[1]!, own.memoryLength);
        const newest = (x: Tensor): Tensor => slice(x, 1, x.shape[1]! - seen);
        const kept = [...memory.map((state) => newest((state as { vectors: Tensor }).vectors)), newest(last)];
        Object.assign(
          results,
          under(`seg${i}.`, { ...numbered("mems.", kept), hidden_last: out.x, logits: out.logits }),
        );
        if (targets === undefined) continue;
        const nll = crossEntropies(out.logits, targets);
        Object.assign(results, under(`seg${i}.`, { nll }));
        losses.push(mean(nll));
      }
      const loss = losses.reduce<Tensor | undefined>(
        (sum, one) => (sum === undefined ? one : add(sum, one)),
        undefined,
      );
      return loss === undefined ? results : { ...results, loss: div(loss, losses.length) };
    },
  };
}

/** Lengths and clamps may differ between cases, since no parameter depends on them. */
function optionsOfCase(options: TransformerXlOptions, about: CaseAbout): TransformerXlOptions {
  const { mem_len, clamp_len, same_length } = about;
  const { maxDistance: _, sameLength: __, ...rest } = options;
  if (typeof mem_len !== "number") return options;
  return {
    ...rest,
    memoryLength: mem_len,
    ...(typeof clamp_len === "number" && clamp_len > 0 && { maxDistance: clamp_len }),
    ...(same_length === true && { sameLength: true }),
  };
}

function under(prefix: string, tensors: NamedTensors): NamedTensors {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}${name}`, tensor]));
}
