import { add, cast, type Tensor } from "@tsformers/engine";
import type {
  AttentionMap,
  Block,
  BlockOutput,
  Context,
  DepthInput,
  DepthOutput,
  LayerState,
  StackState,
} from "../kinds/index.ts";
import { within } from "../nn/dropout.ts";
import { sumOfLosses } from "../nn/losses.ts";
import type { Norm, NormParams } from "../nn/norm.ts";
import { present } from "../schema/present.ts";

/** Parameters of blocks in a row. */
export type StackParams<BlockParams = unknown> = { blocks: readonly BlockParams[]; finalNorm?: NormParams };

/** Runs the layers of one pass: each gets its part of what goes in, and what comes out beside x is collected. */
export type RunningLayers = {
  /** x with the layer's position vectors, [B, T, C]. */
  placed(layer: number, x: Tensor): Tensor;
  /** The next layer: [B, T, C] → [B, T, C]. Layers run in order, each once. */
  run(layer: number, block: Block, params: unknown, x: Tensor, context: Context): Tensor;
  /** The outcome, x being that of the whole depth. */
  close(x: Tensor): Pick<DepthOutput, "x" | "maps" | "ffnInput" | "losses" | "state">;
};

export function openLayers(input: DepthInput): RunningLayers {
  const outs: BlockOutput[] = [];
  return {
    placed: (layer, x) => (input.input === undefined ? x : add(x, cast(input.input(layer), x.dtype))),
    run: (layer, block, params, x, context) => {
      const own = { view: input.view(layer), state: stateOfLayer(input.state, layer) };
      const out = block.apply(
        params,
        { x, ...own, ...present({ place: input.place?.(layer) }) },
        within(context, layer),
      );
      outs[layer] = out;
      return out.y;
    },
    close: (x) => ({
      x,
      maps: outs.flatMap(({ map }): (() => AttentionMap)[] => (map === undefined ? [] : [map])),
      ...present({ ffnInput: outs.at(-1)?.ffnInput }),
      losses: sumOfLosses(outs.map(({ losses }) => losses)),
      state: stateOfStack(
        input,
        outs.map(({ state }) => state),
      ),
    }),
  };
}

/** The parameters of the blocks of a stack, each with what its mixer shares with the first of its kind. */
export function completed<BlockParams>(
  blocks: readonly Pick<Block, "mixer">[],
  params: readonly BlockParams[],
): readonly BlockParams[] {
  const mixerOf = (layer: number) => (params[layer] as { mixer: unknown }).mixer;
  return blocks.map(({ mixer: { name, shareParams } }, layer) => {
    const own = params[layer]!;
    if (shareParams === undefined) return own;
    const first = blocks.findIndex(({ mixer }) => mixer.name === name);
    return first === layer ? own : { ...own, mixer: shareParams(mixerOf(layer), mixerOf(first)) };
  });
}

/** The part of a stack's state that is one layer's. */
export function stateOfLayer({ decode, segment, training }: StackState, layer: number): LayerState {
  return present({ decode: decode?.[layer], segment: segment?.[layer], training: training?.[layer] });
}

/** The states of all layers after a pass, of the sorts that went in. */
export function stateOfStack(
  { state: before, place }: Pick<DepthInput, "state" | "place">,
  after: readonly (LayerState | undefined)[],
): StackState {
  const training = after.flatMap((state, layer) => (state?.training === undefined ? [] : [[layer, state.training]]));
  return {
    ...(place !== undefined && { decode: after.map((state) => state?.decode) }),
    ...(before.segment !== undefined && { segment: after.map((state) => state?.segment) }),
    ...(before.training !== undefined && { training: Object.fromEntries(training) }),
  };
}

export type FinalNorm = { readonly finalNorm?: ReturnType<Norm> };

/** The norm behind the last layer, where there is one. */
export function finalNormOf(
  { finalNorm }: FinalNorm,
  params: { readonly finalNorm?: NormParams },
): (x: Tensor) => Tensor {
  return (x) => (finalNorm === undefined ? x : finalNorm.apply(params.finalNorm!, x));
}
