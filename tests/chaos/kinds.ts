/** Whose process or host a fault is about. */
export type PartyKind = "coordinator" | "manager" | "agent" | "client";

/** What is done to a fabric: to a host's link, to what goes through the wire in the middle, to processes, to disks and other means. Each is undone after a while. */
export const faultKinds = [
  "cut",
  "half-open",
  "reject",
  "slow",
  "drip",
  "drop",
  "stop-agent",
  "stop-worker",
  "stop-coordinator",
  "stop-manager",
  "stop-client",
  "kill-agent",
  "kill-worker",
  "kill-client",
  "kill-manager",
  "kill-coordinator",
  "full-manager-disk",
  "full-coordinator-disk",
  "full-agent-disk",
  "no-forks",
  "little-memory",
] as const;
export type FaultKind = (typeof faultKinds)[number];

/** What a kind is done to, and how long it lasts, in leases: some last for longer than one. */
interface KindFacts {
  readonly targets: readonly PartyKind[];
  readonly lasts: readonly [least: number, most: number];
  /** How often it is drawn, beside 1 of the others. */
  readonly weight?: number;
}

export const kindFacts: Readonly<Record<FaultKind, KindFacts>> = {
  cut: { targets: ["agent", "client", "manager", "coordinator"], lasts: [0.1, 1.6], weight: 2 },
  "half-open": { targets: ["agent", "client", "manager", "coordinator"], lasts: [0.1, 1.6] },
  reject: { targets: ["coordinator", "manager"], lasts: [0.1, 0.8] },
  slow: { targets: ["agent", "client"], lasts: [0.3, 1.6] },
  drip: { targets: ["agent", "client"], lasts: [0.3, 1] },
  drop: { targets: ["agent", "client"], lasts: [0.1, 0.6] },
  "stop-agent": { targets: ["agent"], lasts: [0.1, 1.6] },
  "stop-worker": { targets: ["agent"], lasts: [0.1, 1.2] },
  "stop-coordinator": { targets: ["coordinator"], lasts: [0.1, 0.9] },
  "stop-manager": { targets: ["manager"], lasts: [0.1, 0.9] },
  "stop-client": { targets: ["client"], lasts: [0.1, 1.6] },
  "kill-agent": { targets: ["agent"], lasts: [0.02, 0.4] },
  "kill-worker": { targets: ["agent"], lasts: [0, 0], weight: 2 },
  "kill-client": { targets: ["client"], lasts: [0.05, 0.4] },
  "kill-manager": { targets: ["manager"], lasts: [0.02, 0.4] },
  "kill-coordinator": { targets: ["coordinator"], lasts: [0.02, 0.4] },
  "full-manager-disk": { targets: ["manager"], lasts: [0.1, 0.6] },
  "full-coordinator-disk": { targets: ["coordinator"], lasts: [0.1, 0.6] },
  "full-agent-disk": { targets: ["agent"], lasts: [0.1, 0.6] },
  "no-forks": { targets: ["agent"], lasts: [0.2, 0.8] },
  "little-memory": { targets: ["agent"], lasts: [0.2, 0.8] },
};
