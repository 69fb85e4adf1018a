/** Our side of the gpt-step bench. Not yet available: it is to print one JSON line, a StepResult (../gpt-step.ts). */
import { notAvailableCode } from "../child.ts";

process.exitCode = notAvailableCode;
