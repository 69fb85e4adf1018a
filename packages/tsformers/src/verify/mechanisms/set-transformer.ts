import { reshape, type Tensor, transpose } from "@tsformers/engine";
import * as z from "zod";
import { isab, type MabParams, mab, paperForm, pma, publishedForm, sab } from "../../attention/sets/set-blocks.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { layerNorm } from "../../nn/norm.ts";

const options = z.strictObject({
  form: z.enum(["repo", "paper"]),
  ln: z.boolean(),
  block: z.enum(["MAB", "SAB", "ISAB", "PMA"]),
  heads: z.int().positive(),
});

type Inputs = Readonly<Record<string, Tensor>>;

/** Set Transformer: X [B, T, C], Y [B, S, C], points I or seeds S [1, M, C], and weights under the names of the authors' code. */
export const setTransformer: Mechanism = {
  run(inputs, given) {
    const { form: which, ln, block, heads } = options.parse(given);
    if (which === "paper" && !ln)
      throw new RangeError("set_transformer: the paper's form has layer norms, got ln false");
    const { X, Y, I, S } = inputs;
    const modelWidth = X!.shape[2]!;
    const form = which === "paper" ? paperForm() : publishedForm(ln ? { norm: layerNorm() } : {});
    const size = { modelWidth, heads, form };
    const params = (prefix: string): MabParams => mabParams(inputs, prefix);
    switch (block) {
      case "MAB":
        return { out: mab(size).apply(params(""), X!, Y!, undefined, evaluation).y };
      case "SAB":
        return { out: sab(size).apply(params("mab."), X!, undefined, evaluation).y };
      case "ISAB": {
        const points = I!.shape[1]!;
        const own = { points: reshape(I!, [points, modelWidth]), gather: params("mab0."), spread: params("mab1.") };
        const { y, gathered } = isab({ ...size, points }).apply(own, X!, undefined, evaluation);
        return { out: y, H: gathered };
      }
      case "PMA": {
        const seeds = S!.shape[1]!;
        const rows = which === "paper" ? { rows: mlpParams(inputs, "rffz") } : {};
        const own = { seeds: reshape(S!, [seeds, modelWidth]), ...rows, block: params("mab.") };
        return { out: pma({ ...size, seeds }).apply(own, X!, undefined, evaluation).y };
      }
    }
  },
};

function mabParams(inputs: Inputs, prefix: string): MabParams {
  const of = (name: string) => linearParams(inputs, `${prefix}${name}`);
  const norm = (name: string) => ({
    weight: inputs[`${prefix}${name}.weight`]!,
    bias: inputs[`${prefix}${name}.bias`]!,
  });
  const paper = inputs[`${prefix}fc_out.weight`] !== undefined;
  return {
    query: of("fc_q"),
    key: of("fc_k"),
    value: of("fc_v"),
    ...(paper ? { out: of("fc_out"), ffn: mlpParams(inputs, `${prefix}rff`) } : { ffn: of("fc_o") }),
    ...(inputs[`${prefix}ln0.weight`] !== undefined && { attentionNorm: norm("ln0"), ffnNorm: norm("ln1") }),
  };
}

function mlpParams(inputs: Inputs, name: string) {
  return { in: linearParams(inputs, `${name}1`), out: linearParams(inputs, `${name}2`) };
}

/** Linear parameters, which the fixture stores as [out, in]. */
function linearParams(inputs: Inputs, name: string) {
  const [weight, bias] = [inputs[`${name}.weight`], inputs[`${name}.bias`]];
  if (weight === undefined || bias === undefined)
    throw new RangeError(`set_transformer: expected ${name}.weight and ${name}.bias`);
  return { weight: transpose(weight, [1, 0]), bias };
}
