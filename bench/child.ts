import { spawn } from "node:child_process";

/** Exit code by which a child says that what it should measure is not there. */
export const notAvailableCode = 3;

/** A child that runs longer is ended and counts as failed. */
const limitMs = 10 * 60_000;

/** A child process that measures one side of a bench and prints one JSON line. */
export type Side = {
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
  /** Says what is missing to run this side, or null when nothing is. */
  readonly missing: () => string | null;
};

/** Runs one side in a fresh process and parses the last line it printed; null when it is not available. */
export async function measureOnce(side: Side): Promise<unknown> {
  const child = spawn(side.command, side.arguments, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: "1" },
    timeout: limitMs,
  });
  let output = "";
  let errors = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (errors += data));
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.on("error", (error) => reject(new Error(`${side.name}: cannot start ${side.command}: ${error.message}`)));
    child.on("close", (...ending) => resolve(ending));
  });
  if (code === notAvailableCode) return null;
  if (code !== 0) throw new Error(`${side.name}: ended with ${signal ?? `exit code ${code}`}\n${errors.trim()}`);
  const line = output.trim().split("\n").at(-1) ?? "";
  try {
    return JSON.parse(line);
  } catch {
    throw new Error(`${side.name}: expected a JSON line as last output, got ${JSON.stringify(line.slice(0, 200))}`);
  }
}

/**
 * Measures every side `rounds` times, in turn (A B C A B C …), so that a slow spell of the machine falls on all of them.
 * Sides that are missing or fail are reported on standard error and have no results.
 *
 * @returns one list of parsed results per side, in the order given
 */
export async function measureInTurn<T>(
  sides: readonly Side[],
  rounds: number,
  parse: (result: unknown, side: Side) => T,
): Promise<T[][]> {
  const results: T[][] = sides.map(() => []);
  const absent = new Set<Side>();
  for (const side of sides) {
    const missing = side.missing();
    if (missing === null) continue;
    absent.add(side);
    console.error(`skipped ${side.name}: ${missing}`);
  }
  for (let round = 0; round < rounds; round++) {
    for (const [index, side] of sides.entries()) {
      if (absent.has(side)) continue;
      try {
        const result = await measureOnce(side);
        if (result === null) {
          absent.add(side);
          console.error(`skipped ${side.name}: not yet available`);
        } else {
          results[index]!.push(parse(result, side));
        }
      } catch (error) {
        absent.add(side);
        console.error(`failed ${error instanceof Error ? error.message : String(error)}`);
        process.exitCode = 1;
      }
    }
  }
  return results;
}
