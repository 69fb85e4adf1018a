// Run by the build, in dist: keeps what `list` and `describe NAME` print, so that these need not load the whole catalogue.
import { writeFileAtomic } from "../io/atomic-file.ts";
import { everythingTold } from "./everything-told.ts";

await writeFileAtomic(new URL("./told.json", import.meta.url).pathname, JSON.stringify(await everythingTold()));
