import { models } from "../catalogue/models.ts";
import { optimisers } from "../catalogue/optimisers.ts";
import { schedules } from "../catalogue/schedules.ts";
import { tasks } from "../catalogue/tasks.ts";
import type { Catalogue } from "../run/catalogue.ts";
import { objectiveChoices } from "../run/objective-choices.ts";
import { parts } from "../run/parts.ts";

/** Things that can be named on the command line, and the choice of a configuration that they are named in. */
type Shelf = { readonly entries: Catalogue; readonly path: readonly string[] };

/** Everything that can be named, by what it is. */
export const catalogues: Readonly<Record<string, Shelf>> = {
  models: { entries: models, path: ["model"] },
  patterns: { entries: parts.pattern.catalogue, path: ["model", "pattern"] },
  mechanisms: { entries: parts.mixer.catalogue, path: ["model", "mixer"] },
  positions: { entries: parts.position.catalogue, path: ["model", "position"] },
  depths: { entries: parts.depth.catalogue, path: ["model", "depth"] },
  tasks: { entries: tasks, path: ["task"] },
  objectives: { entries: objectiveChoices, path: ["objective"] },
  optimisers: { entries: optimisers, path: ["optimiser"] },
  schedules: { entries: schedules, path: ["schedule"] },
};
