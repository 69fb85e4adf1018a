import * as room from "../attention/patterns/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every pattern of softmax attention by name, in the order of their papers. */
export const patterns: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room);

export type PatternName = keyof typeof patterns;
