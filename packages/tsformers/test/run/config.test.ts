import { describe, expect, it } from "vitest";
import * as z from "zod";
import { mixers } from "../../src/catalogue/mixers.ts";
import { models } from "../../src/catalogue/models.ts";
import { patterns } from "../../src/catalogue/patterns.ts";
import { positions } from "../../src/catalogue/positions.ts";
import { tasks } from "../../src/catalogue/tasks.ts";
import type { Choice, Entry } from "../../src/run/catalogue.ts";
import { parseRunConfig, runSchema } from "../../src/run/config.ts";
import { type Flag, flagNamed, flagsOf, misplacedFlags, withFlags } from "../../src/run/flags.ts";
import { partRefusal, parts } from "../../src/run/parts.ts";
import { editDistance, nearest } from "../../src/schema/nearest.ts";

const message = (input: unknown): string => {
  try {
    parseRunConfig(input, "run.json");
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("expected a ConfigError");
};

describe("nearest", () => {
  it("counts a swap of neighbours as one edit", () => {
    expect(editDistance("abc", "acb")).toBe(1);
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("", "abc")).toBe(3);
  });

  it("finds names written in another style, and none when nothing is close", () => {
    expect(nearest("learning_rate", ["length", "learningRate"])).toBe("learningRate");
    expect(nearest("sinusoid", ["rotary", "sinusoidal"])).toBe("sinusoidal");
    expect(nearest("xyz", ["rotary", "alibi"])).toBeUndefined();
  });
});

describe("parseRunConfig", () => {
  it("fills in every default, also inside choices", () => {
    const config = parseRunConfig({}, "run.json");
    expect(config.task).toEqual({ kind: "text", tokens: "character", extensions: [".txt", ".md", ".tokens"] });
    expect(config.model).toMatchObject({ kind: "gpt", layers: 4 });
    expect(config.model.position).toBeUndefined();
    expect(config.steps).toBe(1000);
  });

  it("reads back what it gives: a saved configuration is complete", () => {
    const config = parseRunConfig(
      { model: { kind: "gpt", position: { kind: "rotary" } }, task: { kind: "copy" } },
      "run.json",
    );
    expect(parseRunConfig(JSON.parse(JSON.stringify(config)), "run.json")).toEqual(config);
  });

  it.each([
    [{ stepz: 3 }, 'unknown setting "stepz"; did you mean "steps"?'],
    [{ learning_rate: 1 }, 'unknown setting "learning_rate"; did you mean "learningRate"?'],
    [{ model: { kind: "gpt", position: { kind: "alibbi" } } }, 'unknown position "alibbi"; did you mean "alibi"?'],
    [{ model: { kind: "gpt", mixer: [{ kind: "lhs" }] } }, 'unknown mixer "lhs"; did you mean "lsh"?'],
    [{ position: { kind: "alibi" } }, 'unknown setting "position"; did you mean "model.position"?'],
    [
      { model: { kind: "gpt", mixer: [{ kind: "lsh" }, { kind: "lsh", chunks: 2 }] } },
      'unknown setting "model.mixer.1.chunks"; did you mean "chunk"?',
    ],
    [
      { model: { kind: "gpt", mixer: { kind: "lsh", chunk: "x" } } },
      '"model.mixer.chunk": expected a whole number from 1',
    ],
    [
      { model: { kind: "gpt", layers: 3, mixer: [{ kind: "lsh" }, { kind: "linear" }] } },
      '"model.mixer" names mixers for 2 layers (lsh, linear), and the model has 3',
    ],
    [
      { model: { kind: "llama", position: { kind: "alibi" } } },
      '"model.position": llama has its own positions; gpt and bert take any',
    ],
    [{ model: { kind: "gpt", layer: 2 } }, 'unknown setting "model.layer"; did you mean "layers"?'],
    [
      { task: { kind: "text", tokens: "bytes" } },
      '"task.tokens": expected one of character, byte, bpe, word, got "bytes"; did you mean "byte"?',
    ],
    [{ steps: -1 }, '"steps": expected a whole number from 1 to 2,147,483,647 (steps are counted in 32 bits), got -1'],
    [
      { model: { kind: "gpt", layers: 100_000 } },
      '"model.layers": expected a whole number from 1 to 128 (deeper graphs',
    ],
  ])("explains %j", (input, expected) => {
    expect(message(input)).toContain(`run.json: `);
    expect(message(input)).toContain(expected);
  });

  it("bounds every whole number, and says why", () => {
    const unbounded: string[] = [];
    const walk = (node: unknown, path: string): void => {
      if (typeof node !== "object" || node === null) return;
      const { type, maximum } = node as { type?: string; maximum?: number };
      // A bound without a reason is the one that every integer of a schema has.
      if (type === "integer" && (maximum === undefined || maximum === Number.MAX_SAFE_INTEGER)) unbounded.push(path);
      for (const [name, inner] of Object.entries(node)) walk(inner, `${path}/${name}`);
    };
    const jsonSchema = (schema: z.ZodType) => z.toJSONSchema(schema, { io: "input", unrepresentable: "any" });
    const everything = { ...models, ...positions, ...tasks, ...mixers, ...patterns };
    for (const [name, { options }] of Object.entries(everything)) walk(jsonSchema(options()), name);
    walk(jsonSchema(runSchema), "run");
    const exact = /\/(seed|pool|evalTokens|patience|keep)$/;
    expect(unbounded.filter((path) => !exact.test(path))).toEqual([]);
    expect(message({ length: 1e7 })).toContain("from 1 to 1,000,000 (positions are exact up to there), got 10000000");
    expect(message({ learningRate: 1e39 })).toContain('"learningRate"');
  });

  it("names every problem at once", () => {
    const text = message({ stepz: 3, optimiser: { kind: "adam" } });
    expect(text).toContain("stepz");
    expect(text).toContain("adamw");
  });
});

it("takes the name of a choice for the choice, also for each layer", () => {
  const { model, optimiser } = parseRunConfig(
    { model: { kind: "gpt", layers: 2, mixer: ["local", { kind: "softmax" }], position: "rotary" }, optimiser: "lion" },
    "test",
  );
  expect(model).toMatchObject({ mixer: [{ kind: "local" }, { kind: "softmax" }], position: { kind: "rotary" } });
  expect(optimiser).toMatchObject({ kind: "lion" });
});

describe("flags", () => {
  const flags = flagsOf(runSchema);
  const named = (name: string): Flag => flagNamed(flags, name)!;
  const given = (values: Readonly<Record<string, string>>) =>
    new Map(Object.entries(values).map(([name, text]) => [named(name), text]));
  const withGiven = (config: object, values: Readonly<Record<string, string>>, options?: { sharing?: true }) =>
    withFlags(config, flags, given(values), options);
  const misplaced = (config: object, values: Readonly<Record<string, string>>) => [
    ...misplacedFlags(withGiven(config, values), flags, given(values).keys(), partRefusal).values(),
  ];

  it("has one flag for every setting, called by its place", () => {
    expect(named("steps")).toMatchObject({ name: "steps", path: ["steps"] });
    expect(named("mixer.redraw-every")).toMatchObject({ path: ["model", "mixer", "redrawEvery"] });
    expect(named("position").kinds).toContain("alibi");
    expect(named("optimiser.weight-decay").short).toBeUndefined();
    expect([...named("shortest").nodes.keys()]).toEqual(["copy", "listops", "parity", "reverse", "sort"]);
    for (const [name, { catalogue }] of Object.entries(parts)) {
      const settings = Object.values<Entry>(catalogue).flatMap(({ options }) => Object.keys(options().shape));
      for (const setting of settings) expect(named(`${name}.${setting}`).path).toEqual(["model", name, setting]);
    }
  });

  it("knows settings of task and model by short names, too, and all in both spellings", () => {
    expect(named("layers")).toBe(named("model.layers"));
    expect(named("data")).toBe(named("task.data"));
    expect(named("modelWidth")).toBe(named("model.model-width"));
    expect(named("mixer.redrawEvery")).toBe(named("mixer.redraw-every"));
  });

  it("means one thing by each name, short names included", () => {
    const places = new Map<string, Set<string>>();
    for (const { name, short, path } of flags) {
      for (const own of new Set([name, short ?? name])) {
        places.set(own, (places.get(own) ?? new Set()).add(path.join(".")));
      }
    }
    expect([...places].filter(([, of]) => of.size > 1)).toEqual([]);
  });

  it("has no flag without a description", () => {
    expect(flags.filter(({ description }) => description === "").map(({ name }) => name)).toEqual([]);
  });

  it("puts flags over a configuration; another kind drops the options of the one before", () => {
    const before = { model: { kind: "gpt", ffnWidth: 8 }, steps: 5 };
    expect(withGiven(before, { layers: "2" })).toEqual({ model: { kind: "gpt", ffnWidth: 8, layers: 2 }, steps: 5 });
    expect(withGiven(before, { model: "llama" })).toEqual({ model: { kind: "llama" }, steps: 5 });
    expect(withGiven({}, { layers: "2" })).toEqual({ model: { kind: "gpt", layers: 2 } });
  });

  it("shares what models have in common where that is asked for", () => {
    const before = { model: { kind: "gpt", layers: 3, ffnWidth: 8, position: { kind: "alibi" } } };
    const model = (kind: string) => withGiven(before, { model: kind }, { sharing: true }).model;
    expect(model("bert")).toEqual({ ...before.model, kind: "bert" });
    expect(model("bloom")).toEqual({ kind: "bloom", layers: 3 });
  });

  it("reads a value as the kind means it that it goes to", () => {
    const mixer = (values: Readonly<Record<string, string>>) => (withGiven({}, values).model as Choice).mixer;
    expect(mixer({ mixer: "lsh", "mixer.buckets": "16" })).toEqual({ kind: "lsh", buckets: 16 });
    expect(mixer({ mixer: "lsh", "mixer.buckets": "4,8" })).toEqual({ kind: "lsh", buckets: [4, 8] });
    expect(mixer({ mixer: "performer", "mixer.redrawEvery": "none" })).toEqual({
      kind: "performer",
      redrawEvery: null,
    });
    expect(mixer({ mixer: "linear", "mixer.gated": "true" })).toEqual({ kind: "linear", gated: true });
    const synthesizer = { kind: "synthesizer", logits: ["dense", "table"] };
    expect(mixer({ mixer: "synthesizer", "mixer.logits": "dense,table" })).toEqual(synthesizer);
    expect(mixer({ mixer: "synthesizer", "mixer.logits": "[dense, table]" })).toEqual(synthesizer);
    const { pattern } = withGiven({}, { pattern: "blockwise", "pattern.permutations": "[[0,1],[1,0]]" })
      .model as Choice;
    expect(pattern).toEqual({
      kind: "blockwise",
      permutations: [
        [0, 1],
        [1, 0],
      ],
    });
  });

  it("takes a mixer for each layer, and hands a setting to every kind that has it", () => {
    const lsh = { kind: "lsh", chunk: 8 };
    const values = { mixer: "lsh*2,linear,lsh", "mixer.chunk": "8", "mixer.rounds": "3" };
    const mixer = [{ ...lsh, rounds: 3 }, { ...lsh, rounds: 3 }, { kind: "linear" }, { ...lsh, rounds: 3 }];
    expect(withGiven({}, values)).toEqual({ model: { kind: "gpt", mixer } });
    expect(withGiven({ model: { kind: "gpt", mixer } }, { mixer: "[lsh,routing]" }).model).toEqual({
      kind: "gpt",
      mixer: [mixer[0], { kind: "routing" }],
    });
    expect(() => withGiven({}, { mixer: "lsh*1000000000" })).toThrow("--mixer: expected at most 1000 layers");
    expect(misplaced({}, values)).toEqual([]);
  });

  it("tells when a flag belongs to another kind", () => {
    expect(misplaced({ task: { kind: "text" } }, { shortest: "3" })).toEqual([
      "--shortest does not go with task text; it is an option of copy, listops, parity, reverse, sort",
    ]);
    expect(misplaced({ task: { kind: "copy" } }, { shortest: "3" })).toEqual([]);
    expect(misplaced({}, { "position.base": "3" })).toEqual([
      "--position.base needs --position sinusoidal or step-signals or rotary or streaming-rotary",
    ]);
    expect(misplaced({}, { mixer: "lsh*2,linear*2", "mixer.features": "3" })).toEqual([
      "--mixer.features does not go with mixer lsh, linear; it is an option of performer, rfa",
    ]);
    expect(misplaced({}, { model: "llama", mixer: "lsh" })).toEqual([
      "--mixer: llama has its own mixers; gpt, decision-transformer and bert take any",
    ]);
  });
});
