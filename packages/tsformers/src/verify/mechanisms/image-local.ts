import * as z from "zod";
import { local1d } from "../../attention/patterns/local-1d.ts";
import { local2d } from "../../attention/patterns/local-2d.ts";
import type { Pattern } from "../../attention/patterns/pattern.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { maskedAttention } from "./masked-attention.ts";

const size = z.int().positive();
const extent = (least: z.ZodInt) => z.tuple([least, least]);
const options = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("1d"), block: size, causal: z.boolean() }),
  z.strictObject({
    kind: z.literal("2d"),
    height: size,
    width: size,
    query_block: extent(size),
    memory_flange: extent(z.int().nonnegative()),
    causal: z.boolean().default(true),
  }),
]);

/** @throws RangeError when the image has another number of pixels than the sequence has positions */
export function imageLocalPattern(given: Readonly<Record<string, unknown>>, length: number): Pattern {
  const chosen = options.parse(given);
  if (chosen.kind === "1d") return local1d(chosen);
  const { height, width, query_block: queryBlock, memory_flange: flange, causal } = chosen;
  if (height * width !== length) throw new RangeError(`image_local: ${height} × ${width} pixels, ${length} positions`);
  return local2d({ columns: width, queryBlock, flange, causal });
}

/** Image Transformer: q, k, v [B, H, T, D], pixels in raster order. */
export const imageLocal: Mechanism = {
  run: (inputs, given) => maskedAttention(inputs, imageLocalPattern(given, inputs.q!.shape[2]!)),
};
