import { add, type Concrete, cast, full, mean, mul, reshape, sigmoid, splitKey, stopGradient } from "@tsformers/engine";
import type { Block, Depth } from "../kinds/index.ts";
import { type LinearParams, linear } from "../nn/linear.ts";
import { present } from "../nn/present.ts";
import { adaptiveSteps, type HaltingOptions } from "./act.ts";
import { type FinalNorm, finalNormOf, openLayers } from "./layers.ts";
import type { StackParams } from "./stack.ts";

export type UniversalParams<BlockParams = unknown> = StackParams<BlockParams> & {
  /** [C, 1] and [1]. */
  halt: LinearParams;
};

export type UniversalOptions = FinalNorm &
  HaltingOptions & {
    readonly modelWidth: number;
    /** Of the ponder loss, `mean(updates + remainders)`. Default: 0.01. */
    readonly ponderWeight?: number;
    /** Where the bias of the halting probability starts. Default: 1, which halts early at first. */
    readonly startBias?: number;
  };

/** Weight of the ponder loss by default. */
export const defaultPonderWeight = 0.01;

/**
 * One block applied again and again, each position as often as it wants: {@link adaptiveSteps}. Vectors for the input of each layer
 * (`step-signals`) tell it position and step; they are added before the halting probability is read.
 *
 * `p = σ(w·s + b)`; the loss `ponder` is `0.01 · mean(updates + remainders)`, of which the gradient sees the remainders. In decoding each
 * step keeps a state of its own.
 *
 * @shape  x [B, T, C] → [B, T, C]
 * @cost   maxSteps times the block; its parameters once, and C + 1
 * @source Dehghani et al. 2019, "Universal Transformers", §2, arXiv:1807.03819
 */
export function universal<BlockParams>(
  block: Block<BlockParams>,
  options: UniversalOptions,
): Depth<UniversalParams<BlockParams>> {
  const { maxSteps, modelWidth, ponderWeight = defaultPonderWeight, startBias = 1 } = options;
  const toHalt = linear(modelWidth, 1);
  return {
    layers: Array.from({ length: maxSteps }, () => block),
    init: (key) => {
      const [a, b, c] = splitKey(key, 3);
      const params = {
        blocks: [block.init(a!)],
        finalNorm: options.finalNorm?.init(c!),
        halt: { ...toHalt.init(b!), bias: full([1], startBias) },
      };
      return present(params) as unknown as Concrete<UniversalParams<BlockParams>>;
    },
    apply: (params, input, context) => {
      const layers = openLayers(input);
      const { result, steps, updates, remainders } = adaptiveSteps(
        input.x,
        {
          signal: (step, state) => layers.placed(step, state),
          halt: (state) => sigmoid(reshape(toHalt.apply(params.halt, state), state.shape.slice(0, -1))),
          transform: (step, state) => layers.run(step, block as Block, params.blocks[0], state, context),
        },
        options,
      );
      const out = layers.close(finalNormOf(options, params)(result));
      const ponder = mul(mean(add(stopGradient(updates), remainders)), ponderWeight);
      const hidden = [input.x, ...steps.slice(0, -1).map(({ state }) => state), out.x];
      return { ...out, hidden, steps: updates, losses: { ...out.losses, ponder: cast(ponder, "float32") } };
    },
  };
}
