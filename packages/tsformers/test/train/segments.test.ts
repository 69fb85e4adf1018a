import { randomKey, uniform } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { afterAll, expect, test } from "vitest";
import { transformerXl } from "../../src/models/decoders/transformer-xl.ts";
import { tokenObjective } from "../../src/objectives/tokens.ts";
import { textTask } from "../../src/tasks/text/text.ts";
import { characterTokenizer } from "../../src/tokenizers/index.ts";
import { evaluator } from "../../src/train/evaluate.ts";
import { adamw } from "../../src/train/optimisers/adamw.ts";
import { constantRate } from "../../src/train/schedules/index.ts";
import { train } from "../../src/train/train.ts";

const device = await openCpu();
afterAll(() => device.close());

/** Each letter is the one `period` before it, but for a tenth that are drawn anew: within fewer letters nothing is to be learned. */
function farText(count: number, period: number, letters: string): string {
  const drawn = uniform(randomKey(1), [2, count]).toNumbers();
  const text: string[] = [];
  for (let i = 0; i < count; i++) {
    const isNew = i < period || drawn[i]! < 0.1;
    text.push(isNew ? letters[Math.floor(drawn[count + i]! * letters.length)]! : text[i - period]!);
  }
  return text.join("");
}

test("what is remembered tells what no segment does by itself", async () => {
  const [period, length, letters] = [8, 4, "abcdefgh"];
  const text = farText(20_000, period, letters);
  const task = textTask({ text, tokenizer: characterTokenizer, length });
  const view = task.views.segments;
  const model = transformerXl({
    vocabularySize: task.vocabularySize,
    layers: 1,
    modelWidth: 32,
    heads: 2,
    memoryLength: 8,
  });
  const remembering = tokenObjective(model, { segments: true });
  const { params } = await train({
    objective: remembering as never,
    task,
    view,
    optimiser: adamw(),
    schedule: constantRate(1e-2),
    steps: 150,
    batchSize: 32,
    length,
    device,
    evalTokens: 100,
  });
  const score = async (objective: typeof remembering): Promise<number> => {
    const scores = evaluator(objective, device);
    const batches = view.evalBatches("valid", { batchSize: 4, length, limit: 900 });
    const totals = await scores.evaluate(params as never, batches);
    await scores.release();
    expect(totals.tokens).toBe(900);
    return totals.lossSum / totals.tokens;
  };
  // A letter that is drawn anew is one of eight: −0.9125·ln 0.9125 − 0.0875·ln 0.0125 = 0.47 nats at best.
  expect(await score(remembering)).toBeLessThan(1);
  // Letters of one segment are independent: whatever was learned, ln 8 is the least, but for chance.
  expect(await score(tokenObjective(model))).toBeGreaterThan(Math.log(letters.length) - 0.1);
});
