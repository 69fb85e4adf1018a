import { existsSync } from "node:fs";
import { randomKey } from "@tsformers/engine";
import { describe, expect, test } from "vitest";
import { models } from "../../src/catalogue/models.ts";
import { systems } from "../../src/catalogue/systems.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { countParameters } from "../../src/run/count-parameters.ts";
import { makeModel } from "../../src/run/model.ts";
import { presetRun, sizesOfPreset } from "../../src/run/preset.ts";
import type { Preset, SystemEntry } from "../../src/systems/system-entry.ts";

const all = Object.values(systems) as SystemEntry[];

const modelOf = ({ run, vocabularySize }: Preset) =>
  makeModel({ model: run.model, length: run.length ?? 128 }, vocabularySize);

describe.each(all)("$name", (system) => {
  const { small, paper } = system.presets;
  const isModel = Object.hasOwn(models, small.run.model.kind);

  test("its small preset has as many parameters as the formula says", async () => {
    const key = randomKey(0);
    const params = system.init === undefined ? (await modelOf(small)).init(key) : system.init(small, key);
    expect(countParameters(params)).toBe(system.parameters(sizesOfPreset(small), small.run.model));
  });

  test("its paper's preset has as many as are published", () => {
    const { published } = paper;
    if (published === undefined) return expect(system.differs.length, "the paper tells none").toBeGreaterThan(0);
    const parameters = system.parameters(sizesOfPreset(paper), paper.run.model);
    expect(rounded(parameters, published), `${parameters}`).toBe(published);
  });

  test.runIf(isModel)("both presets are runs of the command", async () => {
    for (const size of ["small", "paper"] as const) {
      parseRunConfig(presetRun(`${system.name}:${size}`), system.name);
      await modelOf(system.presets[size]);
    }
  });

  test("its fixtures are here", () => {
    for (const fixture of system.golden)
      expect(existsSync(new URL(`../fixtures/golden/${fixture}/meta.json`, import.meta.url)), fixture).toBe(true);
  });
});

test("the base and the big Transformer", () => {
  const { presets, parameters } = systems.transformer;
  const base = sizesOfPreset(presets.paper);
  const millions = (sizes: typeof base) => (parameters(sizes, presets.paper.run.model) / 1e6).toFixed(1);
  expect(millions(base)).toBe("63.1");
  expect(millions({ ...base, modelWidth: 1024, ffnWidth: 4096, heads: 16 })).toBe("214.2");
});

test("a preset that is not there", () => {
  expect(() => presetRun("transformer-xll")).toThrow('unknown "transformer-xll"; did you mean "transformer-xl"?');
  expect(() => presetRun("alibi:huge")).toThrow('alibi has the presets small and paper, not "huge"');
});

/** A count as it is published: with its unit, and as many digits behind the point. */
function rounded(count: number, published: string): string {
  const [, digits = "", unit] = /^\d+(?:\.(\d+))?([kMB])$/.exec(published) ?? [];
  return `${(count / { k: 1e3, M: 1e6, B: 1e9 }[unit!]!).toFixed(digits.length)}${unit}`;
}
