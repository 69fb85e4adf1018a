import { createHash } from "node:crypto";
import { flatten, isNdArray } from "@tsformers/engine";

/** Tells models apart by their parameters: 16 hexadecimal digits of a SHA-256 over names, shapes and numbers. */
export function fingerprintOf(params: unknown): string {
  const hash = createHash("sha256");
  const { leaves, paths } = flatten(params, isNdArray);
  leaves.forEach(({ shape, dtype, data }, i) => {
    hash.update(`${paths[i]} ${dtype} ${shape.join()}\n`);
    hash.update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  });
  return hash.digest("hex").slice(0, 16);
}
