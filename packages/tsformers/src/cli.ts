#!/usr/bin/env node
import { main } from "./cli/main.ts";

// `tsformers generate … | head` closes the pipe: then there is nobody to write for.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
process.exitCode = await main(process.argv.slice(2));
