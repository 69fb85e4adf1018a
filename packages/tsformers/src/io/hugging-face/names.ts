import {
  convert,
  isFloat,
  type NDArray,
  type Shape,
  type StoredTensor,
  shapesEqual,
  shapeText,
  type Tree,
} from "@tsformers/engine";
import { columns, type Layout, rows, same, transposed } from "./layout.ts";

/** One array of a foreign checkpoint, and where its elements go in our parameter tree. */
export type NameRule = {
  readonly theirs: string;
  /** Shape of their array, by the configuration. */
  readonly shape: Shape;
  /** Dotted paths in our tree. */
  readonly ours: readonly string[];
  readonly layout: Layout;
};

/** A rule for an array that is stored in the same layout. */
export function arrayName(theirs: string, ours: string, shape: Shape): NameRule {
  return { theirs, shape, ours: [ours], layout: same };
}

/** Rules for the weight and optional bias of a norm. */
export function normNames(theirs: string, ours: string, width: number, bias = true): NameRule[] {
  const both = [
    arrayName(`${theirs}.weight`, `${ours}.weight`, [width]),
    arrayName(`${theirs}.bias`, `${ours}.bias`, [width]),
  ];
  return bias ? both : both.slice(0, 1);
}

/** Rules for a torch.nn.Linear: weight [out, in] and a bias. Default of `bias`: true. */
export function linearNames(theirs: string, ours: string, inWidth: number, outWidth: number, bias = true): NameRule[] {
  const weight = {
    theirs: `${theirs}.weight`,
    shape: [outWidth, inWidth],
    ours: [`${ours}.weight`],
    layout: transposed,
  };
  return bias ? [weight, arrayName(`${theirs}.bias`, `${ours}.bias`, [outWidth])] : [weight];
}

/** Rules for several linear layers of one width fused into one torch.nn.Linear; see {@link rows} for `groups`. */
export function fusedLinearNames(
  theirs: readonly [weight: string, bias?: string],
  ours: readonly string[],
  inWidth: number,
  outWidth: number,
  groups = 1,
): NameRule[] {
  const layout = rows(ours.length, groups);
  const total = outWidth * ours.length;
  const weight = { theirs: theirs[0], shape: [total, inWidth], ours: ours.map((name) => `${name}.weight`), layout };
  if (theirs[1] === undefined) return [weight];
  return [weight, { theirs: theirs[1], shape: [total], ours: ours.map((name) => `${name}.bias`), layout }];
}

/** Rules for a Conv1D of GPT-2: weight [in, out] and a bias, in which several of our layers may be concatenated. */
export function conv1dNames(theirs: string, ours: readonly string[], inWidth: number, outWidth: number): NameRule[] {
  const layout = columns(ours.length);
  const total = outWidth * ours.length;
  return [
    { theirs: `${theirs}.weight`, shape: [inWidth, total], ours: ours.map((name) => `${name}.weight`), layout },
    { theirs: `${theirs}.bias`, shape: [total], ours: ours.map((name) => `${name}.bias`), layout },
  ];
}

/** Rules for each layer of a stack. */
export function layerNames(count: number, layer: (i: number) => NameRule[]): NameRule[] {
  return Array.from({ length: count }, (_, i) => layer(i)).flat();
}

/**
 * Builds our parameter tree from foreign arrays. Floats of any width become float32.
 *
 * @throws Error listing every missing, unknown or misshapen array
 */
export function readNames(
  rules: readonly NameRule[],
  arrays: ReadonlyMap<string, NDArray>,
  source: string,
): Tree<NDArray> {
  checkNames(rules, arrays, source);
  return grow(new Map(rules.flatMap((rule) => placed(rule, arrays.get(rule.theirs)!))));
}

/** {@link readNames} from arrays that are read one by one, so that only one is in memory twice. */
export async function loadNames(
  rules: readonly NameRule[],
  arrays: ReadonlyMap<string, StoredTensor>,
  source: string,
): Promise<Tree<NDArray>> {
  checkNames(rules, arrays, source);
  const leaves = new Map<string, NDArray>();
  for (const rule of rules) {
    for (const [path, leaf] of placed(rule, await arrays.get(rule.theirs)!.read())) leaves.set(path, leaf);
  }
  return grow(leaves);
}

function placed({ ours, layout }: NameRule, array: NDArray): [string, NDArray][] {
  const parts = layout.read(convert(array, "float32"));
  return ours.map((path, i) => [path, parts[i]!]);
}

/** The part of a header about one array. */
type ArrayHeader = Pick<NDArray, "shape" | "dtype">;

function checkNames(rules: readonly NameRule[], arrays: ReadonlyMap<string, ArrayHeader>, source: string): void {
  const known = new Set(rules.map(({ theirs }) => theirs));
  const problems = [
    ...rules
      .filter(({ theirs }) => !arrays.has(theirs))
      .map(({ theirs, shape }) => `missing: ${theirs} ${shapeText(shape)}`),
    ...[...arrays.keys()]
      .filter((name) => !known.has(name))
      .map((name) => `unknown: ${name} ${shapeText(arrays.get(name)!.shape)}`),
    ...rules.flatMap((rule) => wrongArray(rule, arrays.get(rule.theirs))),
  ];
  if (problems.length === 0) return;
  const shown = problems.slice(0, 20).join("\n  ");
  const rest = problems.length > 20 ? `\n  and ${problems.length - 20} more` : "";
  throw new Error(`${source}: its arrays are not those of this configuration\n  ${shown}${rest}`);
}

/** Foreign arrays from our leaves by path; for example, gradients under their checkpoint names. */
export function writeNames(rules: readonly NameRule[], leaves: ReadonlyMap<string, NDArray>): Map<string, NDArray> {
  const written = new Map<string, NDArray>();
  for (const { theirs, ours, layout } of rules) {
    const parts = ours.map((path) => leaves.get(path));
    const missing = ours.find((_, i) => parts[i] === undefined);
    if (missing !== undefined)
      throw new Error(`writeNames: ${theirs} needs ${ours.join(", ")}, of which ${missing} is missing`);
    written.set(theirs, layout.write(parts as NDArray[]));
  }
  return written;
}

function wrongArray({ theirs, shape }: NameRule, array: ArrayHeader | undefined): string[] {
  if (array === undefined) return [];
  if (!isFloat(array.dtype)) return [`${theirs}: expected floats, found ${array.dtype}`];
  if (shapesEqual(array.shape, shape)) return [];
  return [`${theirs}: the configuration asks for ${shapeText(shape)}, found ${shapeText(array.shape)}`];
}

/** A tree from dotted paths; numbers are indices of lists. */
export function grow(leaves: ReadonlyMap<string, NDArray>): Tree<NDArray> {
  type Node = { [name: string]: Node | NDArray };
  const root: Node = Object.create(null) as Node;
  for (const [path, leaf] of leaves) {
    const names = path.split(".");
    let node = root;
    for (const name of names.slice(0, -1)) node = (node[name] ??= Object.create(null) as Node) as Node;
    node[names.at(-1)!] = leaf;
  }
  const finish = (node: Node | NDArray): Tree<NDArray> => {
    if ("dtype" in node && "data" in node) return node as NDArray;
    const entries = Object.entries(node as Node).map(([name, child]) => [name, finish(child)] as const);
    if (entries.length > 0 && entries.every(([name]) => /^\d+$/.test(name))) {
      const items = entries.sort(([a], [b]) => Number(a) - Number(b));
      return items.map(([, child]) => child);
    }
    return Object.fromEntries(entries);
  };
  return finish(root);
}
