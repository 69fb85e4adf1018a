/** Our side of the startup bench: prints one JSON line, a StartupResult (../startup.ts). */
import { encodeModel, flatten, isNdArray, randomKey, toOnnx, trace } from "@tsformers/engine";
import { openCpu } from "@tsformers/engine/node";
import { adamw, gpt, tokenObjective } from "tsformers";
import { trainStep } from "tsformers/train";
import type { StartupResult } from "../startup.ts";
import { readWorkload } from "../workload.ts";
import { stepInputs } from "./step-inputs.ts";

const workload = readWorkload();
const { vocabulary, layers, width, heads, length, threads } = workload;
const device = await openCpu({ threads });
const model = gpt({ vocabularySize: vocabulary, layers, modelWidth: width, heads, length });
const step = trainStep({ loss: tokenObjective(model).loss, optimiser: adamw(), clipNorm: 1 });
const { rows, control } = stepInputs(workload);
const { leaves, structure } = flatten([step.init(model.init(randomKey(0))), rows, control], isNdArray);

const begun = performance.now();
const { program } = trace(step.update, structure, leaves);
const traced = performance.now();
const onnx = toOnnx(program);
encodeModel(onnx);
const lowered = performance.now();
const executable = await device.load(onnx);
const loaded = performance.now();
const result: StartupResult = {
  traceMs: traced - begun,
  lowerMs: lowered - traced,
  sessionMs: loaded - lowered,
  nodes: onnx.graph.nodes.length,
};
console.log(JSON.stringify(result));
await executable.release();
