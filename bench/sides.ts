import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Side } from "./child.ts";
import { distFolder, peersFolder } from "./locations.ts";
import type { Workload } from "./workload.ts";

/** Our side of a bench: bench/ours/NAME, given what to measure as JSON. */
export function ourSide<Job extends object = Workload>(name: string, job: Job): Side {
  return {
    name: "tsformers",
    command: process.execPath,
    arguments: ["--expose-gc", join(distFolder, "ours", `${name}.js`), JSON.stringify(job)],
    missing: () => null,
  };
}

/** A script of bench/peers/pytorch, run by the Python that TSFORMERS_PYTHON names. */
export function pytorchSide<Job extends object = Workload>(script: string, job: Job): Side {
  const python = process.env.TSFORMERS_PYTHON;
  return {
    name: "PyTorch eager",
    command: python ?? "python3",
    arguments: [join(peersFolder, "pytorch", script), JSON.stringify(job)],
    missing: () =>
      python === undefined ? "set TSFORMERS_PYTHON to a Python that has torch (see bench/peers/README.md)" : null,
  };
}

/** A page of bench/peers, run in headless Chromium. */
export function browserSide(name: string, folder: string, library: string, workload: Workload): Side {
  const installed = existsSync(join(peersFolder, "node_modules", library));
  return pageSide(
    name,
    folder,
    workload,
    installed ? null : `${library} is not installed: npm ci --prefix bench/peers`,
  );
}

/** Our training step in a page of headless Chromium, on ONNX Runtime's WebAssembly. */
export function ourBrowserSide(workload: Workload): Side {
  return pageSide("tsformers in Chromium", "ours", workload, null);
}

function pageSide(name: string, folder: string, workload: Workload, missing: string | null): Side {
  const browser = chromiumPath();
  return {
    name,
    command: process.execPath,
    arguments: [join(distFolder, "browser-child.js"), JSON.stringify(workload), folder],
    missing: () => missing ?? (existsSync(browser) ? null : `no Chromium at ${browser}: set TSFORMERS_CHROMIUM`),
  };
}

/** The browser for what runs in a page. */
export function chromiumPath(): string {
  return process.env.TSFORMERS_CHROMIUM ?? "/usr/bin/chromium";
}
