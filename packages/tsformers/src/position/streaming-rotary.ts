import { and, greaterEqual, less, minimum, reshape, sub, where } from "@tsformers/engine";
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
 * @cost   that of rotary, and a second product of queries and keys, O(B·H·T·S·D)
 * @source Xiao et al. 2023, "Efficient Streaming Language Models with Attention Sinks", §3.2, arXiv:2309.17453
 * @differs the authors cache keys as they are and turn all of them at every step; here only what sinks give differs from rotary
 */
export function streamingRotary(
  options: StreamingRotaryOptions,
): Required<Pick<PositionScheme, "rotation" | "scores">> {
  const { headWidth, sinks, before, ...rest } = options;
  const rotation = rotary(headWidth, rest);
  const last = sinks + before;
  const prepare = (_: unknown, { query: at, key: places }: Positions): Score => {
    if (sinks === 0) return { logits: (logits) => logits };
    const back = sub(minimum(at, last), at);
    const { query: turnBack } = rotation.prepare({ query: back, key: back });
    const among = and(greaterEqual(places, 0), less(places, sinks));
    const isSink = reshape(among, [-1, 1, 1, places.shape.at(-1)!]);
    return {
      logits: (logits, { query, key, ...of }) => where(isSink, cappedProduct(turnBack(query), key, of), logits),
    };
  };
  return { rotation, scores: { init: () => ({}), prepare } };
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
    cost: "no parameters; a second product of queries and keys",
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
