import type { Progress } from "./progress.ts";
import type { TrainEvent } from "./train.ts";

/** A listener for `train` that shows its events on a progress display. */
export function showEvents(progress: Progress): (event: TrainEvent) => void {
  let slowStart: ReturnType<typeof setTimeout> | undefined;
  return (event) => {
    if (event.kind === "step") clearTimeout(slowStart);
    switch (event.kind) {
      case "memory":
      case "note":
        return progress.log(event.text);
      case "resumed":
        return progress.log(`going on after step ${event.step}`);
      case "damaged":
        return progress.log(`a damaged checkpoint was skipped: ${event.problem.message}`);
      case "step":
        return event.step === event.totalSteps ? progress.done(event) : progress.update(event);
      case "evaluation":
        return progress.log(`step ${event.step} · valid loss ${event.loss.toFixed(4)}`);
      case "prepared":
        slowStart = setTimeout(() => progress.log("the first step takes long; it is still at work"), 10_000);
        // The timer must not keep the process alive.
        slowStart.unref();
        return undefined;
      case "checkpoint":
        return undefined;
    }
  };
}
