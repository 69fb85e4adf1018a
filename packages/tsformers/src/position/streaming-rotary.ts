import {
  and,
  concat,
  expandDims,
  greaterEqual,
  less,
  minimum,
  slice,
  sub,
  type Tensor,
  where,
} from "@tsformers/engine";
import * as z from "zod";
import { cappedProduct } from "../attention/core/query-block.ts";
import { type SinksOptions, type SinksSettings, sinksOptions, usualSinks } from "../attention/patterns/sinks.ts";
import type { PositionScheme, Positions, Score } from "../kinds/index.ts";
import { present } from "../schema/present.ts";
import { baseOption } from "./angles.ts";
import { type PositionEntry, positionEntry } from "./position-entry.ts";
import { type RotaryOptions, rotary, rotaryWidth } from "./rotary.ts";

export type StreamingRotaryOptions = RotaryOptions & SinksOptions & { readonly headWidth: number };

/**
 * Rotary positions in a rolling cache: under a window with sinks, a key stands where it is among the keys that a query sees, and the query
 * behind them.
 *
 * Within the window this is the distance in the sequence. A query at t is `min(t, last) − s` away from a sink at s, `last = sinks + before`
 * being the last place of a full cache: distances stop growing, and none occurs that did not in training, however long the sequence.
 * So keys are cached as {@link rotary} turns them, and for sinks the query is turned back: `logits[s] = R(min(t, last) − t)·q · k_s`.
 *
 * @shape  logits [B, H, T, S] → [B, H, T, S]
 * @cost   that of rotary, and O(B·H·T·sinks·D); where positions do not stand in lines, O(B·H·T·S·D)
 * @source Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks", §3.2, arXiv:2309.17453
 * @differs the authors cache keys as they are and turn all of them at every step; here only what sinks give differs from rotary
 */
export function streamingRotary(
  options: StreamingRotaryOptions,
): Required<Pick<PositionScheme, "rotation" | "scores">> {
  const { headWidth, sinks, before, ...rest } = options;
  const rotation = rotary(headWidth, rest);
  const last = sinks + before;
  const prepare = (_: unknown, positions: Positions): Score => {
    const { query: at, key: places, lines } = positions;
    const queries = at.shape.at(-1)!;
    if (sinks === 0 || (lines !== undefined && lines.query + queries <= last + 1))
      return { logits: (logits) => logits };
    const back = sub(minimum(at, last), at);
    const { query: turnBack } = rotation.prepare({ query: back, key: back });
    return {
      logits: (logits, { query, key, ...of }) => {
        const front = lines && sinksInFront(lines.keys, sinks);
        if (front === 0) return logits;
        const product = (keys: Tensor) => cappedProduct(turnBack(query), keys, of);
        if (front !== undefined) {
          return concat([product(slice(key, 2, 0, front)), slice(logits, -1, front)], -1);
        }
        const isSink = and(greaterEqual(places, 0), less(places, sinks));
        return where(places.shape.length === 1 ? isSink : expandDims(expandDims(isSink, 1), 1), product(key), logits);
      },
    };
  };
  return { rotation, scores: { init: () => ({}), prepare } };
}

/** How many of the keys are sinks, which then are the first ones; undefined where keys begin before the sequence. */
function sinksInFront(runs: NonNullable<Positions["lines"]>["keys"], sinks: number): number | undefined {
  if (runs.some(({ from }) => from < 0)) return undefined;
  return runs.reduce((count, { from, length }) => count + Math.max(0, Math.min(sinks - from, length)), 0);
}

export type StreamingRotarySettings = SinksSettings & { readonly base?: number };

export const streamingRotaryEntry: PositionEntry<"streaming-rotary", StreamingRotarySettings> =
  /* @__PURE__ */ positionEntry({
    name: "streaming-rotary",
    title: "Rotary positions in a rolling cache",
    year: 2023,
    paper: "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks, arXiv:2309.17453",
    category: "scores",
    summary:
      "rotary, the first few positions never farther away than a cache is long; give it the sizes of the pattern sinks",
    formula: "q_t·R(min(t, sinks + before) − s)·k_s for s < sinks, q_t·R(t − s)·k_s for the others",
    cost: "no parameters; O(B·H·T·D) a layer, O(B·H·T·sinks·D) for the sinks",
    beyond: "with the pattern sinks, the loss stays what it is within the training length",
    directions: ["causal"],
    options: () => z.strictObject({ ...sinksOptions(), base: baseOption() }),
    make: ({ sinks, before, base }, { modelWidth, heads, length }) =>
      streamingRotary({
        headWidth: rotaryWidth({ modelWidth, heads }),
        base,
        ...usualSinks(length),
        ...present({ sinks, before }),
      }),
  });
