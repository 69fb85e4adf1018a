import {
  add,
  argmax,
  type Compiled,
  type Concrete,
  compile,
  type Device,
  expandDims,
  fromNumbers,
  type Given,
  log,
  logSoftmax,
  type NDArray,
  neg,
  type OnDevice,
  randomUniform,
  readTree,
  reshape,
  type Tensor,
  takeAlongAxis,
} from "@tsformers/engine";
import { evaluation } from "../../kinds/layer.ts";
import type { ActorCritic } from "./actor-critic.ts";
import type { EnvironmentRows } from "./environment-rows.ts";

/** What B rows do next, and what they remember afterwards. */
type Choice = {
  /** int32 [B] */
  readonly actions: Tensor;
  /** Of those actions, [B]. */
  readonly logProbabilities: Tensor;
  /** Of the observations, [B]. */
  readonly values: Tensor;
};

/** What rows see: observations [B][features], and whether each has just begun an episode. */
export type Seen = Pick<EnvironmentRows, "observations" | "fresh">;

export type Acting = {
  readonly actions: readonly number[];
  readonly logProbabilities: readonly number[];
  readonly values: readonly number[];
  readonly memories: Given<readonly unknown[]>;
};

/** Chooses actions for rows in lockstep: one graph, run once a step. */
export type Actor<Params> = {
  /** @param key of the draw, int32 [2] */
  act(params: Given<Params>, seen: Seen, memories: Given<readonly unknown[]>, key: NDArray): Promise<Acting>;
  release(): Promise<void>;
};

/** @param options.greedy takes the likeliest action instead of drawing one */
export function actor<Params>(
  model: ActorCritic<Params>,
  device: Device,
  { greedy = false }: { readonly greedy?: boolean } = {},
): Actor<Params> {
  type Seeing = { readonly observations: Tensor; readonly fresh: Tensor };
  const choose = (params: Params, seen: Seeing, memories: readonly unknown[], key: Tensor) => {
    const out = model.apply(params, { ...seen, memories }, evaluation);
    const [rows, , choices] = out.logits.shape as [number, number, number];
    const logs = logSoftmax(reshape(out.logits, [rows, choices]));
    // The largest of log π plus Gumbel noise is a draw from π.
    const noise = () => neg(log(neg(log(randomUniform(key, logs.shape)))));
    const actions = argmax(greedy ? logs : add(logs, noise()));
    const chosen: Choice = {
      actions,
      logProbabilities: reshape(takeAlongAxis(logs, expandDims(actions, 1)), [rows]),
      values: reshape(out.values, [rows]),
    };
    return { chosen, memories: out.memories };
  };
  const run = compile(choose, { device }) as unknown as Compiled<
    [Params, Seeing, readonly unknown[], Tensor],
    { chosen: Choice; memories: readonly unknown[] }
  >;
  return {
    act: async (params, seen, memories, key) => {
      const observations = seen.observations();
      const rows = observations.length;
      const input = {
        observations: fromNumbers(observations.flat(), [rows, 1, model.features]),
        fresh: fromNumbers(seen.fresh().map(Number), [rows, 1]),
      };
      const out = await run(params, input as never, memories, key as never);
      const chosen = (await readTree(out.chosen as OnDevice<Choice>)) as Concrete<Choice>;
      return {
        actions: chosen.actions.toNumbers(),
        logProbabilities: chosen.logProbabilities.toNumbers(),
        values: chosen.values.toNumbers(),
        memories: out.memories as Given<readonly unknown[]>,
      };
    },
    release: () => run.release(),
  };
}
