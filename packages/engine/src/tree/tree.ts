/** A nested structure of lists and plain objects with leaves of type `Leaf`. Entries that are `undefined` are absent. */
export type Tree<Leaf> = Leaf | readonly Tree<Leaf>[] | { readonly [name: string]: Tree<Leaf> };

/** A tree without its leaves: enough to rebuild it from a list of leaves. */
export type Structure =
  | { readonly kind: "leaf" }
  | { readonly kind: "static"; readonly value: unknown }
  | { readonly kind: "list"; readonly items: readonly Structure[] }
  | { readonly kind: "record"; readonly entries: readonly (readonly [string, Structure])[] };

/**
 * Flattens a tree: leaves in depth-first order (list order; object keys in insertion order) with their dotted paths,
 * and the structure to rebuild it. Anything else (a number, a string, null) is kept in the structure.
 */
export function flatten<Leaf>(
  tree: unknown,
  isLeaf: (value: unknown) => value is Leaf,
): { leaves: Leaf[]; paths: string[]; structure: Structure } {
  const leaves: Leaf[] = [];
  const paths: string[] = [];
  const walk = (node: unknown, path: string): Structure => {
    if (isLeaf(node)) {
      leaves.push(node);
      paths.push(path);
      return { kind: "leaf" };
    }
    const below = (name: string | number) => (path === "" ? `${name}` : `${path}.${name}`);
    if (Array.isArray(node)) return { kind: "list", items: node.map((item, i) => walk(item, below(i))) };
    if (isPlainObject(node)) {
      const present = Object.entries(node).filter(([, value]) => value !== undefined);
      return { kind: "record", entries: present.map(([name, value]) => [name, walk(value, below(name))] as const) };
    }
    return { kind: "static", value: node };
  };
  const structure = walk(tree, "");
  return { leaves, paths, structure };
}

/**
 * Rebuilds a tree from a structure and leaves; the inverse of {@link flatten}.
 * @throws RangeError when the number of leaves does not match the structure
 */
export function unflatten(structure: Structure, leaves: readonly unknown[]): unknown {
  let next = 0;
  const build = (node: Structure): unknown => {
    switch (node.kind) {
      case "leaf":
        return leaves[next++];
      case "static":
        return node.value;
      case "list":
        return node.items.map(build);
      case "record":
        return Object.fromEntries(node.entries.map(([name, child]) => [name, build(child)]));
    }
  };
  const tree = build(structure);
  if (next !== leaves.length) throw new RangeError(`unflatten: expected ${next} leaves, got ${leaves.length}`);
  return tree;
}

/** The tree with every leaf replaced by `fn(leaf, path)`, where `path` is dotted. */
export function mapTree<Leaf>(
  tree: unknown,
  isLeaf: (value: unknown) => value is Leaf,
  fn: (leaf: Leaf, path: string) => unknown,
): unknown {
  const { leaves, paths, structure } = flatten(tree, isLeaf);
  return unflatten(
    structure,
    leaves.map((leaf, i) => fn(leaf, paths[i]!)),
  );
}

/**
 * Equal text exactly for equal structures; used in compile signatures. Static values are compared by
 * `Object.is`: a function or an instance of a class equals only itself.
 */
export function structureText(structure: Structure): string {
  switch (structure.kind) {
    case "leaf":
      return "*";
    case "static":
      return staticText(structure.value);
    case "list":
      return `[${structure.items.map(structureText).join(",")}]`;
    case "record": {
      const entries = structure.entries.map(([name, child]) => `${JSON.stringify(name)}:${structureText(child)}`);
      return `{${entries.join(",")}}`;
    }
  }
}

const identities = new WeakMap<object, number>();
let identityCount = 0;

function staticText(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "bigint") return `${value}n`;
  if (Object.is(value, -0)) return "-0";
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return String(value);
  const identity = identities.get(value) ?? identityCount++;
  identities.set(value, identity);
  return `#${identity}`;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
