/** A programmer's error: a state that the code itself promises cannot occur. The process that sees one must die. */
export class InvariantViolation extends Error {
  override readonly name = "InvariantViolation";
}

/** Throws InvariantViolation unless `condition` holds. Stays on in production. */
export function assert(condition: unknown, why: string): asserts condition {
  if (!condition) throw new InvariantViolation(why);
}

/** The closing arm of an exhaustive switch: compiles only where no case is left. */
export function unreachable(value: never): never {
  throw new InvariantViolation(`unreachable case: ${JSON.stringify(value)}`);
}
