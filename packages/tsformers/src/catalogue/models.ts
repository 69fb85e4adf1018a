import * as room from "../models/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every system by name: decoders, encoders, encoder-decoders, models of pictures, each in the order of their papers. */
export const models: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room, [
  "decoder",
  "encoder",
  "encoder-decoder",
  "picture",
]);

export type ModelName = keyof typeof models;
