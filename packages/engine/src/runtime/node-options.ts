/** The devices of Node. */
export type NodeDeviceName = "cpu" | "webgpu" | "cuda";

export type NodeDeviceOptions = {
  /** Threads used inside one operator. Default: all cores. */
  readonly threads?: number;
  /** Path prefix of ONNX Runtime's profiles, one file per session; for their format see `onnxruntime`'s documentation. Default: none. */
  readonly profilePrefix?: string;
  /**
   * Runs programs in a worker thread, so that timers and requests of this one are served during a run. Arrays are kept in the
   * worker: putting and reading copies them, passing results back in does not. Default: false.
   */
  readonly worker?: boolean;
};
