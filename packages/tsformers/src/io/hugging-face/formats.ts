import { albert } from "./albert.ts";
import { bert } from "./bert.ts";
import { bigBird } from "./big-bird.ts";
import { bloom } from "./bloom.ts";
import { ctrl } from "./ctrl.ts";
import { decisionTransformerFormat } from "./decision-transformer.ts";
import { diffLlama } from "./diffllama.ts";
import type { Format } from "./format.ts";
import { gemma2 } from "./gemma2.ts";
import { gptNeoX } from "./gpt-neox.ts";
import { gpt2 } from "./gpt2.ts";
import { gptJ } from "./gptj.ts";
import { led } from "./led.ts";
import { llama } from "./llama.ts";
import { longformer } from "./longformer.ts";
import { mistral } from "./mistral.ts";
import { mpt } from "./mpt.ts";
import { openAiGpt } from "./openai-gpt.ts";
import { qwen3 } from "./qwen3.ts";
import { qwen3Next } from "./qwen3-next.ts";
import { reformer } from "./reformer.ts";
import { roformer } from "./roformer.ts";
import { longT5, t5 } from "./t5.ts";
import { torchTransformer } from "./torch-transformer.ts";
import { transfoXl } from "./transfo-xl.ts";
import { xlnet } from "./xlnet.ts";

/** Every family of checkpoints that can be read. */
export const formats: readonly Format[] = [
  gpt2,
  openAiGpt,
  bloom,
  mpt,
  gptJ,
  gptNeoX,
  ctrl,
  llama,
  mistral,
  gemma2,
  qwen3,
  qwen3Next,
  diffLlama,
  bert,
  albert,
  bigBird,
  roformer,
  reformer,
  t5,
  longT5,
  torchTransformer,
  transfoXl,
  longformer,
  led,
  decisionTransformerFormat,
  xlnet,
];
