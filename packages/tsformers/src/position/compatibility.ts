import type { MixerName } from "../attention/index.ts";
import type { PositionName } from "./index.ts";

/** The three ways to tell a model about positions. */
export type PositionKind = "inputs" | "rotation" | "scores";

/** The way of each scheme in the catalogue; `none` has none. */
export const kindOf: Readonly<Record<PositionName, PositionKind | undefined>> = {
  none: undefined,
  sinusoidal: "inputs",
  learned: "inputs",
  axial: "inputs",
  "per-layer": "inputs",
  "step-signals": "inputs",
  rotary: "rotation",
  t5: "scores",
  alibi: "scores",
  shaw: "scores",
  "transformer-xl": "scores",
  "distance-aware": "scores",
  "adaptive-span": "scores",
};

/** Whether a mechanism works with schemes that rotate or score: `yes`, or the reason given by its error. */
export type Compatibility = {
  readonly rotation: "yes" | { readonly no: string };
  readonly scores: "yes" | { readonly no: string };
  /** Whether the decode state grows with the number of positions. Absent: the mechanism does not decode. */
  readonly memory?: "grows" | "stays the same";
};

const noLogits = { no: "it computes no logits" };

/**
 * Which schemes work with which mechanisms of the catalogue. Vectors added to inputs work with all, since mechanisms need not know of
 * them. Every entry is tested in `test/position/compatibility.test.ts`.
 */
export const compatibility: Readonly<Record<"softmax" | "softmax in a window" | MixerName, Compatibility>> = {
  softmax: { rotation: "yes", scores: "yes", memory: "grows" },
  "softmax in a window": { rotation: "yes", scores: "yes", memory: "stays the same" },
  longformer: { rotation: "yes", scores: "yes", memory: "stays the same" },
  "reformer-local": { rotation: "yes", scores: "yes", memory: "stays the same" },
  etc: { rotation: "yes", scores: { no: "it has its own relative position labels" } },
  axial: {
    rotation: "yes",
    scores: { no: "each row and column of the grid is a sequence of its own" },
    memory: "grows",
  },
  lsh: {
    rotation: "yes",
    scores: { no: "its queries and keys are sorted by bucket, not by position" },
    memory: "grows",
  },
  routing: {
    rotation: "yes",
    scores: { no: "the members of a cluster are at any positions, and differ by head" },
    memory: "stays the same",
  },
  sinkhorn: {
    rotation: "yes",
    scores: { no: "a sorted key is a mixture of keys from many positions" },
    memory: "grows",
  },
  linear: { rotation: "yes", scores: noLogits, memory: "stays the same" },
  performer: { rotation: "yes", scores: noLogits, memory: "stays the same" },
  rfa: { rotation: "yes", scores: noLogits, memory: "stays the same" },
  linformer: { rotation: "yes", scores: { no: "a logit belongs to a slot, which has no position" } },
  synthesizer: {
    rotation: { no: "no source of logits has queries and keys" },
    scores: { no: "its logits are not products of queries and keys" },
    memory: "grows",
  },
  "memory-compressed": {
    rotation: { no: "each key combines a block of positions" },
    scores: { no: "each logit belongs to a block of positions" },
    memory: "grows",
  },
  "induced-set": {
    rotation: { no: "inducing points have no position" },
    scores: { no: "inducing points have no position" },
  },
};

/** {@link compatibility} as a Markdown table. */
export function compatibilityTable(): string {
  const answer = (of: "yes" | { readonly no: string }): string => (of === "yes" ? "yes" : `no: ${of.no}`);
  const rows = Object.entries(compatibility).map(
    ([name, { rotation, scores, memory = "does not decode" }]) =>
      `| ${name} | yes | ${answer(rotation)} | ${answer(scores)} | ${memory} |`,
  );
  const schemes = (kind: PositionKind): string =>
    Object.entries(kindOf)
      .filter(([, own]) => own === kind)
      .map(([name]) => name)
      .join(", ");
  return [
    `| mechanism | added to inputs: ${schemes("inputs")} | rotating queries and keys: ${schemes("rotation")} | changing logits: ${schemes("scores")} | decode state |`,
    "|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}
