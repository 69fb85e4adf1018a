import { describe, expect, it } from "vitest";
import { crossoversOf, crossoverText } from "../../src/compare/crossovers.ts";
import { labelsOf } from "../../src/compare/labels.ts";
import { planRuns, sharedSettings } from "../../src/compare/plan.ts";
import type { StepCost, VariantSummary } from "../../src/compare/results.ts";
import { type Axis, gridVariants, listedVariants, type Shared } from "../../src/compare/variants.ts";
import type { Choice } from "../../src/run/catalogue.ts";
import { parseRunConfig, runSchema } from "../../src/run/config.ts";
import { flagNamed, flagsOf } from "../../src/run/flags.ts";

const flags = flagsOf(runSchema);
const axis = (name: string, ...values: string[]): Axis => ({ flag: flagNamed(flags, name)!, values });
const shared = (settings: object = {}, given: Readonly<Record<string, string>> = {}): Shared => ({
  settings,
  given: new Map(Object.entries(given).map(([name, text]) => [flagNamed(flags, name)!, text])),
  flags,
  source: "test",
  nameOf: (path) => path.join("."),
});
const grid = (settings: object, given: Readonly<Record<string, string>>, ...axes: Axis[]) => {
  const { variants, notes } = gridVariants(shared(settings, given), axes);
  return { labels: variants.map(({ label }) => label), configs: variants.map(({ config }) => config), notes };
};

describe("variants", () => {
  it("are all combinations, labelled by what differs", () => {
    const { labels, configs } = grid(
      {},
      { layers: "2" },
      axis("position", "rotary", "alibi"),
      axis("learningRate", "1e-3", "3e-4"),
    );
    expect(labels).toEqual([
      "rotary · learning-rate=0.001",
      "rotary · learning-rate=0.0003",
      "alibi · learning-rate=0.001",
      "alibi · learning-rate=0.0003",
    ]);
    expect(configs[3]).toMatchObject({ model: { layers: 2, position: { kind: "alibi" } }, learningRate: 3e-4 });
  });

  it("leave a setting away where it has no place, and are made once", () => {
    const { labels, configs, notes } = grid(
      { model: { kind: "gpt", layers: 2, modelWidth: 64 } },
      {},
      axis("model", "gpt", "llama"),
      axis("position", "rotary", "alibi"),
    );
    expect(labels).toEqual(["gpt · rotary", "gpt · alibi", "llama"]);
    // Sizes are the same for all.
    expect(configs[2]!.model).toMatchObject({ kind: "llama", layers: 2, modelWidth: 64 });
    expect(notes).toEqual(["--position: llama has its own positions; gpt and bert take any"]);
  });

  it("hand the parts that all share to models that leave them open, also where a position scheme has the name of the model", () => {
    const { configs } = grid(
      { model: { kind: "gpt", layers: 2, position: { kind: "rotary" } } },
      {},
      axis("model", "gpt", "bert", "transformer-xl"),
    );
    expect(configs.map(({ model: { position } }) => (position as Choice | undefined)?.kind)).toEqual([
      "rotary",
      "rotary",
      undefined,
    ]);
    expect(configs[2]!.model).toMatchObject({ kind: "transformer-xl", layers: 2 });
  });

  it("hand a setting of a kind to the variants of that kind", () => {
    const { labels } = grid({}, {}, axis("mixer", "softmax", "performer", "rfa"), axis("mixer.features", "16", "32"));
    expect(labels).toEqual([
      "softmax",
      "performer · mixer.features=16",
      "performer · mixer.features=32",
      "rfa · mixer.features=16",
      "rfa · mixer.features=32",
    ]);
    const { configs } = grid({}, { "mixer.features": "8" }, axis("mixer", "softmax", "performer"));
    expect(configs.map(({ model }) => model.mixer)).toMatchObject([{ kind: "softmax" }, { features: 8 }]);
  });

  it("take lists in brackets, and tell two choices apart that have one name", () => {
    const { labels, configs } = grid(
      {},
      { layers: "4" },
      axis("mixer", "softmax", "[lsh*2,routing*2]"),
      axis("mixer.chunk", "32"),
    );
    expect(labels).toEqual(["softmax", "lsh*2,routing*2"]);
    expect(configs[1]!.model.mixer).toMatchObject([{ kind: "lsh", chunk: 32 }, {}, { kind: "routing" }, {}]);
    const names = grid({}, {}, axis("pattern", "full", "longformer"), axis("mixer", "softmax", "longformer")).labels;
    expect(names).toEqual([
      "softmax · full",
      "mixer=longformer · full",
      "softmax · pattern=longformer",
      "mixer=longformer · pattern=longformer",
    ]);
  });

  it("refuse a flag that has no place in any of them", () => {
    expect(() => grid({}, {}, axis("model", "llama", "bloom"), axis("position", "alibi"))).toThrow(
      "--position: bloom has its own positions; gpt and bert take any",
    );
    expect(() => grid({}, { "mixer.features": "8" }, axis("mixer", "softmax", "lsh"))).toThrow(
      "--mixer.features does not go with mixer lsh; it is an option of performer, rfa",
    );
  });

  it("come from a list of partial settings, which go over what all share", () => {
    const { variants } = listedVariants(shared({ model: { kind: "gpt", layers: 2 } }, { heads: "2", layers: "3" }), [
      {},
      { model: { layers: 1 }, steps: 5 },
      { model: { kind: "llama" } },
      { model: { mixer: { kind: "performer", features: 8 } } },
    ]);
    expect(variants.map(({ label }) => label)).toEqual([
      "gpt · layers=3 · mixer=usual · steps=1000",
      "gpt · layers=1 · mixer=usual · steps=5",
      "llama · steps=1000",
      "gpt · layers=3 · performer · steps=1000",
    ]);
    expect(variants[2]!.config.model).toMatchObject({ layers: 3, heads: 2 });
    expect(() => listedVariants(shared(), [{}, { stepz: 3 }])).toThrow(
      'test, variant 2: unknown setting stepz; did you mean "steps"?',
    );
  });

  it("are called by model and parts where there is one", () => {
    expect(labelsOf([parseRunConfig({ model: { kind: "gpt", position: { kind: "alibi" } } }, "test")])).toEqual([
      "gpt · alibi",
    ]);
  });
});

describe("runs", () => {
  const config = { ...parseRunConfig({ seed: 3 }, "test"), length: 8 };
  const variants = ["a · b", "c"].map((label) => ({ label, config, data: "" }));

  it("are made for each seed, the first of each variant with steps", () => {
    const runs = planRuns({ variants, seeds: 2, lengths: [8] }, "out");
    expect(runs.map(({ id, seed, measuresSteps }) => [id, seed, measuresSteps])).toEqual([
      ["a-b-seed3", 3, true],
      ["c-seed3", 3, true],
      ["a-b-seed4", 4, false],
      ["c-seed4", 4, false],
    ]);
    expect(new Set(runs.map(({ directory }) => directory)).size).toBe(4);
  });

  it("share a directory by what their variants have in common", () => {
    const of = (...rates: number[]) => sharedSettings(rates.map((learningRate) => ({ ...config, learningRate })));
    expect(of(1, 2)).toBe(of(2, 3, 4));
    expect(of(1, 2)).not.toBe(of(1, 1));
  });
});

describe("crossovers", () => {
  const measured = (variant: string, ...speeds: (number | undefined)[]): VariantSummary => ({
    variant,
    seeds: 1,
    failures: [],
    metrics: {},
    byLength: [],
    steps: speeds.map((tokensPerSecond, i): StepCost => {
      const length = 64 * 2 ** i;
      return tokensPerSecond === undefined
        ? { length, missing: "" }
        : { length, rows: 1, tokensPerSecond, peakBytes: 1e8 };
    }),
  });
  const texts = (...summaries: VariantSummary[]) => crossoversOf(summaries).map(crossoverText);

  it("are the lengths from which on one is faster", () => {
    expect(texts(measured("softmax", 100, 80, 40, 20), measured("linear", 60, 60, 60, 60))).toEqual([
      "linear is faster than softmax from length 256 on",
    ]);
    expect(texts(measured("a", 100, 54, 20), measured("b", 90, 60, 20), measured("c", 50, 55, 60))).toEqual([
      "c is faster than a and b from length 256 on",
    ]);
  });

  it("need more than chance, and lengths that both have", () => {
    expect(texts(measured("a", 100, 100), measured("b", 100, 104))).toEqual([]);
    expect(texts(measured("a", 100, 90, undefined), measured("b", 50, 60, 60))).toEqual([]);
    expect(texts(measured("a", 100, 100), measured("b", 50, 50))).toEqual([]);
  });
});
