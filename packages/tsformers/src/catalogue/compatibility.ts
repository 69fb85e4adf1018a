import type { MixerEntry } from "../attention/index.ts";
import type { PositionEntry, PositionKind } from "../position/index.ts";
import { mixers } from "./mixers.ts";
import { positions } from "./positions.ts";

/** What a mixer says of schemes and decoding. */
export type Compatibility = Pick<MixerEntry, "refuses" | "decodeState">;

/**
 * Every mixer of the catalogue, and softmax attention in a window, which decodes with the keys and values in it alone. Vectors added to
 * inputs work with all: mixers need not know of them. Everything is tested in `test/catalogue/compatibility.test.ts`.
 */
export function compatibility(): Readonly<Record<string, Compatibility>> {
  const { softmax, ...others } = mixers;
  return { softmax, "softmax in a window": { decodeState: "stays the same" }, ...others };
}

/** {@link compatibility} as a Markdown table. */
export function compatibilityTable(): string {
  const answer = (no: string | undefined): string => (no === undefined ? "yes" : `no: ${no}`);
  const rows = Object.entries(compatibility()).map(
    ([name, { refuses, decodeState = "does not decode" }]) =>
      `| ${name} | yes | ${answer(refuses?.rotation)} | ${answer(refuses?.scores)} | ${decodeState} |`,
  );
  const schemes = (kind: PositionKind): string =>
    Object.values<PositionEntry>(positions)
      .filter(({ category }) => category === kind)
      .map(({ name }) => name)
      .join(", ");
  return [
    `| mechanism | added to inputs: ${schemes("inputs")} | rotating queries and keys: ${schemes("rotation")} | changing logits: ${schemes("scores")} | decode state |`,
    "|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}
