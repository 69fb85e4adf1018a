// Checks against recorded outputs, maps and gradients. Runs in Node only.

export { type VerifyRow, verifyDirectory } from "./verify.ts";
