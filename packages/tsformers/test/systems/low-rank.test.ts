import { randomKey } from "@tsformers/engine";
import { expect, test } from "vitest";
import { systems } from "../../src/catalogue/systems.ts";
import type { Choice } from "../../src/run/catalogue.ts";
import { countParameters } from "../../src/run/count-parameters.ts";
import { makeModel } from "../../src/run/model.ts";
import { sizesOfPreset } from "../../src/run/preset.ts";

/** Parameters of a system with another mixer, as made and by its formula. */
async function bothCounts(name: keyof typeof systems, mixer: Choice): Promise<readonly [number, number]> {
  const system = systems[name];
  const { run } = system.presets.small;
  const model = { ...run.model, layers: 3, modelWidth: 8, heads: 2, mixer };
  const preset = { about: "", run: { model, length: 11 }, vocabularySize: 5 };
  const made = await makeModel({ model, length: 11 }, 5);
  return [countParameters(made.init(randomKey(0))), system.parameters(sizesOfPreset(preset), model)];
}

test.each(["none", "headwise", "key-value", "layerwise"])(
  "Linformer, projections shared %s: the formula counts them",
  async (sharing) => {
    for (const slots of [4, [6, 4], [20, 20, 3]]) {
      const [made, formula] = await bothCounts("linformer", { kind: "linformer", sharing, slots });
      expect(made).toBe(formula);
    }
  },
);

test("Linformer, one projection for all layers: counted once", async () => {
  const count = async (sharing: string) => (await bothCounts("linformer", { kind: "linformer", sharing, slots: 4 }))[0];
  expect((await count("key-value")) - (await count("layerwise"))).toBe(2 * 11 * 4);
  expect((await count("headwise")) - (await count("layerwise"))).toBe(5 * 11 * 4);
  expect((await count("none")) - (await count("layerwise"))).toBe(11 * 11 * 4);
});

test.each([
  ["dense"],
  ["table"],
  ["fixed table"],
  ["factorised table"],
  ["factorised dense"],
  ["dense", "dot product"],
  ["table", "dot product"],
])("Synthesizer, %s %s: the formula counts them", async (...logits) => {
  for (const mixture of logits.length === 2 ? ["sum", "by head", "softmax"] : ["sum"]) {
    for (const name of ["mixed-synthesizer", "factorised-synthesizer"] as const) {
      const [made, formula] = await bothCounts(name, { kind: "synthesizer", logits, mixture, rank: 3 });
      expect(made, `${name}, ${mixture}`).toBe(formula);
    }
  }
});
