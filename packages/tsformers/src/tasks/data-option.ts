import * as z from "zod";

/** The setting for where the data of a task lie. */
export function dataOption(what: string): z.ZodOptional<z.ZodString> {
  return z.string().min(1, "expected the path of a file or folder").optional().describe(what);
}

/**
 * The path of the data. It is optional in the settings: a task can be described without its data, and exported runs keep no path.
 *
 * @throws RangeError when there is none
 */
export function requireData(task: string, data: string | undefined, what: string): string {
  if (data !== undefined) return data;
  throw new RangeError(`${task}: data is missing: expected the path of ${what}`);
}
