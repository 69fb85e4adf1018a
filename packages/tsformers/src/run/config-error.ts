/** A configuration that cannot be used, and why. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}
