import { describe, expect, it } from "vitest";
import { mixers } from "../../src/catalogue/mixers.ts";
import { patterns } from "../../src/catalogue/patterns.ts";
import { positions } from "../../src/catalogue/positions.ts";
import { models } from "../../src/models/index.ts";
import { parseRunConfig, runSchema } from "../../src/run/config.ts";
import { flagsOf, misplacedFlags, withFlags } from "../../src/run/flags.ts";
import { schemaTree } from "../../src/schema/explain.ts";
import { editDistance, nearest } from "../../src/schema/nearest.ts";
import { tasks } from "../../src/tasks/index.ts";

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
    expect(config.task).toEqual({ kind: "text", tokens: "character", extensions: [".txt", ".md"] });
    expect(config.model).toMatchObject({ kind: "gpt", layers: 4 });
    expect(config.position).toBeUndefined();
    expect(config.steps).toBe(1000);
  });

  it("reads back what it gives: a saved configuration is complete", () => {
    const config = parseRunConfig({ position: { kind: "rotary" }, task: { kind: "copy" } }, "run.json");
    expect(parseRunConfig(JSON.parse(JSON.stringify(config)), "run.json")).toEqual(config);
  });

  it.each([
    [{ stepz: 3 }, 'unknown setting "stepz"; did you mean "steps"?'],
    [{ learning_rate: 1 }, 'unknown setting "learning_rate"; did you mean "learningRate"?'],
    [{ position: { kind: "alibbi" } }, 'unknown position "alibbi"; did you mean "alibi"?'],
    [{ model: { kind: "gpt", layer: 2 } }, 'unknown setting "model.layer"; did you mean "layers"?'],
    [
      { task: { kind: "text", tokens: "bytes" } },
      '"task.tokens": expected one of character, byte, got "bytes"; did you mean "byte"?',
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
    const everything = { ...models, ...positions, ...tasks, ...mixers, ...patterns };
    for (const [name, { options }] of Object.entries(everything)) walk(schemaTree(options()), name);
    walk(schemaTree(runSchema), "run");
    const exact = /\/(seed|pool|evalTokens|patience|keep)$/;
    expect(unbounded.filter((path) => !exact.test(path))).toEqual([]);
    expect(message({ length: 1e7 })).toContain("from 1 to 1,000,000 (positions are exact up to there), got 10000000");
    expect(message({ learningRate: 1e39 })).toContain('"learningRate"');
  });

  it("names every problem at once", () => {
    const text = message({ stepz: 3, position: { kind: "alibbi" } });
    expect(text).toContain("stepz");
    expect(text).toContain("alibbi");
  });
});

describe("flags", () => {
  const flags = flagsOf(runSchema);
  const named = (name: string) => flags.find((flag) => flag.name === name);

  it("has one flag for every setting, with its default", () => {
    expect(named("steps")).toMatchObject({ path: ["steps"], type: "number", default: 1000 });
    expect(named("position")?.choices).toContain("alibi");
    expect(named("model-width")).toMatchObject({ path: ["model", "modelWidth"], type: "number" });
    expect(named("symbols")?.kinds).toEqual(["copy", "reverse"]);
    expect(new Set(flags.map(({ name }) => name)).size).toBe(flags.length);
  });

  it("has no flag without a description", () => {
    expect(flags.filter(({ description }) => description === "").map(({ name }) => name)).toEqual([]);
  });

  it("puts flags over a configuration; another kind drops the options of the one before", () => {
    const before = { model: { kind: "gpt", ffnWidth: 8 }, steps: 5 };
    expect(withFlags(before, flags, new Map<string, unknown>([["layers", 2]]))).toEqual({
      model: { kind: "gpt", ffnWidth: 8, layers: 2 },
      steps: 5,
    });
    expect(withFlags(before, flags, new Map<string, unknown>([["model", "llama"]]))).toEqual({
      model: { kind: "llama" },
      steps: 5,
    });
    expect(withFlags({}, flags, new Map<string, unknown>([["layers", 2]]))).toEqual({
      model: { kind: "gpt", layers: 2 },
    });
  });

  it("tells when a flag belongs to another kind", () => {
    expect(misplacedFlags({ task: { kind: "text" } }, flags, ["symbols"])).toEqual([
      "--symbols does not go with task text; it is an option of copy, reverse",
    ]);
    expect(misplacedFlags({ task: { kind: "copy" } }, flags, ["symbols"])).toEqual([]);
    expect(misplacedFlags({}, flags, ["base"])).toEqual([
      "--base needs --position sinusoidal or step-signals or rotary",
    ]);
  });
});
