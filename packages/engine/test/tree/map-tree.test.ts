import { expect, test } from "vitest";
import { mapTree } from "../../src/index.ts";

const isNumber = (value: unknown): value is number => typeof value === "number";

test("every leaf is replaced by what the function makes of it and its path; the rest stays", () => {
  const tree = { a: 1, b: [2, { c: 3, name: "x", none: undefined }], d: null };
  expect(mapTree(tree, isNumber, (leaf, path) => `${path}=${leaf}`)).toEqual({
    a: "a=1",
    b: ["b.0=2", { c: "b.1.c=3", name: "x" }],
    d: null,
  });
  expect(mapTree(5, isNumber, (leaf) => leaf + 1)).toBe(6);
});
