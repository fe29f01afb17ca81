/** Owners whose session is over, sorted: they hold nothing and are given nothing any more. */
export type DeadOwners = readonly string[];

/** The dead with one more. */
export function buried(dead: DeadOwners, owner: string): DeadOwners {
  return dead.includes(owner) ? dead : [...dead, owner].sort();
}
