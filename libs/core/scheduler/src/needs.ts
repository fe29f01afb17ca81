import type { Node } from "./state.ts";
import type { Requirements } from "./types.ts";

/** Amounts are sums of decimal fractions: what is closer than this counts as equal. */
const AMOUNT_TOLERANCE = 1e-6;

/** What a job needs of its nodes: its pool's needs and its own, which win. The pool's very object when it asks for no more; undefined for nothing. */
export function needsOf(pool: Requirements | undefined, own: Requirements | undefined): Requirements | undefined {
  if (own === undefined || (own.labels.size === 0 && own.resources.size === 0)) return pool;
  const labels = new Map([...(pool?.labels ?? []), ...own.labels]);
  const amounts = [...new Map([...(pool?.resources ?? []), ...own.resources])];
  const resources = new Map(amounts.filter(([, amount]) => amount > 0));
  return labels.size === 0 && resources.size === 0 ? undefined : { labels, resources };
}

/** Whether the node could run what needs this, were it empty. */
export function couldTake({ labels, resources }: Node, needs: Requirements | undefined): boolean {
  if (needs === undefined) return true;
  for (const [name, value] of needs.labels) if (labels.get(name) !== value) return false;
  for (const [name, amount] of needs.resources)
    if ((resources.get(name) ?? 0) + AMOUNT_TOLERANCE < amount) return false;
  return true;
}

/** Whether the node has the amounts now. */
export function hasFree({ resources, taken }: Node, needs: Requirements): boolean {
  for (const [name, amount] of needs.resources)
    if ((resources.get(name) ?? 0) - (taken.get(name) ?? 0) + AMOUNT_TOLERANCE < amount) return false;
  return true;
}

/** Takes the amounts from the node (`times` 1), or gives them back (-1). */
export function take({ taken }: Node, needs: Requirements, times: 1 | -1): void {
  for (const [name, amount] of needs.resources) {
    const held = (taken.get(name) ?? 0) + times * amount;
    if (held < AMOUNT_TOLERANCE) taken.delete(name);
    else taken.set(name, held);
  }
}
