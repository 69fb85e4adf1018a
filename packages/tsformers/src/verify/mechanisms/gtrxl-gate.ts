import { type Tensor, transpose } from "@tsformers/engine";
import * as z from "zod";
import type { Mechanism } from "../../kinds/mechanism.ts";
import { gruGateParts, highwayGate, inputGate, outputGate, sigTanhGate } from "../../nn/gate.ts";

const options = z.strictObject({ gate: z.enum(["gru", "input", "output", "highway", "sigtanh"]) });

/** GTrXL's gates: x, y [..., C], matrices of y (Wr, Wz, …) and of x (Ur, Uz, …) [out, in], bg [C]; Wg is the gate's matrix, in the GRU the candidate's. */
export const gtrxlGate: Mechanism = {
  run(inputs, given) {
    const { gate } = options.parse(given);
    const of = (name: string): Tensor => {
      const input = inputs[name];
      if (input === undefined) throw new RangeError(`gtrxl_gate: the ${gate} gate needs ${name}, there is none`);
      return input;
    };
    const matrix = (name: string) => transpose(of(name), [1, 0]);
    const [x, y] = [of("x"), of("y")];
    if (gate === "gru") {
      const reset = { resetY: matrix("Wr"), resetX: matrix("Ur") };
      const update = { updateY: matrix("Wz"), updateX: matrix("Uz"), bias: of("bg") };
      const params = { ...reset, ...update, candidateY: matrix("Wg"), candidateX: matrix("Ug") };
      const parts = gruGateParts(params, x, y);
      return { out: parts.out, r: parts.reset, z: parts.update, h_hat: parts.candidate };
    }
    const size = { modelWidth: x.shape.at(-1)! };
    if (gate === "input") return { out: inputGate(size).apply({ gate: matrix("Wg") }, x, y) };
    const params = { gate: matrix("Wg"), bias: of("bg") };
    if (gate === "sigtanh") return { out: sigTanhGate(size).apply({ ...params, candidate: matrix("Ug") }, x, y) };
    return { out: (gate === "output" ? outputGate : highwayGate)(size).apply(params, x, y) };
  },
};
