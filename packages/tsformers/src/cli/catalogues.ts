import { mixers } from "../catalogue/mixers.ts";
import { patterns } from "../catalogue/patterns.ts";
import { positions } from "../catalogue/positions.ts";
import { models } from "../models/index.ts";
import type { Catalogue } from "../run/catalogue.ts";
import { optimisers } from "../run/optimisers.ts";
import { schedules } from "../run/schedules.ts";
import { tasks } from "../tasks/index.ts";

/** Everything that can be named on the command line, by what it is. */
export const catalogues: Readonly<Record<string, Catalogue>> = {
  models,
  patterns,
  mechanisms: mixers,
  positions,
  tasks,
  optimisers,
  schedules,
};
