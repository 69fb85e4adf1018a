import type * as z from "zod";
import { count } from "../schema/count.ts";

/** The setting for how many different rows training has; more than that are gone through again and again. */
export function trainingRowsOption(): z.ZodInt {
  return count(10_000_000, "their order is kept in memory");
}

/** How the setting is described, apart from its default. */
export const trainingRowsText =
  "how many different training rows there are, gone through in another order in each epoch";
