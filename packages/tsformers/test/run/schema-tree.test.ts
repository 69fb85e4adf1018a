import { expect, test } from "vitest";
import * as z from "zod";
import { runSchema } from "../../src/run/config.ts";
import { type SchemaNode, schemaTree } from "../../src/schema/schema-tree.ts";

/** The parts of a JSON Schema that a SchemaNode has. */
function pruned(node: SchemaNode): SchemaNode {
  const { properties, oneOf, anyOf, items } = node;
  const rest = Object.fromEntries(
    (["required", "const", "enum", "type", "default", "description"] as const)
      .filter((name) => node[name] !== undefined)
      .map((name) => [name, node[name]]),
  );
  return {
    ...rest,
    ...(properties && { properties: Object.fromEntries(Object.entries(properties).map(([k, v]) => [k, pruned(v)])) }),
    ...(oneOf && { oneOf: oneOf.map(pruned) }),
    ...(anyOf && { anyOf: anyOf.map(pruned) }),
    ...(items && { items: pruned(items) }),
  };
}

const full = (schema: z.ZodType) =>
  pruned(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as SchemaNode);

test("the tree of a run's schema is its JSON Schema, as far as programs read it", () => {
  expect(pruned(schemaTree(runSchema))).toEqual(full(runSchema));
});

test("kinds of schemas that a run does not use, or only in part", () => {
  const schema = z.strictObject({
    pair: z.tuple([z.string(), z.int()]),
    either: z.literal(["a", "b"]),
    piped: z.string().transform(Number).describe("a number"),
    open: z.number().nullable().default(null).describe("or none"),
    list: z.array(z.enum(["x", "y"])).optional(),
  });
  expect(pruned(schemaTree(schema))).toEqual(full(schema));
});
