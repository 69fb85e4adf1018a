import type { Format } from "./format.ts";
import { gpt2 } from "./gpt2.ts";

/** Every family of checkpoints that can be read. */
export const formats: readonly Format[] = [gpt2];
