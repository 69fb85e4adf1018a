import {
  add,
  cast,
  cumsum,
  expandDims,
  less,
  mul,
  notEqual,
  stopGradient,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import type { PositionEmbedding } from "../kinds/index.ts";

/**
 * A table in which positions begin behind the number of the padding token, as RoBERTa's does: position p takes row `p + padding + 1`; padding,
 * which stands at −1, takes row `padding`, and nothing is learned from it. {@link countTokens} gives such positions.
 *
 * @source Liu et al. 2019, "RoBERTa", arXiv:1907.11692, and fairseq's code
 */
export function behindPadding<Params>(table: PositionEmbedding<Params>, padding: number): PositionEmbedding<Params> {
  return {
    ...table,
    ...(table.length !== undefined && { length: table.length - padding - 1 }),
    apply: (params, positions, context) => {
      const vectors = table.apply(params, add(positions, padding + 1), context);
      return where(expandDims(less(positions, 0), -1), stopGradient(vectors), vectors);
    },
  };
}

/**
 * How many tokens stand before each, `padding` not counted, which itself is at −1.
 *
 * @shape tokens int32 [B, T] → int32 [B, T]
 */
export function countTokens(tokens: Tensor, padding: number): Tensor {
  const real = cast(notEqual(tokens, padding), "float32");
  return cast(sub(mul(cumsum(real, 1), real), 1), "int32");
}
