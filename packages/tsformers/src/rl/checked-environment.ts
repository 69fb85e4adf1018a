import type { Action, ActionSpace, Environment, Transition } from "./environment.ts";

/**
 * An environment that holds its caller and itself to what it says: actions are of its space and come between `reset` and the end of an
 * episode; observations have as many numbers as it says, all finite; rewards are finite; episodes end in time.
 *
 * @throws RangeError for an action outside the space, and for observations, rewards or lengths that are not as announced; Error for a
 *   step without an episode
 */
export function checkedEnvironment(environment: Environment): Environment {
  const { name, features, actions, longest } = environment;
  /** Steps of the running episode; `undefined` when none runs. */
  let steps: number | undefined;
  const check = (observation: readonly number[]): void => {
    if (observation?.length !== features)
      throw new RangeError(
        `${name}: expected an observation of ${features} numbers, got ${observation?.length ?? "none"}`,
      );
    const wrong = observation.findIndex((x) => !Number.isFinite(x));
    if (wrong >= 0)
      throw new RangeError(`${name}: expected finite observations, got ${observation[wrong]} as feature ${wrong}`);
  };
  return {
    ...environment,
    reset: (seed) => {
      const start = environment.reset(seed);
      check(start.observation);
      steps = 0;
      return start;
    },
    step: (action): Transition => {
      if (steps === undefined) throw new Error(`${name}: no episode runs; call reset before step`);
      requireAction(name, actions, action);
      const transition = environment.step(action);
      check(transition.observation);
      if (!Number.isFinite(transition.reward))
        throw new RangeError(`${name}: expected a finite reward, got ${transition.reward}`);
      steps += 1;
      const ended = transition.terminated || transition.truncated;
      if (!ended && steps >= longest)
        throw new RangeError(`${name}: expected an episode of at most ${longest} steps, got one that goes on`);
      if (ended) steps = undefined;
      return transition;
    },
  };
}

function requireAction(name: string, space: ActionSpace, action: Action): void {
  if (space.kind === "discrete") {
    if (Number.isSafeInteger(action) && (action as number) >= 0 && (action as number) < space.count) return;
    throw new RangeError(`${name}: expected an action from 0 to ${space.count - 1}, got ${JSON.stringify(action)}`);
  }
  const { width, low, high } = space;
  const fits = Array.isArray(action) && action.length === width && action.every((x) => x >= low && x <= high);
  if (fits) return;
  throw new RangeError(
    `${name}: expected an action of ${width} numbers from ${low} to ${high}, got ${JSON.stringify(action)}`,
  );
}
