import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Side } from "./child.ts";
import { distFolder, peersFolder } from "./locations.ts";
import type { Workload } from "./workload.ts";

/** Our side of a bench: bench/ours/NAME. */
export function ourSide(name: string, workload: Workload): Side {
  return {
    name: "tsformers",
    command: process.execPath,
    arguments: ["--expose-gc", join(distFolder, "ours", `${name}.js`), JSON.stringify(workload)],
    missing: () => null,
  };
}

/** A script of bench/peers/pytorch, run by the Python that TSFORMERS_PYTHON names. */
export function pytorchSide(script: string, workload: Workload): Side {
  const python = process.env.TSFORMERS_PYTHON;
  return {
    name: "PyTorch eager",
    command: python ?? "python3",
    arguments: [join(peersFolder, "pytorch", script), JSON.stringify(workload)],
    missing: () =>
      python === undefined ? "set TSFORMERS_PYTHON to a Python that has torch (see bench/peers/README.md)" : null,
  };
}

/** A page of bench/peers, run in headless Chromium. */
export function browserSide(name: string, folder: string, library: string, workload: Workload): Side {
  return {
    name,
    command: process.execPath,
    arguments: [join(distFolder, "browser-peer.js"), JSON.stringify(workload), folder],
    missing: () => {
      if (!existsSync(join(peersFolder, "node_modules", library))) {
        return `${library} is not installed: npm ci --prefix bench/peers`;
      }
      const browser = chromiumPath();
      return existsSync(browser) ? null : `no Chromium at ${browser}: set TSFORMERS_CHROMIUM`;
    },
  };
}

/** The browser for the peers that run in a page. */
export function chromiumPath(): string {
  return process.env.TSFORMERS_CHROMIUM ?? "/usr/bin/chromium";
}
