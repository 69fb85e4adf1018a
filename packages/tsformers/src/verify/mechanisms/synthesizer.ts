import { reshape, type Tensor, transpose } from "@tsformers/engine";
import * as z from "zod";
import { causal as causalPattern, fullPattern } from "../../attention/patterns/pattern.ts";
import { attendSynthetic } from "../../attention/synthesizer/attend-synthetic.ts";
import {
  denseLogits,
  dotProduct,
  factorisedDenseLogits,
  factorisedTableLogits,
  headWeighted,
  type SourceLogits,
  softmaxWeighted,
  tableLogits,
} from "../../attention/synthesizer/synthetic-logits.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

const causal = z.boolean();
const options = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.enum(["dense", "random", "factorized_random", "mixture", "random_plus", "random_plus_alpha"]),
    causal,
  }),
  z.strictObject({ kind: z.literal("factorized_dense"), causal, a: z.int().positive(), b: z.int().positive() }),
]);

type Inputs = Readonly<Record<string, Tensor>>;

/**
 * Synthesizer: v [B, H, S, D] and, depending on the kind, some of x [B, T, C], W1, b1, W2, b2, Wa, Wb, table, R1, R2, q, k and
 * alpha, with heads as the first axis of weights.
 */
export const synthesizer: Mechanism = {
  run(inputs, given) {
    const chosen = options.parse(given);
    const [, heads, keys] = inputs.v!.shape as [number, number, number];
    if (chosen.kind === "factorized_dense") checkWidths(inputs, chosen);
    const sources = sourcesOf(chosen.kind, inputs, keys);
    const { alpha } = inputs;
    const factors =
      chosen.kind === "mixture"
        ? softmaxWeighted.factors({ alpha: alpha! }, sources.length)
        : chosen.kind === "random_plus_alpha"
          ? headWeighted(heads).factors({ alpha: alpha! }, sources.length)
          : undefined;
    const view = { pattern: chosen.causal ? causalPattern : fullPattern, queries: keys, keys };
    const { mixed, map } = attendSynthetic(sources, inputs.v!, { view, factors, context: evaluation });
    return { out: mixed, probs: map().weights };
  },
};

function sourcesOf(kind: z.output<typeof options>["kind"], inputs: Inputs, keys: number): SourceLogits[] {
  const dot = () => dotProduct(inputs.q!, inputs.k!);
  switch (kind) {
    case "dense":
      return [dense(inputs, keys)];
    case "random":
      return [table(inputs, keys)];
    case "factorized_random":
      return [factorisedTable(inputs, keys)];
    case "factorized_dense":
      return [factorisedDense(inputs, keys)];
    case "mixture":
      return [dot(), table(inputs, keys), dense(inputs, keys)];
    default:
      return [dot(), table(inputs, keys)];
  }
}

function dense({ x, W1, b1, W2, b2 }: Inputs, keys: number): SourceLogits {
  const [heads, modelWidth, hiddenWidth] = W1!.shape as [number, number, number];
  const length = W2!.shape[2]!;
  const hidden = { weight: side(W1!), bias: reshape(b1!, [heads * hiddenWidth]) };
  const params = { hidden, columns: transpose(W2!, [0, 2, 1]), bias: b2! };
  return denseLogits({ modelWidth, heads, length, hiddenWidth }).prepare(params, x!, { keys });
}

/** Tables do not depend on inputs: the placeholder only gives the number of queries. */
function table({ table, v }: Inputs, keys: number): SourceLogits {
  const [heads, length] = table!.shape as [number, number];
  return tableLogits({ heads, length }).prepare({ table: table! }, rowsOf(v!), { keys });
}

function factorisedTable({ R1, R2, v }: Inputs, keys: number): SourceLogits {
  const [heads, length, rank] = R1!.shape as [number, number, number];
  return factorisedTableLogits({ heads, length, rank }).prepare({ rows: R1!, columns: R2! }, rowsOf(v!), { keys });
}

function factorisedDense({ x, Wa, Wb }: Inputs, keys: number): SourceLogits {
  const [heads, modelWidth, minorWidth] = Wa!.shape as [number, number, number];
  const length = minorWidth * Wb!.shape[2]!;
  const params = { minor: { weight: side(Wa!) }, major: { weight: side(Wb!) } };
  return factorisedDenseLogits({ modelWidth, heads, length, minorWidth }).prepare(params, x!, { keys });
}

function checkWidths({ Wa, Wb }: Inputs, { a, b }: { readonly a: number; readonly b: number }): void {
  const [minor, major] = [Wa!.shape[2]!, Wb!.shape[2]!];
  if (minor !== a || major !== b)
    throw new RangeError(`synthesizer: expected widths ${a} and ${b}, got ${minor}, ${major}`);
}

/** [H, C, E] → [C, H·E] */
function side(weight: Tensor): Tensor {
  const [heads, from, to] = weight.shape as [number, number, number];
  return reshape(transpose(weight, [1, 0, 2]), [from, heads * to]);
}

/** [B, H, S, D] → [B, S, H·D] */
function rowsOf(v: Tensor): Tensor {
  const [batch, heads, length, width] = v.shape as [number, number, number, number];
  return reshape(transpose(v, [0, 2, 1, 3]), [batch, length, heads * width]);
}
