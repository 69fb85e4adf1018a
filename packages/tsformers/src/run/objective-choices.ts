import * as z from "zod";
import { objectives } from "../objectives/index.ts";
import { present } from "../schema/present.ts";
import type { Catalogue } from "./catalogue.ts";

const nothing = z.strictObject({});

/** The objectives as choices: none has settings. */
export const objectiveChoices: Catalogue = Object.fromEntries(
  Object.entries(objectives).map(([name, { summary, needs }]) => [
    name,
    { summary, ...present({ needs }), options: () => nothing },
  ]),
);
