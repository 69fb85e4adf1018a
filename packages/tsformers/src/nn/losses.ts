import { add, type Tensor } from "@tsformers/engine";
import type { Losses } from "../kinds/index.ts";

/** Merges losses by name; losses of equal names are added. */
export function sumOfLosses(all: readonly (Losses | undefined)[]): Losses {
  const sums: Record<string, Tensor> = {};
  for (const losses of all) {
    for (const [name, loss] of Object.entries(losses ?? {})) {
      sums[name] = sums[name] === undefined ? loss : add(sums[name], loss);
    }
  }
  return sums;
}
