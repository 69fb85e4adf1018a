import { iota } from "@tsformers/engine";
import * as z from "zod";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { axial } from "../../position/axial.ts";

const size = z.int().positive();
const options = z.strictObject({
  combine: z.enum(["concat", "sum"]),
  shape: z.tuple([size, size]),
  length: size,
});

/** Axial positions: E1 [L₁, C₁] and E2 [L₂, C₂]. */
export const axialPosition: Mechanism = {
  run({ E1: rows, E2: columns }, given) {
    const { combine, shape: grid, length } = options.parse(given);
    const [first, second] = [rows!.shape[1]!, columns!.shape[1]!];
    const scheme = axial({ grid, widths: combine === "sum" ? first : [first, second] });
    return { out: scheme.apply({ rows: rows!, columns: columns! }, iota(length)) };
  },
};
