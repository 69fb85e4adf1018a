// Run as a process of its own by checkpoint-kill.test.ts: saves checkpoint after checkpoint until it is killed.
import { full } from "@tsformers/engine";

import { checkpointStore } from "../../src/train/checkpoint.ts";

const store = checkpointStore(process.argv[2]!, { keep: 2 });
const { checkpoint } = await store.latest();
for (let step = (checkpoint?.step ?? 0) + 1; ; step++) {
  await store.save({ step, tensors: new Map([["w", full([100_000], step)]]), state: { step } });
  process.stdout.write(`${step}\n`);
}
