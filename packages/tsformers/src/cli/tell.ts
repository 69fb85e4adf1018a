// Run by the build, in dist: keeps what `list` and `describe NAME` print, so that these need not load the whole catalogue.
import { fileURLToPath } from "node:url";
import { writeFileAtomic } from "../io/atomic-file.ts";
import { everythingTold } from "./everything-told.ts";

const file = fileURLToPath(new URL("./told.json", import.meta.url));
await writeFileAtomic(file, JSON.stringify(await everythingTold()));
