import * as room from "../train/optimisers/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every optimiser by name, in the order of their papers. */
export const optimisers: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room);

export type OptimiserName = keyof typeof optimisers;
