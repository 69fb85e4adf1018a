// Agents in environments: those that learn on-line, by acting, and off-line, from recorded episodes.

export { checkedEnvironment } from "./checked-environment.ts";
export type { Action, ActionSpace, Environment, Transition } from "./environment.ts";
export { cartPole } from "./environments/cartpole.ts";
export { type KeyToDoorOptions, keyToDoor } from "./environments/key-to-door.ts";
export { pendulum } from "./environments/pendulum.ts";
export { type RecallOptions, recall } from "./environments/recall.ts";
export { type TMazeOptions, tMaze, tMazeActions } from "./environments/t-maze.ts";
export { type DecideOptions, decide } from "./off-line/decide.ts";
export {
  bestEpisodes,
  type EnvironmentShape,
  type Episode,
  joinedTrajectories,
  returnOf,
  returnsToGo,
  statisticsOf,
  type Trajectories,
} from "./off-line/episode.ts";
export { type Policy, randomPolicy, rollOuts, withNoise } from "./off-line/roll-out.ts";
export { type TrajectoriesOptions, trajectoriesTask } from "./off-line/windows.ts";
export {
  type ActorCritic,
  type ActorCriticInput,
  type ActorCriticOutput,
  type ActorCriticParams,
  actorCritic,
} from "./on-line/actor-critic.ts";
export { generalisedAdvantages, type Rewards } from "./on-line/advantages.ts";
export { type PlayOptions, playEpisodes } from "./on-line/play.ts";
export { type PpoOptions, ppoLoss, type RollOut } from "./on-line/ppo.ts";
export { rollOutLine } from "./on-line/roll-out-line.ts";
export { type OnLineEvent, type OnLineOptions, type OnLineResult, trainOnLine } from "./on-line/train-on-line.ts";
