import * as z from "zod";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { frequencies, inclusiveFrequencies } from "../../position/angles.ts";
import { concatenated, interleaved, sinusoidal as waves } from "../../position/sinusoidal.ts";

const options = z.strictObject({
  layout: z.enum(["interleaved", "concat"]),
  denominator: z.enum(["d", "d-2"]),
  d: z.int().positive(),
  base: z.number().positive(),
});

/** The sinusoidal table: its rows at positions [T]. */
export const sinusoidal: Mechanism = {
  run({ positions }, given) {
    const { layout, denominator, d, base } = options.parse(given);
    const table = waves(d, {
      layout: layout === "interleaved" ? interleaved : concatenated,
      frequencies: denominator === "d" ? frequencies(d, base) : inclusiveFrequencies(Math.floor(d / 2), base),
    });
    return { out: table.apply({}, positions!) };
  },
};
