import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { flatten, structureText, unflatten } from "../../src/tree/tree.ts";

class Leaf {
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}
const isLeaf = (value: unknown): value is Leaf => value instanceof Leaf;

const { tree: trees } = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    fc.integer().map((id) => new Leaf(id)),
    fc.oneof(fc.string(), fc.double(), fc.constant(null), fc.boolean()),
    fc.array(tie("tree"), { maxLength: 4 }),
    fc.dictionary(fc.string(), tie("tree"), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

describe("flatten", () => {
  it("lists leaves depth first with their dotted paths", () => {
    const [a, b, c] = [new Leaf(0), new Leaf(1), new Leaf(2)];
    const { leaves, paths } = flatten({ blocks: [{ w: a }, { w: b, rate: 0.1 }], bias: c }, isLeaf);
    expect(leaves).toEqual([a, b, c]);
    expect(paths).toEqual(["blocks.0.w", "blocks.1.w", "bias"]);
  });

  it("gives a lone leaf the empty path", () => {
    expect(flatten(new Leaf(1), isLeaf).paths).toEqual([""]);
  });

  it("leaves out entries that are undefined", () => {
    const { structure, leaves } = flatten({ a: undefined, b: new Leaf(1) }, isLeaf);
    expect(unflatten(structure, leaves)).toStrictEqual({ b: new Leaf(1) });
  });

  it("keeps instances of classes whole", () => {
    const date = new Date(0);
    const { structure } = flatten({ date }, isLeaf);
    expect((unflatten(structure, []) as { date: Date }).date).toBe(date);
  });
});

describe("unflatten", () => {
  it("is the inverse of flatten", () => {
    fc.assert(
      fc.property(trees, (tree) => {
        const { leaves, paths, structure } = flatten(tree, isLeaf);
        expect(paths).toHaveLength(leaves.length);
        expect(unflatten(structure, leaves)).toStrictEqual(tree);
      }),
    );
  });

  it("puts other leaves in the same places", () => {
    const { structure } = flatten({ a: new Leaf(0), b: [new Leaf(1), "kept"] }, isLeaf);
    expect(unflatten(structure, ["x", "y"])).toEqual({ a: "x", b: ["y", "kept"] });
  });

  it("refuses too few and too many leaves", () => {
    const { structure } = flatten([new Leaf(0), new Leaf(1)], isLeaf);
    expect(() => unflatten(structure, [1])).toThrow(new RangeError("unflatten: expected 2 leaves, got 1"));
    expect(() => unflatten(structure, [1, 2, 3])).toThrow("expected 2 leaves, got 3");
  });
});

describe("structureText", () => {
  const textOf = (tree: unknown) => structureText(flatten(tree, isLeaf).structure);

  it("is equal for equal structures, whatever the leaves", () => {
    fc.assert(
      fc.property(trees, fc.integer(), (tree, id) => {
        const { structure, leaves } = flatten(tree, isLeaf);
        const other = unflatten(
          structure,
          leaves.map(() => new Leaf(id)),
        );
        expect(textOf(other)).toBe(textOf(tree));
      }),
    );
  });

  it("tells different structures apart", () => {
    const values: unknown[] = [
      ...[new Leaf(0), undefined, null, Number.NaN, Number.POSITIVE_INFINITY, 0, -0, 0n, true, "", "*", "null", "#0"],
      ...[[], {}, [[]], [1, 2], ["1,2"], ["1", "2"], { a: 1 }, { a: "1" }, { 'a":1,"b': 1 }, { a: 1, b: 1 }],
      ...[() => 0, () => 0, new Date(0), new Date(0), { b: 1, a: 1 }],
    ];
    expect(new Set(values.map(textOf)).size).toBe(values.length);
  });
});
