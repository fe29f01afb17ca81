import type { Report } from "./contender.ts";
import type { ContenderId, Entry } from "./contenders.ts";
import { operationIds, operationRows } from "./rows.ts";

/** One line for each way an operation was called, with everybody who was called so. */
export function howLines(entries: readonly Entry[], hows: ReadonlyMap<ContenderId, Report["hows"]>): string[] {
  return operationIds.flatMap((id) => {
    const callers = new Map<string, string[]>();
    for (const entry of entries) {
      const how = hows.get(entry.id)?.[id];
      if (how !== undefined) callers.set(how, [...(callers.get(how) ?? []), entry.label]);
    }
    return [...callers].map(([how, labels]) => `${operationRows[id]} ${id}: ${how} (${labels.join("; ")})`);
  });
}
