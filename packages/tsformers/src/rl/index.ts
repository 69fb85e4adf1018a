// Agents in environments: those that learn on-line, by acting.

export { checkedEnvironment } from "./checked-environment.ts";
export type { Action, ActionSpace, Environment, Transition } from "./environment.ts";
export { type RecallOptions, recall } from "./environments/recall.ts";
export { type TMazeOptions, tMaze, tMazeActions } from "./environments/t-maze.ts";
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
export { type OnLineEvent, type OnLineOptions, type OnLineResult, trainOnLine } from "./on-line/train-on-line.ts";
