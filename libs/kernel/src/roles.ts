/** What a party of a fabric may be, as its certificate says. */
export const roles = ["client", "agent", "coordinator", "manager", "admin"] as const;

/**
 * A party's part in a fabric. `client`: runs work and shares state; `agent`: a node; `coordinator` and `manager`: the servers;
 * `admin`: looks at everything and steps in, runs no work.
 */
export type Role = (typeof roles)[number];
