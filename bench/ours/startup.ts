/** Our side of the startup bench. Not yet available: it is to print one JSON line, a StartupResult (../startup.ts). */
import { notAvailableCode } from "../child.ts";

process.exitCode = notAvailableCode;
