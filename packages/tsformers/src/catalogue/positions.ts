import * as room from "../position/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every position scheme by name: those added to inputs, those that rotate, those that change logits, each in the order of their papers. */
export const positions: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room, [
  "inputs",
  "rotation",
  "scores",
  "nothing",
]);

export type PositionName = keyof typeof positions;
