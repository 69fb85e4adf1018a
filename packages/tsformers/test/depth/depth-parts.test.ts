import { compile, grad, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, describe, expect, test } from "vitest";
import { depths } from "../../src/catalogue/depths.ts";
import type { Entry } from "../../src/run/catalogue.ts";
import { parseRunConfig } from "../../src/run/config.ts";
import { partNames, parts } from "../../src/run/parts.ts";
import { prepareRun } from "../../src/run/prepare.ts";
import { CombinationError } from "../../src/schema/combination-error.ts";

const device = await openCpu();
afterAll(() => device.close());

const sizes = { layers: 3, modelWidth: 16, heads: 2 };

/** What a depth says of models that it cannot take: those that give each layer vectors of its own. */
const refused = ["reversible: per-layer", "reversible: step-signals"];

/** Traces the gradient of a model's loss, which fails where a layer uses what was traced in another. */
async function traced(kind: string, chosen: object): Promise<void> {
  const model = { kind, ...sizes, ...chosen };
  const run = await prepareRun(parseRunConfig({ task: { kind: "text" }, model, length: 16, batchSize: 2 }, "test"));
  const params = run.objective.init(randomKey(1));
  const batch = run.view.trainBatch(1, 2, 16);
  const slopes = (params: unknown, batch: unknown) =>
    grad((params: unknown) => run.objective.loss(params, batch as never, {}).total)(params);
  compile(slopes as never, { device }).trace(params as never, batch as never);
}

describe.each(["gpt", "bert"])("%s", (kind) => {
  const direction = kind === "gpt" ? "causal" : "bidirectional";
  describe.each(Object.keys(depths))("of depth %s", (depth) => {
    describe.each(partNames.filter((part) => part !== "depth"))("with every %s", (part) => {
      const takes = ({ directions }: { directions?: readonly string[] }) => directions?.includes(direction) ?? true;
      const members = Object.entries<Entry>(parts[part].catalogue).filter(([, entry]) => takes(entry as never));
      test.each(members.map(([name]) => name))("%s", async (name) => {
        const work = traced(kind, { depth: { kind: depth }, [part]: { kind: name } });
        if (refused.includes(`${depth}: ${name}`)) await expect(work).rejects.toThrow(CombinationError);
        else await work;
      });
    });
  });
});
