import {
  add,
  cast,
  concat,
  expandDims,
  matmul,
  mean,
  mul,
  sigmoid,
  slice,
  stopGradient,
  sum,
  type Tensor,
  tanh,
} from "@tsformers/engine";
import * as z from "zod";
import { adaptiveSteps, leakyAverage, weightedSum } from "../../depth/act.ts";
import type { Mechanism } from "../../kinds/mechanism.ts";

const options = z.strictObject({
  epsilon: z.number().min(0).lt(1),
  max_steps: z.int().positive(),
  mode: z.enum(["accumulated", "basic"]),
  halted_state: z.enum(["continue", "copy"]),
  at_max: z.enum(["drop", "assign"]),
});

/** Adaptive computation time: f(s) = tanh(s·Wf + mean over positions of s·Wm + bf), halting σ(s·w_halt + b_halt). */
export const act: Mechanism = {
  run({ x, Wf, Wm, bf, w_halt, b_halt, step_emb }, given, _, stored) {
    const { epsilon, max_steps: maxSteps, mode, halted_state, at_max } = options.parse(given);
    const { result, steps, updates, remainders } = adaptiveSteps(
      x!,
      {
        signal: (step, state) => (step_emb === undefined ? state : add(state, slice(step_emb, 0, step, step + 1))),
        halt: (state) => sigmoid(add(sum(mul(state, w_halt!), { axes: -1 }), b_halt!)),
        transform: (_, state) => {
          const whole = matmul(mean(state, { axes: 1, keepDims: true }), Wm!);
          return tanh(add(add(matmul(state, Wf!), whole), bf!));
        },
      },
      {
        maxSteps,
        epsilon,
        update: mode === "basic" ? leakyAverage : weightedSum,
        ...(halted_state === "copy" && { keepsHalted: true }),
        ...(at_max === "assign" && { assignsRest: true }),
      },
    );
    // The reference stops when every position has halted; the number of stored steps says when that was.
    const made = steps.slice(0, stored.update_weights?.[0] ?? maxSteps);
    const each = (of: (step: (typeof made)[number]) => Tensor) =>
      concat(
        made.map((step) => expandDims(of(step), 0)),
        0,
      );
    return {
      out: result,
      ponder_loss: mean(add(stopGradient(updates), remainders)),
      n_updates: updates,
      remainders,
      last_state: made.at(-1)!.state,
      halting_probability: each(({ halting }) => halting),
      still_running_before_step: each(({ running }) => cast(running, "float32")),
      update_weights: each(({ weight }) => weight),
    };
  },
};
