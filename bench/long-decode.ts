import type { PatternName } from "tsformers/catalogue";
import { type Bench, median, type Row } from "./bench.ts";
import { measureInTurn, type Side } from "./child.ts";
import { ourSide } from "./sides.ts";

/** One layer that decodes position by position. */
export type LongDecodeJob = {
  /** A mixer of the catalogue; "window" is softmax attention that keeps a window alone. With a pattern, only a name. */
  readonly name: string;
  /** A pattern of the catalogue: a whole model with one layer of softmax attention decodes under it, its head included. */
  readonly pattern?: PatternName;
  /** Options of the mixer or the pattern. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly tokens: number;
  readonly width: number;
  readonly heads: number;
  readonly threads: number;
};

/** What the child prints. */
export type LongDecodeResult = {
  /** Median milliseconds of a position, after the first thousand and at the end. */
  readonly earlyMs: number;
  readonly lateMs: number;
  /** What the layer keeps of earlier positions, at the start and at the end. */
  readonly startBytes: number;
  readonly endBytes: number;
};

const sizes = { tokens: 10_000, width: 256, heads: 4, threads: 2 };
const members: readonly Pick<LongDecodeJob, "name" | "settings" | "pattern">[] = [
  { name: "window", settings: { window: 255 } },
  { name: "full, a model", pattern: "full", settings: {} },
  { name: "window, a model", pattern: "window", settings: { before: 255 } },
  { name: "longformer, a model", pattern: "longformer", settings: { window: 256, globals: [0] } },
  { name: "longformer", settings: { window: 256, globals: [0] } },
  { name: "local", settings: { chunk: 128 } },
  { name: "routing", settings: { centroids: 16, window: 64 } },
  { name: "linear", settings: {} },
  { name: "performer", settings: { features: 64 } },
  { name: "rfa", settings: { features: 64 } },
];

/** Decoding 10,000 positions with one layer: what the last thousand cost beside the second thousand, in time and in state. */
export const longDecode: Bench = {
  name: "long-decode",
  about:
    "10,000 positions one by one: time and state at the end beside the beginning; neither should grow but with full attention",
  run: async ({ rounds }) => {
    const sides = members.map((member) => ourSide<LongDecodeJob>("long-decode", { ...member, ...sizes }));
    const results = await measureInTurn(sides, rounds, check);
    return members.flatMap(({ name }, i): Row[] => {
      const found = results[i] ?? [];
      const middle = (read: (result: LongDecodeResult) => number) =>
        found.length === 0 ? null : median(found.map(read));
      const row = (metric: string, unit: string, ours: number | null): Row => {
        return { name: `decode ${name}`, metric, unit, ours, peer: null, peerName: null, ratio: null };
      };
      return [
        row(
          "after 1,000",
          "ms",
          middle(({ earlyMs }) => earlyMs),
        ),
        row(
          "after 10,000",
          "ms",
          middle(({ lateMs }) => lateMs),
        ),
        row(
          "state at the end",
          "kB",
          middle(({ endBytes }) => endBytes / 1e3),
        ),
        row(
          "state at the end over start",
          "×",
          middle(({ startBytes, endBytes }) => endBytes / startBytes),
        ),
      ];
    });
  },
};

function check(result: unknown, side: Side): LongDecodeResult {
  const found = result as LongDecodeResult;
  if (!(found.earlyMs > 0 && found.lateMs > 0))
    throw new Error(`${side.name}: expected times, got ${JSON.stringify(found)}`);
  return found;
}
