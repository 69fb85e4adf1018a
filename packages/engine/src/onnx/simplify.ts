import { Program } from "../trace/program.ts";
import type { Equation, Tensor } from "../trace/tensor.ts";

/** The same program without equations that no output depends on. */
export function simplify(program: Program): Program {
  const needed = new Set<Tensor>(program.outputs);
  const kept: Equation[] = [];
  for (const equation of [...program.equations].reverse()) {
    if (!equation.outputs.some((output) => needed.has(output))) continue;
    for (const input of equation.inputs) needed.add(input);
    kept.push(equation);
  }
  return new Program(program.inputs, kept.reverse(), program.outputs);
}
