import { NDArray, randomKey } from "@tsformers/engine";
import { describe, expect, it } from "vitest";
import { makeModel } from "../../src/run/model.ts";

const sizes = { layers: 2, modelWidth: 64, heads: 4 };

/** Names and standard deviations of all matrices. */
async function deviations(model: object): Promise<readonly (readonly [string, number])[]> {
  const made = await makeModel({ model: { kind: "gpt", ...sizes, ...model }, length: 64 }, 50);
  return matricesIn(made.init(randomKey(0))).map(([name, values]) => {
    const numbers = values.toNumbers();
    return [name, Math.sqrt(numbers.reduce((sum, value) => sum + value ** 2, 0) / numbers.length)];
  });
}

function matricesIn(params: unknown, path = ""): (readonly [string, NDArray])[] {
  if (params instanceof NDArray) return params.shape.length < 2 ? [] : [[path, params]];
  // Drawn features are no weights.
  const weights = Object.entries(params as object).filter(([name]) => name !== "trainingState");
  return weights.flatMap(([name, value]) => matricesIn(value, `${path}.${name}`));
}

describe("initializerRange", () => {
  it.each([
    { kind: "gpt" },
    { kind: "gpt", mixer: { kind: "linear" } },
    { kind: "gpt", mixer: { kind: "delta-net" } },
    { kind: "bert" },
    { kind: "bert", mixer: { kind: "performer" }, position: { kind: "learned" } },
    { kind: "transformer-xl" },
    { kind: "compressive-transformer", compression: "mean" },
  ])("is the scale of every initial matrix: %j", async (model) => {
    const [usual, wide] = [await deviations(model), await deviations({ ...model, initializerRange: 0.08 })];
    expect(usual.length).toBeGreaterThan(10);
    expect(wide.map(([name]) => name)).toEqual(usual.map(([name]) => name));
    for (const [index, [name, deviation]] of usual.entries()) {
      expect(deviation, name).toBeLessThan(0.025);
      expect(wide[index]![1] / deviation, name).toBeCloseTo(4, 4);
    }
  });

  it.each(["retention", "gated-linear-attention"])("leaves alone what has a scale of its own: %s", async (kind) => {
    const [usual, wide] = [
      await deviations({ mixer: { kind } }),
      await deviations({ mixer: { kind }, initializerRange: 0.08 }),
    ];
    const ofMixer = (all: typeof usual) => all.filter(([name]) => name.includes(".mixer."));
    expect(ofMixer(usual).length).toBeGreaterThan(9);
    expect(ofMixer(wide)).toEqual(ofMixer(usual));
  });

  it("leaves alone what has a scale of its own: the tables of a Synthesizer", async () => {
    const model = { mixer: { kind: "synthesizer", logits: ["table"] }, initializerRange: 0.08 };
    const table = (await deviations(model)).find(([name]) => /table/.test(name));
    expect(table![1]).toBeCloseTo(1, 1);
  });
});
