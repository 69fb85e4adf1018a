/** Starts each task after all earlier ones have finished. A failure affects only its own caller. */
export type InOrder = <T>(work: () => Promise<T>) => Promise<T>;

/** A queue that runs one task at a time: ONNX Runtime in the browser rejects a second `run` during one. */
export function serial(): InOrder {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => undefined);
    return result;
  };
}

/** A device's share of a queue: after `close`, which takes effect once, it accepts no tasks. */
export function untilClosed(name: string, inOrder: InOrder): { inOrder: InOrder; close: typeof inOrder<void> } {
  let closed = false;
  return {
    inOrder: (work) =>
      inOrder(() => {
        if (closed) throw closedError(name);
        return work();
      }),
    close: (work) =>
      inOrder(async () => {
        if (closed) return;
        closed = true;
        await work();
      }),
  };
}

export function closedError(name: string): Error {
  return new Error(`${name}: the device was closed; open it again`);
}
