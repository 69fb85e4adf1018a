import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isRunning } from "./lock.ts";

/** Removes the temporary files of a folder whose process is gone, such as after `kill -9`: see `temporaryPath`. */
export function removeRemains(folder: string): void {
  for (const name of readdirSync(folder)) {
    const [, pid] = /^\..+\.(\d+)-[0-9a-f]{8}\.tmp$/.exec(name) ?? [];
    if (pid !== undefined && !isRunning(Number(pid))) rmSync(join(folder, name), { recursive: true, force: true });
  }
}
