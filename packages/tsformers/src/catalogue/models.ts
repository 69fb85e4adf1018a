import * as room from "../models/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every system by name: decoders, encoders, encoder-decoders, each in the order of their papers. */
export const models: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room, [
  "decoder",
  "encoder",
  "encoder-decoder",
]);

export type ModelName = keyof typeof models;
