import { type Random, seededRandom } from "@heddle/kernel";
import { type FaultKind, kindFacts, type PartyKind } from "./kinds.ts";
import type { ChaosOptions } from "./options.ts";

/** One fault of a plan. */
export interface PlannedFault {
  /** From 1. */
  readonly number: number;
  /** From the beginning of the run. */
  readonly atMs: number;
  readonly kind: FaultKind;
  /** Name of a party, as `partiesOf` gives them. */
  readonly target: string;
  /** Until it is undone. */
  readonly forMs: number;
  /** In [0, 1): what else there is to choose, such as which worker, which direction, how slow. */
  readonly choice: number;
}

/** A target whose last fault is over has so much time, in leases, before the next one. */
const REST_LEASES = 0.3;
/** Draws for a fault whose target has nothing to bear at that time. */
const DRAWS_MAX = 50;

export interface PartySizes {
  readonly agents: number;
  readonly clients: number;
}

/** Names of the parties of a kind. */
export function partiesOf(kind: PartyKind, { agents, clients }: PartySizes): string[] {
  if (kind === "coordinator" || kind === "manager") return [kind];
  return Array.from({ length: kind === "agent" ? agents : clients }, (_, at) => `${kind}-${at + 1}`);
}

/** The faults of a seed, in order of their times, without end: order, kinds, targets, pauses and durations depend on the options alone. No target has two at a time. */
export function* planOf(options: Omit<ChaosOptions, "report" | "minutes">): Generator<PlannedFault, never> {
  const { seed, faultEveryS, kinds, leaseMs } = options;
  const stream = (name: string): Random => seededRandom(seed, `plan ${name}`);
  const [pauses, draws, targets, durations, choices] = ["pause", "kind", "target", "duration", "choice"].map(stream);
  if (!pauses || !draws || !targets || !durations || !choices) throw new Error("a plan has five streams");
  const bag = kinds.flatMap((kind) => Array<FaultKind>(kindFacts[kind].weight ?? 1).fill(kind));
  const freeAtMs = new Map<string, number>();
  const draw = (atMs: number): { readonly kind: FaultKind; readonly target: string } | undefined => {
    const kind = pick(draws, bag);
    const all = kindFacts[kind].targets.flatMap((party) => partiesOf(party, options));
    const target = pick(targets, all);
    return (freeAtMs.get(target) ?? 0) > atMs ? undefined : { kind, target };
  };
  let atMs = 0;
  for (let number = 1; ; number++) {
    const [leastS, mostS] = faultEveryS;
    atMs += Math.round(1_000 * between(pauses, leastS, mostS));
    let drawn = draw(atMs);
    for (let tries = 1; drawn === undefined; tries++) {
      if (tries % DRAWS_MAX === 0) atMs += Math.round(REST_LEASES * leaseMs);
      drawn = draw(atMs);
    }
    const [least, most] = kindFacts[drawn.kind].lasts;
    const forMs = Math.round(leaseMs * between(durations, least, most));
    freeAtMs.set(drawn.target, atMs + forMs + REST_LEASES * leaseMs);
    yield { number, atMs, ...drawn, forMs, choice: choices.float() };
  }
}

function between(random: Random, least: number, most: number): number {
  return least + random.float() * (most - least);
}

export function pick<T>(random: Random, all: readonly T[]): T {
  const picked = all[random.int(all.length)];
  if (picked === undefined) throw new RangeError("there is nothing to pick from");
  return picked;
}
