/** A command that was called wrongly: a flag, a value, a name. Ends the program with code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** What the program ends with. */
export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Ends the program with a code; everything was said already. */
export class Ended extends Error {
  override readonly name = "Ended";
  readonly code: number;

  constructor(code: number) {
    super(`ended with code ${code}`);
    this.code = code;
  }
}

/**
 * A signal that aborts at the first Ctrl-C (or SIGTERM), so that work can be put away. The second one ends the program at
 * once.
 */
export function interruption(): { readonly signal: AbortSignal; release(): void } {
  const controller = new AbortController();
  const onSignal = () => {
    if (controller.signal.aborted) process.exit(exitCodes.interrupted);
    controller.abort(new Ended(exitCodes.interrupted));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  return {
    signal: controller.signal,
    release: () => {
      process.off("SIGINT", onSignal);
      process.off("SIGTERM", onSignal);
    },
  };
}
