import { fingerprint } from "./fingerprint.ts";
import type { Operation } from "./history.ts";

/** Guesses of the latest time at which operations took effect. Equal guesses stand in the order in which they are here. */
export type Estimates<In> = ReadonlyMap<Operation<In>, number>;

/** How to read a history whose writes say nothing about themselves. */
export interface Evidence<In> {
  /** Facts that an operation makes true: values that are there from then on. */
  readonly makes: (operation: Operation<In>) => readonly unknown[];
  /** Facts that an operation's answer shows to be true. */
  readonly shows: (operation: Operation<In>) => readonly unknown[];
}

/** One operation in an order, and a time by which it took effect. */
interface Placed<In> {
  readonly operation: Operation<In>;
  readonly at: number;
}

/**
 * Estimates for operations that likely took effect in this order: each no later than its return, than it was seen, and than whatever stands behind it. Where
 * the order cannot be, since one had returned before another was called, it is mended.
 */
function estimateInOrder<In>(order: readonly Placed<In>[]): Estimates<In> {
  const estimates: [Operation<In>, number][] = [];
  let latest = Number.POSITIVE_INFINITY;
  for (const { operation, at } of mended(order).reverse()) {
    latest = Math.min(latest, at, returnOf(operation));
    estimates.push([operation, latest]);
  }
  return new Map(estimates.reverse());
}

function mended<In>(order: readonly Placed<In>[]): Placed<In>[] {
  const result: Placed<In>[] = [];
  for (const placed of order) {
    const returned = returnOf(placed.operation);
    let at = result.length;
    while ((result[at - 1]?.operation.invokedAt ?? returned) > returned) at--;
    result.splice(at, 0, placed);
  }
  return result;
}

/**
 * For what keeps its values in the order of writing (lists that grow, queues): `shows` tells values in that order. The longest answers are believed first; what
 * they do not show stands where shorter ones show it, else by the time at which it was seen.
 */
export function estimateByOrder<In>(history: readonly Operation<In>[], { makes, shows }: Evidence<In>): Estimates<In> {
  const reads = history
    .map((read) => ({ at: returnOf(read), facts: shows(read).map(fingerprint) }))
    .sort((a, b) => b.facts.length - a.facts.length || a.at - b.at);
  const seenAt = new Map<string, number>();
  for (const { at, facts } of reads) {
    for (const fact of facts) seenAt.set(fact, Math.min(at, seenAt.get(fact) ?? at));
  }
  const order = merged(reads.map(({ facts }) => facts));
  const writers = Map.groupBy(
    history.flatMap((write) => makes(write).map((value) => ({ write, fact: fingerprint(value) }))),
    ({ fact }) => fact,
  );
  return estimateInOrder(
    order.flatMap((fact) =>
      (writers.get(fact) ?? []).map(({ write }) => ({ operation: write, at: seenAt.get(fact) ?? returnOf(write) })),
    ),
  );
}

/** All facts once: those of the first answer, then what others add, behind what stands before it there, or at the end. */
function merged(answers: readonly (readonly string[])[]): string[] {
  const known = new Set<string>();
  const behind = new Map<string | undefined, string[]>();
  for (const facts of answers) {
    let before: string | undefined;
    for (const fact of facts) {
      if (!known.has(fact)) {
        known.add(fact);
        behind.set(before, [...(behind.get(before) ?? []), fact]);
      }
      before = fact;
    }
  }
  const order: string[] = [];
  const stack = (behind.get(undefined) ?? []).toReversed();
  for (let fact = stack.pop(); fact !== undefined; fact = stack.pop()) {
    order.push(fact);
    stack.push(...(behind.get(fact) ?? []).toReversed());
  }
  return order;
}

function returnOf({ returnedAt = Number.POSITIVE_INFINITY }: Operation<unknown>): number {
  return returnedAt;
}
