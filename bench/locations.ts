import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Folder of the compiled benches, bench/dist: this file lies directly in it. */
export const distFolder: string = dirname(fileURLToPath(import.meta.url));

/** Folder bench/peers, where the peers' scripts and their own node_modules are. */
export const peersFolder: string = join(distFolder, "..", "peers");

/** Root of the repository. */
export const repositoryFolder: string = join(distFolder, "..", "..");
