import { type Concrete, splitKey } from "@tsformers/engine";
import * as z from "zod";
import type { Block, Depth } from "../kinds/index.ts";
import { passCount } from "../schema/count.ts";
import { present } from "../schema/present.ts";
import { type DepthEntry, type DepthMaker, depthEntry } from "./depth-entry.ts";
import type { StackParams } from "./layers.ts";
import { completed, type FinalNorm, finalNormOf, openLayers } from "./layers.ts";

export type SharedParams = StackParams & {
  /** What all layers share, where they share a part of their blocks only. */
  shared?: unknown;
};

export type SharedOptions = FinalNorm & {
  /** Into how many groups of neighbours the layers fall, as equal as can be; each shares a block. Default: 1. */
  readonly groups?: number;
  /**
   * Parts of a block's parameters that all layers share, by name; each layer has the others for itself. `["mixer", "mixerNorm"]` shares attention,
   * `["ffn", "ffnNorm"]` the feed-forward network. Not together with groups. Default: the whole block.
   */
  readonly parts?: readonly string[];
};

/**
 * Layers that share parameters: ALBERT's. What a layer keeps from call to call (keys and values, centroids) is its own.
 *
 * @param blocks of each layer; those that share parameters take the ones of the first of their group
 * @shape  x [B, T, C] → [B, T, C]
 * @cost   time of all layers, parameters of one, or of `groups`
 * @source Lan et al. 2020, "ALBERT", §3.1, arXiv:1909.11942
 * @throws RangeError for more groups than layers, and for a part that a block does not have
 */
export function shared(blocks: readonly Block[], options: SharedOptions = {}): Depth<SharedParams> {
  const { groups = 1, parts } = options;
  const count = blocks.length;
  if (!(Number.isInteger(groups) && groups >= 1 && groups <= count))
    throw new RangeError(`shared: groups must be from 1 to ${count}, the number of layers, got ${groups}`);
  if (parts !== undefined && groups !== 1)
    throw new RangeError("shared: parts are shared by all layers; leave groups away");
  const own = parts === undefined ? groups : count;
  // Layer n of N runs block ⌊n·G/N⌋, as transformers has it.
  const blockOf = (layer: number): number => Math.floor((layer * own) / count);
  return {
    layers: blocks,
    init: (key) => {
      const [norm, ...keys] = splitKey(key, 1 + own);
      const each = Array.from({ length: own }, (_, i) => {
        const first = Array.from({ length: count }, (_, layer) => layer).find((layer) => blockOf(layer) === i)!;
        return blocks[first]!.init(keys[i]!) as Record<string, unknown>;
      });
      const made = parts === undefined ? { blocks: each } : withoutParts(each, parts);
      return present({ ...made, finalNorm: options.finalNorm?.init(norm!) }) as unknown as Concrete<SharedParams>;
    },
    apply: (params, input, context) => {
      const layers = openLayers(input);
      const hidden = [input.x];
      const wholes = blocks.map((_, i) => ({ ...(params.shared as object), ...(params.blocks[blockOf(i)] as object) }));
      const own = completed(blocks, wholes);
      blocks.forEach((block, i) => {
        hidden.push(layers.run(i, block, own[i], layers.placed(i, hidden[i]!), context));
      });
      const out = layers.close(finalNormOf(options, params)(hidden.at(-1)!));
      return { ...out, hidden: [...hidden.slice(0, -1), out.x] };
    },
  };
}

/** The parts that all layers share, from the first, and what is left of each. */
function withoutParts(blocks: readonly Record<string, unknown>[], parts: readonly string[]) {
  const first = blocks[0]!;
  const unknown = parts.find((part) => !Object.hasOwn(first, part));
  if (unknown !== undefined) {
    throw new RangeError(
      `shared: a block has no part ${JSON.stringify(unknown)}; it has ${Object.keys(first).join(", ")}`,
    );
  }
  const isShared = ([name]: [string, unknown]) => parts.includes(name);
  return {
    shared: Object.fromEntries(Object.entries(first).filter(isShared)),
    blocks: blocks.map((block) => Object.fromEntries(Object.entries(block).filter((entry) => !isShared(entry)))),
  };
}

/** {@link shared} layers. */
export function sharing(options: Pick<SharedOptions, "groups" | "parts"> = {}): DepthMaker {
  return { make: (blocks, rest) => shared(blocks, { ...options, ...rest }) };
}

export type SharedSettings = {
  readonly groups?: number;
  readonly share?: "blocks" | "attention" | "feed-forward";
};

export const sharedEntry: DepthEntry<"shared", SharedSettings> = /* @__PURE__ */ depthEntry({
  name: "shared",
  title: "Shared layers (ALBERT)",
  year: 2020,
  paper: "Lan et al. 2020, ALBERT, arXiv:1909.11942",
  summary: "layers share one block, or a few, or a part of it",
  formula: "x ← block_{⌊n·G/N⌋}(x)",
  cost: "time of N blocks, parameters of G",
  options: () =>
    z.strictObject({
      groups: passCount().default(1).describe("blocks that neighbouring layers share"),
      share: z
        .enum(["blocks", "attention", "feed-forward"])
        .default("blocks")
        .describe("what layers share: whole blocks, or one part of them with a rest of their own"),
    }),
  make: ({ groups, share }) => {
    if (share === "blocks") return sharing({ groups });
    return sharing({ parts: share === "attention" ? ["mixer", "mixerNorm"] : ["ffn", "ffnNorm"] });
  },
});
