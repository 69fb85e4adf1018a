// Adaptive attention span: heads that learn how far to look reach what a full span reaches, at a fraction of its attention.
import { compile, type DeviceArray, evaluate, type NDArray, ndarray, randomKey, type Tensor } from "@tsformers/engine";
import { systems } from "tsformers/catalogue";
import type { LanguageModel } from "tsformers/models";
import { countPattern } from "tsformers/patterns";
import { makeModel } from "tsformers/run";
import { prove, type Trained } from "../harness/prove.ts";
import { resultOf } from "../harness/result.ts";

const { run } = systems["adaptive-span-transformer"].presets.small;
const { ramp: _, startShare: __, penalty: ___, ...sizes } = run.model as typeof run.model & Record<string, unknown>;
const fixed = { ...sizes, spans: "fixed" };
const { penalty, layers } = run.model as typeof run.model & { penalty: number; layers: number };

await prove("adaptive-span", async ({ run: trained, scored, say, device }) => {
  const score = (done: Trained) => scored(done, { limit: 32_768 });
  const learned = await trained("learned", run);
  const { model, objective } = learned.run;
  if (model.category !== "decoder") throw new Error("expected a decoder");
  const spans = model.spans!(learned.params as never);
  const mean = Math.round(spans.flat().reduce((a, b) => a + b, 0) / spans.flat().length);
  say(`positions back that heads see: ${spans.map((own) => own.join(" ")).join(" | ")}; mean ${mean}`);

  const ours = await score(learned);
  const full = await score(await trained("full span", { ...run, model: fixed }));
  const window = await score(await trained("window", { ...run, model: { ...fixed, maxSpan: mean } }));

  // A dynamic span is another one at each position; its loss tells the mean.
  const dynamic = await trained("dynamic", { ...run, model: { ...run.model, spans: "of queries" } });
  const { inputs } = [...dynamic.run.view.evalBatches("test", { batchSize: 8, length: run.length!, limit: 1024 })][0]!;
  const cost = (params: unknown, tokens: Tensor) => {
    if (dynamic.run.model.category !== "decoder") throw new Error("expected a decoder");
    return dynamic.run.model.apply(params, { tokens }, {}).losses.span!;
  };
  const span = (await evaluate(cost as never, device, dynamic.params as never, inputs as never)) as NDArray;

  // Cut to its spans, the model computes fewer pairs for the same outputs.
  const cut: Trained = { ...learned, run: { ...learned.run, objective: objective.trimmed!(spans) } };
  const pairs = (patterns: typeof model.patterns) =>
    patterns.reduce((sum, pattern) => sum + countPattern(pattern, 1024).pairs, 0);
  const share = pairs(model.trimmed!(spans).patterns) / pairs(model.patterns);
  if (Math.abs((await score(cut)).loss - ours.loss) > 1e-3) throw new Error("what is cut away must change nothing");

  // Time, where spans matter: 2,048 positions, all of which heads could see, and cut to the spans that were learned.
  const places = 2048;
  const wide = { model: { ...run.model, maxSpan: places, startShare: 1 }, length: places };
  const long = (await makeModel(wide, model.vocabularySize)) as typeof model;
  const msOf = async (own: LanguageModel): Promise<number> => {
    const pass = compile((params: unknown, tokens: Tensor) => own.apply(params, { tokens }, {}).logits, { device });
    const once = pass as unknown as (...given: unknown[]) => Promise<DeviceArray>;
    const [params, tokens] = [own.init(randomKey(0)), ndarray(new Int32Array(places), [1, places])];
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 6; i++) {
      const start = performance.now();
      await (await once(params, tokens)).read();
      least = Math.min(least, performance.now() - start);
    }
    return least;
  };
  const faster = (await msOf(long)) / (await msOf(long.trimmed!(spans)));

  return resultOf({
    measure: "loss in nats of symbols that are copied from 64 positions back",
    better: "less",
    ours: ours.loss,
    plain: window.loss,
    plainIs: `the same model, every head of which sees ${mean} positions, the mean of those that ours see`,
    target: Math.min(0.5 * window.loss, full.loss + 0.1),
    size: `2 layers of 64, ${run.steps} steps of ${run.batchSize} × ${run.length} tokens`,
    paper: "0.98 bits per character on enwik8 with 209M parameters and spans of up to 8,192",
    figures: {
      "loss with the full span": full.loss,
      "mean of the positions that heads see": mean,
      "loss with dynamic spans": (await score(dynamic)).loss,
      "mean of dynamic spans": span.item() / (penalty * layers),
      "share of the pairs of the full span": share,
      "times as fast at 2,048 positions as seeing all of them, measured": faster,
    },
  });
});
