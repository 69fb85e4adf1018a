import { compile, fromNumbers, normal, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { expect, test } from "vitest";
import { type DrawForm, drawForm, drawInGraph } from "../../src/generate/draw-in-graph.ts";
import { draw, drawnNumber, type SamplingOptions } from "../../src/generate/sampling.ts";

const device = await openCpu({ threads: 1 });
const V = 40;
const drawn = compile(
  (logits: Tensor, form: DrawForm, temperature: Tensor, topP: Tensor, uniform: Tensor) =>
    drawInGraph(logits, form, { temperature, topP, uniform }),
  { device },
) as unknown as (...args: unknown[]) => Promise<{ read(): Promise<{ item(): number }> }>;

test.each<SamplingOptions>([
  {},
  { temperature: 0 },
  { temperature: 0.3 },
  { topK: 1 },
  { topK: 7, temperature: 2 },
  { topK: 100 },
  { topP: 0.5 },
  { topP: 0.01 },
  { topK: 9, topP: 0.8, temperature: 1.3, forbiddenTokens: [0, 3, 39] },
  { temperature: 0, forbiddenTokens: [0, 1, 2, 3, 4] },
])("draws in a program what draw does: %o", async (options) => {
  const scalar = (value: number) => fromNumbers([value], [], "float32");
  const seen = new Set<number>();
  for (let step = 0; step < 60; step++) {
    const key = randomKey(step);
    // Rounded, so that some are equal; some hide their tokens.
    const logits = (normal(key, [V]).data as Float32Array).map((x, i) =>
      i % 11 === 5 ? Number.NEGATIVE_INFINITY : Math.round(4 * x) / 2,
    );
    const inputs = [options.temperature || 1, options.topP ?? 1, drawnNumber(key, step)].map(scalar);
    const token = (await (await drawn(fromNumbers(logits, [V]), drawForm(options, V), ...inputs)).read()).item();
    expect(token, `step ${step}`).toBe(draw(logits, options, key, step));
    seen.add(token);
  }
  expect(seen.size).toBeGreaterThan(5);
});
