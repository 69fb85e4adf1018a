import { readFileSync } from "node:fs";

/** `VmRSS` (resident now) or `VmHWM` (most ever resident) of this process, in bytes; Linux only. */
export function memoryBytes(field: "VmRSS" | "VmHWM"): number {
  const status = readFileSync("/proc/self/status", "utf8");
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1];
  if (kilobytes === undefined) throw new Error(`/proc/self/status has no line ${field}`);
  return Number(kilobytes) * 1024;
}
