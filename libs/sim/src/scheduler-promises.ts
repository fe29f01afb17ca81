/** A promise of the scheduler that a run has seen broken. */
class PromiseBroken extends Error {
  override readonly name = "PromiseBroken";
}

/** Throws PromiseBroken unless `ok` is true. */
export function demand(ok: unknown, broken: string): void {
  if (ok !== true) throw new PromiseBroken(broken);
}
