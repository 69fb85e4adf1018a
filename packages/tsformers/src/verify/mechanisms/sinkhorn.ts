import { add, constant, convert } from "@tsformers/engine";
import * as z from "zod";
import {
  blockMask,
  blockSummaries,
  sortedAttention,
  sortLogits,
  visibleBlocks,
} from "../../attention/sinkhorn/sinkhorn-attention.ts";
import { balance, overAllRows, overRowsSoFar } from "../../attention/sinkhorn/sinkhorn-balance.ts";
import { evaluation } from "../../kinds/layer.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { present } from "../../schema/present.ts";

const options = z.strictObject({
  iters: z.int().nonnegative(),
  temperature: z.number().positive(),
  causal: z.boolean(),
  local: z.boolean(),
  block: z.int().positive(),
  n_blocks: z.int().positive(),
  column: z.enum(["all", "cumulative"]).optional(),
  n_cut: z.int().positive().optional(),
});

/**
 * Sparse Sinkhorn attention: q, k, v [B, H, T, D], and the logits of the sort matrix, `sort_logits` [B, H, N, N], or their
 * inputs, x [B, T, C], F1 [H, C, F] and F2 [H, F, N]; optional noise, `gumbel` [B, H, N, N], and key_mask [B, T].
 */
export const sinkhorn: Mechanism = {
  run({ q, k, v, sort_logits: sortOf, x, F1, F2, gumbel }, given, { key_mask: keyMask }) {
    const { iters: iterations, temperature, causal, local, block, n_blocks, column, n_cut: cut } = options.parse(given);
    const length = q!.shape[2]!;
    if (Math.ceil(length / block) !== n_blocks) {
      throw new Error(`n_blocks: ${length} positions in blocks of ${block} are not ${n_blocks} blocks`);
    }
    const mask = blockMask(length, block, keyMask && constant(convert(keyMask, "float32")));
    const columns = column === "cumulative" ? overRowsSoFar : overAllRows;
    const visible = visibleBlocks(n_blocks, causal, columns === overAllRows, mask);
    const logits = sortOf ?? sortLogits({ first: F1!, second: F2! }, blockSummaries(x!, block, causal, mask));
    const noisy = gumbel === undefined ? logits : add(logits, gumbel);
    const matrix = balance(noisy, { iterations, temperature, columns, ...present({ visible }) });
    const scale = 1 / Math.sqrt(q!.shape[3]!);
    const { mixed } = sortedAttention(q!, k!, v!, matrix, {
      block,
      causal,
      local,
      scale,
      context: evaluation,
      ...present({ cut, visible, mask }),
    });
    return { out: mixed, sort_matrix: matrix };
  },
};
