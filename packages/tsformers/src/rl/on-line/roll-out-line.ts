import { shortCount, shortDuration } from "../../train/progress.ts";
import type { OnLineEvent } from "./train-on-line.ts";

/** One line for a log: `roll-out 20/60 · 10.2k steps · return 1.438 of 31 episodes · loss 0.4102 · 1.2k steps/s · 33s left`. */
export function rollOutLine(event: Extract<OnLineEvent, { kind: "roll-out" }>): string {
  const { rollOut, rollOuts, steps, episodes, meanReturn, loss, stepsPerSecond, secondsLeft } = event;
  return [
    `roll-out ${rollOut}/${rollOuts}`,
    `${shortCount(steps)} steps`,
    episodes === 0 ? "no episode ended" : `return ${meanReturn.toFixed(3)} of ${episodes} episodes`,
    `loss ${loss.toFixed(4)}`,
    `${shortCount(stepsPerSecond)} steps/s`,
    `${shortDuration(secondsLeft)} left`,
  ].join(" · ");
}
