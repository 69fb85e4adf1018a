/** Things that do not go together, such as a mechanism and a position scheme. The message says which, and why. */
export class CombinationError extends TypeError {}
