import { rankText as sharedRankText } from "../../text/figure-text.ts";
import type { ResultData } from "../report-data.ts";
import { none } from "./format.ts";

/** What is said of where a variant stands: with one seed nobody knows more than the order. */
export function rankName(seeds: number): "rank" | "order" {
  return seeds > 1 ? "rank" : "order";
}

/** `1–3` of variants that share the first three ranks; with one seed the place in the order. */
export function rankText(result: Pick<ResultData, "rank" | "place"> | undefined, seeds: number): string {
  const { rank, place } = result ?? {};
  if (rank === undefined) return none;
  if (seeds < 2) return String(place);
  return sharedRankText(rank);
}
