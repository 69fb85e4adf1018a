// The kinds that models are put together from: types only.

export type * from "./block.ts";
export type * from "./depth.ts";
export type * from "./layer.ts";
export type * from "./mechanism.ts";
export type * from "./mixer.ts";
export type * from "./pattern.ts";
export type * from "./position.ts";
export type * from "./state.ts";
export type * from "./view.ts";
