import * as room from "../depth/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every depth by name, in the order of their papers. */
export const depths: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room);

export type DepthName = keyof typeof depths;
