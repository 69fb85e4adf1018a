// Agents in environments: those that learn on-line, by acting, and off-line, from recorded episodes.

export type { Action, ActionSpace, Environment, Transition } from "./environment.ts";
export { cartPole } from "./environments/cartpole.ts";
export { type KeyToDoorOptions, keyToDoor } from "./environments/key-to-door.ts";
export { pendulum } from "./environments/pendulum.ts";
export { type DecideOptions, decide } from "./off-line/decide.ts";
export {
  best,
  type EnvironmentShape,
  type Episode,
  joined,
  returnOf,
  returnsToGo,
  statisticsOf,
  type Trajectories,
} from "./off-line/episode.ts";
export { type Policy, randomPolicy, rollOuts, withNoise } from "./off-line/roll-out.ts";
export { type TrajectoriesOptions, trajectoriesTask } from "./off-line/windows.ts";
