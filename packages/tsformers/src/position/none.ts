import * as z from "zod";
import type { NoSettings } from "../schema/entry.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";

export const noneEntry: PositionEntry<"none", NoSettings> = /* @__PURE__ */ positionEntry({
  name: "none",
  title: "No positions",
  year: 2022,
  paper:
    "Haviv et al. 2022, Transformer Language Models without Positional Encodings Still Learn Positional Information, arXiv:2203.16634",
  category: "nothing",
  summary: "nothing but the causal mask tells positions apart, and nothing at all where all see all",
  formula: "x[t] = token[t]",
  cost: "nothing",
  beyond: "loss rises beyond the training length",
  options: () => z.strictObject({}),
  make: () => ({}),
});
