import { cpSync, rmSync } from "node:fs";
import { openSqliteJournal } from "@heddle/adapter-sqlite";
import { systemEnvironment } from "@heddle/adapter-system";
import { ManagerShell } from "@heddle/shell-manager";

/** Of a manager's page of metrics: what follows from its journal alone. */
const followed = [
  "heddle_manager_revision",
  "heddle_manager_sessions",
  "heddle_manager_owners",
  "heddle_manager_objects",
  "heddle_manager_data_bytes",
  "heddle_manager_locks_held",
  "heddle_manager_effects_jobs",
] as const;

/** What a state is known by. */
export type StateNumbers = Readonly<Record<(typeof followed)[number], number>>;

/** The numbers of a page of metrics. */
export function stateNumbers(page: Readonly<Record<string, number>>): StateNumbers {
  const entries = followed.map((name) => [name, page[name] ?? Number.NaN]);
  return Object.fromEntries(entries) as StateNumbers;
}

/** Replays a copy of a manager's journal, and tells the numbers of the state that it gives. `copy` is made, and removed. */
export async function replayed(journalDirectory: string, copy: string): Promise<StateNumbers> {
  cpSync(journalDirectory, copy, { recursive: true });
  try {
    const env = systemEnvironment({ level: "error" });
    await using journal = await openSqliteJournal({ directory: copy, log: env.log });
    const shell = new ManagerShell({ env, journal, build: "chaos", nodeMajor: 24, pid: process.pid });
    await shell.start();
    const numbers = shell
      .metrics()
      .flatMap(({ name, value }) => (typeof value === "number" ? [[name, value] as const] : []));
    await shell.stop(1_000);
    return stateNumbers(Object.fromEntries(numbers));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
