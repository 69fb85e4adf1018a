import * as room from "../train/schedules/index.ts";
import { catalogueOf, type Entries } from "./catalogue-of.ts";

/** Every schedule by name. All reach the learning rate at the end of the warm-up. */
export const schedules: Entries<typeof room> = /* @__PURE__ */ catalogueOf(room);

export type ScheduleName = keyof typeof schedules;
