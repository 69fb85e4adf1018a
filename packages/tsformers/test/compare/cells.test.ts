import { describe, expect, it } from "vitest";
import { type Axis, cellsOf, type Shared } from "../../src/compare/cells.ts";
import { everyMember } from "../../src/compare/every-member.ts";
import { taskLabels, variantLabels } from "../../src/compare/labels.ts";
import { standardFor } from "../../src/compare/standard.ts";
import type { Choice } from "../../src/run/catalogue.ts";
import { parseRunConfig, runSchema } from "../../src/run/config.ts";
import { flagNamed, flagsOf } from "../../src/run/flags.ts";

const flags = flagsOf(runSchema);
const axis = (name: string, ...values: string[]): Axis => ({ flag: flagNamed(flags, name)!, values });
const flagMap = (given: Readonly<Record<string, string>>) =>
  new Map(Object.entries(given).map(([name, text]) => [flagNamed(flags, name)!, text]));
const shared = (settings: object = {}, given: Readonly<Record<string, string>> = {}): Shared => ({
  settings,
  standard: () => ({}),
  given: flagMap(given),
  searched: [],
  flags,
  source: "test",
  nameOf: (path) => path.join("."),
});
const grid = (settings: object, given: Readonly<Record<string, string>>, ...axes: Axis[]) => {
  const { cells, notes } = cellsOf(shared(settings, given), axes);
  return { labels: cells.map(({ variant }) => variant), configs: cells.map(({ config }) => config), notes };
};

describe("cells", () => {
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
    expect(labels).toEqual(["rotary", "alibi", "llama"]);
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
      "longformer (mixer) · full",
      "softmax · longformer (pattern)",
      "longformer (mixer) · longformer (pattern)",
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
    const { cells } = cellsOf(
      shared({ model: { kind: "gpt", layers: 2 } }, { heads: "2", layers: "3" }),
      [],
      [
        {},
        { model: { layers: 1 }, steps: 5 },
        { model: { kind: "llama" } },
        { model: { mixer: { kind: "performer", features: 8 } } },
      ],
    );
    // What is as usual is not said.
    expect(cells.map(({ variant }) => variant)).toEqual([
      "gpt · layers=3 · steps=1000",
      "gpt · layers=1 · steps=5",
      "llama · steps=1000",
      "gpt · layers=3 · performer · steps=1000",
    ]);
    expect(cells[2]!.config.model).toMatchObject({ layers: 3, heads: 2 });
    expect(() => cellsOf(shared(), [], [{}, { stepz: 3 }])).toThrow(
      'test, variant 2: unknown setting stepz; did you mean "steps"?',
    );
  });

  it("say which are the same", () => {
    const { cells, notes } = cellsOf(
      shared(),
      [axis("learning-rate", "1e-3", "0.001")],
      [{}, { model: { kind: "gpt", mixer: "linear" } }, { model: "gpt" }],
    );
    expect(cells).toHaveLength(2);
    expect(notes).toContain(
      "variant 3, learning-rate=1e-3 is the same as variant 1, learning-rate=1e-3: it is compared once",
    );
    expect(notes).toHaveLength(4);
    expect(cellsOf(shared(), [], everyMember()).notes).toEqual([]);
  });

  it("are called by model and parts where there is one", () => {
    expect(variantLabels([parseRunConfig({ model: { kind: "gpt", position: { kind: "alibi" } } }, "test")])).toEqual([
      "gpt · alibi",
    ]);
  });
});

describe("labels", () => {
  const labels = (...models: readonly object[]) =>
    variantLabels(models.map((model) => parseRunConfig({ model: { kind: "gpt", ...model } }, "test")));
  const [softmax, linear] = [{ mixer: "softmax" }, { mixer: "linear" }];
  const [linformer, etc] = [
    { kind: "bert", mixer: "linformer" },
    { kind: "bert", mixer: "etc" },
  ];

  it("leave the model away that most have, and name others behind what they have", () => {
    const gpt = [softmax, linear, { mixer: "performer" }];
    expect(labels(...gpt, linformer, etc)).toEqual([
      "softmax",
      "linear",
      "performer",
      "linformer (bert)",
      "etc (bert)",
    ]);
    // Behind several kinds a model would seem to be said of the last.
    expect(labels(...gpt, linformer, { ...etc, position: "learned" }).at(-1)).toBe("bert · etc · learned");
  });

  it("keep it where no model is that of most, or one has nothing else", () => {
    expect(labels(softmax, linear, linformer, etc)[0]).toBe("gpt · softmax");
    expect(labels({}, { position: "alibi" }, { kind: "llama" })).toEqual(["gpt", "gpt · alibi", "llama"]);
  });

  it("say what a name is a name of, where it is one of two things", () => {
    expect(
      labels(
        softmax,
        { mixer: "axial" },
        { pattern: "axial" },
        { mixer: "longformer" },
        { kind: "longformer" },
        { kind: "bert", mixer: "etc" },
        { kind: "bert", pattern: "etc" },
      ),
    ).toEqual([
      "softmax",
      "axial (mixer)",
      "axial (pattern)",
      "longformer (mixer)",
      "longformer (model)",
      "etc (mixer, bert)",
      "etc (pattern, bert)",
    ]);
  });

  it("are as many as variants, whatever is compared", () => {
    const all = labels(...everyMember().map(({ model }) => model as object));
    expect(new Set(all).size).toBe(all.length);
    for (const label of all) expect(label).not.toMatch(/=/);
  });
});

describe("tasks", () => {
  it("are crossed with variants, in order, with what suits each", () => {
    const { cells } = cellsOf({ ...shared({}, { layers: "3" }), standard: standardFor }, [
      axis("task", "recall", "text"),
      axis("mixer", "softmax", "linear"),
    ]);
    expect(cells.map(({ task, variant }) => [task, variant])).toEqual([
      ["recall", "softmax"],
      ["recall", "linear"],
      ["text", "softmax"],
      ["text", "linear"],
    ]);
    expect(cells.map(({ config }) => config.steps)).toEqual([1000, 1000, 500, 500]);
    expect(cells.every(({ config }) => config.model.layers === 3)).toBe(true);
  });

  it("may come from the list of variants, each task with its own", () => {
    const { cells } = cellsOf(
      { ...shared(), standard: standardFor },
      [],
      [
        { task: "text", model: { position: "alibi" } },
        { task: "recall", model: { mixer: "linear" } },
        { task: { kind: "recall", keys: 8 }, model: { mixer: "linear" } },
        { task: "text", model: { position: "rotary" } },
      ],
    );
    expect(cells.map(({ task, variant }) => [task, variant])).toEqual([
      ["text", "alibi"],
      ["text", "rotary"],
      ["recall · keys=16", "gpt · linear"],
      ["recall · keys=8", "gpt · linear"],
    ]);
  });

  it("are told apart by their lengths, too", () => {
    const recall = { kind: "recall" };
    expect(
      taskLabels([{ task: { kind: "copy" } }, { task: recall, length: 32 }, { task: recall, length: 64 }]),
    ).toEqual(["copy", "recall · length=32", "recall · length=64"]);
  });
});

describe("candidates of a search", () => {
  it("are configurations of each cell, once each, with what was tried", () => {
    const searched = [
      { "learning-rate": "1e-3", "mixer.features": "8" },
      { "learning-rate": "1e-3", "mixer.features": "16" },
      { "learning-rate": "1e-2", "mixer.features": "16" },
    ].map(flagMap);
    const { cells } = cellsOf({ ...shared(), searched }, [axis("mixer", "softmax", "performer")]);
    const [softmax, performer] = cells.map(({ candidates }) => candidates);
    // Features are nothing to softmax: what is the same is tried once.
    expect(softmax!.map(({ config }) => config.learningRate)).toEqual([1e-3, 1e-2]);
    expect(performer!.map(({ settings }) => settings)).toEqual([
      { "learning-rate": "1e-3", "mixer.features": "8" },
      { "learning-rate": "1e-3", "mixer.features": "16" },
      { "learning-rate": "1e-2", "mixer.features": "16" },
    ]);
    expect(performer![0]!.config.model.mixer).toEqual(expect.objectContaining({ kind: "performer", features: 8 }));
  });
});
