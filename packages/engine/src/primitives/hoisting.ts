import { type ClosedProgram, inline, type Program, traceBody } from "../trace/program.ts";
import { dropUnread, paramsText } from "../trace/simplify.ts";
import { bind, type Equation, type Tensor } from "../trace/tensor.ts";

/** A branch, and a number for each value in it: values with equal numbers are equal, in the other branch as well. */
type Numbered = { readonly program: Program; readonly captured: readonly Tensor[]; numberOf(value: Tensor): number };

/**
 * The outputs of a choice between two branches without arguments. What both compute alike is written once, into the current scope.
 *
 * @param choose writes the choice between what is left of the branches, for those outputs in which they differ
 */
export function hoisting(
  yes: ClosedProgram,
  no: ClosedProgram,
  choose: (yes: ClosedProgram, no: ClosedProgram) => readonly Tensor[],
): Tensor[] {
  const number = numbering();
  const [first, second] = [numbered(yes, number), numbered(no, number)];
  /** Tensors outside the branches, by number. */
  const outside = new Map<number, Tensor>();
  for (const { captured } of [yes, no]) for (const tensor of captured) outside.set(number(tensor), tensor);
  const hoisted = ({ outputs }: Equation, { numberOf }: Numbered) => {
    const known = outputs.map((output) => outside.get(numberOf(output)));
    return known.includes(undefined) ? undefined : (known as Tensor[]);
  };

  const inSecond = new Set(second.program.equations.map(({ outputs }) => second.numberOf(outputs[0]!)));
  for (const equation of first.program.equations) {
    const numbers = equation.outputs.map(first.numberOf);
    if (!inSecond.has(numbers[0]!) || hoisted(equation, first) !== undefined) continue;
    // What it reads is in both branches, too, and so it stands outside already.
    const inputs = equation.inputs.map((input) => outside.get(first.numberOf(input))!);
    bind(equation.primitive, inputs, equation.params).forEach((made, i) => {
      outside.set(numbers[i]!, made);
    });
  }

  const outputs = first.program.outputs.map((output, i) => {
    const value = first.numberOf(output);
    return value === second.numberOf(second.program.outputs[i]!) ? outside.get(value) : undefined;
  });
  const differs = outputs.flatMap((output, i) => (output === undefined ? [i] : []));
  if (differs.length === 0) return outputs as Tensor[];
  const rest = (branch: Numbered): ClosedProgram =>
    traceBody([], () => {
      const results = inline(
        branch.program,
        branch.captured,
        (equation, inputs) => hoisted(equation, branch) ?? bind(equation.primitive, inputs, equation.params),
      );
      return differs.map((i) => results[i]!);
    });
  const chosen = choose(rest(first), rest(second));
  return outputs.map((output, i) => output ?? chosen[differs.indexOf(i)]!);
}

/** Numbers for tensors and texts, the same for the same. */
function numbering(): (value: Tensor | string) => number {
  const numbers = new Map<Tensor | string, number>();
  return (value) => {
    const known = numbers.get(value) ?? numbers.size;
    numbers.set(value, known);
    return known;
  };
}

function numbered({ program: whole, captured }: ClosedProgram, number: ReturnType<typeof numbering>): Numbered {
  const program = dropUnread(whole);
  const numbers = new Map(program.inputs.map((input, i) => [input, number(captured[i]!)]));
  const numberOf = (value: Tensor): number => numbers.get(value)!;
  for (const { primitive, inputs, outputs, params } of program.equations) {
    const text = paramsText(params);
    const made = [primitive.name, ...inputs.map(numberOf), text].join(" ");
    outputs.forEach((output, i) => {
      // Without a text it is like no other.
      numbers.set(output, number(text === undefined ? output : `${i} ${made}`));
    });
  }
  return { program, captured, numberOf };
}
