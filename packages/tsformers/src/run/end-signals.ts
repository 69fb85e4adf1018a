/** Signals that end a run: Ctrl-C, `kill`, and a closed terminal. */
export const endSignals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Calls `onFirst` at the first of {@link endSignals}, so that work can be saved; the second ends the process at once.
 *
 * @returns `release` stops listening, after which the first signal ends the process again
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
 * Ends this process at once with the signal of Ctrl-C, so that shells show 130. `process.exit` would first wait for a device's worker,
 * which does not stop before ONNX Runtime has finished its step.
 */
export function endNow(): void {
  process.removeAllListeners("SIGINT");
  process.kill(process.pid, "SIGINT");
}
