import { expect, test } from "vitest";
import {
  add,
  cond,
  cos,
  exp,
  less,
  matmul,
  mul,
  type Program,
  sin,
  sum,
  type Tensor,
  traceBody,
} from "../../src/index.ts";

const size = { shape: [2, 2], dtype: "float32" } as const;

function programOf(fn: (a: Tensor, b: Tensor) => unknown): Program {
  return traceBody([size, size], ([a, b]) => fn(a!, b!)).program;
}

/** What is computed outside of choices, and in the branches of the first. */
function namesIn({ equations }: Program): { readonly outside: string[]; readonly branches: string[][] } {
  const namesOf = (program: Program) => program.equations.map(({ primitive }) => primitive.name);
  const choice = equations.find(({ primitive }) => primitive.name === "cond");
  const { whenTrue, whenFalse } = (choice?.params ?? {}) as { whenTrue?: Program; whenFalse?: Program };
  const branches = [whenTrue, whenFalse].flatMap((program) => (program === undefined ? [] : [namesOf(program)]));
  return { outside: namesOf({ equations } as Program), branches };
}

test("what both branches compute is computed once, before the choice, however much either computes for nobody", () => {
  const keys = (a: Tensor, b: Tensor) => matmul(add(a, 1), b);
  const { outside, branches } = namesIn(
    programOf((a, b) =>
      cond(
        less(sum(a), 0),
        () => ({ y: sin(keys(a, b)), keys: keys(a, b) }),
        () => {
          sin(keys(a, b));
          cos(b);
          return { y: exp(a), keys: keys(a, b) };
        },
      ),
    ),
  );
  expect(outside.filter((name) => name === "matmul")).toHaveLength(1);
  expect(outside.indexOf("matmul")).toBeLessThan(outside.indexOf("cond"));
  expect(branches).toEqual([["sin"], ["exp"]]);
});

test("equal operations on different values stay where they are", () => {
  const { outside, branches } = namesIn(
    programOf((a, b) =>
      cond(
        less(sum(a), 0),
        () => mul(sin(a), a),
        () => mul(sin(b), a),
      ),
    ),
  );
  expect(outside).not.toContain("sin");
  expect(branches).toEqual([
    ["sin", "mul"],
    ["sin", "mul"],
  ]);
});

test("the outcome of equal branches needs no choice, and neither does a tensor that both return", () => {
  const equal = programOf((a) =>
    cond(
      less(sum(a), 0),
      () => sin(a),
      () => sin(a),
    ),
  );
  expect(namesIn(equal).outside).not.toContain("cond");
  const { equations } = programOf((a, b) =>
    cond(
      less(sum(a), 0),
      () => [a, b],
      () => [a, sin(b)],
    ),
  );
  expect(equations.at(-1)!.outputs).toHaveLength(1);
});

test("a choice inside of both branches stays in them", () => {
  const inner = (a: Tensor, b: Tensor) =>
    cond(
      less(sum(b), 0),
      () => a,
      () => b,
    );
  const { branches } = namesIn(
    programOf((a, b) =>
      cond(
        less(sum(a), 0),
        () => sin(inner(a, b)),
        () => inner(a, b),
      ),
    ),
  );
  for (const branch of branches) expect(branch).toContain("cond");
});
