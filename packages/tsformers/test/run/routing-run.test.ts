import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { evaluate, fromNumbers, type NDArray, randomKey, type Tensor } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { evaluation } from "../../src/kinds/layer.ts";
import { parseRunConfig, type RunConfigInput } from "../../src/run/config.ts";
import { generatorOf } from "../../src/run/open-generator.ts";
import { openModel } from "../../src/run/open-model.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { trainRun } from "../../src/run/train-run.ts";

const device = await openCpu();
const home = mkdtempSync(join(tmpdir(), "tsformers-routing-"));
afterAll(async () => {
  rmSync(home, { recursive: true, force: true });
  await device.close();
});

const [local, routed] = [
  { kind: "local", chunk: 4 },
  { kind: "routing", localHeads: 1, localChunk: 4, centroids: 3, window: 4, decay: 0.5 },
];
const config: RunConfigInput = {
  model: { kind: "gpt", layers: 2, modelWidth: 16, heads: 2, ffnWidth: 16, mixer: [local, routed] },
  task: { kind: "copy", symbols: 16 },
  length: 16,
  steps: 3,
  batchSize: 4,
  evalTokens: 64,
};

type Centroids = { readonly counts: NDArray; readonly sums: NDArray };
type Params = { readonly trainingState: Readonly<Record<string, { readonly routing: Centroids }>> };

test("centroids are saved with the model: opened again it has the same outputs, which hang on them, and writes", async () => {
  const directory = join(home, "run");
  const { run, result } = await trainRun(parseRunConfig(config, "test"), { directory, device });
  const opened = await openModel(directory);
  const trained = result.params as unknown as Params;
  const stored = opened.params as unknown as Params;
  // The first layer has none.
  expect(Object.keys(stored.trainingState)).toEqual(["1"]);
  const { sums } = stored.trainingState["1"]!.routing;
  expect(sums.toNumbers()).toEqual(trained.trainingState["1"]!.routing.sums.toNumbers());

  const tokens = fromNumbers(
    Array.from({ length: 16 }, (_, i) => (i * i) % 17),
    [1, 16],
    "int32",
  );
  const model = run.model as { apply(params: unknown, input: object, context: object): { readonly logits: Tensor } };
  const logits = async (params: unknown): Promise<number[]> => {
    const pass = (params: never, tokens: Tensor) => model.apply(params, { tokens }, evaluation).logits;
    return ((await evaluate(pass as never, device, params as never, tokens as never)) as NDArray).toNumbers();
  };
  const outputs = await logits(trained);
  expect(await logits(opened.params)).toEqual(outputs);
  // They are not those of the beginning, and without them tokens are grouped in another way.
  const initial = run.objective.init(randomKey(0)) as unknown as Params;
  expect(initial.trainingState["1"]!.routing.sums.toNumbers()).not.toEqual(sums.toNumbers());
  expect(await logits({ ...trained, trainingState: initial.trainingState })).not.toEqual(outputs);

  const generator = generatorOf(opened, device);
  const written: number[] = [];
  for await (const token of generator.tokens([1, 2, 3], { count: 12, temperature: 0 })) written.push(token);
  await generator.release();
  expect(written).toHaveLength(12);
});

test("heads that are all local are refused in one line", async () => {
  const model = { ...config.model!, mixer: [local, { ...routed, localHeads: 2 }] };
  const wrong = prepareRun(parseRunConfig({ ...config, model } as RunConfigInput, "test"));
  await expect(wrong).rejects.toThrow("routing: expected fewer than all 2 heads to be local, got 2");
});
