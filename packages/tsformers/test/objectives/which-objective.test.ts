import { describe, expect, test } from "vitest";
import { mixers } from "../../src/catalogue/mixers.ts";
import { gpt } from "../../src/models/decoders/gpt.ts";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import { xlnet } from "../../src/models/decoders/xlnet.ts";
import { transformer } from "../../src/models/encoder-decoders/transformer.ts";
import { bert } from "../../src/models/encoders/bert.ts";
import {
  makeObjective,
  type ObjectiveName,
  objectives,
  requireObjective,
  type Trainable,
  usualObjective,
} from "../../src/objectives/index.ts";
import { keyToDoor } from "../../src/rl/environments/key-to-door.ts";
import { randomPolicy, rollOuts } from "../../src/rl/off-line/roll-out.ts";
import { trajectoriesTask } from "../../src/rl/off-line/windows.ts";
import { copyTask } from "../../src/tasks/algorithmic/copy.ts";
import { majorityTask } from "../../src/tasks/algorithmic/majority.ts";
import { madCompressionTask } from "../../src/tasks/mad/compression.ts";
import { proteinsTask } from "../../src/tasks/proteins/proteins.ts";
import { recallTask } from "../../src/tasks/recall/recall.ts";
import { mixtureTask } from "../../src/tasks/sets/mixture.ts";
import type { Task } from "../../src/tasks/task.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { byteTokenizer } from "../../src/tokenizers/index.ts";

const sizes = { vocabularySize: 257, layers: 1, modelWidth: 8, heads: 2, length: 16 };
const linear = mixers.linear.make({}, { ...sizes, causal: true });
const models = {
  gpt: { ...gpt(sizes), category: "decoder" },
  linear: { ...gpt({ ...sizes, mixer: () => linear }), category: "decoder" },
  "transformer-xl": { ...transformerXl({ ...sizes, memoryLength: 4 }), category: "decoder" },
  bert: { ...bert(sizes), category: "encoder" },
  xlnet: { ...xlnet({ ...sizes, memoryLength: 4 }), category: "encoder" },
  transformer: { ...transformer(sizes), category: "encoder-decoder" },
} as Readonly<Record<string, Trainable>>;

const protein = { residues: "ACDE", structure: "CHHE", resolved: "1111" };

const tasks: Readonly<Record<string, Task>> = {
  text: textTask({ text: "plain words ".repeat(30), tokenizer: byteTokenizer, length: 8 }),
  copy: copyTask(),
  recall: recallTask(),
  majority: majorityTask(),
  proteins: proteinsTask({ proteins: { train: [protein], valid: [protein], test: [protein] } }),
  "mad-compression": madCompressionTask(),
  mixture: mixtureTask(),
  trajectories: trajectoriesTask({
    name: "key-to-door",
    trajectories: rollOuts(keyToDoor(), randomPolicy(keyToDoor().actions), { episodes: 2, seed: 0 }),
  }),
};

/** What each model is trained for on each task; null where it cannot be. */
const usual: Readonly<Record<string, Readonly<Record<string, ObjectiveName | null>>>> = {
  text: {
    gpt: "next",
    linear: "next",
    "transformer-xl": "segments",
    bert: "masked",
    xlnet: "permuted",
    transformer: null,
  },
  copy: { gpt: "next", linear: "next", "transformer-xl": "next", bert: null, xlnet: null, transformer: "pairs" },
  recall: { gpt: "next", linear: "next", "transformer-xl": "next", bert: null, xlnet: null, transformer: null },
  proteins: { gpt: "tag", linear: "tag", "transformer-xl": "tag", bert: "tag", xlnet: "tag", transformer: null },
  majority: {
    gpt: "class",
    linear: "class",
    "transformer-xl": "class",
    bert: "class",
    xlnet: "class",
    transformer: null,
  },
  "mad-compression": {
    gpt: "reconstruct",
    linear: "reconstruct",
    "transformer-xl": "reconstruct",
    bert: "reconstruct",
    xlnet: "reconstruct",
    transformer: null,
  },
  trajectories: { gpt: "act", linear: "act", "transformer-xl": "act", bert: null, xlnet: null, transformer: null },
  mixture: {
    gpt: "cluster",
    linear: "cluster",
    "transformer-xl": "cluster",
    bert: "cluster",
    xlnet: "cluster",
    transformer: null,
  },
};

/** What is said of a model, a task and an objective that do not fit; undefined where they do. */
function refusal(name: ObjectiveName, model: string, task: string): string | undefined {
  try {
    requireObjective(name, models[model]!, tasks[task]!.views, { model, task });
  } catch (error) {
    expect(error).toBeInstanceOf(RangeError);
    return (error as Error).message;
  }
  return undefined;
}

describe.each(Object.entries(usual))("on %s", (task, byModel) => {
  test.each(Object.entries(byModel))("%s is trained for %s", (model, expected) => {
    expect(usualObjective(models[model]!, tasks[task]!) ?? null).toBe(expected);
    if (expected !== null) expect(refusal(expected, model, task)).toBeUndefined();
  });
});

const names = Object.keys(objectives) as ObjectiveName[];
const everything = Object.keys(models).flatMap((model) =>
  Object.keys(tasks).flatMap((task) => names.map((name) => [name, model, task] as const)),
);

test.each(everything)("%s for %s on %s: made, or refused in one line that says what would do", (name, model, task) => {
  const { views } = tasks[task]!;
  const said = refusal(name, model, task);
  if (said === undefined) {
    const objective = makeObjective(name, models[model]!, views);
    expect(views[objectives[name].view]).toBeDefined();
    expect(objective.startMemories !== undefined).toBe(name === "segments" && model === "transformer-xl");
    return;
  }
  expect(said).not.toContain("\n");
  // What it names as possible is possible.
  const others = names.filter((other) => refusal(other, model, task) === undefined);
  if (others.length === 0) {
    expect(said).toBe(refusal("next", model, task));
    expect(said).toContain(`task ${task} has nothing for ${model}`);
  } else {
    for (const other of others) expect(said).toContain(other);
    expect(said).toContain(`"${name}"`);
  }
});

test("points have no labels to smooth", () => {
  const { views } = tasks.mixture!;
  expect(() => makeObjective("cluster", models.bert!, views, { smoothing: 0.1 })).toThrow(
    "labelSmoothing: points have no labels to smooth; leave it out",
  );
});

test("what is said", () => {
  expect(refusal("next", "bert", "text")).toBe(
    'bert cannot be trained for "next", which needs a causal model; on task text it can for masked, next-sentence',
  );
  expect(refusal("pairs", "gpt", "copy")).toBe(
    'gpt cannot be trained for "pairs", which needs an encoder-decoder; on task copy it can for next',
  );
  expect(refusal("masked", "gpt", "copy")).toBe(
    'task copy has nothing for "masked"; gpt can be trained for next on it',
  );
  expect(refusal("next", "transformer", "recall")).toBe(
    "task recall has nothing for transformer: it offers next, and transformer learns pairs",
  );
  expect(refusal("next", "bert", "copy")).toBe(
    "task copy has nothing for bert: it offers next, pairs, and bert learns masked, next-sentence, class, match, tag, spans, reconstruct, cluster, regress",
  );
});
