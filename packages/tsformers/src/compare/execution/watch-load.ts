import { availableParallelism, type CpuInfo, cpus } from "node:os";

/** Processor times are counted in hundredths of a second: of less than this they say too little. */
const leastMs = 250;

/**
 * Begins to watch how busy the machine is.
 *
 * @returns a function that tells the share of all processors that other processes have used since, 0 to 1; undefined where that is not known: after
 *   less than a quarter of a second, or where this process may not use all of them
 */
export function watchLoad(): () => number | undefined {
  const [start, before, own] = [performance.now(), cpus(), process.cpuUsage()];
  return () => {
    const after = cpus();
    if (performance.now() - start < leastMs || after.length === 0 || availableParallelism() < after.length)
      return undefined;
    const since = (of: (times: CpuInfo["times"]) => number) => sum(after, of) - sum(before, of);
    const all = since(({ user, nice, sys, irq, idle }) => user + nice + sys + irq + idle);
    const { user, system } = process.cpuUsage(own);
    const others = all - since(({ idle }) => idle) - (user + system) / 1000;
    return all > 0 ? Math.min(Math.max(others / all, 0), 1) : undefined;
  };
}

function sum(processors: readonly CpuInfo[], of: (times: CpuInfo["times"]) => number): number {
  return processors.reduce((total, { times }) => total + of(times), 0);
}
