import { expect, test } from "vitest";
import { compile, fromNumbers, readTree, scatterAdd, type Tensor, zeros } from "../../src/index.ts";
import { openCpu } from "../../src/runtime/node.ts";

test("rows that are named often receive every update, in every run", async () => {
  const device = await openCpu();
  const [updates, rows, width] = [8192, 7, 64];
  const add = compile((at: Tensor, x: Tensor) => scatterAdd(zeros([rows, width]), at, x), { device });
  const places = Array.from({ length: updates }, (_, i) => (i * i) % rows);
  const at = fromNumbers(places, [updates], "int32");
  const ones = fromNumbers(new Float32Array(updates * width).fill(1), [updates, width]);
  const counts = Array.from({ length: rows }, (_, row) => places.filter((place) => place === row).length);
  const expected = counts.flatMap((count) => new Array<number>(width).fill(count));
  for (let run = 0; run < 10; run++) expect((await readTree(await add(at, ones))).toNumbers()).toEqual(expected);
  await device.close();
});
