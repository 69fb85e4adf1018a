import {
  add,
  type Device,
  fromNumbers,
  matmul,
  type NDArray,
  ndarray,
  normal,
  randomKey,
  readTree,
  type Tensor,
} from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { compileWithWeights } from "../../src/generate/compile-with-weights.ts";

const cpu = await openCpu();
afterAll(() => cpu.close());

/** The device, and how many inputs the last program that it loaded has. */
function watched(): { readonly device: Device; inputs(): number } {
  let inputs = 0;
  const load: Device["load"] = (model, writes) => {
    inputs = model.graph.inputs.length;
    return cpu.load(model, writes);
  };
  return { device: { ...cpu, load }, inputs: () => inputs };
}

const step = ({ w }: { w: Tensor }, x: Tensor, state: Tensor) => ({ y: matmul(x, w), state: add(state, 1) });
const [x, state] = [normal(randomKey(2), [1, 64]), fromNumbers([1, 2, 3], [3])];

test.each([
  ["small", 64, 2],
  ["large", 2 ** 18 + 1, 3],
])("%s weights give the same results, as a part of the program or beside it", async (_, columns, inputs) => {
  const { device, inputs: found } = watched();
  const values = Float32Array.from({ length: 64 * columns }, (_, i) => (i % 7) - 3);
  const weights = { w: ndarray(values, [64, columns]) };
  const run = compileWithWeights(step, weights, { device, donate: [1] });
  const given = device.put(state);
  const out = (await run(x, given)) as never;
  const { y, state: next } = (await readTree(out)) as unknown as { y: NDArray; state: NDArray };
  const [row, w] = [x.data, weights.w.data] as Float32Array[];
  for (const column of [0, 17, columns - 1]) {
    const expected = row!.reduce((sum, value, i) => sum + value * w![i * columns + column]!, 0);
    expect(y.data[column]).toBeCloseTo(expected, 4);
  }
  expect(next.toNumbers()).toEqual([2, 3, 4]);
  expect(found()).toBe(inputs);
  await run.release();
});
