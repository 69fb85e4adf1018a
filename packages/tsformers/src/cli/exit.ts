import { onEndSignals } from "../run/end-signals.ts";

/** What the program ends with, by what happened. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  "beyond-tolerance": 3,
  unsupported: 4,
  interrupted: 130,
} as const;

/** Why a command did not do what it was called for. */
export type FailureKind = Exclude<keyof typeof exitCodes, "done">;

/** Ends a command. `result` is what there is of its work; with `--json` it is printed, with the error in it. */
export class Failure extends Error {
  override readonly name: string = "Failure";
  readonly kind: FailureKind;
  readonly result: Readonly<Record<string, unknown>>;

  constructor(kind: FailureKind, message: string, result: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.kind = kind;
    this.result = result;
  }
}

/** A command that was called wrongly: a flag, a value, a name. Ends the program with code 2. */
export class UsageError extends Failure {
  override readonly name = "UsageError";

  constructor(message: string) {
    super("usage", message);
  }
}

export type Interruption = {
  /** Aborts at the first Ctrl-C, SIGTERM or SIGHUP. */
  readonly signal: AbortSignal;
  /** From here on the first one aborts the signal. */
  listen(): void;
  release(): void;
};

/**
 * Lets work be put away when the program is to end: the first Ctrl-C, SIGTERM or SIGHUP aborts a signal, the second ends the program at
 * once. While nobody listens, the first does: there is nothing to put away while data are read and a graph is prepared.
 *
 * @param options.later listens only from {@link Interruption.listen} on
 * @param options.onFirst called at the first, to say what happens
 */
export function interruption(options: { readonly later?: true; onFirst?(): void } = {}): Interruption {
  const controller = new AbortController();
  let release: (() => void) | undefined;
  const listen = () => {
    release ??= onEndSignals(() => {
      options.onFirst?.();
      controller.abort(new Failure("interrupted", "interrupted"));
    }).release;
  };
  if (options.later === undefined) listen();
  return { signal: controller.signal, listen, release: () => release?.() };
}

/** The result of work, unless the signal aborts first: then its reason is thrown and the work goes on unattended. */
export function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
