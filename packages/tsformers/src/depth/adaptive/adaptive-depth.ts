import {
  add,
  and,
  type Concrete,
  cast,
  cond,
  expandDims,
  foldIn,
  greater,
  iota,
  not,
  ones,
  type RandomKey,
  sum,
  type Tensor,
  where,
  zeros,
} from "@tsformers/engine";
import type { Block, Depth, LayerState, MixerOutput } from "../../kinds/index.ts";
import { within } from "../../nn/dropout.ts";
import { present } from "../../schema/present.ts";
import { completed, type FinalNorm, finalNormOf, openLayers, type StackParams } from "../layers.ts";
import { blockStack } from "../stack.ts";
import { sampledExits } from "./sampled-exits.ts";

/** A layer that positions have gone through, and what may be known when they leave or stay. */
export type ExitPlace = {
  /** How many layers they went through, from 1 on. */
  readonly layer: number;
  /** How many there are. */
  readonly layers: number;
  /** State before and after the layer, [B, T, C]. */
  readonly before: Tensor;
  readonly after: Tensor;
  /** State after the first layer, [B, T, C]. */
  readonly first: Tensor;
  /** Where the positions stand, int32 [T]. */
  readonly positions: Tensor;
  /** Logits of the prediction that leaving here makes, [B, T, V]. Absent: the model has no head of its own. */
  readonly logits?: () => Tensor;
};

/** Which positions leave after a layer; those behind the last layer leave without being asked. */
export type ExitRule<Params = unknown> = {
  /** Absent: it has no parameters. */
  init?(key: RandomKey): Concrete<Params>;
  /** bool [B, T] */
  leaves(params: Params, at: ExitPlace): Tensor;
};

export type AdaptiveParams<BlockParams = unknown> = StackParams<BlockParams> & {
  /** Of the rule, where it has any. */
  exit?: unknown;
};

export type AdaptiveOptions = FinalNorm & {
  readonly rule: ExitRule;
  /** Layers that every position goes through. Default: 1. */
  readonly leastLayers?: number;
  /** In training each position leaves after a layer drawn at random, all being as likely. Default: in training all go through all layers. */
  readonly samplesExits?: boolean;
  /** Logits from states that have passed the final norm: [B, T, C] → [B, T, V]. */
  readonly toLogits?: (x: Tensor) => Tensor;
};

/**
 * A stack that positions leave when a rule says so. The state of a position that left is copied up: later positions find its keys and values
 * in every layer. Whether positions are read at once or one by one, each leaves at the same place.
 *
 * In decoding, a layer that no row needs is not computed, but for the keys and values of the copied state. `steps` of the output says how many
 * layers each position went through.
 *
 * @shape  x [B, T, C] → [B, T, C]
 * @cost   decoding: of a layer that is left out, the projections to keys and values; otherwise that of the stack
 * @source Elbayad et al. 2020, "Depth-Adaptive Transformer", §3, arXiv:1910.10073; Schuster et al. 2022, "Confident Adaptive Language
 *   Modeling", §3.2, arXiv:2207.07061
 */
export function adaptiveDepth<BlockParams>(
  blocks: readonly Block<BlockParams>[],
  options: AdaptiveOptions,
): Depth<AdaptiveParams<BlockParams>> {
  const { rule, leastLayers = 1, samplesExits = false, toLogits } = options;
  requireLeast("exits", leastLayers, blocks.length);
  const stack = blockStack(blocks, options);
  return {
    layers: blocks,
    init: (key) => {
      // The stack starts as it does without exits.
      const params = { ...stack.init(key), exit: rule.init?.(foldIn(key, 0)) };
      return present(params) as unknown as Concrete<AdaptiveParams<BlockParams>>;
    },
    apply: (params, input, context) => {
      const layers = openLayers(input);
      const norm = finalNormOf(options, params);
      const own = completed(blocks, params.blocks);
      const [batch, length] = input.x.shape as [number, number, number];
      const offset = input.place?.(0).position;
      const positions = offset === undefined ? iota(length) : add(iota(length), offset);
      const training = context.key !== undefined;
      const exits =
        training && samplesExits ? sampledExits(within(context, "exits"), [batch, length], blocks.length) : undefined;
      const hidden = [input.x];
      let active: Tensor = cast(ones([batch, length]), "bool");
      let steps: Tensor = zeros([batch, length]);

      /** Who goes on behind a layer, of those who came so far. */
      const goingOn = (layer: number, before: Tensor, after: Tensor): Tensor => {
        if (layer === blocks.length) return active;
        if (training) return exits === undefined ? active : greater(exits, layer);
        if (layer < leastLayers) return active;
        const logits = toLogits && (() => toLogits(norm(after)));
        const first = hidden[1] ?? after;
        const at = { layer, layers: blocks.length, before, after, first, positions, ...present({ logits }) };
        return and(active, not(rule.leaves(params.exit, at)));
      };

      blocks.forEach((block, i) => {
        const before = layers.placed(i, hidden[i]!);
        steps = add(steps, cast(active, "float32"));
        let next = active;
        const apply: Block["apply"] = (params, given, inner) => {
          const all = () => block.apply(params as BlockParams, given, inner);
          /** The block's output, copied up where a position has left, and who goes on behind it. */
          const settled = ({ y, ...out }: MixerOutput) => ({
            ...out,
            y: where(expandDims(active, -1), y, hidden[i]!),
            active: goingOn(i + 1, before, y),
          });
          /** Where nobody goes on, of the block only the state is read; `cond` computes it before the choice, since it is needed in any case. */
          const ifNeeded = () =>
            cond<{ y: Tensor; active: Tensor; state: LayerState | undefined }>(
              anyOf(active),
              () => {
                const { y, active, state } = settled(all());
                return { y, active, state };
              },
              () => ({ y: hidden[i]!, active, state: all().state }),
            );
          const isSkipped = input.place !== undefined && i >= leastLayers;
          const { active: after, state, ...out } = isSkipped ? ifNeeded() : settled(all());
          next = after;
          return { ...out, ...present({ state }) };
        };
        hidden.push(layers.run(i, { ...block, apply } as Block, own[i], before, context));
        active = next;
      });
      const out = layers.close(norm(hidden.at(-1)!));
      return { ...out, hidden: [...hidden.slice(0, -1), out.x], steps };
    },
  };
}

/** @throws RangeError when there are fewer than two layers, or leastLayers is none of them */
export function requireExits(name: string, { layers, leastLayers }: { layers: number; leastLayers: number }): void {
  if (layers < 2) throw new RangeError(`${name}: expected at least 2 layers to leave one out, got ${layers}`);
  requireLeast(name, leastLayers, layers);
}

function requireLeast(name: string, leastLayers: number, layers: number): void {
  if (!(Number.isInteger(leastLayers) && leastLayers >= 1 && leastLayers <= layers))
    throw new RangeError(`${name}: expected leastLayers of 1 … ${layers}, got ${leastLayers}`);
}

/** Whether any is true: bool [...] → bool []. */
function anyOf(values: Tensor): Tensor {
  return greater(sum(cast(values, "float32")), 0);
}
