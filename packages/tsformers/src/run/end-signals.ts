/** What ends a run from outside: Ctrl-C, a polite `kill`, a terminal that was closed. */
export const endSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Calls `onFirst` at the first of {@link endSignals}, so that work can be put away; the second ends the process at once.
 *
 * @returns stops listening: then the first ends the process again
 */
export function onEndSignals(onFirst: () => void): { readonly signalled: () => void; readonly release: () => void } {
  let isFirst = true;
  const signalled = () => {
    if (!isFirst) return endNow();
    isFirst = false;
    onFirst();
  };
  for (const signal of endSignals) process.on(signal, signalled);
  const release = () => {
    for (const signal of endSignals) process.off(signal, signalled);
  };
  return { signalled, release };
}

/**
 * Ends this process at once, as Ctrl-C ends one that does not listen: shells show 130. `process.exit` would first wait for the worker
 * of a device, which does not stop before ONNX Runtime's step is over.
 */
export function endNow(): void {
  process.removeAllListeners("SIGINT");
  process.kill(process.pid, "SIGINT");
}
