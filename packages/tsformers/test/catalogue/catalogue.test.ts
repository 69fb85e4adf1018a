import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import { catalogueOf } from "../../src/catalogue/catalogue-of.ts";
import { depths } from "../../src/catalogue/depths.ts";
import { mixers } from "../../src/catalogue/mixers.ts";
import { models } from "../../src/catalogue/models.ts";
import { optimisers } from "../../src/catalogue/optimisers.ts";
import { patterns } from "../../src/catalogue/patterns.ts";
import { positions } from "../../src/catalogue/positions.ts";
import { schedules } from "../../src/catalogue/schedules.ts";
import { tasks } from "../../src/catalogue/tasks.ts";
import type { ModelEntry } from "../../src/models/index.ts";
import {
  type ObjectiveName,
  objectives,
  requireObjective,
  type Trainable,
  usualObjective,
} from "../../src/objectives/index.ts";
import type { Agreement } from "../../src/schema/entry.ts";
import type { TaskViews } from "../../src/tasks/task.ts";

const source = new URL("../../src/", import.meta.url);

const context = { modelWidth: 24, heads: 3, length: 16, causal: true };

type Listed = Readonly<Record<string, { readonly name: string; options(): z.ZodObject }>>;

const rooms: readonly (readonly [room: string, maker: string, catalogue: Listed])[] = [
  ["attention", "mixerEntry", mixers],
  ["attention/patterns", "patternEntry", patterns],
  ["position", "positionEntry", positions],
  ["train/optimisers", "optimiserEntry", optimisers],
  ["train/schedules", "scheduleEntry", schedules],
  ["tasks", "taskEntry", tasks],
  ["models", "modelEntry", models],
  ["depth", "depthEntry", depths],
];

describe.each(rooms)("%s", (room, maker, catalogue) => {
  test("every entry that is written is listed, by its own name", () => {
    const files = readdirSync(new URL(room, source), { recursive: true, encoding: "utf8" });
    const written = files
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) => {
        const text = readFileSync(new URL(`${room}/${file}`, source), "utf8");
        return [...text.matchAll(new RegExp(`=\\s+/\\* @__PURE__ \\*/ ${maker}\\(\\s*\\{\\s*name: "([^"]+)"`, "g"))];
      })
      .map(([, name]) => name!);
    expect(written.length).toBeGreaterThan(2);
    expect(Object.keys(catalogue).sort()).toEqual(written.sort());
    for (const [name, entry] of Object.entries(catalogue)) expect(entry.name).toBe(name);
  });

  test.each(Object.entries(catalogue))("%s: every option says what it is, and may be left out", (name, { options }) => {
    const schema = options();
    expect(options(), "one schema for all calls").toBe(schema);
    for (const [option, own] of Object.entries(schema.shape)) {
      expect((own as z.ZodType).description, `${name} ${option}`).toBeTruthy();
      if (room === "models" && option === "vocabularySize") continue;
      expect((own as z.ZodType).safeParse(undefined).success, `${name} ${option} without a value`).toBe(true);
    }
    expect(schema.safeParse({ nonsense: 1 }).success).toBe(false);
  });
});

test("models: every file that is one has an entry", () => {
  const made = readdirSync(new URL("models", source), { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".ts"))
    .map((file) => ({ file, text: readFileSync(new URL(`models/${file}`, source), "utf8") }))
    .filter(({ text }) => /return (decoder|encoder|encoderDecoder|withNextSentence)\(/.test(text));
  expect(made.length).toBeGreaterThan(15);
  for (const { file, text } of made) expect(text.includes("modelEntry({"), file).toBe(true);
});

test.each(Object.values<ModelEntry>(models).map((entry) => [entry.name, entry] as const))(
  "%s serves what objectives can train it for, and refuses parts of its own",
  (name, entry) => {
    const sizes = { vocabularySize: 11, modelWidth: 24, heads: 3, layers: 2 };
    const trainable = { ...entry.make(sizes), category: entry.category } as Trainable;
    const views = Object.fromEntries(Object.values(objectives).map(({ view }) => [view, 1])) as unknown as TaskViews;
    const served = Object.entries(objectives).flatMap(([objective, { view }]) => {
      try {
        requireObjective(objective as ObjectiveName, trainable, views, { model: name, task: "any" });
        return [view];
      } catch {
        return [];
      }
    });
    expect(entry.serves.toSorted()).toEqual([...new Set(served)].sort());
    expect(entry.serves[0]).toBe(objectives[usualObjective(trainable, { views })!].view);
    const parts = {
      mixer: () => mixers.softmax.make({}, context),
      pattern: patterns.full.make({}, { ...context, causal: entry.causal, layers: 2 }),
      scheme: positions.sinusoidal.make({}, { ...context, layers: 2 }),
      depth: depths.recomputed.make({}),
    };
    for (const [part, key] of [
      ["mixer", "mixer"],
      ["pattern", "pattern"],
      ["position", "scheme"],
      ["depth", "depth"],
    ] as const) {
      const make = () => entry.make(sizes, { [key]: parts[key] });
      if (entry.parts.includes(part)) make();
      else expect(make).toThrow(`${name}: has its own ${part}`);
    }
  },
);

test("a catalogue is in the order of categories, years and names", () => {
  const entry = (name: string, year: number, category: string) => ({
    name,
    year,
    category,
    options: () => z.object({}),
  });
  const room = {
    first: entry("late", 2020, "b"),
    second: entry("zebra", 2010, "a"),
    third: entry("early", 1990, "b"),
    fourth: entry("apple", 2010, "a"),
    noEntry: { name: "a pattern" },
    func: () => 0,
  };
  expect(Object.keys(catalogueOf(room))).toEqual(["early", "apple", "zebra", "late"]);
  expect(Object.keys(catalogueOf(room, ["a", "b"]))).toEqual(["apple", "zebra", "early", "late"]);
});

test("names and settings are types", () => {
  mixers.performer.make({ features: 8, redrawEvery: null }, context);
  // @ts-expect-error: a mistyped option
  expect(() => mixers.performer.make({ featurs: 64 }, context)).toThrow('did you mean "features"');
  // @ts-expect-error: a value of another type
  expect(() => mixers.performer.make({ kernel: "negative" }, context)).toThrow("expected one of positive");
  // @ts-expect-error: local attention has no such option
  expect(() => mixers.local.make({ window: 4 }, context)).toThrow("unknown setting");
  // @ts-expect-error: a mistyped name
  expect(mixers.perfomer).toBeUndefined();
});

test("a type of settings must say what its schema says", () => {
  const agree =
    <Settings>() =>
    <Schema extends z.ZodObject>(schema: Schema & Agreement<Settings, Schema>): Schema =>
      schema;
  const schema = z.strictObject({ size: z.int().default(1), names: z.array(z.string()).optional() });
  agree<{ readonly size?: number; readonly names?: readonly string[] }>()(schema);
  // @ts-expect-error: an option that the schema does not have
  agree<{ readonly size?: number; readonly names?: readonly string[]; readonly more?: number }>()(schema);
  // @ts-expect-error: an option is missing
  agree<{ readonly size?: number }>()(schema);
  // @ts-expect-error: of another type
  agree<{ readonly size?: string; readonly names?: readonly string[] }>()(schema);
  // @ts-expect-error: narrower than the schema
  agree<{ readonly size?: 1 | 2; readonly names?: readonly string[] }>()(schema);
  // @ts-expect-error: required here, optional there
  agree<{ readonly size: number; readonly names?: readonly string[] }>()(schema);
  agree<Readonly<Record<string, never>>>()(z.strictObject({}));
  // @ts-expect-error: the schema has none
  agree<{ readonly size?: number }>()(z.strictObject({}));
  // @ts-expect-error: the type has none
  agree<Readonly<Record<string, never>>>()(schema);
});
