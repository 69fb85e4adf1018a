/** Our side of the decode bench. Not yet available: it is to print one JSON line, a DecodeResult (../decode.ts). */
import { notAvailableCode } from "../child.ts";

process.exitCode = notAvailableCode;
