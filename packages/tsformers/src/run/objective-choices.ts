import * as z from "zod";
import { objectives } from "../objectives/index.ts";
import { present } from "../schema/present.ts";
import type { Catalogue } from "./catalogue.ts";

const nothing = z.strictObject({});
const hiding = z.strictObject({
  wholeWords: z.boolean().optional().describe("hide all tokens of a word together. Default: single tokens"),
});

/** The objectives as choices. */
export const objectiveChoices: Catalogue = Object.fromEntries(
  Object.entries(objectives).map(([name, { summary, needs, hides }]) => [
    name,
    { summary, ...present({ needs }), options: () => (hides ? hiding : nothing) },
  ]),
);
