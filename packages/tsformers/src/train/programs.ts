import { type Compiled, type Concrete, compile, type Given, readTree } from "@tsformers/engine";
import { roundedReach } from "../attention/patterns/span.ts";
import type { SpanParams } from "../models/language-model.ts";
import type { Objective, Symbolic } from "../objectives/objective.ts";
import { type Evaluator, evaluator } from "./evaluate.ts";
import type { Control, StepMetrics, TrainState, TrainStep } from "./step.ts";
import type { TrainOptions } from "./train-options.ts";

export type Update<Params, B> = Compiled<
  [TrainState<Params>, Symbolic<B>, Control],
  { state: TrainState<Params>; metrics: StepMetrics }
>;

/** What a step and an evaluation run. Compiled at the first use. */
export type Program<Params, B> = {
  readonly step: TrainStep<Params, B>;
  readonly update: Update<Params, B>;
  /** Several updates in one run: batches, controls and metrics have a leading axis. */
  readonly updates: Update<Params, B>;
  readonly scores: Evaluator<Params, B>;
};

export type Programs<Params, B> = {
  /** The program for parameters, on the device or not. */
  of(params: Given<Params>): Promise<Program<Params, B>>;
  release(): Promise<void>;
};

/** Each takes the memory of a compiled step. */
const mostPrograms = 4;

/**
 * The programs of a training. Where heads learn how far back they look, there is one for each reach of the layers that occurs, rounded up as
 * in `roundedReach`: every step computes just what its parameters need, and what it computes depends on them alone. Otherwise there is one.
 */
export function programs<Params, B>(
  { objective, device }: Pick<TrainOptions<Params, B>, "objective" | "device">,
  stepOf: (objective: Objective<Params, B>) => TrainStep<Params, B>,
): Programs<Params, B> {
  const known = new Map<string, Program<Params, B>>();
  const make = (own: Objective<Params, B>): Program<Params, B> => {
    const step = stepOf(own);
    const compiled = (fn: typeof step.update) => compile(fn, { device, donate: [0] }) as unknown as Update<Params, B>;
    return { step, update: compiled(step.update), updates: compiled(step.updates), scores: evaluator(own, device) };
  };
  const release = async ({ update, updates, scores }: Program<Params, B>): Promise<void> => {
    await update.release();
    await updates.release();
    await scores.release();
  };
  return {
    of: async (params) => {
      const reaches = await reachesOf(objective, params);
      const name = String(reaches);
      const found = known.get(name) ?? make(reaches === undefined ? objective : objective.trimmed!(reaches));
      // The one that was used last comes last.
      known.delete(name);
      known.set(name, found);
      const [oldest] = known;
      if (known.size > mostPrograms) {
        known.delete(oldest![0]);
        await release(oldest![1]);
      }
      return found;
    },
    release: async () => {
      for (const program of known.values()) await release(program);
    },
  };
}

/** How far back each layer sees, rounded up; nothing where the parameters set no end. */
async function reachesOf<Params, B>(
  { spans }: Objective<Params, B>,
  params: Given<Params>,
): Promise<readonly (readonly [number])[] | undefined> {
  if (spans === undefined) return undefined;
  const { scores } = params as { readonly scores?: unknown };
  const read = { scores: await readTree(scores as never) } as SpanParams & { scores: Concrete<unknown> };
  return spans(read).map((own) => [roundedReach(Math.max(...own))]);
}
