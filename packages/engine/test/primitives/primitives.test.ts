import { afterAll, describe, expect, test } from "vitest";
import { primitives } from "../../src/primitives/table.ts";
import { openCpu } from "../../src/runtime/node.ts";
import { cases } from "./cases.ts";
import { forwardProgram, halfLaw, hasHalf, lawsOf } from "./conformance.ts";

const device = await openCpu();
afterAll(() => device.close());

describe.each(Object.entries(cases))("%s", (name, examples) => {
  test("the cases contain the primitive, under its own name", () => {
    for (const example of examples) {
      const used = forwardProgram(example).equations.map(({ primitive }) => primitive);
      expect(used, example.name).toContain(primitives[name as keyof typeof primitives]);
      expect(primitives[name as keyof typeof primitives].name).toBe(name);
    }
  });

  describe.each(examples)("$name", (example) => {
    test.each([...lawsOf(example), ...(hasHalf(example) ? [halfLaw] : [])])("$name", async ({ check }) => {
      await check(example, device);
    });
  });
});
