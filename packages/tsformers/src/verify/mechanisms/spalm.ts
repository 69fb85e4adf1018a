import { logSoftmax } from "@tsformers/engine";
import * as z from "zod";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { gatedMemory } from "../../models/decoders/spalm.ts";
import { unembed } from "../../nn/embedding.ts";

const options = z.strictObject({});

/** SPALM's gate between a state h [N, C] and the embeddings of neighbours [N, k], logits from tied embeddings [V, C]. */
export const spalmGate: Mechanism = {
  run({ h, embeddings, w_gate, neighbours }, given) {
    options.parse(given);
    const { weights, memory, gate, z } = gatedMemory(h!, {
      embeddings: embeddings!,
      gate: w_gate!,
      neighbours: neighbours!,
    });
    return { out: logSoftmax(unembed({ weight: embeddings! }, z)), weights, memory, gate, z };
  },
};
