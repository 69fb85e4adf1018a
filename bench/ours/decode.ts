/** Our side of the decode bench: prints one JSON line, a DecodeResult (../decode.ts). */
import { flatten, isNdArray, randomKey } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { gpt, openDecoder } from "tsformers";
import { generateRows } from "tsformers/generate";
import type { DecodeResult } from "../decode.ts";
import { readWorkload } from "../workload.ts";

const { vocabulary, layers, width, heads, batch, length, threads, warmup, steps } = readWorkload();
const device = await openCpu({ threads });
const model = gpt({ vocabularySize: vocabulary, layers, modelWidth: width, heads, length });
const params = model.init(randomKey(0));
const decoder = openDecoder(model, params, { device, maxLength: length, rows: batch });
const prompts = Array.from({ length: batch }, () => [0]);

const runMs: number[] = [];
let tokens = 0;
for (let run = 0; run < warmup + steps; run++) {
  decoder.restart();
  tokens = 0;
  const start = performance.now();
  for await (const { row } of generateRows(decoder, prompts, { count: length, temperature: 0 }))
    if (row === 0) tokens++;
  runMs.push(performance.now() - start);
}
const elements = flatten(params, isNdArray).leaves.map(({ size }) => size);
const result: DecodeResult = { runMs: runMs.slice(warmup), tokens, parameters: elements.reduce((a, b) => a + b) };
console.log(JSON.stringify(result));
await decoder.release();
