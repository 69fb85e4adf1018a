// The worker of the page: trains a small GPT on a text, then lets it write. A run of a step blocks its thread.
import { openDevice, type WebDeviceName } from "@tsformers/engine/web";
import {
  adamw,
  characterTokenizer,
  generateText,
  gpt,
  grammarText,
  openDecoder,
  textTask,
  tokenObjective,
  train,
  warmupCosine,
} from "tsformers";

/** What the page asks for. An empty text stands for one that is made on the spot. */
export type Order = { readonly text: string; readonly steps: number; readonly device: WebDeviceName };

/** What the page is told. */
export type News =
  | { readonly kind: "step"; readonly step: number; readonly loss: number; readonly tokensPerSecond: number }
  | { readonly kind: "text"; readonly piece: string }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly message: string };

const length = 64;
const prompt = "\n";

async function carryOut({ text, steps, device: name }: Order): Promise<void> {
  const device = await openDevice(name);
  const task = textTask({ text: text || grammarText({ characters: 60_000 }), tokenizer: characterTokenizer, length });
  const model = gpt({ vocabularySize: task.vocabularySize, layers: 2, modelWidth: 64, heads: 4, length });
  const { params } = await train({
    objective: tokenObjective(model),
    task,
    view: task.views.next,
    optimiser: adamw(),
    schedule: warmupCosine({ peak: 4e-3, warmupSteps: 10, totalSteps: steps }),
    steps,
    batchSize: 8,
    length,
    clipNorm: 1,
    evalTokens: 512,
    device,
    onEvent: (event) => event.kind === "step" && tell(event),
  });
  const decoder = openDecoder(model, params, { device, maxLength: length });
  const options = { count: length, maxLength: length, temperature: 0.7 };
  for await (const piece of generateText(decoder, task.tokenizer!, prompt, options)) tell({ kind: "text", piece });
  await decoder.release();
  await device.close();
  tell({ kind: "done" });
}

function tell(news: News): void {
  postMessage(news);
}

addEventListener("message", ({ data }: MessageEvent<Order>) => {
  carryOut(data).catch((error: unknown) => tell({ kind: "failed", message: String(error) }));
});
