// Agents in environments: those that learn on-line, by acting.

export type { Action, ActionSpace, Environment, Transition } from "./environment.ts";
