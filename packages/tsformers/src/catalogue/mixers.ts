import * as room from "../attention/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every mixer by name, in the order of their papers. */
export const mixers: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room);

export type MixerName = keyof typeof mixers;
