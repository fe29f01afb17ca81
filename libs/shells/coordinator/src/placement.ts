/** A node as far as placing processes is concerned. */
export interface Candidate {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  /** Processes that are placed on it and not over. */
  readonly processes: number;
  /** Its agent ends when what it runs is over. */
  readonly leaving: boolean;
  /** It takes nothing new until somebody says so. */
  readonly cordoned: boolean;
  /** Nothing is heard of it now. */
  readonly silent: boolean;
  /** It fails too much of what it is given. */
  readonly excluded: boolean;
  /** It could not start a process lately. */
  readonly faulty: boolean;
}

/** What a process asks of its node. */
export interface Wish {
  /** Its name; empty for any. */
  readonly node: string;
  readonly labels: ReadonlyMap<string, string>;
}

/** Where a process goes. */
export type Placement<N extends Candidate> =
  | { readonly type: "placed"; readonly node: N }
  /** Nodes fit, and none of them may have another process. */
  | { readonly type: "full" }
  /** Nodes fit, and all of them are cordoned. */
  | { readonly type: "cordoned" }
  /** No node fits. One that does may join. */
  | { readonly type: "none" };

/** The node that fits and has the fewest processes, then the first by name; one that is excluded, could not start one lately, or of which nothing is heard, only where there is no other. */
export function place<N extends Candidate>(nodes: Iterable<N>, wish: Wish, processesMax: number): Placement<N> {
  const able = [...nodes].filter((node) => fits(node, wish));
  const fitting = able.filter(({ cordoned }) => !cordoned);
  if (fitting.length === 0) return { type: able.length === 0 ? "none" : "cordoned" };
  const [first, ...others] = fitting.filter((node) => node.processes < processesMax);
  if (first === undefined) return { type: "full" };
  return { type: "placed", node: others.reduce((best, node) => (isBetter(node, best) ? node : best), first) };
}

/** Whether it could run it, whatever keeps it from taking it now. */
export function fits({ name, labels, leaving }: Candidate, wish: Wish): boolean {
  if (leaving || (wish.node !== "" && wish.node !== name)) return false;
  for (const [label, value] of wish.labels) if (labels.get(label) !== value) return false;
  return true;
}

function isBetter(node: Candidate, than: Candidate): boolean {
  if (node.silent !== than.silent) return than.silent;
  if (node.excluded !== than.excluded) return than.excluded;
  if (node.faulty !== than.faulty) return than.faulty;
  if (node.processes !== than.processes) return node.processes < than.processes;
  return node.name < than.name;
}
